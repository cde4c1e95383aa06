"""What is done to samples before a network sees them: a part of them is taken, and their range is made even."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from engine.datasets.samples import Array, Samples
from engine.spec import RecipeError

Scale = Annotated[
    Literal["none", "unit", "standardize"],
    Meta(
        title="scale",
        description="unit: to 0–1; standardize: to mean 0 and standard deviation 1. Measured on the training part "
        "only: column by column, for pictures over all pixels",
    ),
]


def part_of(samples: Samples, only: Sequence[int], first: int | None) -> Samples:
    """The samples of the classes `only` (all where empty), numbered in that order from 0; of these the `first`.

    Raises RecipeError for classes that are not there.
    """
    if only:
        samples = _of_classes(samples, only)
    if first is None or first >= len(samples.x):
        return samples
    return _rows(samples, slice(first))


def _of_classes(samples: Samples, only: Sequence[int]) -> Samples:
    if samples.labels is None:
        raise RecipeError("data.only: the data has values, not classes; leave this field empty")
    count = len(samples.classes)
    for number in only:
        if number >= count:
            raise RecipeError(f"data.only: there is no class {number}; the {count} classes are 0 to {count - 1}")
    if len(set(only)) < len(only):
        raise RecipeError("data.only: a class is named twice; name each once")
    renumber = np.full(count, -1, np.intp)
    renumber[list(only)] = np.arange(len(only))
    labels = renumber[samples.labels]
    kept = _rows(replace(samples, labels=labels), np.flatnonzero(labels >= 0))
    return replace(kept, classes=tuple(samples.classes[number] for number in only))


def _rows(samples: Samples, rows: Array | slice) -> Samples:
    labels, values = samples.labels, samples.values
    return replace(
        samples,
        x=samples.x[rows],
        labels=None if labels is None else labels[rows],
        values=None if values is None else values[rows],
    )


def check_classes(samples: Samples) -> None:
    """Raise RecipeError where there is no sample at all, or where all are of one class."""
    if not len(samples.x):
        raise RecipeError("data: there is no sample; choose other data, or more classes of it")
    labels = samples.labels
    if labels is not None and len(labels) > 1 and (labels == labels[0]).all():
        name = samples.classes[int(labels[0])]
        raise RecipeError(
            f"data: all {len(labels)} samples are of class {name!r}, so there is nothing to tell apart; "
            "give samples of two classes at least"
        )


def scaled(samples: Samples, training: Array) -> Samples:
    """x shifted and stretched by what the rows `training` (n,) show, as `samples.scale` says.

    Pictures are measured as a whole, all else column by column.

    unit: (x − min) / (max − min); standardize: (x − mean) / std, std of the n values (divided by n).
    Raises RecipeError for a column that is the same in every training sample, or whose range is beyond all numbers.
    """
    if samples.scale == "none":
        return samples
    x = np.asarray(samples.x, np.float64)
    fit = x[training]
    axis = None if samples.image_shape is not None else 0
    low, high = fit.min(axis, keepdims=True), fit.max(axis, keepdims=True)
    constant = np.flatnonzero(low == high)
    if constant.size:
        column = int(constant[0])
        raise RecipeError(
            f"data.scale: {_column(samples, column)} is {low.flat[column]:g} in every training sample and cannot be "
            "scaled; leave it out, or set the scale to none"
        )
    with np.errstate(all="ignore"):
        if samples.scale == "unit":
            centre, spread = low, high - low
        else:
            centre, spread = fit.mean(axis, keepdims=True), fit.std(axis, keepdims=True)
    beyond = np.flatnonzero(~np.isfinite(spread) | (spread == 0))
    if beyond.size:
        column = int(beyond[0])
        raise RecipeError(
            f"data.scale: {_column(samples, column)} runs from {low.flat[column]:g} to {high.flat[column]:g}, a range "
            "that cannot be computed with; leave it out, or set the scale to none"
        )
    return replace(samples, x=(x - centre) / spread)


def _column(samples: Samples, number: int) -> str:
    """How a sentence calls a column."""
    if samples.image_shape is not None:
        return "the value of the pixels"
    return f"column {samples.columns[number]!r}" if samples.columns else f"column {number + 1}"
