"""What the real window does about files from its start on: it asks before anything is lost, and saves by itself."""

from __future__ import annotations

import argparse
from functools import partial

from PySide6.QtWidgets import QApplication

from app.autosave import Autosave, autosave_folder, orphans
from app.cli import refuse
from app.recovery_bar import RecoveryBar
from app.session_files import ask_to_overwrite, ask_to_save
from app.tasks import screenshot
from app.window import Window
from engine import protocol


def look_after_files(window: Window) -> Autosave | None:
    """Ask before changes are lost, save by itself, offer what a crash has left; None where nothing can be written."""
    window.files.ask_to_save = partial(ask_to_save, window)
    window.files.ask_to_overwrite = partial(ask_to_overwrite, window)
    folder = autosave_folder()
    if folder is None:
        return None
    autosave = Autosave(window.session, window.files, folder)
    bar = RecoveryBar(window.session, autosave, orphans(folder))
    window.statusBar().insertPermanentWidget(1, bar)  # left of the facts
    bar.asking.connect(window.ask_below)
    bar.setVisible(bar.orphan is not None)
    window.ask_below(bar.orphan is not None)
    return autosave


def open_at_start(window: Window, options: argparse.Namespace) -> None:
    """Open the session named on the command line; then train and make the picture, if that is asked for too."""

    def go_on(_: protocol.SessionOpened) -> None:
        window.session.file_opened.disconnect(go_on)
        if options.screenshot:
            screenshot(window, options.steps or 0, options.screenshot)
        elif options.steps:
            window.train_when_built(options.steps)

    def give_up(event: protocol.NotOpened) -> None:
        QApplication.exit(refuse(event.sentence))

    window.session.consent.allow_files(options.trust)
    window.session.file_opened.connect(go_on)
    if options.screenshot:
        window.session.file_not_opened.connect(give_up)
    window.files.open(options.recipe)
