"""File → Open recent: the session files used last."""

from __future__ import annotations

from functools import partial

from PySide6.QtWidgets import QMenu

from app.session_files import SessionFiles


def recent_menu(files: SessionFiles, parent: QMenu) -> QMenu:
    """The menu; it is filled whenever it is opened."""
    menu = QMenu("Open &recent", parent)
    menu.setToolTipsVisible(True)
    menu.menuAction().setToolTip("Open a session used before")
    menu.aboutToShow.connect(partial(_fill, menu, files))
    return menu


def _fill(menu: QMenu, files: SessionFiles) -> None:
    menu.clear()
    for path in files.recent:
        entry = menu.addAction(path.name.replace("&", "&&"), partial(files.open, str(path)))
        entry.setToolTip(str(path))
    if menu.isEmpty():
        menu.addAction("No session was opened or saved yet").setEnabled(False)
