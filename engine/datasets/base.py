"""The base of all data: what every dataset can be told, whatever it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from engine.datasets.fetch import Progress
from engine.datasets.preprocessing import Scale, check_classes, part_of
from engine.datasets.samples import Samples
from engine.spec import KindSpec

Validation = Annotated[
    float, Meta(ge=0.0, le=0.9, title="validation share", description="Share of samples never trained on")
]
ClassNumber = Annotated[int, Meta(ge=0, le=999)]


class DataSpec(KindSpec, frozen=True, kw_only=True):
    """The description of a dataset. The last `validation` share of the (shuffled) samples is kept for validation."""

    validation: Validation = 0.2
    shuffle: Annotated[bool, Meta(title="shuffle", description="A new random order every epoch")] = True
    drop_last: Annotated[
        bool, Meta(title="drop last", description="Leave out the last mini-batch of an epoch where it is short")
    ] = False
    scale: Scale = "none"
    only: Annotated[
        tuple[ClassNumber, ...],
        Meta(max_length=1000, title="only classes", description="Numbers of the classes to take; empty takes all"),
    ] = ()
    first: (
        Annotated[int, Meta(ge=1, le=100_000_000, title="first", description="Take only so many samples, in order")]
        | None
    ) = None

    family: ClassVar[str] = "Data"

    def read(self, rng: np.random.Generator) -> Samples:
        """All samples there are; `rng` draws what is made on the spot. Raises RecipeError with one sentence."""
        raise NotImplementedError

    def must_fetch(self) -> bool:
        """Whether files have to come from the internet before `read` can begin; `read` fetches them where nobody did.

        Raises RecipeError with one sentence.
        """
        return False

    def fetch_files(self, progress: Progress | None = None, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Fetch those files. Raises RecipeError with one sentence, and CancelledError once `cancelled()` is true."""

    def load(self, rng: np.random.Generator) -> Samples:
        """The samples of the classes wanted, as many as wanted. Raises RecipeError with one sentence."""
        samples = part_of(self.read(rng), self.only, self.first)
        check_classes(samples)
        return samples if self.scale == "none" else replace(samples, scale=self.scale)
