"""Pictures of a panel or the window: PNG at twice the size, SVG and PDF with lines and letters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from itertools import count
from pathlib import Path

from PySide6.QtCore import QBuffer, QIODevice, QMarginsF, QPoint, QRect, QSize, QSizeF, Qt
from PySide6.QtGui import QColor, QImage, QPageSize, QPainter, QPdfWriter, QRegion
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QGraphicsView, QWidget

from app import theme
from app.saving import SavedFile, SavingError
from app.widgets.sharpness import at_least

KINDS = {"png": "PNG picture", "svg": "SVG drawing", "pdf": "PDF page"}  # by the file's ending
FINE = 2.0  # pixels of a PNG for each point on screen, and of what a drawing keeps as pixels
SPARE = 6  # pixels that letters of an SVG may go beyond a widget where the font is another
POINTS = 72  # of a PDF in an inch
_DRAWN = QWidget.RenderFlag.DrawChildren
_NOT_CHILDREN = QWidget.RenderFlag(0)


def save_picture(widget: QWidget, path: str | Path, title: str) -> None:
    """Write a widget as it is seen now, as the path's ending says; without one as PNG. Raises SavingError."""
    ending = Path(path).suffix[1:].lower()
    if ending not in KINDS:
        known = ", ".join(f".{kind}" for kind in KINDS)
        raise SavingError(f"{Path(path).name} names no kind of picture; let it end in one of {known}")
    with SavedFile(path) as file:
        if ending == "png":
            file.write(_png(widget))
        elif ending == "svg":
            file.write(_svg(widget, title).encode())
        else:
            _write_pdf(widget, title, file)


def image_of(widget: QWidget, size: QSize) -> QImage:
    """A widget as pixels: painted larger as finely as that, smaller as the mean of its pixels."""
    ratio = max(size.width() / widget.width(), 1.0)
    image = QImage((QSizeF(widget.size()) * ratio).toSize(), QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(ratio)
    image.fill(_paper(widget))
    with _finer(widget, ratio):
        QWidget.render(widget, image, QPoint(), QRegion(), _DRAWN)
    image.setDevicePixelRatio(1.0)
    smooth = Qt.TransformationMode.SmoothTransformation
    return image if image.size() == size else image.scaled(size, Qt.AspectRatioMode.IgnoreAspectRatio, smooth)


@contextmanager
def _finer(widget: QWidget, ratio: float) -> Iterator[None]:
    """Have everything in a widget painted finer, also what Qt keeps as pixels of its own: the axes of plots."""
    items = [item for view in widget.findChildren(QGraphicsView) for item in view.items()] if ratio > 1 else []
    kept = [(item, item.cacheMode()) for item in items if item.cacheMode() != item.CacheMode.NoCache]
    for item, _ in kept:
        item.setCacheMode(item.CacheMode.NoCache)
    try:
        with at_least(ratio):
            yield
    finally:
        for item, mode in kept:
            item.setCacheMode(mode)


def _paper(widget: QWidget) -> str:
    """What a panel lies on, or the window."""
    look = theme.current()
    return look.window if widget.isWindow() else look.panel


def _png(widget: QWidget) -> bytes:
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image_of(widget, widget.size() * FINE).save(buffer, "PNG")  # type: ignore[call-overload]
    return bytes(buffer.data().data())


def _write_pdf(widget: QWidget, title: str, file: SavedFile) -> None:
    """One page of the widget's size."""
    writer = QPdfWriter(file.device)
    writer.setTitle(title)
    writer.setCreator("Nablascope")
    writer.setResolution(widget.logicalDpiX())
    size = QSizeF(widget.size()) * (POINTS / widget.logicalDpiX())
    writer.setPageSize(QPageSize(size, QPageSize.Unit.Point, title, QPageSize.SizeMatchPolicy.ExactMatch))
    writer.setPageMargins(QMarginsF(0, 0, 0, 0))
    painter, whole = QPainter(writer), QRect(QPoint(), widget.size())
    try:
        painter.fillRect(whole, QColor(_paper(widget)))
        with _finer(widget, FINE):
            _paint_tree(painter, widget, whole)
    finally:
        painter.end()


def _paint_tree(painter: QPainter, widget: QWidget, seen: QRect) -> None:
    """A widget, of which only `seen` is to be seen, and all within it: a page does not cut what a parent covers."""
    painter.save()
    painter.setClipRect(seen)
    _render(widget, painter)
    painter.restore()
    for child in _children(widget):
        inside = seen.translated(-child.pos()) & child.rect()
        if not inside.isEmpty():
            painter.save()
            painter.translate(child.pos())
            _paint_tree(painter, child, inside)
            painter.restore()


def _render(widget: QWidget, painter: QPainter) -> None:
    """Without what is in it."""
    QWidget.render(widget, painter, QPoint(), QRegion(), _NOT_CHILDREN)  # a plot's own `render` is another


def _children(widget: QWidget) -> Iterator[QWidget]:
    """Those that are seen, from the back to the front."""
    for child in widget.children():
        if isinstance(child, QWidget) and child.isVisible() and not child.isWindow():
            yield child


# --- SVG ----------------------------------------------------------------------------------------


def _svg(widget: QWidget, title: str) -> str:
    """A drawing of the widget's size. Qt's own cuts nothing, so each widget is a group that is cut to its size."""
    size = f'width="{widget.width()}" height="{widget.height()}"'
    numbers = count(1)
    with _finer(widget, FINE):
        groups = "".join(_groups(widget, numbers))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {size} '
        f'viewBox="0 0 {widget.width()} {widget.height()}">\n<title>{escape(title)}</title>\n'
        f'<rect {size} fill="{_paper(widget)}"/>\n{groups}</svg>\n'
    )


def _groups(widget: QWidget, numbers: Iterator[int]) -> Iterator[str]:
    """A widget and all within it."""
    name = f"w{next(numbers)}"
    yield f'<clipPath id="{name}"><rect width="{widget.width() + SPARE}" height="{widget.height()}"/></clipPath>\n'
    yield f'<g clip-path="url(#{name})">\n{_drawing(widget, name)}'
    for child in _children(widget):
        yield f'<g transform="translate({child.x()},{child.y()})">\n'
        yield from _groups(child, numbers)
        yield "</g>\n"
    yield "</g>\n"


def _drawing(widget: QWidget, name: str) -> str:
    """What a widget itself draws; names in it begin with its own, and a font has another to stand in for it."""
    buffer, generator = QBuffer(), QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setSize(widget.size())
    generator.setResolution(widget.logicalDpiX())
    painter = QPainter(generator)
    try:
        _render(widget, painter)
    finally:
        painter.end()
    svg = bytes(buffer.data().data()).decode().partition("</desc>")[2].rpartition("</svg>")[0]
    svg = _EMPTY.sub("", svg)
    svg = re.sub(r'(id="|url\(#)(\w+)', rf"\1{name}-\2", svg)
    return re.sub(r'font-family="([^"]*)"', r'font-family="\1, sans-serif"', svg)


_EMPTY = re.compile(r"<g [^>]*>\s*</g>\s*")
