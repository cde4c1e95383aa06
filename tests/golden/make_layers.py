"""Makes layers.npz: what PyTorch gives, in float64, for norms, dropout, activations and softmax."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("layers.npz")
STEPS, BATCH = 2, 5
EDGES = np.array([0.0, -0.0, 20.5, -20.5, 700.0, -700.0, 1e4, -1e4])

# name: our layer, the shape of a sample, PyTorch's layer, and how far out the inputs reach
Case = tuple[dict[str, Any], tuple[int, ...], Callable[[Any], Any], float]
CASES: dict[str, Case] = {
    "batch_norm": ({"kind": "batch_norm"}, (7,), lambda nn: nn.BatchNorm1d(7), 0),
    "batch_norm_other": (
        {"kind": "batch_norm", "momentum": 0.3, "eps": 0.01},
        (3, 4, 5),
        lambda nn: nn.BatchNorm2d(3, eps=0.01, momentum=0.3),
        0,
    ),
    "layer_norm": ({"kind": "layer_norm"}, (7,), lambda nn: nn.LayerNorm(7), 0),
    "layer_norm_images": ({"kind": "layer_norm", "eps": 0.01}, (3, 4, 5), lambda nn: nn.LayerNorm((3, 4, 5), 0.01), 0),
    "dropout": ({"kind": "dropout", "rate": 0.3}, (4, 6), lambda nn: nn.Dropout(0.3), 0),
    "softmax": ({"kind": "softmax"}, (9,), lambda nn: nn.Softmax(1), 1e4),
    "log_softmax": ({"kind": "log_softmax"}, (9,), lambda nn: nn.LogSoftmax(1), 1e4),
    "relu": ({"kind": "relu"}, (9,), lambda nn: nn.ReLU(), 1e4),
    "leaky_relu": ({"kind": "leaky_relu", "slope": 0.2}, (9,), lambda nn: nn.LeakyReLU(0.2), 1e4),
    "prelu": ({"kind": "prelu"}, (9,), lambda nn: nn.PReLU(), 1e4),
    "prelu_features": ({"kind": "prelu", "per_feature": True}, (9,), lambda nn: nn.PReLU(9), 1e4),
    "prelu_channels": ({"kind": "prelu", "per_feature": True}, (3, 4, 5), lambda nn: nn.PReLU(3), 1e4),
    "elu": ({"kind": "elu", "alpha": 1.3}, (9,), lambda nn: nn.ELU(1.3), 1e4),
    "selu": ({"kind": "selu"}, (9,), lambda nn: nn.SELU(), 1e4),
    "gelu": ({"kind": "gelu"}, (9,), lambda nn: nn.GELU(), 1e4),
    "gelu_tanh": ({"kind": "gelu", "approximate": "tanh"}, (9,), lambda nn: nn.GELU("tanh"), 1e4),
    "silu": ({"kind": "silu"}, (9,), lambda nn: nn.SiLU(), 1e4),
    "softplus": ({"kind": "softplus"}, (9,), lambda nn: nn.Softplus(threshold=1e3), 700.0),
    "softplus_sharp": ({"kind": "softplus", "beta": 3.0}, (9,), lambda nn: nn.Softplus(3.0, 1e3), 200.0),
    "tanh": ({"kind": "tanh"}, (9,), lambda nn: nn.Tanh(), 1e4),
    "sigmoid": ({"kind": "sigmoid"}, (9,), lambda nn: nn.Sigmoid(), 1e4),
}
ROLES = {
    "batch_norm": {"weight": "gamma", "bias": "beta"},
    "layer_norm": {"weight": "gamma", "bias": "beta"},
    "prelu": {"weight": "slope"},
}


def made() -> dict[str, np.ndarray[Any, Any]]:
    """Every array by "case/role"; y and x of each step, gradients of the last, buffers after it, then inference."""
    import torch  # heavy, and not installed everywhere

    rng = np.random.default_rng(7)
    found: dict[str, np.ndarray[Any, Any]] = {}
    for name, (layer, shape, build, far) in CASES.items():
        module = build(torch.nn).double()
        x = rng.standard_normal((STEPS, BATCH, *shape)) * 3 + 0.5
        if far:
            x[:, 0].reshape(STEPS, -1)[:, : len(EDGES)] = EDGES.clip(-far, far)
        grad_y = rng.standard_normal(x.shape)
        case = {"spec": np.array(json.dumps(layer)), "x": x, "grad_y": grad_y}
        roles = ROLES.get(layer["kind"], {})
        for theirs, parameter in module.named_parameters():
            values = rng.standard_normal(tuple(parameter.shape))
            parameter.data = torch.from_numpy(values)
            case[f"parameter.{roles[theirs]}"] = values
        mask = (rng.random(x.shape) > 0.3) / 0.7 if name == "dropout" else None
        if mask is not None:
            case["mask"] = mask
        outputs = []
        for step in range(STEPS):
            given = torch.from_numpy(x[step]).requires_grad_()
            module.zero_grad()
            y = module(given) if mask is None else given * torch.from_numpy(mask[step])
            y.backward(torch.from_numpy(grad_y[step]))
            outputs.append(y.detach().numpy())
        case["y"], case["grad_x"] = np.stack(outputs), given.grad.numpy()
        for theirs, parameter in module.named_parameters():
            case[f"grad_{roles[theirs]}"] = parameter.grad.numpy()
        for theirs, buffer in module.named_buffers():
            if buffer.ndim:
                case[f"buffer.{theirs}"] = buffer.numpy()
        case["inference"] = module.eval()(given).detach().numpy()
        found |= {f"{name}/{role}": array for role, array in case.items()}
    return found


if __name__ == "__main__":
    np.savez_compressed(FILE, **made())  # type: ignore[arg-type]
