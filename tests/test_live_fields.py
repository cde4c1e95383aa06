"""What may change in mid-run: live fields of the optimizer, the schedule, the clipping and the layers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from engine import Recipe, Trainer
from engine.recipe import only_live_fields_differ

RECIPE: dict[str, Any] = {
    "dtype": "float64",
    "data": {"kind": "blobs", "samples": 60, "classes": 3},
    "layers": [
        {"kind": "dense", "units": 5},
        {"kind": "dropout", "rate": 0.3},
        {"kind": "residual", "layers": [{"kind": "dense", "units": 5}, {"kind": "dropout", "rate": 0.2}]},
        {"kind": "dense", "units": 3},
    ],
    "optimizer": {"kind": "adam", "lr": 0.01},
    "schedule": {"kind": "step_decay", "every": 3, "gamma": 0.5},
    "clip": {"kind": "clip_by_norm", "max_norm": 1.0},
    "batch_size": 7,
}


def changed(path: str, value: Any) -> Recipe:
    """The recipe with one value replaced, at a path such as layers.0.l2."""
    raw = json.loads(json.dumps(RECIPE))
    *way, last = path.split(".")
    at = raw
    for step in way:
        at = at[int(step)] if isinstance(at, list) else at[step]
    at[int(last) if isinstance(at, list) else last] = value
    return Recipe.from_builtins(raw)


BASE = Recipe.from_builtins(RECIPE)
LIVE = {
    "optimizer.lr": 0.5,
    "optimizer.beta1": 0.5,
    "optimizer.weight_decay": 0.1,
    "schedule.gamma": 0.9,
    "schedule.every": 2,
    "clip.max_norm": 0.1,
    "layers.0.l1": 0.1,
    "layers.0.l2": 0.1,
    "layers.1.rate": 0.6,
    "layers.2.layers.1.rate": 0.7,
    "name": "another",
}
FIXED = {
    "seed": 9,
    "batch_size": 8,
    "layers.0.units": 6,
    "layers.0.bias": False,
    "optimizer": {"kind": "sgd", "lr": 0.01},
    "schedule": {"kind": "cosine"},
    "clip": {"kind": "none"},
    "loss": {"kind": "hinge"},
    "layers.1": {"kind": "relu"},
    "data": {"kind": "blobs", "samples": 61},
}


@pytest.mark.parametrize("path", LIVE)
def test_a_live_field_is_adopted_and_matters_from_the_next_step_on(path: str) -> None:
    trainer, same = Trainer(BASE), Trainer(BASE)
    for _ in range(2):
        trainer.step()
        same.step()
    new = changed(path, LIVE[path])
    assert trainer.adopt(new)
    assert trainer.recipe == new
    assert [layer.spec for layer in trainer.current.layers] == list(new.layers)
    for _ in range(4):
        trainer.step()
        same.step()
    equal = np.array_equal(trainer.network.parameters, same.network.parameters)
    assert equal == (path == "name")


@pytest.mark.parametrize("path", FIXED)
def test_what_needs_another_network_or_other_data_is_not_adopted(path: str) -> None:
    new = changed(path, FIXED[path])
    assert not only_live_fields_differ(BASE, new)
    assert only_live_fields_differ(new, new)


def test_layers_more_or_fewer_are_not_adopted() -> None:
    assert not only_live_fields_differ(BASE, changed("layers", RECIPE["layers"][:-1]))


def test_the_rate_recorded_is_the_one_that_was_used() -> None:
    trainer = Trainer(changed("clip", {"kind": "none"}))
    assert [trainer.step().scalars["lr"] for _ in range(7)] == [0.01] * 3 + [0.005] * 3 + [0.0025]
    plain = Trainer(Recipe.from_builtins({**RECIPE, "clip": {"kind": "none"}, "optimizer": {"kind": "sgd", "lr": 0.4}}))
    for _ in range(5):
        before, scalars = plain.parameters, plain.step().scalars
        for address, gradient in plain.gradients.items():
            np.testing.assert_allclose(
                plain.parameters[address], before[address] - scalars["lr"] * gradient, rtol=0, atol=1e-15
            )


@pytest.mark.parametrize(
    ("clip", "most"),
    [({"kind": "clip_by_norm", "max_norm": 0.01}, 0.01), ({"kind": "clip_by_value", "limit": 1e-3}, 1)],
)
def test_the_optimizer_gets_the_clipped_gradient_and_it_is_what_is_recorded(clip: dict[str, Any], most: float) -> None:
    trainer, free = Trainer(changed("clip", clip)), Trainer(changed("clip", {"kind": "none"}))
    frame = trainer.step()
    free.step()
    norm = np.linalg.norm(trainer.network.gradients)
    assert norm <= most
    assert norm < np.linalg.norm(free.network.gradients)
    if clip["kind"] == "clip_by_value":
        assert np.abs(trainer.network.gradients).max() == 1e-3
    recorded = [value for name, value in frame.scalars.items() if name.startswith("gradient.")]
    assert np.linalg.norm(recorded) == pytest.approx(norm)


def test_a_run_goes_on_bit_for_bit_in_the_middle_of_a_schedule() -> None:
    recipe = changed("schedule", {"kind": "one_cycle", "steps": 12})
    trainer = Trainer(recipe)
    for _ in range(5):
        trainer.step()
    other = Trainer(recipe)
    other.restore(trainer.state())
    for _ in range(5):
        trainer.step()
        other.step()
    assert trainer.network.parameters.tobytes() == other.network.parameters.tobytes()
    assert trainer.record.tobytes() == other.record.tobytes()


@pytest.mark.parametrize("kind", ["sgd", "adagrad", "rmsprop", "adam", "adamw"])
def test_an_optimizer_allocates_no_array(kind: str) -> None:
    import tracemalloc

    from engine.optimizers import AnyOptimizer

    found = next(k for k in AnyOptimizer.__args__ if k.kind() == kind)
    fields = {"weight_decay": 0.1} | ({"momentum": 0.9} if kind in ("sgd", "rmsprop") else {})
    optimizer = found(**fields | ({"nesterov": True} if kind == "sgd" else {}))
    gradient, parameters, update = np.ones((3, 100_000))
    slots = np.zeros((optimizer.slots, 100_000))
    optimizer.update(gradient, parameters, update, slots, 1, 0.1)
    tracemalloc.start()
    optimizer.update(gradient, parameters, update, slots, 2, 0.1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 70_000
