"""The frame around a panel, and its title bar."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDockWidget, QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app import theme
from app.panel import Panel
from app.panel_help import HelpButton
from app.widgets.buttons import SignButton
from app.widgets.text_line import TextLine


class Card(QFrame):
    """A frame around a panel; with a small title bar above it unless the panel's dock has one."""

    def __init__(self, kind: type[Panel], parent: QWidget, *, titled: bool) -> None:
        super().__init__(parent)
        theme.mark(self, "card")
        self._panel: Panel | None = None
        self._in_front = True
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(1, 1, 1, 1)
        self._column.setSpacing(0)
        self.title_bar = TitleBar(kind, self if titled else parent)
        if titled:
            self._column.addWidget(self.title_bar)
        if isinstance(parent, QDockWidget):
            parent.visibilityChanged.connect(self._on_front)

    def hold(self, panel: Panel) -> None:
        """Take the panel in."""
        self._panel = panel
        panel.set_in_front(self._in_front)
        if panel.area == "strip":  # its title bar is hidden
            row = QHBoxLayout()
            row.setContentsMargins(0, 0, 6, 0)
            row.setSpacing(0)
            row.addWidget(panel, 1)
            row.addWidget(self.title_bar.help)
            self._column.addLayout(row, 1)
        else:
            self._column.addWidget(panel, 1)
        panel.status_changed.connect(self.title_bar.status.setText)
        if panel.tools is not None:
            self.title_bar.take(panel.tools)

    def put_above(self, widget: QWidget) -> None:
        """Between the title and the panel."""
        self._column.insertWidget(self._column.indexOf(self.title_bar) + 1, widget)

    def _on_front(self, in_front: bool) -> None:
        """The dock came before those behind whose tab it was, or went behind one, or was shown or hidden at all."""
        self._in_front = in_front
        if self._panel is not None:
            self._panel.set_in_front(in_front)


class TitleBar(QWidget):
    """The title of a panel; in a dock it is what one drags."""

    def __init__(self, kind: type[Panel], parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        if isinstance(parent, QDockWidget):
            theme.mark(self, "dock-title")
        row = QHBoxLayout(self)
        row.setContentsMargins(11, 7, 8, 3)
        title, self.status = QLabel(kind.title), TextLine("", self, colour="muted", align=Qt.AlignmentFlag.AlignRight)
        theme.mark(title, "title")
        self.status.setAccessibleName(f"{kind.title}: status")
        self.help = HelpButton(kind.title, kind.hint, self)
        row.addWidget(title)
        row.addWidget(self.status, 1)
        row.addWidget(self.help)
        row.setSpacing(4)
        self._row = row
        if isinstance(parent, QDockWidget):
            close = SignButton("×", f"close {kind.title}", f"Close {kind.title}; the View menu brings it back", self)
            close.clicked.connect(parent.close)
            row.addWidget(close)

    def take(self, tools: QWidget) -> None:
        """Put a panel's own control beside the title."""
        self._row.insertWidget(1, tools)
