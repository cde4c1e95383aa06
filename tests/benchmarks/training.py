"""Training steps with everything recorded, against PyTorch eager that records nothing, and against bare products.

One thread, float32. Recorded at each step: loss, accuracy, norms of gradient, parameters and update per tensor.
"""

import os

os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1"))

import importlib.util
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from engine import layers, losses, optimizers
from engine.datasets import DataSpec, Samples
from engine.recipe import Recipe
from engine.trainer import Trainer

import report

STEPS = 200  # in one timed piece
CASES = [((64, 32, 16, 10), 32, 2.0), ((784, 100, 200, 10), 32, 1.2)]


class Random(DataSpec, frozen=True, kw_only=True):
    """Random samples of the right shape: what is timed does not hang on the values."""

    inputs: int

    def load(self, rng: np.random.Generator) -> Samples:
        """x (4096, inputs) and labels of ten classes."""
        x = rng.standard_normal((4096, self.inputs))
        return Samples(x, rng.integers(0, 10, 4096), tuple("0123456789"))


def make_trainer(sizes: tuple[int, ...], batch: int) -> Trainer:
    """A Dense-ReLU network of these sizes."""
    stack: list[layers.LayerSpec] = []
    for units in sizes[1:]:
        stack += [layers.dense.Dense(units=units), layers.activations.ReLU()]
    return Trainer(
        Recipe(
            data=Random(inputs=sizes[0], validation=0.0),
            layers=tuple(stack[:-1]),
            loss=losses.SoftmaxCrossEntropy(),
            optimizer=optimizers.SGD(lr=0.01),
            batch_size=batch,
        )
    )


def torch_step(sizes: tuple[int, ...], batch: int) -> Callable[[], object]:
    """The same in PyTorch, as a tutorial writes it."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    stack: list[nn.Module] = []
    for into, out in pairwise(sizes):
        stack += [nn.Linear(into, out), nn.ReLU()]
    model = nn.Sequential(*stack[:-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    compute_loss = nn.CrossEntropyLoss()
    x, labels = torch.randn(4096, sizes[0]), torch.randint(0, 10, (4096,))
    order = torch.randperm(4096)
    start = 0

    def step() -> None:
        nonlocal start
        chosen = order[start : start + batch]
        start = (start + batch) % 4096
        optimizer.zero_grad()
        compute_loss(model(x[chosen]), labels[chosen]).backward()
        optimizer.step()

    return step


def bare_products(sizes: tuple[int, ...], batch: int) -> Callable[[], object]:
    """Only the matrix products of a step: y = x·W, grad_W = xᵀ·g, grad_x = g·Wᵀ (the last not for the first layer)."""
    rng = np.random.default_rng(0)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return rng.standard_normal((rows, columns)).astype(np.float32)

    products = []
    for i, (into, out) in enumerate(pairwise(sizes)):
        x, w, g = matrix(batch, into), matrix(into, out), matrix(batch, out)
        products += [(x, w, matrix(batch, out)), (x.T, g, matrix(into, out))]
        if i:
            products.append((g, w.T, matrix(batch, into)))

    def step() -> None:
        for a, b, out in products:
            np.dot(a, b, out=out)

    return step


def repeated(step: Callable[[], object]) -> Callable[[], None]:
    """Many steps in one timed piece."""

    def many() -> None:
        for _ in range(STEPS):
            step()

    return many


def measure() -> Iterator[report.Figure]:
    """A row per network and rival."""
    for sizes, batch, bar in CASES:
        name = f"{'-'.join(map(str, sizes))} B{batch}"
        ours = repeated(make_trainer(sizes, batch).step)
        yield report.figure(name, "step", report.seconds(ours) / STEPS * 1e6, "µs", None, at_least=False)
        if importlib.util.find_spec("torch"):
            ratio = report.ratio_of_medians(ours, repeated(torch_step(sizes, batch)), 15)
            yield report.figure(name, "speed against PyTorch eager", 1 / ratio, "×", bar, at_least=True)
        ratio = report.ratio_of_medians(ours, repeated(bare_products(sizes, batch)), 15)
        yield report.figure(name, "speed against bare matrix products", 1 / ratio, "×", None, at_least=True)


if __name__ == "__main__":
    sys.exit(report.main("training", measure))
