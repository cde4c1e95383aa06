"""The app without its panels, which trains, edits, saves and tells of it line by line, until somebody kills it."""

import random
import sys
from pathlib import Path

from PySide6.QtCore import QSettings, QTimer
from PySide6.QtWidgets import QApplication, QMainWindow

from app import autosave, cli
from app.link import EngineLink
from app.session import Session
from app.session_files import SessionFiles
from engine import protocol


def tell(*words: object) -> None:
    """One line for whoever reads."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


class Busy:
    """Does something else every few milliseconds."""

    def __init__(self, session: Session, files: SessionFiles, path: str, seed: int) -> None:
        self.session, self.files, self.path = session, files, path
        self.random = random.Random(seed)
        self.timer = QTimer(interval=25)
        self.timer.timeout.connect(self.act)
        session.file_saved.connect(self.on_saved)
        self.timer.start()

    def act(self) -> None:
        """Train, edit, seek, fork, pause or save."""
        session = self.session
        if session.frame is None:
            return
        step = len(session.history)
        what = self.random.randrange(8)
        if what < 3:
            session.play()
        elif what == 3:
            session.edit("0.W", (self.random.randrange(8), 3), self.random.random())
        elif what == 4 and step > 5:
            session.seek(self.random.randrange(step))
        elif what == 5:
            session.pause()
        else:
            self.files.save(self.path)

    def on_saved(self, event: protocol.SessionSaved) -> None:
        """Tell of what is on disk now."""
        if event.sentence:
            tell("not-saved", event.auto)
        else:
            tell("auto" if event.auto else "saved", event.path)


def main(path: str, folder: str, seed: str) -> None:
    """Run until killed, or until a line comes in."""
    autosave.LEAST = 0.2
    app = QApplication([])
    link = EngineLink()
    session = Session(link, cli.find_recipe("digits"))
    window = QMainWindow()
    files = SessionFiles(session, window, QSettings(f"{folder}/settings.ini", QSettings.Format.IniFormat))
    auto = Path(folder) / "auto"
    auto.mkdir(exist_ok=True)
    saver = autosave.Autosave(session, files, auto)
    session.built.connect(lambda _: tell("ready", link.process_id, link.slots.name))
    busy = Busy(session, files, path, int(seed))
    app.exec()
    del busy, saver


if __name__ == "__main__":
    main(*sys.argv[1:])
