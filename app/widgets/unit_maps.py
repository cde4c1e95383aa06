"""What each hidden unit answers all over the plane: a small picture a unit, grouped by layer, one ruler a layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QFont,
    QFontMetrics,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QFrame, QToolTip, QWidget

from app import theme as themes
from app.widgets.picture import Ruler, compact
from app.widgets.sharpness import draw_part

GAP = 3  # pixels between two pictures
SMALLEST, LARGEST = 26, 110  # pixels of a picture; below it they are scrolled
NO_UNITS = "there is no hidden layer"


@dataclass(frozen=True)
class Group:
    """The units of one layer that are shown."""

    layer: int
    title: str
    units: int  # that the layer has
    values: NDArray[Any]  # (units shown, n·n), each on a square grid from the top left

    @property
    def ruler(self) -> Ruler:
        """One for the whole layer."""
        from app.widgets.axes import steady  # here, since pyqtgraph is slow to import

        finite = self.values[np.isfinite(self.values)]
        return Ruler("linear", steady(float(np.abs(finite).max(initial=0.0))))

    def caption(self, ruler: Ruler) -> str:
        """Layer, units and ruler in words."""
        shown = len(self.values)
        of = f"{shown} of {self.units} units" if shown < self.units else f"{shown} units"
        return f"{self.layer} {self.title} · {of} · {ruler.label}"


class UnitMaps(QAbstractScrollArea):
    """All pictures as large as they fit, in lines under the caption of their layer. A click chooses a unit's layer."""

    key_help: ClassVar = (("Shift+arrows", "The unit beside"),)

    chosen = Signal(int)  # the layer

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._groups: tuple[Group, ...] = ()
        self._images: list[QImage] = []  # of each group, its units below each other
        self._captions: list[str] = []
        self._tops: list[int] = []  # of the captions
        self._places: list[tuple[int, int, QRect]] = []  # group, unit and where it is drawn, before scrolling
        self._marked: tuple[int, int] | None = None
        self._message = NO_UNITS
        self.setAccessibleName("responses of the hidden units")
        self.setAccessibleDescription("Shift and the arrow keys choose a unit")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.viewport().setAutoFillBackground(False)

    def show_groups(self, groups: tuple[Group, ...], message: str = NO_UNITS) -> None:
        """Show these layers' units; where there are none, say why."""
        before = [(g.layer, len(g.values)) for g in self._groups]
        self._groups, self._message = groups, message
        self._make_images()
        if before != [(g.layer, len(g.values)) for g in groups]:
            self._marked = None
            self._settle()
        self.viewport().update()

    def _make_images(self) -> None:
        theme = themes.current()
        self._images, self._captions = [], []
        for group in self._groups:
            ruler, side = group.ruler, round(group.values.shape[1] ** 0.5)
            self._captions.append(group.caption(ruler))
            self._images.append(ruler.image(group.values.reshape(-1, side), theme))

    # --- geometry -----------------------------------------------------------------------------

    def _font(self) -> QFont:
        font = themes.tabular(QApplication.font())
        font.setPointSizeF(font.pointSizeF() * 0.85)
        return font

    def _room(self) -> int:
        return max(self.width() - self.verticalScrollBar().sizeHint().width(), SMALLEST)

    def _height(self, side: int, text: int) -> int:
        """How high everything is with pictures of this side and captions so high."""
        columns = max(1, (self._room() + GAP) // (side + GAP))
        return sum(text + -(-len(g.values) // columns) * (side + GAP) + GAP for g in self._groups)

    def _settle(self) -> None:
        """Choose the pictures' side, then their places; set the scroll bar's range."""
        view, text = self.viewport().height(), QFontMetrics(self._font()).height() + 2
        fitting = (
            side for side in range(LARGEST, SMALLEST, -2) if self._height(side, text) <= view and side <= self._room()
        )
        side, top = next(fitting, SMALLEST), 0
        columns = max(1, (self._room() + GAP) // (side + GAP))
        self._tops, self._places = [], []
        for number, group in enumerate(self._groups):
            self._tops.append(top)
            top += text
            for unit in range(len(group.values)):
                down, across = divmod(unit, columns)
                self._places.append((number, unit, QRect(across * (side + GAP), top + down * (side + GAP), side, side)))
            top += -(-len(group.values) // columns) * (side + GAP) + GAP
        bar = self.verticalScrollBar()
        bar.setRange(0, max(0, top - GAP - view))
        bar.setPageStep(max(1, view))
        bar.setSingleStep(side + GAP)
        self.viewport().update()

    def place_of(self, layer: int, unit: int) -> QRect:
        """Where a unit is drawn in the viewport."""
        found = next(r for g, u, r in self._places if self._groups[g].layer == layer and u == unit)
        return found.translated(0, -self.verticalScrollBar().value())

    def unit_at(self, point: QPoint) -> tuple[int, int] | None:
        """Number of group and unit under a point of the viewport."""
        point = point + QPoint(0, self.verticalScrollBar().value())
        return next(((g, u) for g, u, rect in self._places if rect.contains(point)), None)

    def tell(self, group: int, unit: int) -> str:
        """A unit in words."""
        values, shown = self._groups[group].values[unit], self._groups[group]
        low, high = compact(float(values.min())), compact(float(values.max()))
        return f"unit {unit} of layer {shown.layer} ({shown.title}): {low} … {high} over the plane; click for its layer"

    # --- painting -----------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        theme, view = themes.current(), self.viewport().rect()
        painter = QPainter(self.viewport())
        painter.setFont(self._font())
        painter.setPen(theme.color("muted"))
        if not self._groups:
            painter.drawText(view, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._message)
            return
        painter.translate(0, -self.verticalScrollBar().value())
        metrics = painter.fontMetrics()
        for top, caption in zip(self._tops, self._captions, strict=True):
            text = metrics.elidedText(caption, Qt.TextElideMode.ElideRight, self._room())
            painter.drawText(0, top + metrics.ascent(), text)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        seen = view.translated(0, self.verticalScrollBar().value())
        for group, unit, rect in self._places:
            if rect.intersects(seen):
                image = self._images[group]
                draw_part(painter, rect, image, QRect(0, unit * image.width(), image.width(), image.width()))
                painter.setPen(QPen(theme.color("line"), 1))
                painter.drawRect(QRectF(rect).adjusted(0.5, 0.5, -0.5, -0.5))
                if (group, unit) == self._marked:
                    painter.setPen(QPen(theme.color("text"), 2))
                    painter.drawRect(QRectF(rect).adjusted(1, 1, -1, -1))

    # --- acting -------------------------------------------------------------------------------

    def _mark(self, group: int, unit: int) -> None:
        self._marked = group, unit
        rect = next(r for g, u, r in self._places if (g, u) == (group, unit))
        bar = self.verticalScrollBar()
        bar.setValue(min(max(bar.value(), rect.bottom() - self.viewport().height() + 1), rect.top()))
        self.viewport().update()
        self.chosen.emit(self._groups[group].layer)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose the unit under the pointer."""
        found = self.unit_at(event.position().toPoint())
        if found is not None and event.button() == Qt.MouseButton.LeftButton:
            self._mark(*found)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Shift with left and right: the unit before or after; with up and down: the layer before or after."""
        moves = {Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0)}
        move = moves.get(Qt.Key(event.key()))
        if move is None or not event.modifiers() & Qt.KeyboardModifier.ShiftModifier or not self._groups:
            super().keyPressEvent(event)
            return
        group, unit = (0, 0) if self._marked is None else (self._marked[0] + move[0], self._marked[1] + move[1])
        group = min(max(group, 0), len(self._groups) - 1)
        self._mark(group, min(max(unit, 0), len(self._groups[group].values) - 1))

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            found = self.unit_at(event.pos())
            QToolTip.showText(event.globalPos(), "" if found is None else self.tell(*found), self.viewport())
            return True
        return super().viewportEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._settle()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange):
            self._make_images()
            self._settle()

    def sizeHint(self) -> QSize:
        return QSize(240, 170)

    def minimumSizeHint(self) -> QSize:
        return QSize(80, 70)
