"""Makes conv.npz: layers that are sums, by PyTorch in float64: dense, convolution, pooling, residual blocks, shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import in_torch
import numpy as np
import torch
from torch import nn

Array = np.ndarray[Any, Any]
HERE = Path(__file__).parent
BATCH = 5
# name: the layer as it stands in a recipe, and the shape of a sample
CASES: dict[str, tuple[in_torch.Spec, tuple[int, ...]]] = {
    "plain": ({"kind": "conv2d", "filters": 3}, (2, 7, 5)),
    "stride": ({"kind": "conv2d", "filters": 2, "stride": 2}, (3, 7, 8)),
    "padding": ({"kind": "conv2d", "filters": 3, "padding": 2}, (2, 5, 7)),
    "dilation": ({"kind": "conv2d", "filters": 2, "dilation": 2}, (3, 7, 8)),
    "pointwise": ({"kind": "conv2d", "filters": 5, "kernel": 1}, (3, 2, 7)),
    "no_bias": ({"kind": "conv2d", "filters": 2, "bias": False}, (3, 5, 5)),
    "all_at_once": (
        {"kind": "conv2d", "filters": 3, "kernel": 2, "stride": 3, "padding": 1, "dilation": 3},
        (2, 11, 7),
    ),
    "max": ({"kind": "max_pool2d"}, (3, 7, 5)),
    "max_overlapping": ({"kind": "max_pool2d", "kernel": 3, "stride": 2, "padding": 1}, (2, 7, 5)),
    "mean": ({"kind": "avg_pool2d"}, (3, 7, 5)),
    "mean_overlapping": ({"kind": "avg_pool2d", "kernel": 3, "stride": 2, "padding": 1}, (2, 7, 5)),
    "global": ({"kind": "global_avg_pool"}, (3, 7, 5)),
    "dense": ({"kind": "dense", "units": 4}, (7,)),
    "dense_no_bias": ({"kind": "dense", "units": 9, "bias": False}, (3,)),
    "flatten": ({"kind": "flatten"}, (2, 3, 4)),
    "reshape": ({"kind": "reshape", "shape": [2, 6, 3]}, (3, 12)),
    "block": ({"kind": "residual", "layers": [{"kind": "dense", "units": 6}, {"kind": "tanh"}]}, (6,)),
    "block_matrix": (
        {"kind": "residual", "projection": True, "layers": [{"kind": "tanh"}, {"kind": "dense", "units": 4}]},
        (6,),
    ),
    "block_convolution": (
        {
            "kind": "residual",
            "projection": True,
            "layers": [
                {"kind": "conv2d", "filters": 3, "stride": 2, "padding": 1, "bias": False},
                {"kind": "batch_norm"},
                {"kind": "relu"},
                {"kind": "conv2d", "filters": 3, "padding": 1},
            ],
        },
        (2, 7, 5),
    ),
    "block_in_block": (
        {
            "kind": "residual",
            "layers": [
                {"kind": "layer_norm"},
                {"kind": "residual", "layers": [{"kind": "dropout"}, {"kind": "dense", "units": 6}]},
                {"kind": "dropout", "rate": 0.2},
            ],
        },
        (6,),
    ),
}
SPECIAL = ("max", "max_overlapping", "mean", "mean_overlapping")  # also with ties, NaN and infinity
NET_SHAPE, NET_STEPS, NET_RATE = (2, 9, 8), 25, 0.1
NETS: dict[str, list[in_torch.Spec]] = {
    "training": [
        {"kind": "conv2d", "filters": 3, "padding": 1},
        {"kind": "relu"},
        {"kind": "max_pool2d"},
        {"kind": "conv2d", "filters": 5, "kernel": 2},
        {"kind": "tanh"},
        {"kind": "avg_pool2d", "kernel": 2, "stride": 1},
        {"kind": "flatten"},
        {"kind": "dense", "units": 3},
    ],
    "residual": [
        {"kind": "residual", "layers": [{"kind": "conv2d", "filters": 2, "padding": 1}, {"kind": "tanh"}]},
        {
            "kind": "residual",
            "projection": True,
            "layers": [
                {"kind": "conv2d", "filters": 3, "stride": 2, "padding": 1},
                {"kind": "relu"},
                {"kind": "conv2d", "filters": 3, "padding": 1},
            ],
        },
        {"kind": "global_avg_pool"},
        {"kind": "flatten"},
        {"kind": "residual", "projection": True, "layers": [{"kind": "dense", "units": 5}, {"kind": "tanh"}]},
        {"kind": "dense", "units": 3},
    ],
}


def run(model: nn.Module, x: Array, grad_y: Array | None, rng: np.random.Generator) -> dict[str, Array]:
    """x, grad_y, parameters by role, and what PyTorch makes of them: in training, and then in inference."""
    given = torch.tensor(x, requires_grad=True)
    in_torch.begin(model, seed=0, step=1)
    y = model(given)
    grad_y = rng.standard_normal(y.shape) if grad_y is None else grad_y
    y.backward(torch.tensor(grad_y))
    assert given.grad is not None
    found = {"x": x, "grad_y": grad_y, "y": y.detach().numpy(), "grad_x": given.grad.numpy()}
    for address, parameter in in_torch.by_address(model).items():
        role = address.partition(".")[2]
        assert parameter.grad is not None
        found[f"parameter.{role}"] = in_torch.laid_out(role, parameter)
        found[f"grad_{role}"] = in_torch.laid_out(role, parameter.grad)
    for address, buffer in in_torch.by_address(model, buffers=True).items():
        found[f"buffer.{address.partition('.')[2]}"] = buffer.numpy()
    return found | {"inference": model.eval()(given).detach().numpy()}


def odd_numbers(x: Array, rng: np.random.Generator) -> Array:
    """Whole numbers, so that ties are common, with some NaN and infinities."""
    x = np.round(x)
    for value in (np.nan, np.inf, -np.inf):
        x[rng.random(x.shape) < 0.05] = value
    return x


def fresh(layers: list[in_torch.Spec], shape: tuple[int, ...], rng: np.random.Generator) -> nn.Sequential:
    """The layers in float64, their parameters normal numbers of variance 0.1."""
    model = in_torch.network(layers, shape)
    for parameter in model.parameters():
        parameter.data = torch.tensor(0.3 * rng.standard_normal(parameter.shape))
    return model


def training(layers: list[in_torch.Spec], rng: np.random.Generator) -> dict[str, Array]:
    """A network before and after some steps of plain gradient descent on one mini-batch."""
    model = fresh(layers, NET_SHAPE, rng)
    x, labels = rng.standard_normal((BATCH, *NET_SHAPE)), rng.integers(0, 3, BATCH)
    parameters = in_torch.by_address(model)
    found: dict[str, Array] = {"layers": np.array(json.dumps(layers)), "x": x, "labels": labels}
    found |= {f"before.{address}": in_torch.laid_out(address, p) for address, p in parameters.items()}
    optimizer, losses = torch.optim.SGD(model.parameters(), lr=NET_RATE), []
    for _ in range(NET_STEPS):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(torch.tensor(x)), torch.tensor(labels))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    found |= {f"after.{address}": in_torch.laid_out(address, p) for address, p in parameters.items()}
    return found | {"losses": np.array(losses)}


def made() -> dict[str, Array]:
    """All that is kept, by name: "plain/grad_W", "max.odd/y", "training/losses"."""
    found: dict[str, Array] = {}
    for number, (name, (spec, shape)) in enumerate(CASES.items()):
        rng = np.random.default_rng(number)
        model, x = fresh([spec], shape, rng), rng.standard_normal((BATCH, *shape))
        cases = {name: run(model, x, None, rng)}
        if name in SPECIAL:
            odd = odd_numbers(x, rng)
            cases[f"{name}.odd"] = run(fresh([spec], shape, rng), odd, cases[name]["grad_y"], rng)
        for case, kept in cases.items():
            found |= {f"{case}/{role}": array for role, array in kept.items()}
            found[f"{case}/spec"] = np.array(json.dumps(spec))
    for name, layers in NETS.items():
        kept = training(layers, np.random.default_rng(99))
        found |= {f"{name}/{role}": array for role, array in kept.items()}
    return found


if __name__ == "__main__":
    np.savez_compressed(HERE / "conv.npz", **made())
