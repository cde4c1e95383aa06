"""What a plot shows: curves of the present path, and those of other paths laid over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PySide6.QtGui import QFont
from PySide6.QtWidgets import QApplication

from app import theme as themes
from app.widgets.curve_data import Dense, Row, Sparse
from app.widgets.key import KeyRow, Weight

Source = Dense | Row | Sparse


@dataclass(frozen=True)
class Series:
    """One curve to show. `tag` is written at its end."""

    name: str
    source: Source
    color: int
    markers: bool = False
    tag: str = ""
    weight: Weight = "plain"

    @property
    def dashed(self) -> bool:
        """Whether the colours had begun anew."""
        return self.color >= len(themes.current().series)

    def key_row(self) -> KeyRow:
        """Its row in a key."""
        return KeyRow(self.name, self.color, self.markers, self.dashed, self.weight)


@dataclass(frozen=True)
class Overlay:
    """The same quantity on another path, with the path's name at its end; perhaps its mean, and its validation.

    `reads` is what its curves are read from; two overlays of one plot that read the same have the same curves.
    """

    name: str
    color: int
    reads: tuple[object, ...]
    source: Source
    length: Callable[[], int]
    mean: Dense | None = None
    validation: Sparse | None = None

    def update(self) -> int:
        """Take in what is new; returns how many steps there are."""
        length = self.length()
        for source in self.sources():
            source.update(length)
        return length

    def sources(self) -> Iterator[Source]:
        """All its curves, from the one behind to the one before all others."""
        yield from (source for source in (self.source, self.mean, self.validation) if source is not None)


def small_font() -> QFont:
    """For tags and ticks."""
    font = themes.tabular(QApplication.font())
    font.setPointSizeF(font.pointSizeF() * 0.9)
    return font


def spread(places: list[float], gap: float, low: float, high: float) -> list[float]:
    """Sorted places moved apart to at least `gap`, within low … high as far as they fit."""
    apart: list[float] = []
    for place in places:
        apart.append(max(place, apart[-1] + gap if apart else low))
    limit = high
    for number in range(len(apart) - 1, -1, -1):
        apart[number] = min(apart[number], limit)
        limit = apart[number] - gap
    return apart
