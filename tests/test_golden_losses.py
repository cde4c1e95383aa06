"""Every loss against values that PyTorch made in float64 (tests/golden/make_losses.py)."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from golden_again import assert_made_alike, assert_near, kept, needs_torch

from engine.losses import AnyLoss, Loss

KEPT = kept("losses")
CASES = sorted(name.removesuffix(".loss") for name in KEPT if name.endswith(".loss"))


def built(name: str, dtype: str) -> tuple[Loss, np.ndarray, np.ndarray]:
    """A case's loss with what it is given and compared with."""
    case, sort, against = name.split(".")
    spec = msgspec.convert(json.loads(str(KEPT[f"{case}.spec"])), AnyLoss)
    y, other = KEPT[sort].astype(dtype), KEPT[against]
    labels, values = (other, None) if other.ndim == 1 else (None, other)
    targets = spec.targets(labels, values, y.shape[1], dtype)
    return spec.build(y.shape[1], len(y), dtype), y, targets


@pytest.mark.parametrize("name", CASES)
def test_a_loss_and_its_gradient_are_those_of_pytorch(name: str) -> None:
    loss, y, targets = built(name, "float64")
    assert_near(loss.forward(y, targets), KEPT[f"{name}.loss"])
    assert_near(loss.per_sample(y, targets).mean(), KEPT[f"{name}.loss"])
    gradient, wanted = loss.backward(), KEPT[f"{name}.grad"]
    unclipped = np.abs(wanted) < 1e9  # PyTorch divides by 1e-12 where a logarithm is clipped; its slope there is 0
    assert_near(gradient[unclipped], wanted[unclipped])
    assert (np.abs(gradient[~unclipped]) < 1).all()


@pytest.mark.parametrize("name", CASES)
def test_single_precision_is_near_and_finite(name: str) -> None:
    loss, y, targets = built(name, "float32")
    value, gradient = loss.forward(y, targets), loss.backward()
    assert gradient.dtype == np.float32
    assert np.isfinite(gradient).all()
    if "certain" not in name:  # clipped elsewhere in single precision
        assert_near(value, KEPT[f"{name}.loss"], 1e-5)
        assert_near(gradient, KEPT[f"{name}.grad"], 1e-5)


def test_every_kind_of_loss_has_a_golden_value() -> None:
    named = {json.loads(str(value))["kind"] for name, value in KEPT.items() if name.endswith(".spec")}
    assert named == {kind.kind() for kind in AnyLoss.__args__}


@needs_torch
def test_the_golden_values_are_what_pytorch_gives_now() -> None:
    assert_made_alike("losses")
