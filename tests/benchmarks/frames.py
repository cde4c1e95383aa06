"""The live window while training runs flat out: what a repaint takes, how even frames come, what training keeps.

The window has every panel open in its first layout and paints into memory (offscreen). Headless is the same engine
process playing with no window that looks. Both take turns in the same run.
"""

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PySide6.QtWidgets import QApplication

from app import cli, theme
from app.link import EngineLink
from app.session import Session
from app.window import Window
from engine.recipe import Recipe

import report

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"
ROUNDS = 3
SECONDS = 3.0  # of each measurement
WARM_UP = 1.5
SIZE = (1440, 900)


def mnist_recipe() -> Recipe:
    """784-100-200-10 on MNIST."""
    stack = [{"kind": "dense", "units": 100}, {"kind": "relu"}, {"kind": "dense", "units": 200}, {"kind": "relu"}]
    files = {"images": str(MNIST / "t10k-images-idx3-ubyte.gz"), "labels": str(MNIST / "t10k-labels-idx1-ubyte.gz")}
    raw = {"data": {"kind": "idx", **files}, "layers": [*stack, {"kind": "dense", "units": 10}]}
    return Recipe.from_builtins({**raw, "optimizer": {"kind": "sgd", "lr": 0.01}})


def cases() -> dict[str, Recipe]:
    """The networks measured."""
    found = {"digits 64-32-16-10 B32": cli.find_recipe(None)}
    if MNIST.is_dir():
        found["MNIST 784-100-200-10 B32"] = mnist_recipe()
    return found


class Live:
    """A session that plays in a window, and what is seen of it."""

    def __init__(self, app: QApplication, recipe: Recipe) -> None:
        self.app = app
        self.link = EngineLink()
        self.session = Session(self.link, recipe)
        self.shown_at: list[float] = []
        self.session.shown.connect(lambda _: self.shown_at.append(time.perf_counter()))
        self.window = Window(self.session, self.link, theme.Appearance(app, "dark"))
        self.window.resize(*SIZE)
        self.window.show()
        self._until(lambda: self.session.frame is not None, 20.0)
        self.session.play()
        self._until(lambda: False, WARM_UP)

    def _until(self, done: Callable[[], bool], seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end and not done():
            self.app.processEvents()
            time.sleep(0.001)

    def measure(self) -> tuple[float, list[float], list[float]]:
        """Steps a second, milliseconds of each repaint, milliseconds between frames."""
        repaints: list[float] = []
        self.shown_at.clear()
        first, start = len(self.session.history), time.perf_counter()
        while (now := time.perf_counter()) < start + SECONDS:
            frames = len(self.shown_at)
            self.app.processEvents()
            if len(self.shown_at) > frames:
                self.app.processEvents()  # paint what drawing has asked for
                repaints.append((time.perf_counter() - now) * 1e3)
            else:
                time.sleep(0.0005)
        rate = (len(self.session.history) - first) / (time.perf_counter() - start)
        return rate, repaints, (np.diff(self.shown_at) * 1e3).tolist()

    def close(self) -> None:
        """End the engine and the window."""
        self.window.close()
        self.window.deleteLater()
        self.link.close()


HEADLESS = """
import json, sys, time
import numpy as np
from engine.recipe import Recipe
from engine.run import Run
np.seterr(all="ignore")
run = Run(Recipe.from_json(sys.stdin.read()), health=True)
end = time.perf_counter() + {warm_up}
while time.perf_counter() < end:
    run.step()
first, start = run.position.step, time.perf_counter()
while time.perf_counter() < start + {seconds}:
    run.step()
print((run.position.step - first) / (time.perf_counter() - start))
"""


def headless_rate(recipe: Recipe) -> float:
    """Steps a second of a run in a process of its own that nobody watches, on one BLAS thread as in the app."""
    script = HEADLESS.format(warm_up=WARM_UP, seconds=SECONDS)
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, input=recipe.to_json(), capture_output=True, text=True, check=True, env=environment)
    return float(json.loads(done.stdout))


def measure() -> Iterator[report.Figure]:
    """Four figures for each network."""
    app = QApplication([])
    for case, recipe in cases().items():
        kept, repaints, gaps = [], [], []
        for _ in range(ROUNDS):
            alone = headless_rate(recipe)
            live = Live(app, recipe)
            rate, some_repaints, some_gaps = live.measure()
            live.close()
            kept.append(rate / alone)
            repaints += some_repaints
            gaps += some_gaps
        yield report.figure(case, "share of the headless rate kept", statistics.median(kept), "", 0.85, at_least=True)
        yield report.figure(case, "repaint p95", float(np.percentile(repaints, 95)), "ms", 16.7, at_least=False)
        yield report.figure(case, "repaint median", float(np.median(repaints)), "ms", None, at_least=False)
        yield report.figure(case, "gap between frames p99", float(np.percentile(gaps, 99)), "ms", 34, at_least=False)


if __name__ == "__main__":
    sys.exit(report.main("frames", measure))
