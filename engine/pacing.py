"""When the next picture of a run may be made: as soon as the app has room for it, and seldom enough for training."""

from __future__ import annotations

import math
import time

PACKING = 9  # times what a frame took to pack must pass before the next while training: a tenth of the time
AHEAD = 0.9  # of what a step took: how early the step of the next picture may begin
NEW = 0.2  # of a new measurement in what a frame is remembered to take


class Pacing:
    """Remembers when the app wants the next frame, when the last one was sent, and what frames and steps take."""

    def __init__(self) -> None:
        self._wanted_from = 0.0  # never, until the app has taken the last frame
        self._packed_at, self._pack_cost = 0.0, 0.0
        self.step_cost = 0.0  # seconds of the last step that was for a picture

    def taken(self, rest: float) -> None:
        """The app has taken the last frame and has room for the next in so many seconds."""
        self._wanted_from = time.perf_counter() + rest

    def sent(self, cost: float) -> None:
        """A frame was sent; making it took so many seconds."""
        self._wanted_from, self._packed_at = math.inf, time.perf_counter()
        self._pack_cost += NEW * (min(cost, 4 * self._pack_cost) - self._pack_cost) if self._pack_cost else cost

    @property
    def room_in(self) -> float:
        """Seconds until the app has room for a frame; infinite where it has not taken the last."""
        return self._wanted_from - time.perf_counter()

    def is_wanted(self, ahead: float = 0.0) -> bool:
        """Whether the app has room for a frame now, or so many seconds ahead."""
        return self.room_in <= ahead

    def is_due(self, ahead: float = 0.0) -> bool:
        """Whether a frame now, or so many seconds ahead, takes no more than its share of the time while training."""
        return time.perf_counter() + ahead >= self._packed_at + PACKING * self._pack_cost

    def may_begin(self, slice_: float) -> bool:
        """Whether the step of the next picture may begin, so that it stands when the picture is wanted and due.

        Where a step takes longer than a `slice_` of training, the app may take the last frame in the midst of it.
        """
        ahead = AHEAD * self.step_cost
        return (self.is_wanted(ahead) or self.step_cost > slice_) and self.is_due(ahead)
