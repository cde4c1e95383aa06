"""When what is on screen is whole: all of one position, every answer of the engine come, nothing left to draw."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QWidget

from app.session import Session
from app.widgets.throttle import Throttle
from engine.frames import Frame

TWICE = 2  # frames after which all that was asked for is answered: one may have been under way
LONGEST = 500  # milliseconds that something may wait and still belong to the picture
LOOK_AGAIN = 5  # milliseconds


class Settling(QObject):
    """Calls back once a window shows the present position whole, or `stop` was called.

    The engine answers in order, so a frame that was asked for last says that all other answers have come. Then what
    takes turns is drawn at once, and what waits a moment is waited for. After `patience` milliseconds, if given, it
    calls back in any case: the engine may be busy, or gone.
    """

    def __init__(
        self, session: Session, window: QWidget, parent: QObject | None = None, patience: int | None = None
    ) -> None:
        super().__init__(parent or window)
        self._session, self._window = session, window
        self._then: Callable[[], None] | None = None
        self._awaited = 0
        self._again = QTimer(self, singleShot=True)
        self._again.timeout.connect(self._look)
        self._patience = QTimer(self, singleShot=True, interval=patience or 0)
        self._patience.timeout.connect(self._call)
        session.shown.connect(self._on_shown)

    def wait(self, then: Callable[[], None]) -> None:
        """Call `then` when the window is whole."""
        self._then, self._awaited = then, TWICE
        if self._patience.interval():
            self._patience.start()
        self._draw_all()
        self._session.show_again()

    def stop(self) -> None:
        """Wait no more."""
        self._then = None
        self._again.stop()
        self._patience.stop()

    def _on_shown(self, _: Frame) -> None:
        if self._then is None or not self._awaited:
            return
        self._awaited -= 1
        if self._awaited:
            self._draw_all()  # which may ask the engine for more
            self._session.show_again()
        else:
            self._again.start(0)  # after every panel has drawn this frame, too

    def _draw_all(self) -> None:
        for _ in range(3):  # one that draws may ask another to
            drawn = [throttle.finish() for throttle in self._window.findChildren(Throttle)]
            if not any(drawn):
                return

    def _look(self) -> None:
        if self._then is None:
            return
        self._draw_all()
        if any(self._waits(timer) for timer in self._window.findChildren(QTimer)):
            self._again.start(LOOK_AGAIN)
            return
        self._call()

    def _call(self) -> None:
        then = self._then
        self.stop()
        if then is not None:
            then()

    def _waits(self, timer: QTimer) -> bool:
        """Whether something will be drawn in a moment."""
        if timer.parent() is self or isinstance(timer.parent(), Throttle):
            return False
        return timer.isActive() and timer.isSingleShot() and timer.interval() <= LONGEST
