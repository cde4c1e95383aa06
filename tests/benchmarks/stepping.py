"""From a key pressed to changed pixels: one phase forwards, one phase back, a step of the timeline far away.

The window has every panel open and paints into memory (offscreen). A key counts from its press to the end of the
repaint that shows the new position; the Flow view is grabbed once in a while to see that its pixels did change.
"""

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.widgets.flow_view import FlowView
from engine.recipe import Recipe

import report
from frames import Live, cases

PRESSES = 104
REST = 0.15  # seconds between presses, as of one who looks: curves and the formula, which come last, are told by then
TRAINED = 1000  # steps before


class Stepper(Live):
    """A window that stands still until a key is pressed."""

    def __init__(self, app: QApplication, recipe: Recipe) -> None:
        super().__init__(app, recipe)
        self.session.pause()
        self._until(lambda: not self.session.playing, 5.0)
        self.session.train(TRAINED)
        self._until(lambda: not self.session.playing, 0.2)
        self._until(lambda: not self.session.playing, 60.0)
        self._until(lambda: False, 1.0)
        self.flow = self.window.findChild(FlowView)

    def pixels(self) -> bytes:
        """What the Flow view shows."""
        image = self.flow.grab().toImage()
        return bytes(image.constBits())

    def timed(self, act: Callable[[], None]) -> float:
        """Milliseconds until what an act brings has been painted."""
        frames = len(self.shown_at)
        start = time.perf_counter()
        act()
        while len(self.shown_at) == frames:
            self.app.processEvents()
        self.app.processEvents()  # the repaint that drawing has asked for
        return (time.perf_counter() - start) * 1e3

    def rested(self, acts: Sequence[Callable[[], None]]) -> list[float]:
        """Milliseconds of each act, the window at rest before it. Raises AssertionError where no pixel changes."""
        taken = []
        for number, act in enumerate(acts):
            before = self.pixels() if number % 10 == 0 else None
            taken.append(self.timed(act))
            if before is not None:
                assert self.pixels() != before, "no pixel changed"
            self._until(lambda: False, REST)
        return taken


def measure() -> Iterator[report.Figure]:
    """p95 of each kind of step."""
    app = QApplication([])
    for case, recipe in cases().items():
        live = Stepper(app, recipe)
        QTest.mouseClick(live.flow, Qt.MouseButton.LeftButton, pos=QPoint(5, 5))
        for name, key in (("one phase forwards", Qt.Key.Key_Down), ("one phase back", Qt.Key.Key_Up)):
            taken = live.rested([partial(QTest.keyClick, live.flow, key)] * PRESSES)
            yield report.figure(case, f"{name}, p95", float(np.percentile(taken, 95)), "ms", 50.0, at_least=False)
            yield report.figure(case, f"{name}, median", float(np.median(taken)), "ms", None, at_least=False)
        steps = np.random.default_rng(0).integers(1, live.session.tip.step, PRESSES)
        taken = live.rested([partial(live.session.seek, int(step)) for step in steps])
        yield report.figure(case, "seek anywhere, p95", float(np.percentile(taken, 95)), "ms", None, at_least=False)
        live.close()


if __name__ == "__main__":
    sys.exit(report.main("stepping", measure))
