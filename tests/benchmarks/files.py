"""Saving and opening a session of 784-1024-1024-10 with 256 MB of keyframes: time, the window's gaps, autosave's cost.

The window is the real one, drawn offscreen, while the engine trains flat out. Autosave's share is the training rate
lost around one autosave, spread over the half minute between two.
"""

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from app import theme
from app.link import EngineLink
from app.session import Session
from app.window import Window
from engine import protocol
from engine.recipe import Recipe

import report

CASE = "784-1024-1024-10 B32, 256 MB of keyframes"
RECIPE = {
    "seed": 3,
    "data": {"kind": "digits"},
    "layers": [
        {"kind": "dense", "units": 784},
        *({"kind": "dense", "units": 1024}, {"kind": "relu"}) * 2,
        {"kind": "dense", "units": 10},
    ],
    "optimizer": {"kind": "sgd", "lr": 0.01, "momentum": 0.9},
    "batch_size": 32,
}
AUTOSAVE_EVERY = 30.0
FULL = 0.9  # of the budget


class Stage:
    """The real window on a recipe, and the longest time that its event loop did not come round."""

    def __init__(self, app: QApplication) -> None:
        self.app, self.link = app, EngineLink()
        self.session = Session(self.link, Recipe.from_builtins(RECIPE))
        self.window = Window(self.session, self.link, theme.Appearance(app, "dark"))
        self.window.resize(1440, 900)
        self.window.show()
        self.gap, self._last = 0.0, time.perf_counter()
        self._beat = QTimer(interval=1)
        self._beat.timeout.connect(self._note)
        self._beat.start()
        self.wait(lambda: self.session.frame is not None)

    def _note(self) -> None:
        now = time.perf_counter()
        self.gap, self._last = max(self.gap, now - self._last), now

    def wait(self, done: Callable[[], bool], seconds: float = 120.0) -> None:
        """Let the window live until something is so."""
        end = time.perf_counter() + seconds
        while not done() and time.perf_counter() < end:
            self.app.processEvents()
            time.sleep(0.0005)

    def steps_in(self, seconds: float) -> int:
        """How many steps the timeline grows by."""
        first = self.session.tip.step
        self.wait(lambda: False, seconds)
        return self.session.tip.step - first

    def save(self, path: Path, *, auto: bool = False) -> protocol.SessionSaved:
        """Save, and wait for it."""
        found: list[protocol.SessionSaved] = []
        self.session.file_saved.connect(found.append)
        self.session.save_file(str(path), layout=self.window.files.layout(), auto=auto)
        self.wait(lambda: bool(found))
        self.session.file_saved.disconnect(found.append)
        return found[0]


def measure() -> Iterator[report.Figure]:
    """Save, gap, autosave, open."""
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.nabla"
        stage = Stage(app)
        try:
            yield from measured_saving(stage, path)
            yield from measured_opening(stage, path)
        finally:
            stage.window.close()
            stage.link.close()


def measured_saving(stage: Stage, path: Path) -> Iterator[report.Figure]:
    """While training flat out."""
    stage.session.play()
    stage.wait(lambda: stage.session.paths is not None and stage.session.paths.nbytes > FULL * stage.session.budget)
    stage.wait(lambda: False, 3.0)
    stage.gap = 0.0
    stage.wait(lambda: False, 3.0)
    before, stage.gap = stage.gap, 0.0
    start = time.perf_counter()
    answer = stage.save(path)
    assert not answer.sentence, answer.sentence
    taken = time.perf_counter() - start
    gap = stage.gap
    yield report.figure(CASE, "save", taken, "s", 3.0, at_least=False)
    yield report.figure(CASE, "save, over a plain write of as much", *over_plain(path, taken), None, at_least=False)
    yield report.figure(CASE, "size of the file", path.stat().st_size / 1e6, "MB", None, at_least=False)
    yield report.figure(CASE, "longest gap of the window while saving", gap * 1e3, "ms", 100, at_least=False)
    yield report.figure(CASE, "longest gap in 3 s without saving", before * 1e3, "ms", None, at_least=False)
    lost, rates = [], []
    for _ in range(4):
        rates.append(stage.steps_in(2.0) / 2.0)
        first, start = stage.session.tip.step, time.perf_counter()
        stage.save(path.with_name("auto.nabla"), auto=True)
        stage.wait(lambda: False, 1.0)
        taken = time.perf_counter() - start
        lost.append(taken - (stage.session.tip.step - first) / rates[-1])
    share = max(sorted(lost)[len(lost) // 2], 0.0) / AUTOSAVE_EVERY
    yield report.figure(CASE, "autosave's share of the training rate", 100 * share, "%", 3, at_least=False)
    stage.session.pause()
    stage.wait(lambda: not stage.session.playing)


def over_plain(path: Path, taken: float) -> tuple[float, str]:
    """A time over that of writing as many bytes to the disk with nothing else."""
    data, plain = os.urandom(1 << 20), path.with_name("plain")
    start = time.perf_counter()
    with plain.open("wb") as file:
        for _ in range(path.stat().st_size >> 20):
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return taken / (time.perf_counter() - start), ""


def measured_opening(stage: Stage, path: Path) -> Iterator[report.Figure]:
    """Until the first picture is shown."""
    stage.save(path)
    step, shown = stage.session.tip.step, []
    stage.session.file_opened.connect(lambda _: stage.session.shown.connect(shown.append))
    start = time.perf_counter()
    stage.session.open_file(str(path))
    stage.wait(lambda: bool(shown))
    yield report.figure(CASE, "open, until the first picture", time.perf_counter() - start, "s", 2.0, at_least=False)
    assert stage.session.tip.step == step


if __name__ == "__main__":
    sys.exit(report.main("files", measure))
