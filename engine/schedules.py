"""Learning-rate schedules: what becomes of the optimizer's rate from mini-batch to mini-batch.

Each means what PyTorch's lr_scheduler of the same name means when it is stepped once per mini-batch: a pure function of
how many mini-batches have been `done`, 0 for the first.
"""

from __future__ import annotations

from math import cos, pi
from typing import TYPE_CHECKING, Annotated, Literal, Union

from msgspec import Meta

from engine.spec import LIVE, KindSpec, members

Steps = Annotated[int, Meta(ge=1, le=1_000_000_000, title="mini-batches", extra=LIVE)]


class Schedule(KindSpec, frozen=True, kw_only=True):
    """The description of a schedule; all its fields may change in mid-run."""

    def rate(self, lr: float, done: int) -> float:
        """The rate of the mini-batch that follows `done` others; `lr` is the optimizer's."""
        raise NotImplementedError


class ConstantRate(Schedule, frozen=True, kw_only=True, tag="constant"):
    """The optimizer's rate, always."""

    def rate(self, lr: float, done: int) -> float:
        """lr."""
        return lr

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return "constant"


class StepDecay(Schedule, frozen=True, kw_only=True):
    """The rate times gamma after every so many mini-batches (StepLR)."""

    every: Annotated[
        int, Meta(ge=1, le=1_000_000_000, title="every", description="Mini-batches between two drops", extra=LIVE)
    ] = 1000
    gamma: Annotated[
        float, Meta(ge=0.0, le=1.0, title="gamma", description="What is left of the rate at a drop", extra=LIVE)
    ] = 0.5

    def rate(self, lr: float, done: int) -> float:
        """lr·gamma^⌊done / every⌋."""
        return float(lr * self.gamma ** (done // self.every))

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return "step decay"


class ExponentialDecay(Schedule, frozen=True, kw_only=True):
    """The rate times gamma after every mini-batch (ExponentialLR)."""

    gamma: Annotated[
        float, Meta(ge=0.0, le=1.0, title="gamma", description="What is left after a mini-batch", extra=LIVE)
    ] = 0.999

    def rate(self, lr: float, done: int) -> float:
        """lr·gamma^done."""
        return float(lr * self.gamma**done)

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return "exponential decay"


class Cosine(Schedule, frozen=True, kw_only=True):
    """Half a cosine wave from the rate down to its least; then, as CosineAnnealingLR does, up again, and so on."""

    steps: Annotated[Steps, Meta(description="Mini-batches from the top to the bottom")] = 1000
    least: Annotated[float, Meta(ge=0.0, le=1e6, title="least", description="Rate at the bottom", extra=LIVE)] = 0.0

    def rate(self, lr: float, done: int) -> float:
        """least + (lr − least)·(1 + cos(π·done / steps)) / 2."""
        return self.least + (lr - self.least) * (1.0 + cos(pi * done / self.steps)) / 2.0


class WarmUp(Schedule, frozen=True, kw_only=True):
    """The rate rises in a straight line from a share of itself to the whole, and stays (LinearLR)."""

    steps: Annotated[Steps, Meta(description="Mini-batches until the whole rate")] = 100
    start: Annotated[
        float, Meta(gt=0.0, le=1.0, title="start", description="Share of the rate at the first", extra=LIVE)
    ] = 1.0 / 3.0

    def rate(self, lr: float, done: int) -> float:
        """lr·(start + (1 − start)·min(done, steps) / steps)."""
        return lr * (self.start + (1.0 - self.start) * min(done, self.steps) / self.steps)

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return "warm-up"


class OneCycle(Schedule, frozen=True, kw_only=True):
    """Up to the optimizer's rate and down far below, once (OneCycleLR with cycle_momentum off; Smith 2018).

    The rate starts at lr / divide_first, peaks at lr, and ends at lr / (divide_first·divide_last), where it stays.
    """

    steps: Annotated[Steps, Meta(description="Mini-batches of the whole cycle")] = 1000
    rising: Annotated[
        float, Meta(ge=0.0, le=1.0, title="rising", description="Share of the cycle that rises", extra=LIVE)
    ] = 0.3
    shape: Annotated[
        Literal["cosine", "linear"], Meta(title="shape", description="Of the way up and down", extra=LIVE)
    ] = "cosine"
    divide_first: Annotated[
        float, Meta(ge=1.0, le=1e12, title="divide first", description="Peak over first rate", extra=LIVE)
    ] = 25.0
    divide_last: Annotated[
        float, Meta(ge=1.0, le=1e12, title="divide last", description="First over last rate", extra=LIVE)
    ] = 1e4

    def rate(self, lr: float, done: int) -> float:
        """From first to lr until mini-batch rising·steps − 1, from there to last until steps − 1."""
        first = lr / self.divide_first
        peak, end = self.rising * self.steps - 1, self.steps - 1
        if done <= peak and peak > 0:
            return self._between(first, lr, done / peak)
        way = (done - peak) / (end - peak) if end > peak else 1.0
        return self._between(lr, first / self.divide_last, min(way, 1.0))

    def _between(self, one: float, other: float, way: float) -> float:
        """From one to the other, `way` from 0 to 1."""
        if self.shape == "linear":
            return (other - one) * way + one
        return other + (one - other) / 2.0 * (cos(pi * way) + 1.0)

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return "one-cycle"


if TYPE_CHECKING:
    AnySchedule = Schedule
else:
    AnySchedule = Union[members(Schedule)]
