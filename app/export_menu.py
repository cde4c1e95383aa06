"""File → Export: pictures of the window and of panels, and films of the run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QMenu, QWidget

from app.choose_file import ask_where
from app.film_dialog import FilmDialog
from app.pictures import KINDS, save_picture
from app.saving import SavingError
from app.settling import Settling

if TYPE_CHECKING:
    from app.window import Window

PICTURES = tuple(f"{kind} (*.{ending})" for ending, kind in KINDS.items())
NOTHING_YET = "there is nothing to film yet; train a few mini-batches first"
PATIENCE = 3000  # milliseconds after which a picture is taken of what there is


def add_pictures(window: Window, menu: QMenu) -> None:
    """Add these to the menu; panels may come later than the window, so theirs is filled when it is opened."""
    menu.addSeparator()
    menu.addAction("Picture of the w&indow…", partial(ask_for_picture, window, ""))
    panels = menu.addMenu("Picture of a pane&l")
    panels.aboutToShow.connect(partial(_fill, panels, window))
    menu.addAction("&Film of the run…", partial(open_film_dialog, window))


def _fill(menu: QMenu, window: Window) -> None:
    menu.clear()
    for name, panel in window.panels.items():
        menu.addAction(f"{panel.title}…".replace("&", "&&"), partial(ask_for_picture, window, name))


def ask_for_picture(window: Window, name: str) -> None:
    """Save a picture of a panel, or of the window ("")."""
    title = picture_title(window, name)
    path = ask_where(window, "Save a picture", title, PICTURES)
    if path:
        take_picture(window, name, path)


def picture_title(window: Window, name: str) -> str:
    """Such as "Digits, step 147: Flow"."""
    frame = window.session.frame
    where = f"{window.session.recipe.name}, step {frame.step if frame is not None else 0}"
    return f"{where}: {window.panels[name].title}" if name else where


def take_picture(window: Window, name: str, path: str) -> None:
    """Save it once it shows all there is to show; says in one sentence that it is saved, or why not."""
    window.say("", False)  # what was said of the picture before is no part of this one
    if name:
        window.show_panel(name)
    settling = Settling(window.session, window, patience=PATIENCE)
    settling.wait(partial(_take, window, name, path, settling))


def _take(window: Window, name: str, path: str, settling: Settling) -> None:
    settling.deleteLater()
    widget: QWidget = window.panels[name] if name else window
    try:
        save_picture(widget, path, picture_title(window, name))
    except SavingError as error:
        window.session.said.emit(str(error), True)
    else:
        window.session.said.emit(f"saved {path.replace(chr(92), '/').rpartition('/')[2]}", False)


def open_film_dialog(window: Window) -> FilmDialog | None:
    """Ask for a film; the run pauses and nothing else can be done in the window meanwhile."""
    session = window.session
    if not len(session.history):
        session.said.emit(NOTHING_YET, True)
        return None
    session.pause()
    dialog = FilmDialog(window)
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
    return dialog
