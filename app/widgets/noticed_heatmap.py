"""A heatmap that says in words why there is nothing to see, and hatches entries that nobody looked at."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from app import theme as themes
from app.widgets.heatmap import Heatmap
from app.widgets.picture import Ruler, Values, hatch

TRANSPARENT = 0


class NoticedHeatmap(Heatmap):
    """Where it is empty it is hatched and carries a notice. `holes`: what is no number is hatched too, no alarm."""

    def __init__(self, parent: QWidget | None = None, *, name: str = "heatmap", holes: bool = False) -> None:
        super().__init__(parent, name=name)
        self._holes = holes
        self.notice = ""

    def explain(self, notice: str) -> None:
        """Empty, with the reason."""
        if notice != self.notice or self._image is not None:
            self.notice = notice
            self.clear()

    def show_values(
        self, values: Values, ruler: Ruler, shape: tuple[int, int] | None = None, *, magnitude: bool = False
    ) -> None:
        """Show (rows, cols) values; see Heatmap."""
        self.notice = ""
        super().show_values(values, ruler, shape, magnitude=magnitude)
        self._open_holes()

    def _open_holes(self) -> None:
        if self._holes and self._image is not None:
            self._image.setColor(0, TRANSPARENT)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._open_holes()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The notice over the hatching, on paper of its own."""
        if self._holes and self._image is not None:
            painter = QPainter(self)
            hatch(painter, self.picture_rect(), themes.current())
            painter.end()
        super().paintEvent(event)
        if self.notice and self._image is None:
            self._paint_notice()

    def _paint_notice(self) -> None:
        theme, painter = themes.current(), QPainter(self)
        flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
        room = QRectF(self.rect().adjusted(10, 4, -10, -4))
        box = painter.boundingRect(room, flags, self.notice)
        painter.fillRect(box.adjusted(-6, -3, 6, 3), theme.color("panel"))
        painter.setPen(theme.color("muted"))
        painter.drawText(room, flags, self.notice)
