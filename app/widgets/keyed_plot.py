"""A plot of training and validation with its key in the corner that such curves leave free."""

from __future__ import annotations

import math
from collections.abc import Callable

from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from app import theme as themes
from app.widgets.curve_data import Dense, Sparse
from app.widgets.key import Key
from app.widgets.numbers import NONE, count
from app.widgets.plot import Series, StepPlot

TRAIN, VALIDATION = 0, 2  # places in the theme's series


class KeyedPlot(QWidget):
    """The curves "train" (every step) and "validation" (some steps), and their values in the key."""

    def __init__(self, plot: StepPlot, subject: str, value_text: str, *, below: bool = False) -> None:
        super().__init__()
        self.plot = plot
        self._subject = subject
        self._below = below
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(plot)
        self.key = CornerKey(plot, value_text=value_text)

    def set_sources(self, train: Dense, validation: Sparse) -> None:
        """Show these two from now on."""
        series = (Series("train", train, TRAIN), Series("validation", validation, VALIDATION, markers=True))
        self.plot.set_series(series)
        self.key.set_rows(tuple(s.key_row() for s in series))
        self._place_key()

    def value(self, number: int, step: int) -> tuple[int, float]:
        """The exact value of a curve at a step, or the last before it, and the step it belongs to."""
        return self.plot.series[number].source.at(step)

    def show_values(self, step: int, write: Callable[[float], str]) -> None:
        """Write what the curves are at a step into the key."""
        found = [self.value(number, step)[1] for number in range(len(self.plot.series))]
        heading = f"{self._subject}, step {count(step)}" if step else self._subject
        texts = tuple(NONE if math.isnan(value) and number else write(value) for number, value in enumerate(found))
        self.key.set_values(heading, texts if step else (NONE,) * len(texts))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the key in its corner."""
        super().resizeEvent(event)
        self._place_key()

    def _place_key(self) -> None:
        size = self.key.natural_size()
        bottom = self.height() - size.height() - 24 if self._below else 6
        self.key.setGeometry(max(0, self.width() - size.width() - 8), bottom, size.width(), size.height())
        self.key.raise_()


class CornerKey(Key):
    """A key over a plot: the curves behind it are dimmed."""

    def __init__(self, parent: QWidget, *, value_text: str) -> None:
        super().__init__(parent, value_text=value_text)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)

    def paintEvent(self, event: QPaintEvent) -> None:
        """A veil, then the rows."""
        veil = themes.current().color("panel")
        veil.setAlpha(215)
        painter = QPainter(self)
        painter.fillRect(self.rect(), veil)
        painter.end()
        super().paintEvent(event)
