"""The app's icons: outline SVGs whose `currentColor` becomes the theme's."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap, QPixmapCache
from PySide6.QtSvg import QSvgRenderer

from app.theme import Theme

FOLDER = Path(__file__).parents[1] / "resources" / "icons"
SIZES = (16, 20, 24, 40)  # device pixels; Qt takes the nearest, so icons stay sharp on dense screens
LARGE = (16, 24, 32, 48, 64, 128, 256)


def names() -> tuple[str, ...]:
    """The icons there are."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.svg")))


def icon(name: str, theme: Theme, field: str = "text") -> QIcon:
    """An icon in the theme's colours, `field` for the normal one: icon("play", theme, "on_accent").

    Raises KeyError, naming the icons there are, for an unknown name.
    """
    result = QIcon()
    for mode, colour in ((QIcon.Mode.Normal, str(getattr(theme, field))), (QIcon.Mode.Disabled, theme.disabled)):
        for pixmap in _pixmaps(name, colour):
            result.addPixmap(pixmap, mode)
    return result


def _pixmaps(name: str, colour: str) -> list[QPixmap]:
    """An icon in one colour and all its sizes, from Qt's own cache, which goes when the application goes."""
    renderer: QSvgRenderer | None = None
    result = []
    for size in LARGE if name == "nabla" else SIZES:
        key = f"nablascope/{name}/{colour}/{size}"
        pixmap = QPixmap(size, size)
        if not QPixmapCache.find(key, pixmap):
            renderer = renderer or QSvgRenderer(QByteArray(_svg(name).replace("currentColor", colour).encode()))
            pixmap.fill(Qt.GlobalColor.transparent)
            painter = QPainter(pixmap)
            renderer.render(painter, QRectF(0, 0, size, size))
            painter.end()
            QPixmapCache.insert(key, pixmap)
        result.append(pixmap)
    return result


def _svg(name: str) -> str:
    path = FOLDER / f"{name}.svg"
    if not path.is_file():
        raise KeyError(f"no icon is named {name!r}; there are: {', '.join(names())}")
    return path.read_text(encoding="utf-8")
