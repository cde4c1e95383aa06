"""Tensors as pictures: values → indexed image, and the ruler that says what a colour means.

Zero has the colour of the paper. What is no number has a colour of its own; what is not computed yet is hatched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QLineF, QRect, QRectF, Qt
from PySide6.QtGui import QImage, QPainter, QPen

from app import theme as themes
from app.theme import Theme

Values = npt.NDArray[np.floating[Any]]

ZERO = 128  # the index of zero in a colour table; 1 … 127 are negative, 0 is what is no number
_TINY, _HUGE = 1e-36, 1e38  # with room left in float32 for 127 times the reciprocal


def indexed_image(values: Values, limit: float, table: Sequence[int], log_floor: float | None = None) -> QImage:
    """A picture with one pixel per value: (rows, cols) → QImage in Format_Indexed8 that owns its bytes.

    Strength is |v| / limit, or with a floor log(|v| / floor) / log(limit / floor), cut to 0 … 1. The sign is the hue.
    """
    rows, cols = values.shape
    if not values.size:
        return QImage()
    image = _blank(tuple(table)).copy(0, 0, cols, rows)
    _pixels(image)[...] = strengths(values, limit, log_floor)
    return image


@lru_cache(maxsize=8)
def _blank(table: tuple[int, ...]) -> QImage:
    """One pixel with a colour table: copying it is five times quicker than handing Qt the table each time."""
    image = QImage(1, 1, QImage.Format.Format_Indexed8)
    image.setColorTable(table)
    return image


def strengths(values: Values, limit: float, log_floor: float | None) -> npt.NDArray[np.uint8]:
    """The place of each value in a colour table: 1 … 255, and 0 for what is no number."""
    limit = min(max(limit, _TINY), _HUGE) if math.isfinite(limit) else 1.0
    signed = np.empty(values.shape, np.float32)
    if log_floor is None:
        np.clip(values, -limit, limit, out=signed, casting="same_kind")
        signed *= np.float32(127 / limit)
    else:
        floor = min(max(log_floor, _TINY), limit)
        np.clip(np.abs(values), floor, limit, out=signed, casting="same_kind")
        signed *= np.float32(1 / floor)
        np.log(signed, out=signed)
        signed *= np.float32(127 / max(math.log(limit / floor), 1e-6))
        np.copysign(signed, values, out=signed, casting="same_kind")
    signed += np.float32(ZERO + 0.5)  # the half rounds, since the cast below cuts
    finite = np.isfinite(values)
    if not finite.all():
        signed[~finite] = 0
    return signed.astype(np.uint8)


def _pixels(image: QImage) -> npt.NDArray[np.uint8]:
    """The image's own bytes as (rows, cols); Qt pads each row to four bytes, which the view leaves out.

    The view does not keep the image alive.
    """
    lines: npt.NDArray[np.uint8] = np.frombuffer(image.bits(), np.uint8)
    lines = lines.reshape(image.height(), image.bytesPerLine())
    return lines[:, : image.width()]


def shrink(image: QImage, width: int, height: int) -> QImage:
    """An indexed image that fits into width × height; each block keeps its most extreme pixel, never their mean."""
    lines = _pixels(image)
    for count in (height, width):  # rows, then the same on the other side up: NumPy reduces along rows quickly
        lines = np.ascontiguousarray(_extremes(lines, count).T)
    small = image.copy(0, 0, lines.shape[1], lines.shape[0])
    _pixels(small)[...] = lines
    return small


def _extremes(lines: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.uint8]:
    """At most `count` rows: each the value of its block farthest from zero (what is no number is farthest of all)."""
    if count >= lines.shape[0]:
        return lines
    edges = np.arange(count + 1) * lines.shape[0] // count
    first, last = edges[:-1], edges[1:] - 1
    low = high = lines[first]
    for offset in range(1, int((last - first).max()) + 1):  # ten times quicker than reduceat on bytes
        other = lines[np.minimum(first + offset, last)]
        low, high = np.minimum(low, other), np.maximum(high, other)
    below = (high < -low) | (low == 0)  # −low is 256 − low in a byte, so: farther below zero than above it
    result: npt.NDArray[np.uint8] = np.where(below, low, high)
    return result


def compact(value: float) -> str:
    """A number for a tick: 0.1, 250, 1e-5, with a real minus sign."""
    text = f"{value or 0.0:.3g}"
    mantissa, e, exponent = text.partition("e")
    text = f"{mantissa}e{int(exponent)}" if e else text
    return f"−{text[1:]}" if text.startswith("-") else text


@dataclass(frozen=True)
class Ruler:
    """What a colour means: full strength at ±limit; on a log ruler nothing is seen below ±floor."""

    kind: Literal["linear", "log"]
    limit: float
    floor: float = 0.0

    @property
    def log_floor(self) -> float | None:
        """The floor as `indexed_image` wants it: None on a linear ruler."""
        return self.floor if self.kind == "log" else None

    def nice(self) -> Ruler:
        """The next ruler with round ends (limit 1, 2 or 5 × 10ⁿ; floor 10ⁿ), so that it does not change every step."""
        if not (math.isfinite(self.limit) and self.limit > 0):
            return Ruler(self.kind, 1.0, 1e-4 if self.kind == "log" else 0.0)
        decade = 10.0 ** math.floor(math.log10(self.limit))
        limit = next(float(f"{m * decade:.3g}") for m in (1, 2, 5, 10) if m * decade >= self.limit * (1 - 1e-9))
        if self.kind == "linear":
            return Ruler("linear", limit)
        floor = self.floor if 0 < self.floor < limit else limit * 1e-4
        return Ruler("log", limit, float(f"{10.0 ** math.floor(math.log10(floor) + 1e-9):.3g}"))

    @property
    def label(self) -> str:
        """The ruler in words: "±0.5" or "log, ±1e-5 … ±0.1"."""
        end = f"±{compact(self.limit)}"
        return end if self.kind == "linear" else f"log, ±{compact(self.floor)} … {end}"

    def image(self, values: Values, theme: Theme, *, magnitude: bool = False) -> QImage:
        """The picture of values on this ruler."""
        table = themes.magnitude_table(theme) if magnitude else themes.signed_table(theme)
        return indexed_image(values, self.limit, table, self.log_floor)

    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Places from −1 to 1 along the bar with their labels; unlabelled ones are the decades of a log ruler."""
        middle = "0" if self.kind == "linear" else f"±{compact(self.floor)}"
        main = ((-1.0, compact(-self.limit)), (0.0, middle), (1.0, f"+{compact(self.limit)}"))
        if self.kind == "linear" or not 0 < self.floor < self.limit:
            return main
        decades = math.log10(self.limit / self.floor)
        minor = [place / decades for place in range(1, math.ceil(decades - 1e-9))] if decades <= 12 else []
        return (*main, *((side * place, "") for place in minor for side in (-1.0, 1.0)))


