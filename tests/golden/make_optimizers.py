"""Makes optimizers.npz: optimizers, schedules and clipping as PyTorch computes them in float64. Run it there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import in_torch
import numpy as np
import torch

Array = np.ndarray[Any, Any]
HERE = Path(__file__).parent
STEPS, SIZE = 1000, 5
KEPT_STEPS = (1, 2, 3, 10, 100, 999, 1000)

OPTIMIZERS: dict[str, in_torch.Spec] = {
    "sgd": {"kind": "sgd", "lr": 0.1},
    "momentum": {"kind": "sgd", "lr": 0.01, "momentum": 0.9},
    "decay": {"kind": "sgd", "lr": 0.1, "weight_decay": 0.05},
    "nesterov": {"kind": "sgd", "lr": 0.01, "momentum": 0.9, "nesterov": True},
    "nesterov_decay": {"kind": "sgd", "lr": 0.02, "momentum": 0.7, "nesterov": True, "weight_decay": 0.03},
    "adagrad": {"kind": "adagrad", "lr": 0.05},
    "adagrad_decay": {"kind": "adagrad", "lr": 0.05, "eps": 1e-3, "weight_decay": 0.1},
    "rmsprop": {"kind": "rmsprop"},
    "rmsprop_momentum": {"kind": "rmsprop", "lr": 0.002, "alpha": 0.9, "momentum": 0.8, "weight_decay": 0.02},
    "adam": {"kind": "adam"},
    "adam_decay": {"kind": "adam", "lr": 0.01, "beta1": 0.8, "beta2": 0.99, "eps": 1e-3, "weight_decay": 0.1},
    "adamw": {"kind": "adamw"},
    "adamw_decay": {"kind": "adamw", "lr": 0.02, "weight_decay": 0.3},
}
SCHEDULED = 400  # mini-batches
SCHEDULES: dict[str, in_torch.Spec] = {
    "constant": {"kind": "constant"},
    "step": {"kind": "step_decay", "every": 30, "gamma": 0.7},
    "exponential": {"kind": "exponential_decay", "gamma": 0.98},
    "cosine": {"kind": "cosine", "steps": 150, "least": 0.02},
    "cosine_to_0": {"kind": "cosine", "steps": 401},
    "warm_up": {"kind": "warm_up", "steps": 37},
    "warm_up_low": {"kind": "warm_up", "steps": 100, "start": 0.01},
    "one_cycle": {"kind": "one_cycle", "steps": 400},
    "one_cycle_linear": {
        "kind": "one_cycle",
        "steps": 400,
        "rising": 0.17,
        "shape": "linear",
        "divide_first": 7,
        "divide_last": 50,
    },
    "one_cycle_falling": {"kind": "one_cycle", "steps": 400, "rising": 0.0},
}
CLIPS: dict[str, in_torch.Spec] = {
    "norm": {"kind": "clip_by_norm", "max_norm": 0.5},
    "norm_wide": {"kind": "clip_by_norm", "max_norm": 1e3},
    "value": {"kind": "clip_by_value", "limit": 0.02},
}


def trajectory(spec: in_torch.Spec, start: Array, gradients: Array) -> Array:
    """The parameters after KEPT_STEPS, (len(KEPT_STEPS), P)."""
    theta = torch.tensor(start, requires_grad=True)
    optimizer = in_torch.optimizer(spec, [theta])
    kept = []
    for step in range(1, STEPS + 1):
        theta.grad = torch.tensor(gradients[step - 1])
        optimizer.step()
        if step in KEPT_STEPS:
            kept.append(theta.detach().numpy().copy())
    return np.array(kept)


def rates(spec: in_torch.Spec) -> Array:
    """The rate of each mini-batch where the optimizer's is 0.4, (SCHEDULED,)."""
    optimizer, found = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4), []
    for rate in in_torch.rates(spec, optimizer, SCHEDULED):
        found.append(rate)
        optimizer.step()
    return np.array(found)


def made() -> dict[str, Array]:
    """A start and 1,000 gradients of very different size, and what each optimizer, schedule and clip makes of them."""
    rng = np.random.default_rng(12)
    start = rng.standard_normal(SIZE)
    sizes = np.array([1.0, 1e-3, 30.0, 0.1, 5.0])  # none is 0: on its decay alone RMSProp with momentum is chaotic
    gradients = (rng.standard_normal((STEPS, SIZE)) + 0.2) * sizes * rng.choice([0.0, 1.0, 1.0], (STEPS, SIZE))
    found: dict[str, Array] = {"start": start, "gradients": gradients, "steps": np.array(KEPT_STEPS)}
    for name, spec in OPTIMIZERS.items():
        found[f"optimizer.{name}.spec"] = np.array(json.dumps(spec))
        found[f"optimizer.{name}.values"] = trajectory(spec, start, gradients)
    for name, spec in SCHEDULES.items():
        found[f"schedule.{name}.spec"] = np.array(json.dumps(spec))
        found[f"schedule.{name}.values"] = rates(spec)
    for name, spec in CLIPS.items():
        theta = torch.tensor(start, requires_grad=True)
        theta.grad = torch.tensor(gradients[3])
        in_torch.clip(spec, [theta])
        found[f"clip.{name}.spec"] = np.array(json.dumps(spec))
        found[f"clip.{name}.values"] = theta.grad.numpy().copy()
    return found


if __name__ == "__main__":
    np.savez_compressed(HERE / "optimizers.npz", **made())
