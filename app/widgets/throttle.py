"""Work that follows a stream of frames no oftener than people can read."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import ClassVar

from PySide6.QtCore import QObject, QTimer

TURN = 0.014, 0.025  # seconds from one turn to the next, at least and at most
ROOM = 0.04  # seconds between frames from which there is time for all such work after each


class Throttle(QObject):
    """Does its work at once when asked, then rests; what is asked for meanwhile is done once, after the rest.

    Its timer stands still when nothing was asked for during the last rest. Those that take turns never work in the
    same frame, so that several expensive ones do not make it late together; `pace` says how far apart frames are. Where
    they come slowly all take turns, between frames.
    """

    _last_turn: ClassVar[float] = 0.0
    _turn: ClassVar[float] = TURN[0]
    _between: ClassVar[bool] = False

    def __init__(
        self, work: Callable[[], None], parent: QObject, per_second: float = 8.0, *, takes_turns: bool = False
    ) -> None:
        super().__init__(parent)
        self._work = work
        self._waiting = False
        self._takes_turns = takes_turns
        self._rest = QTimer(self, singleShot=True)
        self._rest.timeout.connect(self._on_rested)
        self.set_rate(per_second)

    @classmethod
    def pace(cls, seconds: float) -> None:
        """Frames come so far apart now: a turn is a little less than that."""
        cls._turn = min(max(0.8 * seconds, TURN[0]), TURN[1])
        cls._between = seconds > ROOM

    @classmethod
    def begin_frame(cls) -> None:
        """A frame is drawn now; where there is time after it, that is a turn."""
        if cls._between:
            cls._last_turn = time.perf_counter()

    @property
    def resting(self) -> bool:
        """Whether its timer runs."""
        return self._rest.isActive()

    def set_rate(self, per_second: float) -> None:
        """How often the work may be done."""
        self._pause = round(1000 / per_second)

    def ask(self, at_once: bool = False) -> None:
        """Have the work done: now if rested or `at_once`, else after the rest."""
        if at_once:
            self.stop()
            self._work()
        elif self._rest.isActive():
            self._waiting = True
        else:
            self._do()

    def finish(self) -> bool:
        """Do now what waits; whether anything did."""
        waited = self._waiting
        if waited:
            self.ask(at_once=True)
        return waited

    def stop(self) -> None:
        """Forget what is waiting."""
        self._rest.stop()
        self._waiting = False

    def _do(self) -> None:
        """Work and rest, or wait for the next turn."""
        now = time.perf_counter()
        takes_turns = self._takes_turns or Throttle._between
        left = Throttle._last_turn + Throttle._turn - now
        self._waiting = takes_turns and left > 0
        if self._waiting:
            self._rest.start(math.ceil(1000 * left))
            return
        if takes_turns:
            Throttle._last_turn = now
        self._rest.start(self._pause)
        self._work()

    def _on_rested(self) -> None:
        if self._waiting:
            self._do()