def draw_colour_ramp(painter: QPainter, rect: QRectF, theme: Theme) -> None:
    """The colours of any ruler, from minus at the left to plus."""
    image = _blank(tuple(themes.signed_table(theme))).copy(0, 0, 255, 1)
    _pixels(image)[0] = np.arange(1, 256, dtype=np.uint8)
    painter.drawImage(rect, image)


def draw_colour_bar(painter: QPainter, rect: QRectF | QRect, ruler: Ruler, theme: Theme) -> None:
    """The ruler's colours with ticks: along the top of a wide rect (labels below) or the left of a tall one."""
    rect = QRectF(rect)
    wide = rect.width() >= rect.height()
    metrics = painter.fontMetrics()
    thick = max(5.0, rect.height() - metrics.height() - 4) if wide else min(11.0, rect.width() / 3)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    if wide:
        bar = QRectF(rect.left(), rect.top(), rect.width(), thick)
        draw_colour_ramp(painter, bar, theme)
    else:
        bar = QRectF(rect.left(), rect.top(), thick, rect.height())
        image = _blank(tuple(themes.signed_table(theme))).copy(0, 0, 1, 255)
        _pixels(image)[:, 0] = np.arange(255, 0, -1, dtype=np.uint8)  # plus is at the top
        painter.drawImage(bar, image)
    painter.setPen(QPen(theme.color("muted"), 1))
    for place, label in ruler.ticks():
        _draw_tick(painter, rect, bar, place, label, wide)
    painter.restore()


def _draw_tick(painter: QPainter, rect: QRectF, bar: QRectF, place: float, label: str, wide: bool) -> None:
    length = 3.0 if label else 2.0
    height, width = painter.fontMetrics().height(), painter.fontMetrics().horizontalAdvance(label) + 2
    if wide:
        x = bar.left() + (place + 1) / 2 * (bar.width() - 1) + 0.5
        painter.drawLine(QLineF(x, bar.bottom(), x, bar.bottom() + length))
        left = min(max(x - width / 2, rect.left()), rect.right() - width)
        box, align = QRectF(left, bar.bottom() + 3, width, height), Qt.AlignmentFlag.AlignCenter
    else:
        y = bar.top() + (1 - place) / 2 * (bar.height() - 1) + 0.5
        if not label:  # a tick beside a label would read as a minus sign
            painter.drawLine(QLineF(bar.right(), y, bar.right() + length, y))
        top = min(max(y - height / 2, rect.top()), rect.bottom() - height)
        box, align = QRectF(bar.right() + 6, top, width, height), Qt.AlignmentFlag.AlignLeft
    if label:
        painter.drawText(box, align, label)


def hatch(painter: QPainter, rect: QRectF | QRect, theme: Theme) -> None:
    """The look of "not computed yet": thin slanted lines in a frame."""
    rect = QRectF(rect)
    painter.save()
    painter.setClipRect(rect, Qt.ClipOperation.IntersectClip)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(theme.color("hatch"), 1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    height = rect.height()
    starts = np.arange(rect.left() - height, rect.right(), 8.0)
    lows, highs = np.maximum(starts, rect.left()), np.minimum(starts + height, rect.right())
    ends = zip(lows.tolist(), (lows - starts).tolist(), highs.tolist(), (highs - starts).tolist(), strict=True)
    bottom = rect.bottom()  # not left to the clipping, which an SVG does not know
    painter.drawLines([QLineF(x, bottom - up, right, bottom - high) for x, up, right, high in ends])
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    painter.drawRect(rect.adjusted(0, 0, -1, -1))
    painter.restore()
