"""Makes losses.npz: losses as PyTorch computes them in float64. Run it where PyTorch is installed."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

Array = np.ndarray[Any, Any]
HERE = Path(__file__).parent
BATCH, OUTPUTS = 5, 7
INPUTS = ("logits", "large", "probabilities", "certain", "values", "column")


def inputs() -> dict[str, Array]:
    """Outputs of a network (B, K) of several sorts, and what they are compared with."""
    rng = np.random.default_rng(11)
    logits = rng.standard_normal((BATCH, OUTPUTS)) * 3
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    certain = np.eye(OUTPUTS)[rng.integers(0, OUTPUTS, BATCH)]
    certain[0] = shares[0]
    return {
        "logits": logits,
        "large": logits * 300,
        "probabilities": shares,
        "certain": certain,
        "values": rng.standard_normal((BATCH, OUTPUTS)),
        "column": rng.standard_normal((BATCH, 1)),
        "labels": rng.integers(0, OUTPUTS, BATCH),
        "yes_or_no": rng.integers(0, 2, BATCH),
        "soft": rng.random((BATCH, OUTPUTS)),
        "targets": rng.standard_normal((BATCH, OUTPUTS)),
    }


def clipped_log(p: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy on probabilities with the convention of engine.losses.likelihood."""
    return functional.nll_loss(torch.log(torch.clamp(p, min=exp(-100.0))), labels)


# name: the loss as it stands in a recipe, what it is given, what it is compared with, and PyTorch's loss
Case = tuple[dict[str, Any], tuple[str, ...], str, Callable[[Tensor, Tensor], Tensor]]
CASES: dict[str, Case] = {
    "softmax": ({"kind": "softmax_cross_entropy"}, ("logits", "large"), "labels", functional.cross_entropy),
    "smoothed": (
        {"kind": "softmax_cross_entropy", "label_smoothing": 0.1},
        ("logits", "large"),
        "labels",
        lambda y, t: functional.cross_entropy(y, t, label_smoothing=0.1),
    ),
    "spread": (
        {"kind": "softmax_cross_entropy", "label_smoothing": 1.0},
        ("logits",),
        "labels",
        lambda y, t: functional.cross_entropy(y, t, label_smoothing=1.0),
    ),
    "probabilities": ({"kind": "cross_entropy"}, ("probabilities", "certain"), "labels", clipped_log),
    "binary": (
        {"kind": "binary_cross_entropy"},
        ("logits", "large"),
        "soft",
        functional.binary_cross_entropy_with_logits,
    ),
    "binary_one": (
        {"kind": "binary_cross_entropy"},
        ("column",),
        "yes_or_no",
        lambda y, t: functional.binary_cross_entropy_with_logits(y, t[:, None].double()),
    ),
    "binary_probabilities": (
        {"kind": "binary_cross_entropy_on_probabilities"},
        ("probabilities", "certain"),
        "soft",
        functional.binary_cross_entropy,
    ),
    "mean": ({"kind": "mean_squared_error"}, ("values",), "targets", functional.mse_loss),
    "sum": (
        {"kind": "mean_squared_error", "convention": "sum"},
        ("values",),
        "targets",
        lambda y, t: functional.mse_loss(y, t, reduction="sum"),
    ),
    "half": (
        {"kind": "mean_squared_error", "convention": "half"},
        ("values",),
        "targets",
        lambda y, t: functional.mse_loss(y, t, reduction="sum") / (2 * len(y)),
    ),
    "absolute": ({"kind": "absolute_error"}, ("values",), "targets", functional.l1_loss),
    "huber": ({"kind": "huber"}, ("values",), "targets", functional.huber_loss),
    "huber_small": (
        {"kind": "huber", "delta": 0.3},
        ("values",),
        "targets",
        lambda y, t: functional.huber_loss(y, t, delta=0.3),
    ),
    "hinge": ({"kind": "hinge"}, ("logits", "values"), "labels", functional.multi_margin_loss),
    "hinge_wide": (
        {"kind": "hinge", "margin": 2.5},
        ("logits",),
        "labels",
        lambda y, t: functional.multi_margin_loss(y, t, margin=2.5),
    ),
}


def made() -> dict[str, Array]:
    """Inputs, and for every case and sort of input the loss and its gradient."""
    given = inputs()
    found = dict(given)
    for name, (recipe, sorts, against, loss) in CASES.items():
        found[f"{name}.spec"] = np.array(json.dumps(recipe))
        for sort in sorts:
            y = torch.tensor(given[sort], requires_grad=True)
            value = loss(y, torch.tensor(given[against]))
            value.backward()
            assert y.grad is not None
            found[f"{name}.{sort}.{against}.loss"] = np.array(value.item())
            found[f"{name}.{sort}.{against}.grad"] = y.grad.numpy()
    return found


if __name__ == "__main__":
    np.savez_compressed(HERE / "losses.npz", **made())
