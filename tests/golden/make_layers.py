"""Makes layers.npz: what PyTorch gives, in float64, for norms, dropout, activations and softmax."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import in_torch
import numpy as np
import torch

FILE = Path(__file__).with_name("layers.npz")
STEPS, BATCH = 2, 5
EDGES = np.array([0.0, -0.0, 20.5, -20.5, 700.0, -700.0, 1e4, -1e4])

# name: our layer, the shape of a sample, and how far out the inputs reach
CASES: dict[str, tuple[in_torch.Spec, tuple[int, ...], float]] = {
    "batch_norm": ({"kind": "batch_norm"}, (7,), 0),
    "batch_norm_other": ({"kind": "batch_norm", "momentum": 0.3, "eps": 0.01}, (3, 4, 5), 0),
    "layer_norm": ({"kind": "layer_norm"}, (7,), 0),
    "layer_norm_images": ({"kind": "layer_norm", "eps": 0.01}, (3, 4, 5), 0),
    "dropout": ({"kind": "dropout", "rate": 0.3}, (4, 6), 0),
    "softmax": ({"kind": "softmax"}, (9,), 1e4),
    "log_softmax": ({"kind": "log_softmax"}, (9,), 1e4),
    "relu": ({"kind": "relu"}, (9,), 1e4),
    "leaky_relu": ({"kind": "leaky_relu", "slope": 0.2}, (9,), 1e4),
    "prelu": ({"kind": "prelu"}, (9,), 1e4),
    "prelu_features": ({"kind": "prelu", "per_feature": True}, (9,), 1e4),
    "prelu_channels": ({"kind": "prelu", "per_feature": True}, (3, 4, 5), 1e4),
    "elu": ({"kind": "elu", "alpha": 1.3}, (9,), 1e4),
    "selu": ({"kind": "selu"}, (9,), 1e4),
    "gelu": ({"kind": "gelu"}, (9,), 1e4),
    "gelu_tanh": ({"kind": "gelu", "approximate": "tanh"}, (9,), 1e4),
    "silu": ({"kind": "silu"}, (9,), 1e4),
    "softplus": ({"kind": "softplus"}, (9,), 700.0),
    "softplus_sharp": ({"kind": "softplus", "beta": 3.0}, (9,), 200.0),
    "tanh": ({"kind": "tanh"}, (9,), 1e4),
    "sigmoid": ({"kind": "sigmoid"}, (9,), 1e4),
}


def case_of(
    spec: in_torch.Spec, shape: tuple[int, ...], far: float, rng: np.random.Generator
) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays by role: y and x of each step, gradients of the last, buffers after it, then inference."""
    model = in_torch.network([spec], shape)
    x = rng.standard_normal((STEPS, BATCH, *shape)) * 3 + 0.5
    if far:
        x[:, 0].reshape(STEPS, -1)[:, : len(EDGES)] = EDGES.clip(-far, far)
    grad_y = rng.standard_normal(x.shape)
    parameters = {address.partition(".")[2]: p for address, p in in_torch.by_address(model).items()}
    for parameter in parameters.values():
        parameter.data = torch.from_numpy(rng.standard_normal(tuple(parameter.shape)))
    found = {"spec": np.array(json.dumps(spec)), "x": x, "grad_y": grad_y}
    found |= {f"parameter.{role}": in_torch.laid_out(role, p) for role, p in parameters.items()}
    if spec["kind"] == "dropout":
        found["mask"] = (rng.random(x.shape) > spec["rate"]) / (1 - spec["rate"])
    outputs = []
    for step in range(STEPS):
        given = torch.from_numpy(x[step]).requires_grad_()
        model.zero_grad()
        y = given * torch.from_numpy(found["mask"][step]) if "mask" in found else model(given)
        y.backward(torch.from_numpy(grad_y[step]))
        outputs.append(y.detach().numpy())
    found |= {"y": np.stack(outputs), "grad_x": given.grad.numpy()}
    found |= {f"grad_{role}": in_torch.laid_out(role, p.grad) for role, p in parameters.items()}
    for address, buffer in in_torch.by_address(model, buffers=True).items():
        found[f"buffer.{address.partition('.')[2]}"] = buffer.numpy()
    return found | {"inference": model.eval()(given).detach().numpy()}


def made() -> dict[str, np.ndarray[Any, Any]]:
    """Every array by "case/role"."""
    rng = np.random.default_rng(7)
    found: dict[str, np.ndarray[Any, Any]] = {}
    for name, (spec, shape, far) in CASES.items():
        found |= {f"{name}/{role}": array for role, array in case_of(spec, shape, far, rng).items()}
    return found


if __name__ == "__main__":
    np.savez_compressed(FILE, **made())
