"""The colour bar beside a tensor, and along it how many entries have which colour and where the percentiles lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from app import theme as themes
from app.widgets.numbers import count, signed
from app.widgets.picture import Ruler, Values, draw_colour_bar
from app.widgets.tensor_numbers import PERCENTS, beyond, percentiles, places, sample

BINS = 51  # of five colours each, so that zero lies in the middle one
TALLEST = 2.5  # times the second most frequent colour: beyond it a bar is cut, and says so
HISTOGRAM, ROOMY = 52, 104  # pixels across, in a small panel and in a large one
BOX = 9  # pixels for the percentiles, left of the histogram


@dataclass(frozen=True)
class Counts:
    """How the entries lie along a ruler."""

    bins: npt.NDArray[np.int64]  # from the lowest to the highest value
    percentiles: tuple[float, ...]
    entries: int
    looked_at: int  # for the percentiles
    below: int  # entries beyond the lower end
    above: int

    def told(self, ruler: Ruler) -> str:
        """In words, a line each."""
        named = [f"{percent} %: {signed(v).strip()}" for percent, v in zip(PERCENTS, self.percentiles, strict=False)]
        lines = [f"percentiles  {'   '.join(named)}"] if named else []
        if self.looked_at < self.entries and named:
            lines.append(f"while training plays, of {count(self.looked_at)} of {count(self.entries)} entries")
        outside = self.below + self.above
        if outside:
            lines.append(
                f"▲ {count(outside)} of {count(self.entries)} entries lie beyond {ruler.label} and have its full colour"
            )
        return "\n".join(lines)


def counted(values: Values, ruler: Ruler, *, every: bool) -> Counts:
    """Count the values along the ruler; `every`: the percentiles of all of them, not of a sample."""
    image = ruler.image(values, themes.current())
    lines: npt.NDArray[np.uint8] = np.frombuffer(image.constBits(), np.uint8)
    lines = lines.reshape(image.height(), image.bytesPerLine())[:, : image.width()]
    found = np.bincount(lines.ravel(), minlength=256)[1:]  # the first is what is no number
    entries = values[np.isfinite(values)] if every else sample(values)
    below, above = beyond(values, ruler)
    return Counts(
        found.reshape(BINS, -1).sum(axis=1), percentiles(entries), int(found.sum()), len(entries), below, above
    )


class RulerBar(QWidget):
    """A tall colour bar with its ends and zero, the percentiles, and the histogram of the values on the same ruler.

    An end beyond which there are entries carries an arrow and their number.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ruler: Ruler | None = None
        self.counted: Counts | None = None
        self._across = HISTOGRAM
        self.setAccessibleName("colour bar and histogram")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)

    @property
    def ruler(self) -> Ruler | None:
        """The ruler shown."""
        return self._ruler

    def show_ruler(self, ruler: Ruler | None) -> None:
        """What the colours mean; nothing while there are none."""
        if ruler != self._ruler:
            self._ruler = ruler
            self._tell()
            self.update()

    def show_counts(self, values: Values | None, *, every: bool = True) -> None:
        """Count these values, or none: of a reduced picture a histogram would lie."""
        if values is not None and self._ruler is not None:
            self.counted = counted(values, self._ruler, every=every)
        elif self.counted is None:
            return
        else:
            self.counted = None
        self._tell()
        self.update()

    def _tell(self) -> None:
        ruler = self._ruler
        text = f"{ruler.kind} scale, {ruler.label.removeprefix('log, ')}" if ruler else ""
        told = self.counted.told(ruler) if self.counted is not None and ruler is not None else ""
        self.setToolTip(f"{text}\n{told}" if told else text)
        self.setAccessibleDescription(self.toolTip())

    def set_roomy(self, roomy: bool) -> None:
        """A wider histogram and named percentiles, where the panel is large."""
        across = ROOMY if roomy else HISTOGRAM
        if across != self._across:
            self._across = across
            self.updateGeometry()

    def _small(self) -> QFont:
        font = themes.tabular(self.font())
        font.setPointSizeF(font.pointSizeF() * 0.84)
        return font

    def sizeHint(self) -> QSize:
        """Bar, texts, percentiles, histogram."""
        labels = self.fontMetrics().horizontalAdvance("99 %") if self._across == ROOMY else 0
        return QSize(17 + self.fontMetrics().horizontalAdvance("+0.0005") + 4 + labels + BOX + self._across, 120)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The bar at the left, the percentiles and the histogram at the right."""
        ruler, found = self._ruler, self.counted
        if ruler is None:
            return
        theme, painter = themes.current(), QPainter(self)
        painter.setFont(themes.tabular(self.font()))
        left = self.width() - self._across + 0.5
        tall = min(left - BOX - 1, self.height() - 1.0)  # a wide one would lie down
        draw_colour_bar(painter, QRectF(0, 0, tall, self.height()), ruler, theme)
        painter.setPen(QPen(theme.color("line"), 1))
        painter.drawLine(QLineF(left, 0, left, self.height()))
        if found is not None:
            self._paint_counts(painter, found.bins, left + 1, self._across - 3.0)
            self._paint_percentiles(painter, found, ruler, left - BOX / 2)
            self._paint_ends(painter, found)

    def _paint_counts(self, painter: QPainter, counts: npt.NDArray[np.int64], left: float, room: float) -> None:
        theme = themes.current()
        second = int(np.partition(counts, -2)[-2])
        tallest = min(int(counts.max()), int(TALLEST * second)) if second else int(counts.max())
        step = self.height() / BINS
        painter.setPen(Qt.PenStyle.NoPen)
        for place, number in enumerate(counts[::-1].tolist()):
            if number:
                length = max(1.0, min(1.0, number / tallest) * room)
                bar = QRectF(left, place * step, length, max(step - 0.8, 1))
                painter.fillRect(bar, theme.color("muted"))
                if number > tallest:
                    self._cut(painter, bar)

    def _cut(self, painter: QPainter, bar: QRectF) -> None:
        """A gap near the end of a bar that is longer than there is room for."""
        painter.fillRect(QRectF(bar.right() - 9, bar.top() - 0.5, 3, bar.height() + 1), themes.current().color("panel"))

    def _paint_percentiles(self, painter: QPainter, found: Counts, ruler: Ruler, x: float) -> None:
        """A thin line from the first to the last, a thick one between the quarters, the median across."""
        if not found.percentiles:
            return
        theme, height = themes.current(), self.height() - 1
        least, lower, median, upper, most = ((1 - places(found.percentiles, ruler)) / 2 * height).tolist()
        painter.setPen(QPen(theme.color("muted"), 1))
        painter.drawLine(QLineF(x, most, x, least))
        for y in (most, least):
            painter.drawLine(QLineF(x - 2, y, x + 2, y))
        painter.fillRect(QRectF(x - 2, upper, 4, max(lower - upper, 1)), theme.color("muted"))
        painter.fillRect(QRectF(x - 4, median - 1, 8, 2), theme.color("text"))
        painter.setFont(self._small())
        line = painter.fontMetrics().height()
        if self._across != ROOMY:
            return
        free = -1.0
        for name, y in zip(PERCENTS[::-1], (most, upper, median, lower, least), strict=True):
            top = min(max(y - line / 2, free), self.height() - line)
            if top >= free:  # the labels stand one below the other; what finds no room is told by the tool tip
                painter.setPen(theme.color("muted"))
                right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                painter.drawText(QRectF(x - 66, top, 60, line), right, f"{name} %")
                free = top + line

    def _paint_ends(self, painter: QPainter, found: Counts) -> None:
        """An arrow over an end beyond which there are entries, with their number."""
        painter.setFont(self._small())
        line = painter.fontMetrics().height()
        colour = themes.current().color("bad_text")
        for number, up in ((found.above, True), (found.below, False)):
            if not number:
                continue
            tip, base = (0.0, 8.0) if up else (self.height() - 0.0, self.height() - 8.0)
            painter.setBrush(colour)
            painter.setPen(QPen(themes.current().color("panel"), 1))
            painter.drawPolygon(QPolygonF([QPointF(-1, base), QPointF(12, base), QPointF(5.5, tip)]))
            text = f"{'▲' if up else '▼'} {count(number)}"
            wide = painter.fontMetrics().horizontalAdvance(text) + 3
            box = QRectF(self.width() - wide, 0 if up else self.height() - line, wide, line)
            painter.fillRect(box, themes.current().color("panel"))
            painter.setPen(colour)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
