"""How widgets paint what they keep as pixels: as finely as the screen has it, or finer while a picture is taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PySide6.QtCore import QRect
from PySide6.QtGui import QImage, QPaintDevice, QPaintEngine, QPainter

VECTOR = (QPaintEngine.Type.SVG, QPaintEngine.Type.Pdf)
_finest = [1.0]  # asked for now, innermost last


def pixel_ratio(device: QPaintDevice) -> float:
    """Pixels to keep for each point of a widget."""
    return max(device.devicePixelRatioF(), _finest[-1])


@contextmanager
def at_least(ratio: float) -> Iterator[None]:
    """For as long as this lasts, widgets paint at least so many pixels a point."""
    _finest.append(ratio)
    try:
        yield
    finally:
        _finest.pop()


def is_vector(painter: QPainter) -> bool:
    """Whether lines and letters stay lines and letters: then nothing but heatmaps should be painted as pixels."""
    return painter.paintEngine().type() in VECTOR


def draw_part(painter: QPainter, place: QRect, image: QImage, part: QRect) -> None:
    """Draw a part of an image; Qt's SVG paints all of the image into the place, whatever the part."""
    if is_vector(painter):
        painter.drawImage(place, image.copy(part))
    else:
        painter.drawImage(place, image, part)
