"""Pictures with labels: what the readers of digits, IDX files and folders have in common."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from msgspec import Meta

from engine.datasets.base import DataSpec
from engine.datasets.samples import Array, Samples
from engine.spec import RecipeError

MOST_CLASSES = 1000


class PictureSpec(DataSpec, frozen=True, kw_only=True):
    """Greyscale pictures in classes."""

    flatten: Annotated[bool, Meta(title="flatten", description="Hand each picture over as one row of pixels")] = True
    raw: Annotated[
        bool, Meta(title="raw", description="Hand pixels over as they are stored, such as 0–255, instead of 0–1")
    ] = False

    def samples_of(self, images: Array, labels: Array, white: float, classes: tuple[str, ...] = ()) -> Samples:
        """Samples of pictures (N, rows, columns) whose brightest pixel is `white`; x (N, rows·columns) if flattened."""
        x = images.astype(np.float64) if self.raw else images / white
        shape = (images.shape[1], images.shape[2])
        if self.flatten:
            x = x.reshape(len(x), -1)
        return Samples(x, labels, classes or numbered(int(labels.max()) + 1), image_shape=shape)


def numbered(count: int) -> tuple[str, ...]:
    """The names of classes that have none: their numbers."""
    return tuple(map(str, range(count)))


def class_numbers(labels: Array, where: str, classes: int | None = None) -> Array:
    """Labels (N,) as class numbers from 0. Raises RecipeError where one is no such number; `where` begins it."""
    if labels.dtype.kind == "f" and (labels != np.floor(labels)).any():
        at = int(np.flatnonzero(labels != np.floor(labels))[0])
        raise RecipeError(f"{where}: label {at + 1} is {labels[at]:g}, not a whole number; give class numbers")
    most = MOST_CLASSES if classes is None else classes
    outside = np.flatnonzero((labels < 0) | (labels >= most))
    if outside.size:
        at = int(outside[0])
        raise RecipeError(
            f"{where}: label {at + 1} is {labels[at]:g}, outside the classes 0 to {most - 1}; mend the labels"
        )
    return labels.astype(np.intp)
