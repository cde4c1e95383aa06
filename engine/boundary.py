"""For data in the plane: the points, and what the network believes all over the plane around them."""

from __future__ import annotations

import numpy as np

from engine.layers.base import Array
from engine.trainer import Trainer

PLANE = ("data.boundary", "data.points")  # the addresses they are watched by
MARGIN = 0.15  # of the data's width, left free around the points
MOST_POINTS = 2000


def is_plane(trainer: Trainer) -> bool:
    """Whether samples are points (2,) with classes."""
    return trainer.network.shapes[0] == (2,) and trainer.labels is not None


def extent(trainer: Trainer) -> tuple[float, float, float, float]:
    """The part of the plane shown: left, right, bottom, top; a square around all points."""
    x = trainer.samples.x
    low, high = x.min(axis=0), x.max(axis=0)
    middle, half = (low + high) / 2, float((high - low).max()) * (0.5 + MARGIN) or 1.0
    return (
        float(middle[0] - half),
        float(middle[0] + half),
        float(middle[1] - half),
        float(middle[1] + half),
    )


def points(trainer: Trainer) -> Array:
    """Training points as rows x, y, label: (N, 3), at most MOST_POINTS of them."""
    assert trainer.labels is not None
    return np.column_stack([trainer.x[:MOST_POINTS], trainer.labels[:MOST_POINTS]])


def grid(trainer: Trainer, size: int) -> Array:
    """The places of a grid of size × size over the extent, row by row from the top left: (size·size, 2)."""
    left, right, bottom, top = extent(trainer)
    across, down = np.meshgrid(np.linspace(left, right, size), np.linspace(top, bottom, size))
    return np.column_stack([across.ravel(), down.ravel()])


def beliefs(trainer: Trainer, size: int) -> Array:
    """What the network believes on a grid of size × size over the extent, from the top left: (size·size, K)."""
    return trainer.predict(grid(trainer, size))
