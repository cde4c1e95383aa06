"""The full gradient check of 256-128-64-32-16-8-4 (ReLU, softmax cross-entropy, float64) against slower ways.

Ours is the whole `check`: 43,932 parameters and the inputs, contracts and verdicts included. The rivals take central
differences of the parameters alone: a plain loop over entries in bare NumPy, and torch.autograd.gradcheck. The check by
one random direction a tensor, and that by one for all, are measured in forwards. One thread for all, as in the app's
engine process.
"""

import os

os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1"))

import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.datasets import Samples
from engine.gradcheck import check
from engine.layers.activations import ReLU
from engine.layers.base import LayerSpec
from engine.layers.dense import Dense
from engine.livecheck import LiveCheck
from engine.recipe import Recipe
from engine.trainer import Trainer

import report

SIZES = (256, 128, 64, 32, 16, 8, 4)
ROUNDS = 3
LIGHT_ROUNDS = 200
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Random:
    """Random samples and labels."""

    validation: float = 0.0
    shuffle: bool = False
    drop_last: bool = False

    def load(self, rng: np.random.Generator) -> Samples:
        """x (64, 256) and labels of four classes."""
        return Samples(rng.standard_normal((64, SIZES[0])), rng.integers(0, SIZES[-1], 64), tuple("abcd"))


def make_trainer(batch: int) -> Trainer:
    """The network to check."""
    stack: list[LayerSpec] = []
    for units in SIZES[1:]:
        stack += [Dense(units=units), ReLU()]
    data: Any = Random()
    return Trainer(Recipe(seed=1, dtype="float64", data=data, layers=tuple(stack[:-1]), batch_size=batch))


def plain_loop(trainer: Trainer) -> dict[str, Array]:
    """Central differences entry by entry, each from a whole forward; nothing in it but NumPy."""
    batch = trainer.recipe.batch_size
    x, labels, rows = trainer.x[:batch], trainer.targets[:batch], np.arange(batch)
    parameters = trainer.parameters
    weights = [value for address, value in parameters.items() if address.endswith("W")]
    biases = [value for address, value in parameters.items() if address.endswith("b")]

    def loss() -> float:
        y = x
        for index, (W, b) in enumerate(zip(weights, biases, strict=True)):
            y = y @ W + b
            if index < len(weights) - 1:
                y = np.maximum(y, 0)
        y = y - y.max(axis=1, keepdims=True)
        return float(np.mean(np.log(np.exp(y).sum(axis=1)) - y[rows, labels]))

    found, h = {}, 6e-6
    for address, value in parameters.items():
        flat = value.reshape(-1)
        gradient = np.empty(flat.size)
        for i in range(flat.size):
            at = flat[i]
            flat[i] = at + h
            up = loss()
            flat[i] = at - h
            gradient[i] = (up - loss()) / (2 * h)
            flat[i] = at
        found[address] = gradient.reshape(value.shape)
    return found


def torch_check(trainer: Trainer) -> Callable[[], object]:
    """torch.autograd.gradcheck of the same network and mini-batch."""
    import torch

    torch.set_num_threads(1)
    batch = trainer.recipe.batch_size
    x, labels = torch.tensor(trainer.x[:batch]), torch.tensor(trainer.targets[:batch])
    tensors = [torch.tensor(value, requires_grad=True) for value in trainer.parameters.values()]

    def loss(*parameters: torch.Tensor) -> torch.Tensor:
        y = x
        for index in range(0, len(parameters), 2):
            y = y @ parameters[index] + parameters[index + 1]
            if index < len(parameters) - 2:
                y = torch.relu(y)
        return torch.nn.functional.cross_entropy(y, labels)

    return lambda: torch.autograd.gradcheck(loss, tensors)


def verified(trainer: Trainer) -> Callable[[], object]:
    """The check; that it passes and says what the plain loop says is seen to here, unmeasured."""
    found, plain = check(trainer), plain_loop(trainer)
    assert found.verdict == "pass", found
    worst = max(np.abs(found.tensors[address].numeric - value).max() for address, value in plain.items())
    assert worst < 1e-8, worst
    return lambda: check(trainer)


def forward(trainer: Trainer) -> Callable[[], object]:
    """One forward of the mini-batch, loss included."""
    batch = trainer.recipe.batch_size
    run, x, targets = trainer.network.at(batch), trainer.x[:batch], trainer.targets[:batch]

    def once() -> None:
        y = x
        for layer in run.layers:
            y = layer.forward(y)
        run.loss.forward(y, targets)

    return once


def live(trainer: Trainer) -> Callable[[], object]:
    """The check of one step while training plays."""
    trainer.step()
    checks = LiveCheck()
    assert checks.check(trainer).verdict == "pass"
    return lambda: checks.check(trainer)


def measure() -> Iterator[report.Figure]:
    """How many times faster than each rival, and how many forwards the light checks take."""
    size = sum(value.size for value in make_trainer(1).parameters.values())
    for batch, bar in ((1, 40), (32, 8)):
        trainer = make_trainer(batch)
        ours = verified(trainer)
        ratio = report.ratio_of_medians(ours, lambda trainer=trainer: plain_loop(trainer), ROUNDS)  # type: ignore[misc]
        yield report.figure(
            f"{size:,} parameters, batch {batch}", "speed over the plain loop", 1 / ratio, "×", bar, True
        )
    if importlib.util.find_spec("torch") is not None:
        trainer = make_trainer(1)
        ratio = report.ratio_of_medians(lambda: check(trainer), torch_check(trainer), 1)
        case = f"{size:,} parameters, batch 1"
        yield report.figure(case, "speed over torch.autograd.gradcheck", 1 / ratio, "×", 200, True)
    yield from measure_light_checks(f"{size:,} parameters, batch 32")


def measure_light_checks(case: str) -> Iterator[report.Figure]:
    """What one random direction costs, counted in forwards of the same network."""
    trainer = make_trainer(32)
    pairs = len(check(trainer, mode="projected").tensors)
    ratio = report.ratio_of_medians(lambda: check(trainer, mode="projected"), forward(trainer), LIGHT_ROUNDS)
    yield report.figure(case, f"projected check, for each of {pairs} tensors", ratio / pairs, "forwards", 6, False)
    ratio = report.ratio_of_medians(live(trainer), forward(trainer), LIGHT_ROUNDS)
    yield report.figure(case, "live check of all tensors together", ratio, "forwards", None, False)


if __name__ == "__main__":
    sys.exit(report.main("gradcheck", measure))
