"""Curves that grow: taking new steps in and thinning a million, and what a redraw of a plot takes with few and many."""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
from PySide6.QtWidgets import QApplication

from app import theme
from app.widgets.curve_data import Dense, Row
from app.widgets.plot import StepPlot
from app.widgets.series import Series

import report

STEPS, WIDTH, ROUNDS = 1_000_000, 1200, 50
SIZE = (400, 90)  # of the norms in the window at 1440×900, without their key


def cpu(run: Callable[[], object]) -> float:
    """Milliseconds that the process works for one call, however busy the machine is."""
    start = time.process_time()
    run()
    return 1e3 * (time.process_time() - start)


def redraws(curves: int, steps: int) -> tuple[float, float]:
    """Milliseconds of a redraw and of a painting of so many noisy curves on a log scale, the medians."""
    values = 10 ** np.random.default_rng(0).normal(size=(curves, steps))
    table = Dense(lambda first, last: values[:, first:last])
    plot = StepPlot("log", "curves", "")
    plot.resize(*SIZE)
    plot.set_series(tuple(Series(str(n), Row(table, n), n, tag=str(n)) for n in range(curves)), 0)
    plot.show()
    plot.redraw(steps - 10 * ROUNDS)
    QApplication.processEvents()
    drawn, painted = [], []
    for number in range(1, ROUNDS + 1):
        drawn.append(cpu(lambda n=number: plot.redraw(steps - 10 * (ROUNDS - n))))  # type: ignore[misc]
        painted.append(cpu(QApplication.processEvents))
    plot.close()
    plot.deleteLater()
    return float(np.median(drawn)), float(np.median(painted))


def measure() -> Iterator[report.Figure]:
    """Milliseconds a redraw, the median and the slowest."""
    values = np.random.default_rng(0).normal(size=STEPS)
    curve = Dense(lambda first, last: values[first:last])
    curve.update(STEPS - ROUNDS)

    def grow(length: int) -> None:
        curve.update(length)
        curve.curve(0, length, WIDTH)

    times = [1e3 * report.seconds(lambda n=STEPS - ROUNDS + k: grow(n)) for k in range(1, ROUNDS + 1)]
    yield report.figure("1,000,000 steps", "redraw, median", float(np.median(times)), "ms", 5.0, at_least=False)
    yield report.figure("1,000,000 steps", "redraw, slowest", max(times), "ms", None, at_least=False)
    app = QApplication([])
    theme.apply(app, theme.DARK)
    for curves, steps in ((3, 5_000), (20, 700), (20, 100_000)):
        drawn, painted = redraws(curves, steps)
        case = f"{curves} curves, {steps:,} steps"
        yield report.figure(case, "redraw, median", drawn, "ms", 3.0, at_least=False)
        yield report.figure(case, "painting, median", painted, "ms", None, at_least=False)


if __name__ == "__main__":
    sys.exit(report.main("curves", measure))
