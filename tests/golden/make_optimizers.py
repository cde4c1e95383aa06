"""Makes optimizers.npz: optimizers, schedules and clipping as PyTorch computes them in float64. Run it there."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import Optimizer

Array = np.ndarray[Any, Any]
HERE = Path(__file__).parent
STEPS, SIZE = 1000, 5
KEPT_STEPS = (1, 2, 3, 10, 100, 999, 1000)

OPTIMIZERS: dict[str, dict[str, Any]] = {
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
KINDS: dict[str, Any] = {
    "sgd": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
SCHEDULED = 400  # mini-batches
SCHEDULES: dict[str, tuple[dict[str, Any], Callable[[Optimizer], LRScheduler]]] = {
    "constant": ({"kind": "constant"}, lambda o: lr_scheduler.ConstantLR(o, 1.0)),
    "step": ({"kind": "step_decay", "every": 30, "gamma": 0.7}, lambda o: lr_scheduler.StepLR(o, 30, 0.7)),
    "exponential": ({"kind": "exponential_decay", "gamma": 0.98}, lambda o: lr_scheduler.ExponentialLR(o, 0.98)),
    "cosine": (
        {"kind": "cosine", "steps": 150, "least": 0.02},
        lambda o: lr_scheduler.CosineAnnealingLR(o, 150, 0.02),
    ),
    "cosine_to_0": ({"kind": "cosine", "steps": 401}, lambda o: lr_scheduler.CosineAnnealingLR(o, 401)),
    "warm_up": ({"kind": "warm_up", "steps": 37}, lambda o: lr_scheduler.LinearLR(o, total_iters=37)),
    "warm_up_low": (
        {"kind": "warm_up", "steps": 100, "start": 0.01},
        lambda o: lr_scheduler.LinearLR(o, 0.01, total_iters=100),
    ),
    "one_cycle": (
        {"kind": "one_cycle", "steps": 400},
        lambda o: lr_scheduler.OneCycleLR(o, 0.4, 400, cycle_momentum=False),
    ),
    "one_cycle_linear": (
        {"kind": "one_cycle", "steps": 400, "rising": 0.17, "shape": "linear", "divide_first": 7, "divide_last": 50},
        lambda o: lr_scheduler.OneCycleLR(
            o,
            0.4,
            400,
            pct_start=0.17,
            anneal_strategy="linear",
            cycle_momentum=False,
            div_factor=7,
            final_div_factor=50,
        ),
    ),
    "one_cycle_falling": (
        {"kind": "one_cycle", "steps": 400, "rising": 0.0},
        lambda o: lr_scheduler.OneCycleLR(o, 0.4, 400, pct_start=0.0, cycle_momentum=False),
    ),
}
CLIPS: dict[str, tuple[dict[str, Any], Callable[[torch.Tensor], object]]] = {
    "norm": (
        {"kind": "clip_by_norm", "max_norm": 0.5},
        lambda p: torch.nn.utils.clip_grad_norm_([p], 0.5),
    ),
    "norm_wide": (
        {"kind": "clip_by_norm", "max_norm": 1e3},
        lambda p: torch.nn.utils.clip_grad_norm_([p], 1e3),
    ),
    "value": (
        {"kind": "clip_by_value", "limit": 0.02},
        lambda p: torch.nn.utils.clip_grad_value_([p], 0.02),
    ),
}


def as_torch(recipe: dict[str, Any]) -> dict[str, Any]:
    """The fields of an optimizer by PyTorch's names."""
    fields = {name: value for name, value in recipe.items() if name not in ("kind", "beta1", "beta2")}
    if "beta1" in recipe:
        fields["betas"] = recipe["beta1"], recipe["beta2"]
    return fields


def trajectory(recipe: dict[str, Any], start: Array, gradients: Array) -> Array:
    """The parameters after KEPT_STEPS, (len(KEPT_STEPS), P)."""
    theta = torch.tensor(start, requires_grad=True)
    optimizer = KINDS[recipe["kind"]]([theta], **as_torch(recipe))
    kept = []
    for step in range(1, STEPS + 1):
        theta.grad = torch.tensor(gradients[step - 1])
        optimizer.step()
        if step in KEPT_STEPS:
            kept.append(theta.detach().numpy().copy())
    return np.array(kept)


def rates(make: Callable[[Optimizer], LRScheduler]) -> Array:
    """The rate of each mini-batch where the optimizer's is 0.4, (SCHEDULED,)."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    scheduler = make(optimizer)
    found = []
    for done in range(SCHEDULED):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if done < SCHEDULED - 1:
            scheduler.step()
    return np.array(found)


def made() -> dict[str, Array]:
    """A start and 1,000 gradients of very different size, and what each optimizer, schedule and clip makes of them."""
    rng = np.random.default_rng(12)
    start = rng.standard_normal(SIZE)
    sizes = np.array([1.0, 1e-3, 30.0, 0.1, 5.0])  # none is 0: on its decay alone RMSProp with momentum is chaotic
    gradients = (rng.standard_normal((STEPS, SIZE)) + 0.2) * sizes * rng.choice([0.0, 1.0, 1.0], (STEPS, SIZE))
    found: dict[str, Array] = {"start": start, "gradients": gradients, "steps": np.array(KEPT_STEPS)}
    for name, recipe in OPTIMIZERS.items():
        found[f"optimizer.{name}.spec"] = np.array(json.dumps(recipe))
        found[f"optimizer.{name}.values"] = trajectory(recipe, start, gradients)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, (recipe, make) in SCHEDULES.items():
            found[f"schedule.{name}.spec"] = np.array(json.dumps(recipe))
            found[f"schedule.{name}.values"] = rates(make)
    for name, (recipe, clip) in CLIPS.items():
        theta = torch.tensor(start, requires_grad=True)
        theta.grad = torch.tensor(gradients[3])
        clip(theta)
        found[f"clip.{name}.spec"] = np.array(json.dumps(recipe))
        found[f"clip.{name}.values"] = theta.grad.numpy().copy()
    return found


if __name__ == "__main__":
    np.savez_compressed(HERE / "optimizers.npz", **made())
