"""Least, greatest, mean and norm of the tensor shown; an alarm where something is no number."""

from __future__ import annotations

import numpy as np
from PySide6.QtWidgets import QWidget

from app.widgets.facts import Facts
from app.widgets.numbers import NONE, count, signed
from app.widgets.sheets import MOST_ENTRIES
from app.widgets.tensor_numbers import moments
from engine.frames import Picture

REDUCED = f"mean and norm only of tensors up to {MOST_ENTRIES:,} entries, which are shown whole"


class TensorFacts(Facts):
    """The numbers of a picture; of a reduced one least and greatest hold, the rest would be of a choice of entries."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(("min", "max", "mean", "norm"), parent)

    def show_picture(self, picture: Picture | None) -> None:
        """Tell of this tensor, or of none."""
        if picture is None:
            self.show_values((NONE,) * 4)
            return
        found = moments(picture.values)
        if found is None:
            self._alarm_of(picture)
            return
        more = (signed(found.mean), signed(found.norm).removeprefix("+")) if picture.whole else (NONE, NONE)
        self.show_values((signed(found.low), signed(found.high), *more))
        self.setToolTip("" if picture.whole else REDUCED)

    def _alarm_of(self, picture: Picture) -> None:
        """Say loudly what is no number."""
        values = picture.values
        finite = np.isfinite(values)
        undefined = int(np.isnan(values).sum())
        infinite = values.size - int(finite.sum()) - undefined
        parts = [f"{count(n)} {word}" for n, word in ((undefined, "NaN"), (infinite, "infinite")) if n]
        of = f"of {count(values.size)} entries" if picture.whole else f"of {count(values.size)} cells"
        rest = values[finite]
        said = (
            f"the others from {signed(float(rest.min())).strip()} to {signed(float(rest.max())).strip()}"
            if rest.size
            else ""
        )
        self.show_alarm(f"⚠ {' and '.join(parts)} {of}", said or "no number is left")
