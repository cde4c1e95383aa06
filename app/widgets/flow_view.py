"""The Flow view as a widget: takes frames, scrolls where there are too many columns, and lets tiles be picked."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QAction,
    QContextMenuEvent,
    QFocusEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QMenu, QToolTip, QWidget

from app import theme as themes
from app.widgets.flow_backdrop import Backdrop, paint_backdrop
from app.widgets.flow_folds import Repeat, begins_folded, repeats_of
from app.widgets.flow_images import FlowImages
from app.widgets.flow_layout import FlowLayout
from app.widgets.flow_model import Bracket, FlowModel, Lit, Row, Tile, describe
from app.widgets.flow_painter import FlowPainter
from app.widgets.flow_scales import Scales, scales_menu
from app.widgets.flow_turns import Turns, edges
from app.widgets.picture import compact
from app.widgets.sharpness import is_vector, pixel_ratio
from engine.frames import Frame
from engine.protocol import Built

MOVES = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}
KEYS_HINT = "Shift and the arrow keys move from tile to tile; + and − zoom, 0 shows all; F folds equal groups of layers"
FOLD_KEY = "f"
ZOOM = 1.25  # a key or a notch of the wheel
ZOOMS = 1.0, 16.0
ZOOM_KEYS = {"+": ZOOM, "=": ZOOM, "-": 1 / ZOOM, "−": 1 / ZOOM, "0": 0.0}


class FlowView(QAbstractScrollArea):
    """Columns are layers; activations flow right in the top row, gradients flow left in the bottom row."""

    key_help: ClassVar = (
        ("+, −, 0", "Closer, farther, all"),
        ("F", "Fold equal groups of layers"),
        ("Shift+arrows", "The tile beside"),
    )

    arranged = Signal()  # tiles have other sizes
    picked = Signal(str, object)  # address, and the index of the entry under the pointer (None: not known exactly)

    _model: FlowModel | None = None  # on the class: Qt calls changeEvent and resizeEvent from its own constructor
    _layout: FlowLayout | None = None
    _frame: Frame | None = None
    _lit = Lit()
    _marked: str | None = None
    _hovered: str | None = None
    _hints: tuple[tuple[str, tuple[int, ...]], ...] = ()
    _by_class = False
    _zoom = 1.0
    _scales = Scales()
    _folded: frozenset[Repeat] = frozenset()
    _repeats: frozenset[Repeat] = frozenset()  # those there were to fold
    calm = False  # while a run plays, no lines that come and go
    hurried = False  # while it plays at full speed, columns take turns

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("flow of activations and gradients")
        self.setAccessibleDescription(KEYS_HINT)
        self._turns = Turns()
        self.viewport().setMouseTracking(True)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    # --- what is shown ------------------------------------------------------------------------

    @property
    def model(self) -> FlowModel | None:
        """Columns and tiles of the network shown."""
        return self._model

    @property
    def marked(self) -> str | None:
        """The address of the selected tile."""
        return self._marked

    def set_network(self, network: Built) -> None:
        """Lay out for a network; nothing of it is computed yet."""
        self._begin_folds(network)
        self._scales = replace(self._scales, alone=self._scales.alone & network.tensors.keys())
        self._model = FlowModel(network, self._folded)
        self._images = FlowImages(self._model)
        self._images.by_class, self._images.rulers.scales = self._by_class, self._scales
        self._backdrop = Backdrop()
        self._frame, self._lit, self._hovered = None, Lit(), None
        self._arrange()
        self.horizontalScrollBar().setValue(0)

    def _begin_folds(self, network: Built) -> None:
        """What the user folded stays so while its groups are there; what is new may begin folded."""
        repeats = frozenset(repeats_of(network))
        self._folded = (self._folded & repeats) | (begins_folded(network) - self._repeats)
        self._repeats = repeats

    def retell(self, network: Built) -> None:
        """The same network with other words about it."""
        self._remodel(network)

    def _remodel(self, network: Built) -> None:
        """Lay the columns of the network out anew; what is known of its tensors stays."""
        self._model = FlowModel(network, self._folded)
        self._images.adopt(self._model)
        if self._frame is not None:
            self._images.show(self._frame)
        self._lit = Lit.of(self._model, self._frame)
        self._hovered = None
        self._arrange()

    def fold(self, repeats: Iterable[Repeat]) -> None:
        """Fold these runs of equal groups, and no others."""
        self._folded = frozenset(repeats)
        if self._model is not None:
            self._remodel(self._model.network)

    def fold_all(self) -> None:
        """Fold every run of equal groups; where all are folded, unfold them."""
        if self._model is not None and self._model.repeats:
            every = frozenset(self._model.repeats)
            self.fold(() if self._model.folded == every else every)

    def show_frame(self, frame: Frame) -> None:
        """Show the picture of a position."""
        if self._model is None:
            return
        begins = frame.step == 0 and (self._frame is None or self._frame.step > 0)
        if begins:
            self._images.reset()
        lit = Lit.of(self._model, frame)
        columns = self._turns.take(self._layout) if self.hurried and lit == self._lit and self._layout else None
        now = [tile.address for index in columns for tile in self._model.columns[index].tiles] if columns else None
        self._images.show(frame, now)
        self._frame = frame
        if lit.columns is not None and lit != self._lit:
            self._bring_into_view(lit.columns[0])
        self._lit = lit
        if columns is not None and self._layout is not None:
            left, right = edges(self._layout, columns)
            self.viewport().update(left - self._offset().x(), 0, right - left, self.viewport().height())
        else:
            self.viewport().update()

    def mark(self, address: str | None) -> None:
        """Ring the selected tensor's tile, if it has one."""
        if address != self._marked:
            self._marked = address
            tiles = self._model.hidden | self._model.tiles if self._model is not None else {}
            tile, folded = tiles.get(address or ""), self._model is not None and address in self._model.hidden
            where = " in a fold" if folded else ""
            chosen = f"{describe(tile).replace(chr(10), '; ')} is selected{where}. " if tile is not None else ""
            self.setAccessibleDescription(chosen + KEYS_HINT)
            self.viewport().update()

    def scale(self, scales: Scales) -> None:
        """Measure the colours otherwise."""
        self._scales = scales
        if self._model is not None:
            self._images.scale(scales)
            self._show_again()

    def _show_again(self) -> None:
        if self._frame is not None:
            self._images.show(self._frame)
        self.viewport().update()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """What the colours are measured by, and what is folded."""
        menu = self.menu(event.pos())
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(event.globalPos())

    def menu(self, point: QPoint) -> QMenu:
        """The menu of a point of the viewport."""
        menu, tile = scales_menu(self, self._scales, self.scale), self._tile_at(point)
        if tile is not None:
            self._offer_own_ruler(menu, tile)
        self._offer_folds(menu)
        return menu

    def _offer_own_ruler(self, menu: QMenu, tile: Tile) -> None:
        """To give the tensor under the pointer a ruler of its own, whatever the others have."""
        action, first = QAction(f"Own ruler for {tile.address}", menu), menu.actions()[0]
        action.setCheckable(True)
        action.setChecked(tile.address in self._scales.alone)
        action.setToolTip("shown along its lower edge; the others go on without it")
        alone = self._scales.alone ^ {tile.address}
        action.toggled.connect(lambda _: self.scale(replace(self._scales, alone=alone)))
        menu.insertAction(first, action)
        menu.insertSeparator(first)

    def _offer_folds(self, menu: QMenu) -> None:
        """To fold and unfold each run of equal groups, and all of them."""
        if self._model is None or not self._model.repeats:
            return
        menu.addSeparator()
        folded = self._model.folded
        for repeat in self._model.repeats:
            action = menu.addAction(f"Fold {repeat.count} × {repeat.names}")
            action.setCheckable(True)
            action.setChecked(repeat in folded)
            action.toggled.connect(lambda _, repeat=repeat: self.fold(folded ^ {repeat}))
        menu.addAction("Fold or unfold all\tF").triggered.connect(self.fold_all)

    def sort(self, by_class: bool) -> None:
        """Samples sorted by class, or as they were drawn."""
        if self._model is not None:
            self._images.sort(by_class)
            self._by_class = by_class
            self._show_again()

    def hint(self, cells: tuple[tuple[str, tuple[int, ...]], ...]) -> None:
        """Ring these cells in their tiles."""
        if cells != self._hints:
            self._hints = cells
            self.viewport().update()

    def _sources(self) -> tuple[str, ...]:
        """The tensors that the phase just computed has read."""
        frame, model = self._frame, self._model
        if frame is None or model is None or not 0 <= frame.position.phase < len(model.network.sources):
            return ()
        return model.network.sources[frame.position.phase]

    def tile_rect(self, address: str) -> QRect:
        """Where a tile is on the viewport now; empty where there is none."""
        rect = self._layout.tiles.get(address) if self._layout is not None else None
        return rect.translated(-self._offset()) if rect is not None else QRect()

    # --- layout and scrolling -----------------------------------------------------------------

    def _arrange(self) -> None:
        """Lay out for the present size; a scroll bar takes some of it, and may be there or not."""
        if self._model is None:
            return
        across, down = self.horizontalScrollBar(), self.verticalScrollBar()
        whole, bars = self.contentsRect().size(), QSize(down.sizeHint().width(), across.sizeHint().height())
        size, layout = whole, FlowLayout(self._model, whole, self._zoom)
        for _ in range(2):  # one bar may make the other one needed
            needed = QSize(
                whole.width() - bars.width() * (layout.size.height() > size.height()),
                whole.height() - bars.height() * (layout.size.width() > size.width()),
            )
            if needed == size:
                break
            size, layout = needed, FlowLayout(self._model, needed, self._zoom)
        self._layout = layout
        for bar, content, view in (
            (across, layout.size.width(), size.width()),
            (down, layout.size.height(), size.height()),
        ):
            bar.setRange(0, max(0, content - view))
            bar.setPageStep(view)
            bar.setSingleStep(30)
        self.viewport().update()
        self.arranged.emit()

    def zoom(self, times: float) -> None:
        """Columns so many times as wide as now, for a closer look; 0: all of them."""
        zoom = min(max(self._zoom * times, ZOOMS[0]), ZOOMS[1]) if times else 1.0
        if zoom != self._zoom:
            self._zoom = zoom
            self._arrange()

    def _offset(self) -> QPoint:
        return QPoint(self.horizontalScrollBar().value(), self.verticalScrollBar().value())

    def _bring_into_view(self, column: int, row: Row | None = None) -> None:
        """Scroll so far that a column is seen, with the one before and after it, and perhaps a row."""
        layout, bar = self._layout, self.horizontalScrollBar()
        assert layout is not None
        left = layout.spans[max(column - 1, 0)].left - layout.gap
        right = layout.spans[min(column + 1, len(layout.spans) - 1)].right + layout.gap
        bar.setValue(min(max(bar.value(), right - bar.pageStep()), left))
        if row is not None:
            bar, top = self.verticalScrollBar(), layout.row_titles[row]
            bottom = layout.row_tops[row] + layout.tile_height + 6
            bar.setValue(min(max(bar.value(), bottom - bar.pageStep()), top))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Lay out anew."""
        self._arrange()

    def minimumSizeHint(self) -> QSize:
        """Small enough for any window; the rest scrolls."""
        return QSize(280, 200)

    def sizeHint(self) -> QSize:
        """What the default network looks well in."""
        return QSize(900, 620)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme and the font size."""
        super().changeEvent(event)
        if self._model is None:
            return
        if event.type() == QEvent.Type.PaletteChange:
            self._images.recolour()
            self.viewport().update()
        elif event.type() in (QEvent.Type.FontChange, QEvent.Type.ApplicationFontChange):
            self._arrange()

    # --- painting -----------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint what of it is seen."""
        painter = QPainter(self.viewport())
        if self._layout is None:
            painter.fillRect(event.rect(), themes.current().color("panel"))
            return
        start, layout, offset, size = time.perf_counter(), self._layout, self._offset(), self.viewport().size()
        now = self._frame.position.phase if self._frame is not None else -1
        behind = layout, self._images, self._lit, now
        if is_vector(painter):
            paint_backdrop(painter, *behind, QRect(offset, size))
        else:
            painter.drawPixmap(0, 0, self._backdrop.pixmap(*behind, offset, size, pixel_ratio(self)))
        painter.translate(-offset)
        flow, part = FlowPainter(painter, layout, self._images, self._frame), event.rect().translated(offset)
        flow.paint(QRect(offset, size), part)
        if not self.calm:
            flow.trace(self._lit, self._sources())
        flow.outline(self._lit, self._marked, self._hovered, self.hasFocus(), part)
        for address, index in self._hints:
            flow.ring(address, index)
        self._turns.spent(time.perf_counter() - start, event.rect().width() / max(size.width(), 1))

    # --- pointer and keys ---------------------------------------------------------------------

    def _tile_at(self, point: QPointF | QPoint) -> Tile | None:
        if self._layout is None:
            return None
        where = (point.toPoint() if isinstance(point, QPointF) else point) + self._offset()
        return self._layout.tile_at(where.x(), where.y())

    def _fold_at(self, point: QPoint) -> Bracket | None:
        where = point + self._offset()
        return self._layout.fold_at(where.x(), where.y()) if self._layout is not None else None

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Show that a tile can be picked, or a group folded."""
        tile = self._tile_at(event.position())
        hand = tile is not None or self._fold_at(event.position().toPoint()) is not None
        self.viewport().setCursor(Qt.CursorShape.PointingHandCursor if hand else Qt.CursorShape.ArrowCursor)
        self._hover(tile.address if tile is not None else None)

    def _hover(self, address: str | None) -> None:
        if address != self._hovered:
            self._hovered = address
            self.viewport().update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Pick the tile under the pointer."""
        tile = self._tile_at(event.position())
        if event.button() != Qt.MouseButton.LeftButton:
            return
        bracket = self._fold_at(event.position().toPoint())
        if bracket is not None and bracket.repeat is not None and self._model is not None:
            self.fold(self._model.folded ^ {bracket.repeat})
        elif tile is not None:
            self.picked.emit(tile.address, self._index_at(tile, event.position()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """The end of a click that was ours."""
        event.accept()

    def _index_at(self, tile: Tile, point: QPointF) -> tuple[int, ...] | None:
        """The entry under the pointer, where every entry is shown as itself."""
        sheet = self._images.sheet(tile.address)
        if sheet is None:
            return None
        rect, (rows, columns) = self.tile_rect(tile.address), sheet.size
        row = int((point.y() - rect.top()) / rect.height() * rows)
        column = int((point.x() - rect.left()) / rect.width() * columns)
        return sheet.index_at(min(max(row, 0), rows - 1), min(max(column, 0), columns - 1))

    def viewportEvent(self, event: QEvent) -> bool:
        """Tool tips per tile; forget the pointer when it leaves."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            self._show_tip(event)
            return True
        if event.type() == QEvent.Type.Leave:
            self._hover(None)
        return super().viewportEvent(event)

    def _show_tip(self, event: QHelpEvent) -> None:
        text, rect = self.tip_at(event.pos())
        if text:
            QToolTip.showText(event.globalPos(), text, self.viewport(), rect)
        else:
            QToolTip.hideText()

    def tip_at(self, point: QPoint) -> tuple[str, QRect]:
        """The tool tip at a point of the viewport and where it holds; "" where there is nothing to tell."""
        tile = self._tile_at(point)
        if tile is not None:
            ruler = self._images.ruler(tile.address)
            if tile.address in self._images.awaited:
                state = "on its way"
            elif ruler is None:
                state = "not computed yet in this mini-batch"
            elif ruler.kind == "log":
                state = f"colours: log, seen from ±{compact(ruler.floor)}, full at ±{compact(ruler.limit)}"
            else:
                state = f"colours: linear, full at ±{compact(ruler.limit)}"
            cut = self._images.beyond.get(tile.address)
            if cut is not None:
                state += f"; {cut.text}"
            return f"{describe(tile)}\n{state}", self.tile_rect(tile.address)
        if self._layout is not None and self._model is not None:
            layout, where = self._layout, point + self._offset()
            for bracket in self._model.brackets:
                over = layout.bracket_rect(bracket)
                if over.contains(where):
                    return themes.current().worded(bracket.about), over.translated(-self._offset())
            for index, column in enumerate(self._model.columns):
                head = layout.text_rect(index, layout.top, layout.head)
                if head.contains(where) or (column.hidden and layout.lit_rect(index, index).contains(where)):
                    return themes.current().worded(column.about), head.translated(-self._offset())
        return "", QRect()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Shift and an arrow key pick the tile beside; a plain arrow key is the transport's."""
        move, zoom = MOVES.get(Qt.Key(event.key())), ZOOM_KEYS.get(event.text())
        if zoom is not None:
            self.zoom(zoom)
        elif event.text().lower() == FOLD_KEY:
            self.fold_all()
        elif move is None:
            super().keyPressEvent(event)
        elif self._model is None or not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            event.ignore()
        else:
            address = self._model.neighbour(self._marked or "", *move)
            self._bring_into_view(self._model.tiles[address].column, self._model.tiles[address].row)
            self.picked.emit(address, None)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show where the keys go."""
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """The keys go elsewhere."""
        self.viewport().update()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """With Ctrl it zooms; an upright wheel scrolls across where there is nothing to scroll down."""
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoom(ZOOM if event.angleDelta().y() > 0 else 1 / ZOOM)
        elif event.angleDelta().y() and not self.verticalScrollBar().maximum():
            bar = self.horizontalScrollBar()
            bar.setValue(bar.value() - event.angleDelta().y())
        else:
            super().wheelEvent(event)
