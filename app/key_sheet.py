"""All keys on one sheet, made from the actions themselves and from what panels say of their own keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QDialog, QFrame, QHBoxLayout, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from app import theme
from app.actions import ACTIONS
from app.panel import Panel
from app.widgets.buttons import push_button

if TYPE_CHECKING:
    from app.window import Window

COLUMNS = 3  # at most
Row = tuple[str, str]  # keys, what they do
Section = tuple[str, list[Row]]


def sections(panels: Iterable[Panel]) -> list[Section]:
    """The menus' keys, then those that work in one panel alone."""
    found: dict[str, list[Row]] = {}
    for command in ACTIONS.values():
        if command.keys:
            found.setdefault(_plain(command.menu), []).append((_keys(command.keys), _plain(command.text)))
    for panel in panels:
        rows = list(dict.fromkeys(_own_keys(panel)))
        same = next((title for title, others in found.items() if others == rows), None)
        if same is not None:
            found[f"{same}, {panel.title}"] = found.pop(same)
        elif rows:
            found[f"In {panel.title}"] = rows
    return list(found.items())


def _own_keys(panel: Panel) -> Iterator[Row]:
    for widget in (panel, *panel.findChildren(QWidget)):
        for action in widget.actions():
            if not action.shortcut().isEmpty():
                yield action.shortcut().toString(QKeySequence.SequenceFormat.NativeText), _plain(action.text())
        yield from getattr(widget, "key_help", ())


def _keys(keys: Iterable[str]) -> str:
    return ", ".join(QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText) for key in keys)


def _plain(text: str) -> str:
    return text.replace("&", "").removesuffix("…")


def _columns(every: list[Section], most: int) -> list[list[Section]]:
    """The sections side by side, in order, in columns of about one height."""
    height = sum(len(rows) + 2 for _, rows in every) / most
    result: list[list[Section]] = [[]]
    used = 0.0
    for section in every:
        size = len(section[1]) + 2
        if used + size / 2 > height * len(result) and len(result) < most:
            result.append([])
        result[-1].append(section)
        used += size
    return result


def _html(column: list[Section]) -> str:
    muted, parts = theme.current().muted, []
    for title, rows in column:
        parts.append(f"<tr><td colspan=2 style='color:{muted}'><b>{escape(title.upper())}</b></td></tr>")
        parts += [
            f"<tr><td style='padding-right:10px'><b>{escape(keys)}</b></td><td>{escape(text)}</td></tr>"
            for keys, text in rows
        ]
        parts.append("<tr><td colspan=2>&nbsp;</td></tr>")
    return f"<table cellspacing=3>{''.join(parts)}</table>"


class KeySheet(QDialog):
    """Stays open beside the window until Esc."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.setWindowTitle("Keys")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        every, room = sections(window.panels.values()), window.screen().availableSize()
        for most in range(COLUMNS, 0, -1):  # as many as there is room for: one scrolls down, never aside
            self._shown = _columns(every, most)
            sheet = self._sheet()
            wanted = sheet.sizeHint() + QSize(40, 80)
            if wanted.width() <= room.width():
                break
        area = QScrollArea(self)
        area.setWidget(sheet)
        area.setWidgetResizable(True)
        area.setAccessibleName("all keys")
        close = push_button("Close", "Close this sheet  (Esc)", self.close)
        layout = QVBoxLayout(self)
        layout.addWidget(area)
        layout.addWidget(close, 0, Qt.AlignmentFlag.AlignRight)
        self.resize(wanted.boundedTo(room - QSize(0, 40)))

    def _sheet(self) -> QFrame:
        """The columns side by side."""
        sheet = QFrame()
        theme.mark(sheet, "card")
        row = QHBoxLayout(sheet)
        row.setContentsMargins(18, 14, 18, 6)
        row.setSpacing(22)
        self.columns: list[QLabel] = []
        for number, column in enumerate(self._shown, 1):
            label = QLabel(_html(column), sheet)
            label.setAccessibleName(f"keys, column {number}")
            label.setAlignment(Qt.AlignmentFlag.AlignTop)
            label.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
            row.addWidget(label, 0, Qt.AlignmentFlag.AlignTop)
            self.columns.append(label)
        return sheet

    def changeEvent(self, event: QEvent) -> None:
        """Titles have the colours of the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "columns"):
            for label, column in zip(self.columns, self._shown, strict=True):
                label.setText(_html(column))
