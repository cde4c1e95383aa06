"""The live check over the steps, as a strip: how large the error of each step checked was, in its verdict's colour."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from app import theme as themes
from app.widgets.curve_data import Array
from app.widgets.numbers import count, tiny
from app.widgets.telling_strip import TellingStrip
from engine.verdicts import FAIL, FAIL_ERROR, KINK, PASS, UNRESOLVABLE, VERDICTS

COLORS = {PASS: "good", KINK: "backward", UNRESOLVABLE: "muted", FAIL: "bad"}
LOW, HIGH = -14.0, 0.0  # decades of the error, from bottom to top
NEAR = 6  # pixels


class Columns(NamedTuple):
    """What stands in each pixel column of the strip: the worst check in it."""

    x: Array
    step: Array
    error: Array
    verdict: Array


class LiveStrip(TellingStrip):
    """A dot for each check, at the height of its error; a failed one is a red line from bottom to top."""

    picked = Signal(int)  # the step that was clicked

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._steps, self._errors, self._verdicts = np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int8)
        self._last = 1
        self.setAccessibleName("live check over steps")
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_checks(self, steps: Array, errors: Array, verdicts: Array, last: int) -> None:
        """Show these checks, on a time axis that ends at step `last`."""
        self._steps, self._errors, self._verdicts = steps.copy(), errors.copy(), verdicts.copy()
        self._last = max(last, 1)
        self.update()

    def columns(self) -> Columns:
        """The worst check of every pixel column: the worst verdict, then the largest error."""
        x = np.clip((self._steps / self._last * (self.width() - 3)).astype(np.int64), 0, max(self.width() - 3, 0))
        order = np.lexsort((np.nan_to_num(self._errors, nan=-1.0), self._verdicts, x))
        last_of_column = np.flatnonzero(np.diff(x[order], append=-1))
        chosen = order[last_of_column]
        return Columns(x[chosen] + 1, self._steps[chosen], self._errors[chosen], self._verdicts[chosen])

    def sizeHint(self) -> QSize:
        """As high as a button."""
        return QSize(80, self.fontMetrics().height() + 10)

    def _height_of(self, error: float) -> float:
        """Where an error is drawn: y in pixels."""
        power = LOW if not error > 0 else HIGH if math.isinf(error) else math.log10(error)
        share = (min(max(power, LOW), HIGH) - LOW) / (HIGH - LOW)
        return self.height() - 3 - share * (self.height() - 6)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paper, the line beyond which an error is wrong, and the checks."""
        theme, painter = themes.current(), QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(theme.color("line"), 1))
        painter.setBrush(theme.color("field"))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        wrong = self._height_of(FAIL_ERROR)
        painter.drawLine(QLineF(3, wrong, self.width() - 3, wrong))
        found = self.columns()
        for verdict, colour in COLORS.items():
            mine = found.verdict == verdict
            painter.setPen(QPen(theme.color(colour), 2.4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            if verdict == FAIL:
                painter.setPen(QPen(theme.color(colour), 2))
                painter.drawLines([QLineF(x, 3, x, self.height() - 3) for x in found.x[mine].tolist()])
            else:
                points = zip(found.x[mine].tolist(), found.error[mine].tolist(), strict=True)
                painter.drawPoints([QPointF(x, self._height_of(error)) for x, error in points])

    # --- the user -----------------------------------------------------------------------------

    def _near(self, x: float) -> int | None:
        """The worst of the checks near a place, by its number among the columns."""
        found = self.columns()
        near = np.flatnonzero(np.abs(found.x - x) <= NEAR)
        if not near.size:
            return None
        worst = near[found.verdict[near] == found.verdict[near].max()]
        return int(worst[np.argmin(np.abs(found.x[worst] - x))])

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Pick the step."""
        place = self._near(event.position().x())
        if place is not None and event.button() == Qt.MouseButton.LeftButton:
            self.picked.emit(int(self.columns().step[place]))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """A hand where there is something to pick."""
        near = self._near(event.position().x()) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if near else Qt.CursorShape.ArrowCursor)

    def tell(self, x: float) -> str:
        """What was found near a place."""
        place = self._near(x)
        if place is None:
            return "The live check over the steps so far: low is good, a red line is a wrong gradient"
        found = self.columns()
        error = float(found.error[place])
        size = f", error {tiny(error)}" if error == error else ""
        return f"step {count(int(found.step[place]))}: {VERDICTS[int(found.verdict[place])]}{size}"
