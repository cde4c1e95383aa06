"""The networks whose training is timed: each built by the engine, and the same in PyTorch as a tutorial writes it."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from engine import layers
from engine.datasets import DataSpec, Samples
from engine.layers.activations import ReLU
from engine.layers.conv import Conv2D
from engine.layers.dense import Dense
from engine.layers.pool import MaxPool2D
from engine.layers.reshape import Flatten, Reshape
from engine.losses import SoftmaxCrossEntropy
from engine.optimizers import SGD
from engine.recipe import Recipe
from engine.threads import BlasThreads
from engine.trainer import Trainer

SAMPLES = 4096
RATE = 0.01


class Random(DataSpec, frozen=True, kw_only=True):
    """Random samples of the right shape: what is timed does not hang on the values."""

    inputs: int

    def load(self, rng: np.random.Generator) -> Samples:
        """x (4096, inputs) and labels of ten classes, or of four."""
        x = rng.standard_normal((SAMPLES, self.inputs))
        return Samples(x, rng.integers(0, 4, SAMPLES), tuple("0123"))


@dataclass(frozen=True)
class Net:
    """A network and its mini-batch."""

    name: str
    inputs: int
    layers: tuple[layers.LayerSpec, ...]
    batch: int


def dense_net(sizes: tuple[int, ...], batch: int, *after: layers.LayerSpec) -> Net:
    """Dense-ReLU layers of these sizes; `after` stands behind each hidden Dense."""
    stack: list[layers.LayerSpec] = []
    for units in sizes[1:]:
        stack += [Dense(units=units), *after, ReLU()]
    del stack[-1 - len(after) :]
    name = " ".join(["-".join(map(str, sizes)), f"B{batch}", *(f"with {spec.title()}" for spec in after)])
    return Net(name, sizes[0], tuple(stack), batch)


CONV_NET = Net(
    "small conv net B32",
    784,
    (
        Reshape(shape=(1, 28, 28)),
        *(Conv2D(filters=8), ReLU(), MaxPool2D()),
        *(Conv2D(filters=16), ReLU(), MaxPool2D()),
        Flatten(),
        Dense(units=10),
    ),
    32,
)


def make_trainer(net: Net) -> Trainer:
    """The network in the engine, on one thread whatever its size."""
    trainer = Trainer(
        Recipe(
            data=Random(inputs=net.inputs, validation=0.0),
            layers=net.layers,
            loss=SoftmaxCrossEntropy(),
            optimizer=SGD(lr=RATE),
            batch_size=net.batch,
        )
    )
    trainer._threads = BlasThreads(1)
    return trainer


def torch_module(spec: layers.LayerSpec, shape: tuple[int, ...]) -> Any:
    """PyTorch's module for a layer that gets samples of `shape`."""
    from torch import nn

    makers: dict[str, Callable[[Any], Any]] = {
        "dense": lambda s: nn.Linear(shape[0], s.units),
        "relu": lambda s: nn.ReLU(),
        "batch_norm": lambda s: nn.BatchNorm1d(shape[0], s.eps, s.momentum),
        "layer_norm": lambda s: nn.LayerNorm(shape, s.eps),
        "dropout": lambda s: nn.Dropout(s.rate),
        "conv2d": lambda s: nn.Conv2d(shape[0], s.filters, s.kernel, s.stride, s.padding, s.dilation),
        "max_pool2d": lambda s: nn.MaxPool2d(s.kernel, s.stride, s.padding),
        "flatten": lambda s: nn.Flatten(),
        "reshape": lambda s: nn.Unflatten(1, s.shape),
    }
    return makers[spec.kind()](spec)


def torch_step(net: Net) -> Callable[[], object]:
    """A training step in PyTorch, on one thread."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    modules, shape = [], (net.inputs,)
    for spec in net.layers:
        modules.append(torch_module(spec, shape))
        shape = spec.output_shape(shape)
    model = nn.Sequential(*modules)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    compute_loss = nn.CrossEntropyLoss()
    x, labels = torch.randn(SAMPLES, net.inputs), torch.randint(0, prod(shape), (SAMPLES,))
    order = torch.randperm(SAMPLES)
    start = 0

    def step() -> None:
        nonlocal start
        chosen = order[start : start + net.batch]
        start = (start + net.batch) % SAMPLES
        optimizer.zero_grad()
        compute_loss(model(x[chosen]), labels[chosen]).backward()
        optimizer.step()

    return step


def bare_products(sizes: tuple[int, ...], batch: int) -> Callable[[], object]:
    """Only the matrix products of a step: y = x·W, grad_W = xᵀ·g, grad_x = g·Wᵀ (the last not for the first layer)."""
    rng = np.random.default_rng(0)

    def matrix(rows: int, columns: int) -> np.ndarray[Any, Any]:
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
