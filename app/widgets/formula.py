"""A formula in LaTeX, set by ziamath and drawn in the theme's text colour; long ones go on in the next line."""

from __future__ import annotations

import logging
import re
import warnings
from functools import lru_cache

from PySide6.QtCore import QByteArray, QEvent, QRectF, QSize
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QSizePolicy, QWidget

from app import theme as themes
from app.widgets.latex_text import plain

log = logging.getLogger("nablascope")
LARGER = 1.25  # than the text around it
SMALLEST = 0.55  # of that size, where a line is too wide
GAP = 3.0  # pixels between lines
BREAK = re.compile(r",?\s*\\quad\s*")  # where a formula may go on in the next line


@lru_cache(maxsize=200)
def _rendered(latex: str, size: float, colour: str) -> QSvgRenderer | None:
    """A line of LaTeX; None where it cannot be set."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # ziamath opens its font in an old way
            from ziamath.config import config  # takes a moment: not before there is a formula to show
            from ziamath.zmath import Math

        config.svg2 = False  # Qt knows no SVG 2
        svg = Math.fromlatex(latex, size=size, color=colour).svg()
    except Exception:  # of a library that has its own idea of LaTeX: the text says the same
        log.warning("cannot set the formula %s", latex)
        return None
    return QSvgRenderer(QByteArray(svg.encode()))


class FormulaView(QWidget):
    """Shows one formula, as high as it needs."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines: tuple[str, ...] = ()
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_formula(self, latex: str) -> None:
        """Show this formula; nothing for ""."""
        lines = tuple(line for line in BREAK.split(latex) if line)
        if lines == self._lines:
            return
        self._lines = lines
        text = plain(latex)
        self.setToolTip(text)
        self.setAccessibleDescription(text)
        self.setVisible(bool(lines))
        self.updateGeometry()
        self.update()

    def _renderers(self) -> list[QSvgRenderer | None]:
        size = self.fontMetrics().height() * LARGER * 0.8
        return [_rendered(line, size, themes.current().text) for line in self._lines]

    def sizeHint(self) -> QSize:
        """All lines, each at its own height."""
        heights = [r.defaultSize().height() if r else self.fontMetrics().height() for r in self._renderers()]
        return QSize(200, round(sum(heights) + GAP * max(len(heights) - 1, 0)) if heights else 0)

    def minimumSizeHint(self) -> QSize:
        """As high; narrower is possible."""
        return QSize(80, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Each line from the left, smaller where it is too wide."""
        painter, y = QPainter(self), 0.0
        painter.setPen(themes.current().color("text"))
        for line, renderer in zip(self._lines, self._renderers(), strict=True):
            if renderer is None:
                height = float(self.fontMetrics().height())
                painter.drawText(QRectF(0, y, self.width(), height), plain(line))
            else:
                size = renderer.defaultSize()
                height = float(size.height())
                scale = min(1.0, max(self.width() / max(size.width(), 1), SMALLEST))
                renderer.render(painter, QRectF(0, y + height * (1 - scale) / 2, size.width() * scale, height * scale))
            y += height + GAP

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme and the font."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange):
            self.updateGeometry()
            self.update()
