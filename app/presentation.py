"""Presentation: one panel fills the screen, larger, with a ring around the pointer; the keys stay as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QEvent, QObject, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QCursor, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QApplication, QWidget

from app import theme
from app.panel import Panel
from app.widgets.text_line import TextLine

if TYPE_CHECKING:
    from app.window import Window

LARGER = 1.6  # than the text was
FIRST = "flow"  # what is shown where the pointer is on no panel
RING = 64  # pixels across


class Presentation(QObject):
    """Leads a window into full screen with one of its panels, and back to how it was."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self._state = QByteArray()
        self._point_size = theme.POINT_SIZE
        self._was_maximized = False
        self.ring = PointerRing(window)
        self.position = TextLine("", window)
        self.position.setAccessibleName("position while presenting")
        self.position.hide()
        self.panel = ""  # the name of the one that is shown, "" for none
        window.session.shown.connect(lambda _: self._tell())

    @property
    def active(self) -> bool:
        """Whether a panel fills the screen."""
        return bool(self.panel)

    def pointed_panel(self) -> str:
        """The panel under the pointer, else the one with the focus, else the Flow view."""
        for widget in (QApplication.widgetAt(QCursor.pos()), QApplication.focusWidget()):
            while widget is not None:
                if isinstance(widget, Panel) and widget.window() is self._window:
                    return widget.name()
                widget = widget.parentWidget()
        return FIRST

    def begin(self, name: str) -> None:
        """Show a panel alone. Does nothing where there is no such panel."""
        window = self._window
        if self.active or name not in window.panels:
            return
        self.panel = name
        self._state = window.saveState()
        self._point_size, self._was_maximized = window.appearance.point_size, window.isMaximized()
        for other, dock in window.docks.items():
            dock.setFloating(False)
            dock.setVisible(other == name)
        window.centralWidget().setVisible(name not in window.docks)
        for part in self._controls():
            part.hide()
        window.statusBar().insertWidget(0, self.position, 3)
        self.position.show()
        theme.set_stroke(2.0)
        window.appearance.set_point_size(self._point_size * LARGER)
        window.showFullScreen()
        self.ring.follow(True)
        self._tell()

    def end(self) -> None:
        """Back to the window as it was."""
        if not self.active:
            return
        window, self.panel = self._window, ""
        self.ring.follow(False)
        window.statusBar().removeWidget(self.position)
        theme.set_stroke(1.0)
        window.appearance.set_point_size(self._point_size)
        if self._was_maximized:  # before all else is shown, whose least size may keep the window from becoming smaller
            window.showMaximized()
        else:
            window.showNormal()
        for part in self._controls():
            part.show()
        window.centralWidget().show()
        window.restoreState(self._state)

    def _controls(self) -> tuple[QWidget, ...]:
        window = self._window
        return window.menuBar(), window.bar, window.facts

    def _tell(self) -> None:
        """The position line, for those who see no bar at the top."""
        if self.active:
            transport = self._window.transport
            self.position.setText(f"{transport.where.text()}  ·  {transport.what.text()}")


class PointerRing(QWidget):
    """A ring that goes with the pointer, so that the back row sees where it is."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAccessibleName("ring around the pointer")
        self.setFixedSize(RING, RING)
        self.hide()

    def follow(self, following: bool) -> None:
        """Go with the pointer, or not."""
        app = QApplication.instance()
        assert app is not None
        app.removeEventFilter(self)
        if following:
            app.installEventFilter(self)
        else:
            self.hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Where the pointer is now."""
        if isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseMove:
            place = self._window.mapFromGlobal(event.globalPosition().toPoint())
            self.move(place - QPoint(RING // 2, RING // 2))
            self.show()
            self.raise_()
        return False

    def paintEvent(self, event: QPaintEvent) -> None:
        """Two rings, one of them seen on any ground."""
        painter, look = QPainter(self), theme.current()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for colour, width in ((look.panel, 8.0), (look.series[4], 4.0)):
            painter.setPen(QPen(QColor(colour), width))
            painter.drawEllipse(QPointF(RING / 2, RING / 2), RING / 2 - 5, RING / 2 - 5)
