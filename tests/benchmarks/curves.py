"""A curve of a million steps that grows: taking the new steps in and thinning all of them for the screen."""

import sys
from collections.abc import Iterator

import numpy as np

from app.widgets.curve_data import Dense

import report

STEPS, WIDTH, ROUNDS = 1_000_000, 1200, 50


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


if __name__ == "__main__":
    sys.exit(report.main("curves", measure))
