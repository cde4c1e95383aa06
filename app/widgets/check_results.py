"""What a check found, laid out for the room there is: verdicts, views of the chosen tensor, one entry's numbers."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QEvent, QSize, Qt, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from app import theme as themes
from app.widgets.check_views import CheckViews
from app.widgets.entry_facts import EntryFacts
from app.widgets.verdict_table import VerdictTable

WIDE, TALL = 720, 380  # pixels: from there on verdicts and views stand side by side; below each other
ALL = (540, 470)  # pixels that the views need to be shown all at once
SIDE = 340  # pixels: the width of the verdicts beside the views
ABOUT = 380  # pixels: below that there is no room for `about`
NO_LIMIT = 16777215


class CheckResults(QWidget):
    """In little room a plot or an entry's numbers take the table's place; in much all is shown at once.

    `arrange` is to be called when texts or rows are others than before.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._has_entry = self._sized = False
        self.about = text_label("muted")
        self.about.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.views = CheckViews(self)
        self.table = VerdictTable()
        self.note = text_label("", wrap=True)
        self.note.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.entry = EntryFacts()
        self.copy_note = text_label("muted", wrap=True)
        self._side = QWidget(self)
        self._column = column = QVBoxLayout(self._side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for widget in (self.table, self.note, self.entry, self.copy_note):
            column.addWidget(widget, int(widget is self.table))
        column.addStretch(0)
        self.entry.hide()
        self.about.setParent(self)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(4)
        self.views.changed.connect(self.arrange)

    def show_entry(self, shown: bool) -> None:
        """Whether an entry's numbers are to be seen."""
        self._has_entry = shown
        self.arrange()

    def minimumSizeHint(self) -> QSize:
        """Always the same: what its parts need before they are laid out would push the neighbours away."""
        return QSize(200, 13 * self.fontMetrics().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Use the room there is."""
        super().resizeEvent(event)
        self._sized = True
        self.arrange()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font size, once the parts have."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.ApplicationFontChange):
            QTimer.singleShot(0, self, self.arrange)

    def arrange(self) -> None:
        """Verdicts below the views, or beside them; all views at once where they have room."""
        if not self._sized:  # before it is first shown its size means nothing
            return
        wide = self.width() >= WIDE
        room = self.width() - (SIDE + 14 if wide else 0), self.height()
        all_at_once = room[0] >= ALL[0] and room[1] >= ALL[1]
        self.views.show_all(all_at_once)
        self._place(wide)
        self.views.switch.setVisible(not all_at_once)
        self.about.setVisible(self.width() >= ABOUT)
        self._fit_side(wide)

    def _place(self, wide: bool) -> None:
        grid, views = self._grid, self.views
        for widget in (views.switch, self.about, views, self._side):
            grid.removeWidget(widget)
        column = int(wide)
        grid.addWidget(views.switch, 0, column)
        grid.addWidget(self.about, 0, column + 1)
        grid.addWidget(views, 1, column, 1, 2)
        if wide:
            grid.addWidget(self._side, 0, 0, 2, 1)
        else:
            grid.addWidget(self._side, 2, 0, 1, 2)
        grid.setRowStretch(1, 1)
        grid.setRowStretch(2, int(not wide and self._has_room_for_verdicts()))

    def _is_roomy(self) -> bool:
        return self.width() >= WIDE or self.height() >= TALL

    def _has_room_for_verdicts(self) -> bool:
        return self._is_roomy() or (self.views.chosen == "pictures" and not self._has_entry)

    def _fit_side(self, wide: bool) -> None:
        roomy, verdicts = self._is_roomy(), self._has_room_for_verdicts()
        self._side.setMinimumWidth(SIDE if wide else 0)
        self._side.setMaximumWidth(SIDE if wide else NO_LIMIT)
        self.table.setMaximumHeight(self.table.natural_height() if wide else NO_LIMIT)
        self.table.setVisible(verdicts)
        self.note.setVisible(verdicts)
        self.note.setMinimumHeight((2 if roomy else 1) * self.note.fontMetrics().height())
        self.copy_note.setVisible(roomy and bool(self.copy_note.text()))
        self.entry.setVisible(self._has_entry and (roomy or self.views.chosen in ("pictures", "scatter")))
        self._column.setStretch(0, int(not wide))
        self._column.setStretch(self._column.count() - 1, int(wide))


def text_label(role: Literal["", "muted"], text: str = "", *, wrap: bool = False) -> QLabel:
    """Plain text that never widens what it stands in."""
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(wrap)
    label.setFont(themes.tabular(label.font()))
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    if role:
        themes.mark(label, role)
    return label
