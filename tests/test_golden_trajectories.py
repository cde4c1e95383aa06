"""Ten whole trainings against those that PyTorch made in float64 (tests/golden/make_trajectories.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest
from golden_again import Array, assert_near, kept, made_again, needs_torch

from engine.clipping import AnyClipping
from engine.datasets import Samples
from engine.layers import KINDS
from engine.losses import AnyLoss
from engine.optimizers import AnyOptimizer
from engine.recipe import Recipe
from engine.schedules import AnySchedule
from engine.trainer import Trainer

KEPT = kept("trajectories")
STEPS = KEPT["steps"].tolist()
NAMES = [name.removesuffix(".recipe") for name in KEPT if name.endswith(".recipe")]
each_trajectory = pytest.mark.parametrize("name", NAMES)


@dataclass(frozen=True)
class Task:
    """What a trajectory learns, as data. Not a kind anyone can choose."""

    name: str
    validation: float = 0.0
    shuffle: bool = False
    drop_last: bool = False

    def load(self, rng: np.random.Generator) -> Samples:
        """x (96, in), and labels (96,) or values (96, K)."""
        t = KEPT[f"task.{self.name}.t"]
        classes = tuple(map(str, range(t.max() + 1))) if t.ndim == 1 else ()
        labels, values = (t, None) if t.ndim == 1 else (None, t)
        return Samples(KEPT[f"task.{self.name}"], labels, classes, values)


def described(name: str) -> dict[str, Any]:
    """A trajectory's recipe, but for the data."""
    return dict(json.loads(str(KEPT[f"{name}.recipe"])))


def trainer_of(name: str, dtype: str = "float64") -> Trainer:
    """The trainer of a trajectory with the first weights that are kept."""
    recipe = Recipe.from_builtins(described(name) | {"dtype": dtype})
    trainer = Trainer(msgspec.structs.replace(recipe, data=Task(str(KEPT[f"{name}.task"]))))  # type: ignore[arg-type]
    trainer.set_parameters(golden(name, "start"))
    return trainer


def golden(name: str, *what: str) -> dict[str, Array]:
    """Kept tensors by address."""
    prefix = ".".join((name, *what, ""))
    return {key.removeprefix(prefix): value for key, value in KEPT.items() if key.startswith(prefix)}


def batches(name: str) -> Iterator[tuple[Array, Array]]:
    """Every mini-batch of a trajectory."""
    x, t = KEPT[f"task.{KEPT[f'{name}.task']}"], KEPT[f"task.{KEPT[f'{name}.task']}.t"]
    return ((x[chosen], t[chosen]) for chosen in KEPT["order"])


@dataclass(frozen=True)
class Snapshot:
    """A step of the engine: tensors by address after it, and all that the trainer held before it."""

    parameters: dict[str, Array]
    gradients: dict[str, Array]
    buffers: dict[str, Array]
    store_before: Array
    buffers_before: Array
    batch: tuple[Array, Array]


@cache
def trained(name: str) -> tuple[Trainer, Array, dict[int, Snapshot]]:
    """The engine's trainer after 1,000 mini-batches, the loss of each, and those steps that PyTorch's are kept of."""
    trainer, losses, steps = trainer_of(name), [], {}
    network = trainer.network
    for step, batch in enumerate(batches(name), 1):
        before = (network.store.copy(), network.buffers.copy()) if step in STEPS else None
        losses.append(trainer.step(batch).scalars["loss"])
        if before is not None:
            buffers = {slot.address: slot.view(network.buffers).copy() for slot in network.buffer_slots}
            steps[step] = Snapshot(trainer.parameters, trainer.gradients, buffers, *before, batch)
    return trainer, np.array(losses), steps


@each_trajectory
def test_every_parameter_is_pytorchs_after_1_and_10_and_100_and_1000_steps(name: str) -> None:
    for step, found in trained(name)[2].items():
        wanted = golden(name, str(step), "parameter")
        assert found.parameters.keys() == wanted.keys()
        for address, parameter in wanted.items():
            assert_near(found.parameters[address], parameter, 1e-9, each=True)


