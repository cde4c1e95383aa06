"""How the values of one tensor are spread, over the steps at which it was seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QLineF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from app import theme as themes
from app.widgets.numbers import count, signed
from app.widgets.picture import Ruler, compact
from app.widgets.sharpness import pixel_ratio
from app.widgets.telling_strip import TellingStrip
from app.widgets.tensor_numbers import PERCENTS, Flat, places

MOST = 160  # places along the strip, each for so many steps that all that was seen fits
HELD = 40  # places at most until the next that was seen, over which the one before is drawn on
BANDS = ((0, 4), (1, 3))  # lower and upper percentile of each
STRENGTHS = (80, 170)  # with which they are coloured
MEDIAN = 2 * len(BANDS) + 1  # its place in the colour table
THICK = 48  # lines, from which on the median is three thick


@dataclass(frozen=True)
class Seen:
    """The percentiles at one step."""

    step: int
    percentiles: tuple[float, ...]


class Course:
    """Percentiles at the steps that were seen; of each place along the strip the last. It never grows beyond MOST."""

    def __init__(self) -> None:
        self.stride = 1  # steps a place
        self._seen: dict[int, Seen] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def clear(self) -> None:
        """Nothing was seen."""
        self.stride = 1
        self._seen.clear()

    def note(self, step: int, percentiles: tuple[float, ...]) -> None:
        """This was seen at a step."""
        if not percentiles:
            return
        self._seen[step // self.stride] = Seen(step, percentiles)
        while max(self._seen) - min(self._seen) >= MOST:
            self.stride *= 2
            self._seen = {place // 2: self._seen[place] for place in sorted(self._seen)}

    def truncate(self, step: int) -> None:
        """What came after this step was on another path."""
        self._seen = {place: seen for place, seen in self._seen.items() if seen.step <= step}

    @property
    def ends(self) -> tuple[int, int]:
        """The first place and the one after the last; (0, 0) where nothing was seen."""
        return (min(self._seen), max(self._seen) + 1) if self._seen else (0, 0)

    def rows(self) -> list[tuple[int, Seen]]:
        """Every place at which something was seen, in order."""
        return sorted(self._seen.items())

    def held(self) -> list[int]:
        """For how many places each of the rows stands: up to the next one, unless that is far."""
        places = sorted(self._seen)
        gaps = [after - place for place, after in pairwise(places)]
        return [gap if gap <= HELD else 1 for gap in gaps] + [1] * bool(places)

    def at(self, place: int) -> Seen | None:
        """What stands at a place; None: nothing."""
        for (first, seen), held in zip(self.rows(), self.held(), strict=True):
            if first <= place < first + held:
                return seen
        return None


def _bands(heights: Flat, zero: float, lines: int, columns: NDArray[np.intp], width: int) -> QImage:
    """A picture with a column for each place: heights (N, 5) of its percentiles, counted from the top, and of zero.

    Indices: 0 nothing, 1 and 2 the bands above zero, 3 and 4 those below, 5 the median.
    """
    line = np.arange(lines)[:, None]
    drawn = np.zeros((lines, len(columns)), np.uint8)
    for strength, (lower, upper) in enumerate(BANDS, 1):
        inside = (line >= np.floor(heights[:, upper])) & (line <= np.ceil(heights[:, lower]))
        drawn[inside] = strength
    drawn[(drawn > 0) & (line > zero)] += len(BANDS)
    drawn[np.abs(line - np.rint(heights[:, 2])) <= (lines > THICK)] = MEDIAN
    image = QImage(width, lines, QImage.Format.Format_Indexed8)
    image.fill(0)
    bytes_: NDArray[np.uint8] = np.frombuffer(image.bits(), np.uint8).reshape(lines, image.bytesPerLine())
    bytes_[:, columns] = drawn
    return image


def _colours() -> list[int]:
    """What the indices of the bands mean in the present theme."""
    theme, colours = themes.current(), [0]
    for name in ("forward", "backward"):
        for strength in STRENGTHS:
            colour = QColor(theme.color(name))
            colour.setAlpha(strength)
            colours.append(colour.rgba())
    return [*colours, theme.color("text").rgba()]


def span(course: Course) -> tuple[float, float]:
    """Round ends that hold all percentiles seen."""
    rows = [seen.percentiles for _, seen in course.rows()]
    low, high = min(row[0] for row in rows), max(row[-1] for row in rows)
    unit = 10.0 ** math.floor(math.log10(max(abs(low), abs(high), 1e-30))) / 10
    low, high = math.floor(low / unit) * unit, math.ceil(high / unit) * unit
    return (low, high) if high > low else (low - unit, high + unit)


class DistributionStrip(TellingStrip):
    """Bands from the 1st to the 99th percentile and between the quarters, and the medians.

    Over a few steps that were not seen the last one seen is drawn on; many are left blank. What is above zero is blue,
    what is below orange.
    """

    pointed = Signal(object)  # the step under the pointer, None for none
    clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.course = Course()
        self._ruler: Ruler | None = None
        self._cursor: int | None = None
        self.setAccessibleName("distribution over the steps seen")
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def show_course(self, ruler: Ruler | None, cursor: int | None) -> None:
        """Draw what was noted; on a log ruler on that, else between its own round ends. `cursor`: the step shown."""
        self._ruler = ruler if ruler is not None and ruler.kind == "log" else None
        self._cursor = cursor
        self.setAccessibleDescription(self._told(self.course.rows()[-1][1]) if len(self.course) else "")
        self.update()

    def sizeHint(self) -> QSize:
        """At least two lines of small text."""
        return QSize(200, self.least_height())

    def least_height(self) -> int:
        """Below it there is nothing to be read."""
        return round(1.75 * self.fontMetrics().height())

    # --- places -------------------------------------------------------------------------------

    def _small(self) -> QFont:
        font = themes.tabular(self.font())
        font.setPointSizeF(font.pointSizeF() * 0.8)
        return font

    def _plot(self) -> QRectF:
        return QRectF(0, 0, self.width() - self.fontMetrics().horizontalAdvance("−0.0005") - 4, self.height() - 1)

    def place_at(self, x: float) -> int | None:
        """The place under a point; None beside the plot, or where nothing was seen yet."""
        plot, (first, end) = self._plot(), self.course.ends
        if not plot.left() <= x <= plot.right() or end == first:
            return None
        return min(first + int((x - plot.left()) / plot.width() * (end - first)), end - 1)

    def step_at(self, x: float) -> int | None:
        """The step seen there."""
        place = self.place_at(x)
        seen = self.course.at(place) if place is not None else None
        return seen.step if seen is not None else None

    def _heights(self, values: Flat, low: float, high: float) -> Flat:
        """From 0 at the lower end to 1 at the upper."""
        if self._ruler is not None:
            return np.asarray((places(values, self._ruler) + 1) / 2)
        return np.asarray(np.clip((values - low) / (high - low), 0, 1))

    # --- painting -----------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """The bands, the medians, zero, and the ends in numbers."""
        theme, painter, plot, rows = themes.current(), QPainter(self), self._plot(), self.course.rows()
        painter.fillRect(plot, theme.color("field"))
        if not rows:
            return
        low, high = (-self._ruler.limit, self._ruler.limit) if self._ruler is not None else span(self.course)
        first, end = self.course.ends
        table = np.array([seen.percentiles for _, seen in rows])
        held = self.course.held()
        columns = np.concatenate([np.arange(n) + place for (place, _), n in zip(rows, held, strict=True)]) - first
        lines = max(round(plot.height() * pixel_ratio(self)), 1)
        heights = np.repeat((1 - self._heights(table, low, high)) * (lines - 1), held, axis=0)
        zero = float((1 - self._heights(np.zeros(1), low, high)[0]) * (lines - 1))
        image = _bands(heights, zero, lines, columns, end - first)
        image.setColorTable(_colours())
        painter.drawImage(plot, image)
        painter.setPen(QPen(theme.color("muted"), 1))
        if low < 0 < high:
            y = plot.top() + zero / lines * plot.height()
            painter.drawLine(QLineF(plot.left(), y, plot.right(), y))
        if self._cursor is not None and first <= self._cursor // self.course.stride < end:
            here = plot.left() + plot.width() * (self._cursor // self.course.stride - first + 0.5) / (end - first)
            painter.drawLine(QLineF(here, plot.top(), here, plot.bottom()))
        self._paint_labels(painter, plot, low, high)

    def _paint_labels(self, painter: QPainter, plot: QRectF, low: float, high: float) -> None:
        """The ends at the right; steps inside, where there is height for them."""
        painter.setFont(self._small())
        painter.setPen(themes.current().color("muted"))
        line, left = painter.fontMetrics().height(), plot.right() + 4
        top, right = Qt.AlignmentFlag.AlignTop, Qt.AlignmentFlag.AlignRight
        for text, y in ((compact(high), -1.0), (compact(low), self.height() - line + 1.0)):
            painter.drawText(QRectF(left, y, self.width() - left, line), top, text)
        if self.height() < 4.5 * line:
            return
        rows = self.course.rows()
        row = QRectF(plot.left() + 3, plot.bottom() - line, plot.width() - 6, line)
        painter.drawText(row, top, f"step {count(rows[0][1].step)}")
        if len(rows) > 1:
            painter.drawText(row, top | right, count(rows[-1][1].step))

    # --- the user -----------------------------------------------------------------------------

    def _told(self, seen: Seen) -> str:
        parts = [f"{percent} %: {signed(v).strip()}" for percent, v in zip(PERCENTS, seen.percentiles, strict=True)]
        return f"step {count(seen.step)}: {'   '.join(parts)}"

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell of the step there."""
        self.pointed.emit(self.step_at(event.position().x()))

    def leaveEvent(self, event: QEvent) -> None:
        """Nothing is pointed at."""
        self.pointed.emit(None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go there."""
        step = self.step_at(event.position().x())
        if step is not None and event.button() == Qt.MouseButton.LeftButton:
            self.clicked.emit(step)

    def tell(self, x: float) -> str:
        """What was seen at a place, or that nothing was."""
        place = self.place_at(x)
        seen = self.course.at(place) if place is not None else None
        if seen is not None:
            return self._told(seen)
        if place is not None:
            first = place * self.course.stride
            return f"nothing was seen of steps {count(first)} to {count(first + self.course.stride - 1)}"
        return "percentiles 1, 25, 50, 75 and 99 over the steps at which this tensor was seen"
