"""The digits in the box."""

from __future__ import annotations

from importlib import resources

import numpy as np

from engine.datasets.pictures import PictureSpec
from engine.datasets.samples import Samples


class Digits(PictureSpec, frozen=True, kw_only=True):
    """1,797 handwritten digits of 8×8 pixels, scaled to 0–1 (UCI; Alpaydin and Kaynak 1998)."""

    def read(self, rng: np.random.Generator) -> Samples:
        """x (1797, 64), or (1797, 8, 8) unflattened; raw pixels are 0 to 16."""
        with resources.files("resources").joinpath("data/digits.npz").open("rb") as file, np.load(file) as stored:
            images, labels = stored["images"], stored["labels"].astype(np.intp)
        return self.samples_of(images, labels, 16.0)
