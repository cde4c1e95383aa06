"""Ten thousand steps on MNIST, and then any of a thousand positions again: bit for bit, how soon, in how much memory.

The network is 784-100-200-10 with dropout, momentum and a cosine schedule; two cells are typed over and the learning
rate is changed on the way. A position is a mini-batch and a phase of it. A float64 takes 8 bytes, and the number of
every step is kept: so a scalar takes 8,000 bytes per 1,000 steps, whatever else is saved.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from engine.keyframes import DEFAULT_BUDGET
from engine.run import Run

import report
from replays import edits, first_pass, mnist_recipe, prints, random_positions

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"
STEPS, POSITIONS = 10_000, 1_000


def measure() -> Iterator[report.Figure]:
    """Failures, times and memory."""
    if not MNIST.is_dir():
        print(f"nothing measured: MNIST is not at {MNIST}", file=sys.stderr)
        return
    run, case = Run(mnist_recipe(MNIST), health=True), "784-100-200-10 B32, 10,000 steps"
    run.trainer.needs_input_gradient = True
    seen = first_pass(run, STEPS, random_positions(run, STEPS, POSITIONS), edits(run, STEPS))
    order = sorted(seen)
    Random(1).shuffle(order)
    failures, taken = 0, []
    for position in order:
        start = time.perf_counter()
        run.seek(*position)
        taken.append((time.perf_counter() - start) * 1e3)
        failures += run.position != position or prints(run) != seen[position]
    yield report.figure(case, "positions that differ from the first pass", failures, "", 0, at_least=False)
    yield report.figure(case, "time to any position, median", float(np.median(taken)), "ms", 100, at_least=False)
    yield report.figure(case, "time to any position, p99", float(np.percentile(taken, 99)), "ms", 500, at_least=False)
    share = run.nbytes / DEFAULT_BUDGET
    yield report.figure(case, "memory of the timeline over its budget", share, "", 1.0, at_least=False)
    scalars = run.history.nbytes / len(run.history.columns) / (len(run.history) / 1000)
    yield report.figure(case, "bytes a scalar per 1,000 steps", scalars, "B", 60, at_least=False)
    yield report.figure(case, "scalars a step", len(run.history.columns), "", None, at_least=False)


if __name__ == "__main__":
    sys.exit(report.main("timeline", measure))
