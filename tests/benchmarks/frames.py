"""The live window while training runs flat out: what a repaint takes, how even frames come, what training keeps.

The window has every panel open in its first layout and paints into memory (offscreen). Headless is the same engine
process playing with no window that looks. Both take turns in the same run. The plain way to draw the same tensors is a
pyqtgraph PlotItem with an ImageItem for each, refreshed at every frame; ours is a frame as it is shown at full speed,
in which the columns take turns, and, told beside it, one with every tile.
"""

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import gc
import json
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs
from PySide6.QtWidgets import QApplication

from app import cli, theme
from app.link import EngineLink
from app.panels.flow import FlowPanel
from app.session import Session
from app.window import Window
from engine.recipe import Recipe

import report

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"
ROUNDS = 24
SECONDS = 0.5  # of each turn: machines change their speed within less
WARM_UP = 1.5
SLOWER = 4  # times as long for a network with steps of a tenth of a second
SIZE = (1440, 900)


def mnist_recipe(*units: int) -> Recipe:
    """Dense layers of so many units with ReLUs between, and one of 10, on MNIST."""
    stack: list[dict[str, Any]] = []
    for count in units:
        stack += [{"kind": "dense", "units": count}, {"kind": "relu"}]
    files = {"images": str(MNIST / "t10k-images-idx3-ubyte.gz"), "labels": str(MNIST / "t10k-labels-idx1-ubyte.gz")}
    raw = {"data": {"kind": "idx", **files}, "layers": [*stack, {"kind": "dense", "units": 10}]}
    return Recipe.from_builtins({**raw, "optimizer": {"kind": "sgd", "lr": 0.01}})


def conv_recipe() -> Recipe:
    """A small convolutional net on the digits."""
    conv = {"kind": "conv2d", "filters": 8, "kernel": 3}
    layers = [{"kind": "reshape", "shape": [1, 8, 8]}, conv, {"kind": "relu"}, {"kind": "max_pool2d"}]
    return Recipe.from_builtins(
        {"data": {"kind": "digits"}, "layers": [*layers, {"kind": "flatten"}, {"kind": "dense", "units": 10}]}
    )


def cases() -> dict[str, Recipe]:
    """The two networks that every benchmark of the window measures."""
    found = {"digits 64-32-16-10 B32": cli.find_recipe(None)}
    if MNIST.is_dir():
        found["MNIST 784-100-200-10 B32"] = mnist_recipe(100, 200)
    return found


def all_cases() -> dict[str, tuple[Recipe, float, float]]:
    """Every network, with its bars: share of the headless rate, milliseconds of a repaint."""
    found = {case: (recipe, 0.85, 16.7) for case, recipe in (cases() | {"conv 8@3x3 B32": conv_recipe()}).items()}
    if MNIST.is_dir():
        found["784-128x19-10 B32"] = mnist_recipe(*[128] * 19), 0.85, 16.7
        found["784-4096-4096-10 B32"] = mnist_recipe(4096, 4096), 0.75, 25.0
    return found


