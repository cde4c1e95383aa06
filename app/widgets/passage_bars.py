"""Who ate my gradient: by what factor each layer passes it on, as bars on a log axis to either side of 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QEvent, QLineF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from app import theme as themes
from app.widgets.numbers import tiny
from engine.gradient_path import Passage, worst

LEAST = 0.5  # decades that the axis reaches at least
COLOURS = {"Wᵀ": "forward", "f′": "backward", "own": "muted"}

TIP = (
    "‖grad_x‖/‖grad_y‖ of each layer, from the output down: to the left of the line the gradient shrinks, to "
    "the right it grows; {forward} by weights Wᵀ, {backward} by an activation's slope f′"
)


class PassageBars(QWidget):
    """A row a layer, from the output to the input: its part (Wᵀ or f′), a bar, its factor; the worst is marked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[Passage, ...] = ()
        self._names: tuple[str, ...] = ()
        self.setAccessibleName("who ate my gradient")
        self._tell()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)

    def _tell(self) -> None:
        self.setToolTip(themes.current().worded(TIP))

    def changeEvent(self, event: QEvent) -> None:
        """Follow the hues."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._tell()

    def show_passages(self, rows: Sequence[Passage], names: Sequence[str]) -> None:
        """Show these factors; `names` are the layers'."""
        if tuple(rows) != self._rows or tuple(names) != self._names:
            taller = len(rows) != len(self._rows)
            self._rows, self._names = tuple(rows), tuple(names)
            told = (f"{self._names[p.layer]} {p.part} {tiny(p.factor)}" for p in self._rows)
            self.setAccessibleDescription(", ".join(told))
            if taller:
                self.updateGeometry()
            self.update()

    def _line(self) -> float:
        return self.fontMetrics().height() + 1.0

    def sizeHint(self) -> QSize:
        """A line a layer."""
        return QSize(230, round(self._line() * len(self._rows)))

    def minimumSizeHint(self) -> QSize:
        """All lines; a scroll area holds them."""
        return QSize(160, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Names at the left, bars in the middle, factors at the right."""
        theme, painter, line = themes.current(), QPainter(self), self._line()
        metrics = self.fontMetrics()
        names = [f"{p.layer} {self._names[p.layer]}" for p in self._rows]
        left = min(max((metrics.horizontalAdvance(n) for n in names), default=0) + 8, self.width() * 0.42)
        right = metrics.horizontalAdvance("×0.0e-00 f′") + 8
        room = max(self.width() - left - right, 10)
        decades = [abs(math.log10(p.factor)) for p in self._rows if p.factor > 0 and math.isfinite(p.factor)]
        reach, middle = max([LEAST, *decades]), left + room / 2
        eater = worst(self._rows)
        painter.setPen(QPen(theme.color("line"), 1))
        painter.drawLine(QLineF(middle, 0, middle, line * len(self._rows)))
        for number, (passage, name) in enumerate(zip(self._rows, names, strict=True)):
            top, is_worst = number * line, passage == eater
            share = -1.0 if passage.factor == 0 else 0.0
            if passage.factor > 0 and math.isfinite(passage.factor):
                share = math.log10(passage.factor) / reach
            wide = room / 2 * share
            bar = QRectF(min(middle, middle + wide), top + 3, max(abs(wide), 1.5), line - 6)
            painter.fillRect(bar, theme.color(COLOURS[passage.part]))
            painter.setPen(theme.color("text" if is_worst else "muted"))
            cut = metrics.elidedText(name, Qt.TextElideMode.ElideRight, int(left - 8))
            painter.drawText(QRectF(0, top, left, line), Qt.AlignmentFlag.AlignVCenter, cut)
            text = f"×{tiny(passage.factor)} {passage.part}" if passage.part != "own" else f"×{tiny(passage.factor)}"
            at_right = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
            painter.drawText(QRectF(left + room, top, right, line), at_right, ("▸ " if is_worst else "") + text)