@each_trajectory
def test_what_the_optimizer_gets_and_what_batch_norm_keeps_are_pytorchs(name: str) -> None:
    for step, found in trained(name)[2].items():
        for address, gradient in golden(name, str(step), "gradient").items():
            assert_near(found.gradients[address], gradient, 1e-9)
        wanted = golden(name, str(step), "buffer")
        assert found.buffers.keys() == wanted.keys()
        for address, buffer in wanted.items():
            assert_near(found.buffers[address], buffer, 1e-9, each=True)


@each_trajectory
def test_every_loss_on_the_way_is_pytorchs_and_they_fall(name: str) -> None:
    losses = trained(name)[1]
    assert_near(losses, KEPT[f"{name}.losses"], 1e-9, each=True)
    assert losses[-50:].mean() < 0.5 * losses[:50].mean()


@each_trajectory
def test_the_trained_network_gives_what_pytorchs_gives_in_inference(name: str) -> None:
    trainer = trained(name)[0]
    assert_near(trainer.network.apply(trainer.x), KEPT[f"{name}.outputs"], 1e-9)


def compare(found: dict[str, Array], wanted: dict[str, Array], what: tuple[int, str]) -> None:
    """Assert that float32 tensors are within 1e-5 of float64 ones, by their norms."""
    for address, value in wanted.items():
        assert found[address].dtype == np.float32
        assert np.linalg.norm(found[address] - value) <= 1e-5 * np.linalg.norm(value), (*what, address)


@each_trajectory
def test_a_step_in_float32_is_within_1e_5_of_pytorchs_in_float64(name: str) -> None:
    trainer = trainer_of(name, "float32")
    network = trainer.network
    for step, before in trained(name)[2].items():
        network.store[...], network.buffers[...] = before.store_before, before.buffers_before
        trainer.step_count = step - 1
        trainer.step(before.batch)
        after, parameters = golden(name, str(step), "parameter"), network.views(before.store_before[0])
        compare(trainer.parameters, after, (step, "parameter"))
        compare(trainer.gradients, golden(name, str(step), "gradient"), (step, "gradient"))
        moved = {address: wanted - parameters[address] for address, wanted in after.items()}
        compare(network.views(network.updates), moved, (step, "update"))


def kinds_in(part: Any) -> Iterator[str]:
    """Every kind named in a recipe, or in a part of one."""
    if isinstance(part, dict):
        yield from (part["kind"],) if "kind" in part else ()
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from kinds_in(inner)


@pytest.mark.parametrize(
    ("field", "kinds"),
    [
        ("layers", KINDS),
        ("loss", AnyLoss.__args__),
        ("optimizer", AnyOptimizer.__args__),
        ("schedule", AnySchedule.__args__),
        ("clip", AnyClipping.__args__),
    ],
)
def test_every_kind_is_in_a_trajectory(field: str, kinds: tuple[Any, ...]) -> None:
    used = {kind for name in NAMES for kind in kinds_in(described(name).get(field))}
    assert used == {kind.kind() for kind in kinds} - {"custom", "off"}  # the user's code; y = x


def test_every_kind_of_layer_has_golden_values_of_its_own() -> None:
    cases = kept("layers") | kept("conv")
    used = {kind for name, spec in cases.items() if name.endswith("/spec") for kind in kinds_in(json.loads(str(spec)))}
    assert used == {kind.kind() for kind in KINDS} - {"custom", "off"}


@needs_torch
@pytest.mark.parametrize("steps", [100, pytest.param(1000, marks=pytest.mark.campaign)])
def test_pytorch_trains_today_as_it_did(steps: int) -> None:
    for name, value in made_again("trajectories", steps=steps).items():
        if name.endswith(".losses"):
            assert_near(value, KEPT[name][:steps], 1e-9, each=True)
        elif value.dtype.kind == "U":
            assert value == KEPT[name], name
        elif name != "steps" and (steps == len(KEPT["order"]) or not name.endswith(".outputs")):
            assert_near(value, KEPT[name], 1e-9)
