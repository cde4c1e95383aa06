"""A few samples written out in the recipe itself, as for an example worked by hand."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from msgspec import Meta

from engine.datasets.base import DataSpec, Validation
from engine.datasets.pictures import numbered
from engine.datasets.samples import Array, Samples
from engine.spec import RecipeError

Number = Annotated[float, Meta(ge=-1e30, le=1e30)]
Rows = tuple[Annotated[tuple[Number, ...], Meta(min_length=1, max_length=10_000)], ...]


class Given(DataSpec, frozen=True, kw_only=True):
    """Samples written out in the recipe, with a label each or with values each."""

    x: Annotated[Rows, Meta(min_length=1, max_length=10_000, title="x", description="A row of numbers a sample")] = (
        (0.0, 0.0),
        (0.0, 1.0),
        (1.0, 0.0),
        (1.0, 1.0),
    )
    labels: Annotated[
        tuple[Annotated[int, Meta(ge=0, le=999)], ...],
        Meta(max_length=10_000, title="labels", description="The class of each sample; empty where it has values"),
    ] = (0, 1, 1, 0)
    values: Annotated[
        Rows, Meta(max_length=10_000, title="values", description="What each sample should give, instead of labels")
    ] = ()
    validation: Validation = 0.0
    shuffle: Annotated[bool, Meta(title="shuffle", description="A new random order every epoch")] = False

    def read(self, rng: np.random.Generator) -> Samples:
        """x (N, in) with labels (N,) or values (N, K)."""
        x = _rows("x", self.x)
        if bool(self.labels) == bool(self.values):
            raise RecipeError("data.labels: give each sample either a label or values, and leave the other empty")
        name, count = ("labels", len(self.labels)) if self.labels else ("values", len(self.values))
        if count != len(x):
            raise RecipeError(f"data.{name}: there are {count} for {len(x)} samples; give one a sample")
        if self.values:
            return Samples(x, None, (), values=_rows("values", self.values))
        return Samples(x, np.array(self.labels, np.intp), numbered(max(self.labels) + 1))


def _rows(name: str, rows: tuple[tuple[float, ...], ...]) -> Array:
    """Rows of one length as an array."""
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise RecipeError(
                f"data.{name}[{number}] has {len(row)} numbers where data.{name}[0] has {len(rows[0])}; "
                "make all rows of equal length"
            )
    return np.array(rows, np.float64)
