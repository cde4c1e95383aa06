"""Work that follows a stream of frames no oftener than people can read."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer


class Throttle(QObject):
    """Does its work at once when asked, then rests; what is asked for meanwhile is done once, after the rest.

    Its timer stands still when nothing was asked for during the last rest.
    """

    def __init__(self, work: Callable[[], None], parent: QObject, per_second: float = 15.0) -> None:
        super().__init__(parent)
        self._work = work
        self._waiting = False
        self._rest = QTimer(self, singleShot=True, interval=round(1000 / per_second))
        self._rest.timeout.connect(self._on_rested)

    @property
    def resting(self) -> bool:
        """Whether its timer runs."""
        return self._rest.isActive()

    def set_rate(self, per_second: float) -> None:
        """How often the work may be done."""
        self._rest.setInterval(round(1000 / per_second))

    def ask(self, at_once: bool = False) -> None:
        """Have the work done: now if rested or `at_once`, else after the rest."""
        if at_once:
            self.stop()
            self._work()
        elif self._rest.isActive():
            self._waiting = True
        else:
            self._work()
            self._rest.start()

    def stop(self) -> None:
        """Forget what is waiting."""
        self._rest.stop()
        self._waiting = False

    def _on_rested(self) -> None:
        if self._waiting:
            self._waiting = False
            self._work()
            self._rest.start()
