"""Makes losses.npz: losses as PyTorch computes them in float64. Run it where PyTorch is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import in_torch
import numpy as np
import torch

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


# name: the loss as it stands in a recipe, what it is given, what it is compared with
CASES: dict[str, tuple[in_torch.Spec, tuple[str, ...], str]] = {
    "softmax": ({"kind": "softmax_cross_entropy"}, ("logits", "large"), "labels"),
    "smoothed": ({"kind": "softmax_cross_entropy", "label_smoothing": 0.1}, ("logits", "large"), "labels"),
    "spread": ({"kind": "softmax_cross_entropy", "label_smoothing": 1.0}, ("logits",), "labels"),
    "probabilities": ({"kind": "cross_entropy"}, ("probabilities", "certain"), "labels"),
    "binary": ({"kind": "binary_cross_entropy"}, ("logits", "large"), "soft"),
    "binary_one": ({"kind": "binary_cross_entropy"}, ("column",), "yes_or_no"),
    "binary_probabilities": (
        {"kind": "binary_cross_entropy_on_probabilities"},
        ("probabilities", "certain"),
        "soft",
    ),
    "mean": ({"kind": "mean_squared_error"}, ("values",), "targets"),
    "sum": ({"kind": "mean_squared_error", "convention": "sum"}, ("values",), "targets"),
    "half": ({"kind": "mean_squared_error", "convention": "half"}, ("values",), "targets"),
    "absolute": ({"kind": "absolute_error"}, ("values",), "targets"),
    "huber": ({"kind": "huber"}, ("values",), "targets"),
    "huber_small": ({"kind": "huber", "delta": 0.3}, ("values",), "targets"),
    "hinge": ({"kind": "hinge"}, ("logits", "values"), "labels"),
    "hinge_wide": ({"kind": "hinge", "margin": 2.5}, ("logits",), "labels"),
}


def made() -> dict[str, Array]:
    """Inputs, and for every case and sort of input the loss and its gradient."""
    given = inputs()
    found = dict(given)
    for name, (spec, sorts, against) in CASES.items():
        found[f"{name}.spec"] = np.array(json.dumps(spec))
        for sort in sorts:
            y = torch.tensor(given[sort], requires_grad=True)
            value = in_torch.loss(spec, y, torch.tensor(given[against]))
            value.backward()
            assert y.grad is not None
            found[f"{name}.{sort}.{against}.loss"] = np.array(value.item())
            found[f"{name}.{sort}.{against}.grad"] = y.grad.numpy()
    return found


if __name__ == "__main__":
    np.savez_compressed(HERE / "losses.npz", **made())
