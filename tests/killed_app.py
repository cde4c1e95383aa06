"""The app without its panels, which trains, edits, saves and tells of it line by line, until somebody kills it.

Each line is a word and what belongs to it:

    engine PROCESS BLOCK     one was started; BLOCK is its shared memory
    ready                    its network stands
    tick N                   the clock, `PER_SECOND` times in a second in which there was an engine
    saving N, autosaving N   a save was asked for at tick N, which it also holds (as its layout)
    saved N S, autosaved N S it is on disk, after S seconds
    failed                   it is not
"""

import random
import sys
from functools import partial
from pathlib import Path

from PySide6.QtCore import QSettings, Qt, QTimer
from PySide6.QtWidgets import QApplication, QMainWindow

from app import autosave
from app.link import EngineLink
from app.session import Session
from app.session_files import RECENT, SessionFiles
from engine import protocol
from engine.recipe import Recipe

PER_SECOND = 40
FASTER = 10  # the autosave's clock goes: its half minute is three seconds
WIDE = {  # so that a second of training leaves tens of megabytes of keyframes, and a save is long enough to be hit
    "seed": 3,
    "data": {"kind": "digits"},
    "layers": [
        {"kind": "dense", "units": 512},
        {"kind": "relu"},
        {"kind": "dense", "units": 256},
        {"kind": "relu"},
        {"kind": "dense", "units": 10},
    ],
    "optimizer": {"kind": "sgd", "lr": 0.01, "momentum": 0.9},
    "batch_size": 8,
}
BUDGET = 96_000_000  # bytes of keyframes: a save stays below a second


def tell(*words: object) -> None:
    """One line for whoever reads."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


class Busy:
    """Does something else at every tick; or nothing but play, so that only time makes an autosave."""

    def __init__(self, link: EngineLink, files: SessionFiles, session: Session, seed: int, tick: int) -> None:
        self.link, self.files, self.session, self.tick = link, files, session, tick
        self.random = random.Random(seed)
        self.path, self.only_plays = "", False
        self.stands = False
        self.saving: dict[bool, int] = {}  # by whether it is an autosave: the tick of the one under way
        self.timer = QTimer(interval=1000 // PER_SECOND, timerType=Qt.TimerType.PreciseTimer)
        self.timer.timeout.connect(self.act)
        session.shown.connect(partial(self.stand, True))
        session.file_saved.connect(self.on_saved)
        link.lost.connect(self.on_lost)
        self.plain, session.save_file = session.save_file, self.save_file  # type: ignore[method-assign]
        files.layout = lambda: str(self.tick)  # type: ignore[method-assign]
        self.tell_of_engine()
        self.timer.start()

    def tell_of_engine(self) -> None:
        """Which process and which memory there are now."""
        tell("engine", self.link.process_id, self.link.slots.name)

    def stand(self, stands: bool, _: object = None) -> None:
        """The engine has shown something, or was lost."""
        if stands and not self.stands:
            tell("ready")
        self.stands = stands

    def on_lost(self, _: str) -> None:
        """Another one was started."""
        self.stand(False)
        self.tell_of_engine()

    def act(self) -> None:
        """Train, edit, seek, fork, pause or save."""
        session = self.session
        if not self.stands:
            return
        self.tick += 1
        tell("tick", self.tick)
        step, what = len(session.history), self.random.randrange(8)
        if what < 3 or self.only_plays:
            session.play()
        elif what == 3:
            session.edit("0.W", (self.random.randrange(8), 3), self.random.random())
        elif what == 4 and step > 5:
            session.seek(self.random.randrange(step))
        elif what == 5:
            session.pause()
        elif False not in self.saving:
            self.files.save(self.path)

    def save_file(self, path: str, *, layout: str = "", own_file: str = "", auto: bool = False) -> None:
        """As the session's, and told."""
        self.saving[auto] = self.tick
        tell("autosaving" if auto else "saving", self.tick)
        self.plain(path, layout=layout, own_file=own_file, auto=auto)

    def on_saved(self, event: protocol.SessionSaved) -> None:
        """Tell of what is on disk now."""
        tick = self.saving.pop(event.auto)
        if event.sentence:
            tell("failed")
        else:
            tell("autosaved" if event.auto else "saved", tick, event.seconds)


def main(path: str, folder: str, habit: str, seed: str, tick: str) -> None:
    """Run until killed; `path` is a file that was used before."""
    autosave.EVERY /= FASTER
    autosave.LEAST /= FASTER
    autosave.SHARE /= FASTER  # type: ignore[assignment]
    app = QApplication([])
    link = EngineLink()
    session = Session(link, Recipe.from_builtins(WIDE))
    session.set_budget(BUDGET)
    settings = QSettings(f"{folder}/settings.ini", QSettings.Format.IniFormat)
    settings.setValue(RECENT, [path])
    window = QMainWindow()
    files = SessionFiles(session, window, settings)
    auto = Path(folder) / "auto"
    auto.mkdir(exist_ok=True)
    saver = autosave.Autosave(session, files, auto)
    busy = Busy(link, files, session, int(seed), int(tick))
    busy.path, busy.only_plays = path, habit == "plays"
    app.exec()
    del busy, saver


if __name__ == "__main__":
    main(*sys.argv[1:])
