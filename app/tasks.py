"""What the window can be told to do by itself from the command line: a picture, or word of the first frame."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from app.cli import json_line, refuse
from app.settling import Settling

if TYPE_CHECKING:
    from app.window import Window
    from engine.frames import Frame
    from engine.protocol import Built

PATIENCE = 5000  # milliseconds after which the picture is taken of what there is


def screenshot(window: Window, steps: int, path: str) -> None:
    """Train, save the window as a picture, print one line of JSON, and end the application."""
    session, begin = window.session, 0

    def on_built(network: Built) -> None:
        nonlocal begin
        begin = network.step  # of a session from a file

    def on_shown(frame: Frame) -> None:
        if frame.step >= begin + steps and not session.playing:
            session.shown.disconnect(on_shown)
            Settling(session, window, patience=PATIENCE).wait(finish)

    def finish() -> None:
        if not Path(path).parent.is_dir() or not window.grab().save(path, "PNG"):
            QApplication.exit(refuse(f"{path} cannot be written; choose another place for the picture"))
            return
        assert session.frame is not None
        frame = session.frame
        print(json_line({"step": frame.step, "loss": frame.loss, "accuracy": frame.accuracy}), flush=True)
        QApplication.exit(0)

    def on_said(sentence: str, wrong: bool) -> None:
        if wrong:
            QApplication.exit(refuse(sentence))

    session.built.connect(on_built)
    session.shown.connect(on_shown)
    session.said.connect(on_said)
    window.train_when_built(steps)


def tell_first_frame(window: Window) -> None:
    """Print "first frame" once the first frame has been painted, and end the application."""

    def on_shown(_: Frame) -> None:
        window.session.shown.disconnect(on_shown)
        window.repaint()
        sys.stdout.write("first frame\n")
        sys.stdout.flush()
        QTimer.singleShot(0, QApplication.quit)

    window.session.shown.connect(on_shown)