class Live:
    """A session that plays in a window, and what is seen of it."""

    def __init__(self, app: QApplication, recipe: Recipe, slower: float = 1) -> None:
        self.app, self.seconds = app, slower * SECONDS
        self.link = EngineLink()
        self.session = Session(self.link, recipe)
        self.shown_at: list[float] = []
        self.session.shown.connect(lambda _: self.shown_at.append(time.perf_counter()))
        self.window = Window(self.session, self.link, theme.Appearance(app, "dark"))
        self.window.resize(*SIZE)
        self.window.show()
        self._until(lambda: self.session.frame is not None, 20.0)
        self.session.play()
        self._until(lambda: False, slower * WARM_UP)
        self.rest()

    def _until(self, done: Callable[[], bool], seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end and not done():
            self.app.processEvents()
            time.sleep(0.001)

    def measure(self) -> tuple[float, list[float], list[float]]:
        """Play for a turn: steps a second, milliseconds of each repaint, milliseconds between frames."""
        repaints: list[float] = []
        self.session.play()
        self._until(lambda: False, 0.3)
        self.shown_at.clear()
        first, start = len(self.session.history), time.perf_counter()
        while (now := time.perf_counter()) < start + self.seconds:
            frames = len(self.shown_at)
            self.app.processEvents()
            if len(self.shown_at) > frames:
                self.app.processEvents()  # paint what drawing has asked for
                repaints.append((time.perf_counter() - now) * 1e3)
            else:
                time.sleep(0.0005)
        rate = (len(self.session.history) - first) / (time.perf_counter() - start)
        gaps = (np.diff(self.shown_at) * 1e3).tolist()
        self.rest()
        return rate, repaints, gaps

    def rest(self) -> None:
        """Stand still."""
        self.session.pause()
        self._until(lambda: not self.session.playing, 5.0)
        self._until(lambda: False, 0.3)

    def close(self) -> None:
        """End the engine and the window."""
        self.window.close()
        self.window.deleteLater()
        self.link.close()


HEADLESS = """
import sys, time
import numpy as np
from engine.recipe import Recipe
from engine.run import Run
np.seterr(all="ignore")
run = Run(Recipe.from_json(sys.stdin.readline()), health=True)
for line in sys.stdin:
    first, start, seconds = run.position.step, time.perf_counter(), float(line)
    while time.perf_counter() < start + seconds:
        run.step()
    print((run.position.step - first) / (time.perf_counter() - start), flush=True)
"""


class Headless:
    """A run in a process of its own that nobody watches, on one BLAS thread as in the app."""

    def __init__(self, recipe: Recipe, slower: float = 1) -> None:
        self.seconds = slower * SECONDS
        self.process = subprocess.Popen(
            [sys.executable, "-c", HEADLESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        self._tell(json.dumps(json.loads(recipe.to_json())))
        self._rate(slower * WARM_UP)

    def _tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _rate(self, seconds: float) -> float:
        assert self.process.stdout is not None
        self._tell(str(seconds))
        return float(self.process.stdout.readline())

    def rate(self) -> float:
        """Play for a turn: steps a second."""
        return self._rate(self.seconds)

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def plain_against_ours(live: Live) -> Iterator[float]:
    """How many times longer a frame takes in the plain way, for the tensors of the Flow view: as played, and whole."""
    import pyqtgraph as pg  # after PySide6

    live.rest()
    flow, frame = live.window.panels["flow"], live.session.frame
    assert isinstance(flow, FlowPanel)
    assert frame is not None
    model = flow.view.model
    assert model is not None
    pictures = [frame.tensors[address].values for address in model.tiles if address in frame.tensors]
    plain = pg.GraphicsLayoutWidget()
    plain.resize(flow.size())
    images = []
    for number, values in enumerate(pictures):
        item = plain.addPlot(number // len(model.columns), number % len(model.columns))
        images.append(pg.ImageItem(values))
        item.addItem(images[-1])
    plain.show()
    live.app.processEvents()
    again = 0

    def in_plain_way() -> None:
        for image, values in zip(images, pictures, strict=True):
            image.setImage(values + np.float32(1e-3 * again))
        live.app.processEvents()

    def ours() -> None:
        nonlocal again
        again += 1
        changed = {a: replace(p, values=p.values + np.float32(1e-3 * again)) for a, p in frame.tensors.items()}
        flow.view.show_frame(structs.replace(frame, tensors=changed))
        live.app.processEvents()

    for hurried in (True, False):
        flow.view.hurried = hurried
        yield report.ratio_of_medians(in_plain_way, ours, 31)
    plain.close()
    plain.deleteLater()


def opened(live: Live) -> dict[str, float]:
    """Milliseconds from asking for a panel to its having been painted, the longest of three."""
    live.rest()
    taken: dict[str, float] = {}
    for name, dock in live.window.docks.items():
        for _ in range(3):
            dock.hide()
            live._until(lambda: False, 0.2)
            start = time.perf_counter()
            live.window.show_panel(name)
            live.app.processEvents()
            live.app.processEvents()
            taken[name] = max(taken.get(name, 0.0), (time.perf_counter() - start) * 1e3)
            live._until(lambda: False, 0.2)
    return taken


def changed(live: Live) -> list[float]:
    """Milliseconds from an edit of the network to its first frame."""
    taken = []
    for units in range(24, 40, 2):
        recipe = live.session.recipe
        layers = (structs.replace(recipe.layers[0], units=units), *recipe.layers[1:])
        frames, start = len(live.shown_at), time.perf_counter()
        live.session.use(structs.replace(recipe, layers=layers))
        while len(live.shown_at) == frames:
            live.app.processEvents()
        live.app.processEvents()
        taken.append((time.perf_counter() - start) * 1e3)
        live._until(lambda: False, 0.3)
    return taken


def bytes_a_step(live: Live) -> tuple[float, float]:
    """What the window keeps of every step beyond the timeline's budget, and what of it are the scalars themselves.

    All that Python and numpy take in the window's process is counted while real rows of this run come in again and
    again: its copy of the scalars, and what the plots of loss, accuracy and norms keep of them. The engine's own copy
    is packed alike and lies within the budget.
    """
    live.measure()  # rows, of the network that an edit has left there
    for name in ("norms", "curves"):
        live.window.show_panel(name)
    live._until(lambda: False, 1.0)
    history, frame = live.session.history, live.session.frame
    rows = history.rows(0, 50_000).copy()
    tracemalloc.start()
    before, length, scalars = tracemalloc.get_traced_memory()[0], len(history), history.nbytes
    while len(history) - length < 500_000:
        history.extend(rows)
        live.session.shown.emit(frame)
        live._until(lambda: False, 0.3)
    gc.collect()
    made = len(history) - length
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return taken / made, (history.nbytes - scalars) / made


def measure() -> Iterator[report.Figure]:
    """Four figures for each network, then those of the default network alone."""
    app = QApplication([])
    for case, (recipe, share, longest) in all_cases().items():
        slower = SLOWER if "4096" in case else 1
        live, headless = Live(app, recipe, slower), Headless(recipe, slower)
        kept, repaints, gaps = [], [], []
        after = headless.rate()
        for _ in range(ROUNDS):
            rate, some_repaints, some_gaps = live.measure()
            before, after = after, headless.rate()
            kept.append(2 * rate / (before + after))
            repaints += some_repaints
            gaps += some_gaps
        live.close()
        headless.close()
        yield report.figure(case, "share of the headless rate kept", statistics.median(kept), "", share, at_least=True)
        yield report.figure(case, "repaint p95", float(np.percentile(repaints, 95)), "ms", longest, at_least=False)
        yield report.figure(case, "repaint median", float(np.median(repaints)), "ms", None, at_least=False)
        even = 34 if slower == 1 else None  # one step of the slow one takes longer
        yield report.figure(case, "gap between frames p99", float(np.percentile(gaps, 99)), "ms", even, at_least=False)
    for case, (recipe, _, _) in all_cases().items():
        if "4096" in case:
            continue
        live = Live(app, recipe)
        played, whole = plain_against_ours(live)
        yield report.figure(case, "a frame in the plain way against ours", played, "×", 3.0, at_least=True)
        yield report.figure(case, "against one of ours with every tile", whole, "×", None, at_least=True)
        if case.startswith("digits"):
            for name, taken in opened(live).items():
                yield report.figure(case, f"opening {name}", taken, "ms", 50.0, at_least=False)
            edits = changed(live)
            yield report.figure(case, "edit to first frame", statistics.median(edits), "ms", 150, at_least=False)
            kept, scalars = bytes_a_step(live)
            yield report.figure(case, "kept in the window, a step", kept, "B", 200, at_least=False)
            yield report.figure(case, "of which scalars", scalars, "B", None, at_least=False)
        live.close()


if __name__ == "__main__":
    sys.exit(report.main("frames", measure))
