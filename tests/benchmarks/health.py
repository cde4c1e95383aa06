"""What it costs to record every quantity of health at every step, of a step that records none; and against PyTorch.

A bare step is the trainer's. A run with all of it on also notes scalars and takes keyframes; PyTorch eager records
nothing. One thread, float32; rivals take turns.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator

import numpy as np

from engine.health import Health
from engine.keyframes import DEFAULT_BUDGET
from engine.run import Run
from engine.threads import BlasThreads
from engine.trainer import Trainer

import report
from training import repeated, speed
from training_nets import Net, dense_net, make_trainer, torch_step

CASES = [(dense_net((64, 32, 16, 10), 32), 0.40, 2.3), (dense_net((784, 100, 200, 10), 32), 0.25, 1.2)]
ROUNDS = 61
STEPS = 64  # in one timed piece: what is measured seldom falls into each


def measured_step(trainer: Trainer) -> Callable[[], None]:
    """A bare step, and all quantities of health of it."""
    health = Health(trainer)
    row = np.zeros(len(health.columns))

    def step() -> None:
        trainer.step()
        health.measure(row)

    return step


def full_run(net: Net) -> Callable[[], None]:
    """A step of a run with everything on."""
    run = Run(make_trainer(net).recipe, budget=DEFAULT_BUDGET, health=True)

    def step() -> None:
        run.compute()

    return step


def measure() -> Iterator[report.Figure]:
    """Two rows a network."""
    for net, most, _ in CASES:
        with BlasThreads(1):
            trainer = make_trainer(net)  # the same for both: two would drive each other out of the cache
            ours, bare = repeated(measured_step(trainer), STEPS), repeated(trainer.step, STEPS)
            share = report.ratio_of_medians(ours, bare, ROUNDS) - 1
        yield report.figure(net.name, "all health quantities over a bare step", share, "", most, at_least=False)
    if not importlib.util.find_spec("torch"):
        print("no comparison with PyTorch: it is not installed", file=sys.stderr)
        return
    for net, _, least in CASES:
        found = speed(full_run(net), torch_step(net))
        yield report.figure(net.name, "run with everything on against PyTorch eager", found, "×", least, at_least=True)


if __name__ == "__main__":
    sys.exit(report.main("health", measure))
