"""Optimizers, schedules and clipping against values that PyTorch made in float64 (tests/golden/make_optimizers.py)."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from golden_again import assert_made_alike, assert_near, kept, needs_torch

from engine.clipping import AnyClipping
from engine.optimizers import AnyOptimizer
from engine.schedules import AnySchedule

KEPT = kept("optimizers")


def cases(family: str) -> Any:
    """The names of a family's cases, as a parametrisation."""
    names = [n.split(".")[1] for n in KEPT if n.startswith(f"{family}.") and n.endswith(".spec")]
    return pytest.mark.parametrize("name", names)


def described(family: str, name: str) -> Any:
    """A case as it stands in a recipe."""
    return json.loads(str(KEPT[f"{family}.{name}.spec"]))


@cases("optimizer")
def test_a_thousand_updates_are_those_of_pytorch(name: str) -> None:
    optimizer = msgspec.convert(described("optimizer", name), AnyOptimizer)
    theta, gradients = KEPT["start"].copy(), KEPT["gradients"]
    update, slots = np.zeros_like(theta), np.zeros((optimizer.slots, theta.size))
    kept_steps = KEPT["steps"].tolist()
    for step, gradient in enumerate(gradients, 1):
        before, given = theta.copy(), gradient.copy()
        optimizer.update(given, theta, update, slots, step, optimizer.lr)
        assert (theta == before).all()
        assert (given == gradient).all()
        theta += update
        if step in kept_steps:
            assert_near(theta, KEPT[f"optimizer.{name}.values"][kept_steps.index(step)], each=True)


@cases("schedule")
def test_the_rate_of_every_mini_batch_is_that_of_pytorchs_scheduler(name: str) -> None:
    schedule = msgspec.convert(described("schedule", name), AnySchedule)
    wanted = KEPT[f"schedule.{name}.values"]
    assert_near([schedule.rate(0.4, done) for done in range(len(wanted))], wanted)


@cases("clip")
def test_clipped_gradients_are_those_of_pytorch(name: str) -> None:
    gradient = KEPT["gradients"][3].copy()
    msgspec.convert(described("clip", name), AnyClipping).clip(gradient)
    assert_near(gradient, KEPT[f"clip.{name}.values"])


@pytest.mark.parametrize(
    ("family", "union"), [("optimizer", AnyOptimizer), ("schedule", AnySchedule), ("clip", AnyClipping)]
)
def test_every_kind_has_a_golden_value(family: str, union: Any) -> None:
    named = {json.loads(str(v))["kind"] for n, v in KEPT.items() if n.startswith(family) and n.endswith(".spec")}
    assert named | {"none"} == {kind.kind() for kind in union.__args__} | {"none"}


@needs_torch
def test_the_golden_values_are_what_pytorch_gives_now() -> None:
    assert_made_alike("optimizers")
