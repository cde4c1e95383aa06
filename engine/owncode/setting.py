"""How a user's code wants its data: samples as rows, as columns, or one bare sample; of which shape; how many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from engine.owncode.arrays import Array
from engine.owncode.construct import INS
from engine.subject import SubjectError

LayoutName = Literal["rows", "columns", "bare"]
Domain = Literal["normal", "unit", "simplex"]
BATCHES = (5, 13, 17)  # mini-batches to try; the first that is no dimension of a parameter
IMAGES: tuple[tuple[int, ...], ...] = ((2, 6, 4), (6, 4, 2), (6, 4), (4, 7))


@dataclass(frozen=True)
class Setting:
    """One way to feed a layer or model: x is (batch, *shape) here, and turned into what the code wants."""

    layout: LayoutName = "rows"
    shape: tuple[int, ...] = (INS,)
    batch: int = 5
    domain: Domain = "normal"
    only: bool = False  # it takes this many samples and no other number

    @property
    def single(self) -> bool:
        """Whether it takes one sample at a time and no mini-batch."""
        return self.only and self.batch == 1

    def give(self, x: Array) -> Array:
        """Samples as rows, as the code wants them: a view, so that a change of the input is seen."""
        if self.layout == "bare":
            return np.asarray(x[0])
        return np.moveaxis(x, 0, -1) if self.layout == "columns" and x.ndim > 1 else x

    def take(self, y: Array) -> Array:
        """What the code gave, with samples as rows."""
        if self.layout == "bare":
            return y[None]
        return np.moveaxis(y, -1, 0) if self.layout == "columns" and y.ndim > 1 else y

    def draw(self, rng: np.random.Generator, batch: int) -> Array:
        """An input (B, *shape) in the domain that the code takes."""
        count = self.batch if self.only else batch
        x = rng.standard_normal((count, *self.shape))
        if self.domain == "normal":
            return x
        if self.domain == "unit":
            return rng.uniform(0.1, 0.9, x.shape)
        shares = rng.uniform(0.2, 1.0, x.shape)
        return np.asarray(shares / shares.sum(axis=-1, keepdims=True))


class UnfitError(SubjectError):
    """A setting that the code does not take; `stage` tells how far it came."""

    def __init__(self, stage: int, why: SubjectError | str) -> None:
        super().__init__(str(why))
        self.stage = stage


def furthest(failures: Iterable[SubjectError]) -> SubjectError:
    """The failure to tell: the first whose forward ran, settings being tried from the likeliest on; else the first."""
    return max(failures, key=lambda failure: getattr(failure, "stage", RAISED) > RAISED)


def settings(sizes: Iterable[int], dimensions: Iterable[int], others: Iterable[int]) -> Iterator[list[Setting]]:
    """Groups of settings, the likeliest first; where one of a group works, the groups behind it are not tried.

    `sizes`: numbers of inputs to try; `dimensions`: those of the parameters; `others`: more numbers of samples to try.
    """
    taken = set(dimensions)
    batch = next((b for b in BATCHES if b not in taken), BATCHES[0])
    vectors = [Setting(layout, (size,)) for size in dict.fromkeys(sizes) for layout in ("rows", "columns")]
    yield [replace(setting, batch=batch) for setting in vectors]
    yield [Setting("rows", shape, batch) for shape in IMAGES]
    for count in dict.fromkeys(others):
        yield [replace(setting, batch=count, only=True) for setting in vectors]
    single = [replace(setting, batch=1, only=True) for setting in vectors]
    bare = [Setting("bare", (size,), 1, only=True) for size in dict.fromkeys(sizes)]
    yield single + bare
    yield [Setting("bare", shape, 1, only=True) for shape in IMAGES]


def working(
    groups: Iterable[list[Setting]], attempt: Callable[[Setting], Any]
) -> tuple[list[tuple[Setting, Any]], list[UnfitError]]:
    """The settings of the first group in which some work, with what the attempt gave; normal inputs before others.

    With them, why the settings before failed. Raises UnfitError where none works: the failure to tell.
    """
    failures: list[UnfitError] = []
    for group in groups:
        found = []
        for setting in group:
            for domain in ("normal", "unit"):
                try:
                    chosen = replace(setting, domain=domain)
                    found.append((chosen, attempt(chosen)))
                    break
                except UnfitError as failure:
                    failures.append(failure)
                    if failure.stage != NOT_FINITE:
                        break
        if found:
            return found, failures
    raise furthest(failures)


RAISED, WRONG_KIND, NOT_FINITE, BACKWARD_RAISED, BACKWARD_WRONG = range(5)


def output_of(value: Any, setting: Setting, count: int, what: str) -> Array:
    """The output of a forward, as the code gave it. Raises SubjectError where it is no array of `count` samples."""
    array = plain_array(value, f"{what}", "its output")
    if setting.layout == "bare":
        return array
    axis = -1 if setting.layout == "columns" else 0
    if array.ndim == 0:
        raise SubjectError(f"{what} returns the single number {array:.6g}; return an array with one row per sample")
    if array.shape[axis] != count:
        raise SubjectError(
            f"{what} returns shape {array.shape} for {count} samples; return as many rows as there are samples"
        )
    return array


def plain_array(value: Any, what: str, which: str) -> Array:
    """A floating-point array. Raises SubjectError with a sentence that names what it is instead."""
    if value is None:
        raise SubjectError(f"{what} returns None; return {which}")
    if isinstance(value, float | int | np.generic) and not isinstance(value, np.ndarray):
        raise SubjectError(f"{what} returns the single number {value:.6g}; return {which} as an array")
    if not isinstance(value, np.ndarray):
        raise SubjectError(f"{what} returns a {type(value).__name__}; return {which} as a NumPy array")
    if value.dtype.kind != "f":
        kind = {"i": "integers", "u": "integers", "b": "booleans", "c": "complex numbers"}.get(value.dtype.kind)
        raise SubjectError(f"{what} returns {kind or value.dtype}; return {which} as floating-point numbers")
    return np.asarray(value)
