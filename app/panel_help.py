"""The "?" of a panel: two sentences on what it shows, and a way into the guide."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from app import theme
from app.guide import PANELS, slug
from app.widgets.buttons import SignButton, push_button

WIDTH = 36  # letters in a line


class HelpButton(SignButton):
    """Opens the two sentences below itself; `wanted` carries the page of the guide that tells more."""

    wanted = Signal(str)

    def __init__(self, title: str, hint: str, parent: QWidget | None = None) -> None:
        super().__init__("?", f"help on {title}", f"What {title} shows", parent)
        self._title, self._hint = title, hint
        self.clicked.connect(self.open)
        self.popup: HelpPopup | None = None

    def open(self) -> None:
        """Show the sentences."""
        self.popup = HelpPopup(self._title, theme.current().worded(self._hint), self)
        self.popup.more.clicked.connect(self.popup.close)  # its own: another may have been opened and closed since
        self.popup.more.clicked.connect(self._go)
        self.popup.show_below(self)

    def _go(self) -> None:
        self.wanted.emit(f"{PANELS}#{slug(self._title)}")


class HelpPopup(QFrame):
    """Goes with Esc, or a click beside it."""

    def __init__(self, title: str, text: str, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        theme.mark(self, "card")
        self.setAccessibleName(f"help on {title}")
        self.text = QLabel(text, self)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setWordWrap(True)
        self.text.setFixedWidth(WIDTH * self.fontMetrics().averageCharWidth() + 120)
        self.more = push_button("More in the guide", f"The guide's page on {title}", lambda: None)
        self.more.setAutoDefault(True)  # it has the focus, and Enter presses it
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 10, 12, 10)
        column.setSpacing(10)
        column.addWidget(self.text)
        column.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)

    def show_below(self, button: QWidget) -> None:
        """Right below a button, within its screen."""
        self.adjustSize()
        screen = button.screen().availableGeometry()
        corner = button.mapToGlobal(QPoint(button.width() - self.width(), button.height() + 2))
        if corner.y() + self.height() > screen.bottom():
            corner.setY(button.mapToGlobal(QPoint(0, 0)).y() - self.height() - 2)
        corner.setX(max(screen.left(), min(corner.x(), screen.right() - self.width())))
        self.move(corner)
        self.show()
        self.more.setFocus()
