"""Makes conv.npz: convolution, pooling and residual blocks by PyTorch in float64. Run it where PyTorch is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

Array = np.ndarray[Any, Any]
HERE = Path(__file__).parent
BATCH = 5
# name: the layer as it stands in a recipe, the shape of a sample, and PyTorch's layer
CASES: dict[str, tuple[dict[str, Any], tuple[int, ...], Any]] = {
    "plain": ({"kind": "conv2d", "filters": 3}, (2, 7, 5), lambda: nn.Conv2d(2, 3, 3)),
    "stride": ({"kind": "conv2d", "filters": 2, "stride": 2}, (3, 7, 8), lambda: nn.Conv2d(3, 2, 3, stride=2)),
    "padding": ({"kind": "conv2d", "filters": 3, "padding": 2}, (2, 5, 7), lambda: nn.Conv2d(2, 3, 3, padding=2)),
    "dilation": ({"kind": "conv2d", "filters": 2, "dilation": 2}, (3, 7, 8), lambda: nn.Conv2d(3, 2, 3, dilation=2)),
    "pointwise": ({"kind": "conv2d", "filters": 5, "kernel": 1}, (3, 2, 7), lambda: nn.Conv2d(3, 5, 1)),
    "no_bias": ({"kind": "conv2d", "filters": 2, "bias": False}, (3, 5, 5), lambda: nn.Conv2d(3, 2, 3, bias=False)),
    "all_at_once": (
        {"kind": "conv2d", "filters": 3, "kernel": 2, "stride": 3, "padding": 1, "dilation": 3},
        (2, 11, 7),
        lambda: nn.Conv2d(2, 3, 2, stride=3, padding=1, dilation=3),
    ),
    "max": ({"kind": "max_pool2d"}, (3, 7, 5), lambda: nn.MaxPool2d(2)),
    "max_overlapping": (
        {"kind": "max_pool2d", "kernel": 3, "stride": 2, "padding": 1},
        (2, 7, 5),
        lambda: nn.MaxPool2d(3, 2, 1),
    ),
    "mean": ({"kind": "avg_pool2d"}, (3, 7, 5), lambda: nn.AvgPool2d(2)),
    "mean_overlapping": (
        {"kind": "avg_pool2d", "kernel": 3, "stride": 2, "padding": 1},
        (2, 7, 5),
        lambda: nn.AvgPool2d(3, 2, 1),
    ),
    "global": ({"kind": "global_avg_pool"}, (3, 7, 5), lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())),
}
SPECIAL = ("max", "max_overlapping", "mean", "mean_overlapping")  # also with ties, NaN and infinity
NET_SHAPE, NET_STEPS, NET_RATE = (2, 9, 8), 25, 0.1


class Block(nn.Module):
    """y = block(x) + skip(x)."""

    def __init__(self, *block: nn.Module, skip: nn.Module | None = None) -> None:
        super().__init__()
        self.block, self.skip = nn.Sequential(*block), skip or nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """y = block(x) + skip(x)."""
        y: torch.Tensor = self.block(x) + self.skip(x)
        return y


def residual_net() -> nn.Sequential:
    """As `net`, with skips: one of x itself, one through a 1×1 convolution, one through a matrix."""
    return nn.Sequential(
        Block(nn.Conv2d(2, 2, 3, padding=1), nn.Tanh()),
        Block(
            nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1),
            skip=nn.Conv2d(2, 3, 1, stride=2, bias=False),
        ),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        Block(nn.Linear(3, 5), nn.Tanh(), skip=nn.Linear(3, 5, bias=False)),
        nn.Linear(5, 3),
    ).double()  # fmt: skip


def net() -> nn.Sequential:
    """The small network whose training is kept; `test_golden_conv` has it as a recipe."""
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(3, 5, 2), nn.Tanh(), nn.AvgPool2d(2, 1),
        nn.Flatten(), nn.Linear(20, 3),
    ).double()  # fmt: skip


def run(layer: nn.Module, x: Array, grad_y: Array | None, rng: np.random.Generator) -> dict[str, Array]:
    """x, grad_y, parameters, and what PyTorch makes of them."""
    given = torch.tensor(x, requires_grad=True)
    y = layer.double()(given)
    grad_y = rng.standard_normal(y.shape) if grad_y is None else grad_y
    y.backward(torch.tensor(grad_y))
    assert given.grad is not None
    found = {"x": x, "grad_y": grad_y, "y": y.detach().numpy(), "grad_x": given.grad.numpy()}
    for name, parameter in layer.named_parameters():
        role = {"weight": "W", "bias": "b"}[name]
        assert parameter.grad is not None
        found |= {role: parameter.detach().numpy(), f"grad_{role}": parameter.grad.numpy()}
    return found


def odd_numbers(x: Array, rng: np.random.Generator) -> Array:
    """Whole numbers, so that ties are common, with some NaN and infinities."""
    x = np.round(x)
    for value in (np.nan, np.inf, -np.inf):
        x[rng.random(x.shape) < 0.05] = value
    return x


def fresh(layer: nn.Module, rng: np.random.Generator) -> nn.Module:
    """The layer in float64, its parameters normal numbers of variance 0.1."""
    layer = layer.double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.tensor(0.3 * rng.standard_normal(parameter.shape)))
    return layer


def training(network: nn.Module, rng: np.random.Generator) -> dict[str, Array]:
    """The network before and after some steps of plain gradient descent on one mini-batch."""
    network = fresh(network, rng)
    x, labels = rng.standard_normal((BATCH, *NET_SHAPE)), rng.integers(0, 3, BATCH)
    found: dict[str, Array] = {"x": x, "labels": labels}
    found |= {f"before.{name}": p.detach().numpy().copy() for name, p in network.named_parameters()}
    optimizer, losses = torch.optim.SGD(network.parameters(), lr=NET_RATE), []
    for _ in range(NET_STEPS):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(torch.tensor(x)), torch.tensor(labels))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    found |= {f"after.{name}": p.detach().numpy() for name, p in network.named_parameters()}
    return found | {"losses": np.array(losses)}


def values() -> dict[str, Array]:
    """All that is kept, by name: "plain.grad_W", "max.odd.y", "training.losses"."""
    found: dict[str, Array] = {}
    for number, (name, (_, shape, make)) in enumerate(CASES.items()):
        rng = np.random.default_rng(number)
        layer, x = fresh(make(), rng), rng.standard_normal((BATCH, *shape))
        found |= {f"{name}.{role}": array for role, array in run(layer, x, None, rng).items()}
        if name in SPECIAL:
            odd = run(make(), odd_numbers(x, rng), found[f"{name}.grad_y"], rng)
            found |= {f"{name}.odd.{role}": array for role, array in odd.items()}
    for name, network in (("training", net()), ("residual", residual_net())):
        kept = training(network, np.random.default_rng(99))
        found |= {f"{name}.{role}": array for role, array in kept.items()}
    return found


if __name__ == "__main__":
    np.savez_compressed(HERE / "conv.npz", **values())  # type: ignore[arg-type]
