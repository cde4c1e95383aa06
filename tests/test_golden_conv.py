"""Layers that are sums, against values that PyTorch made in float64 (tests/golden/make_conv.py)."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from golden_again import Array, assert_made_alike, assert_near, kept, needs_torch
from layer_examples import trainer_of

from engine.layers import LayerSpec
from engine.network import Network
from engine.optimizers import SGD
from engine.recipe import Recipe

KEPT = kept("conv")


def named(ending: str) -> list[str]:
    """The cases that keep something of this name."""
    return [key.removesuffix(f"/{ending}") for key in KEPT if key.endswith(f"/{ending}")]


def part(name: str, prefix: str = "") -> dict[str, Array]:
    """What is kept of a case, of that what begins with `prefix`."""
    begins = f"{name}/{prefix}"
    return {key.removeprefix(begins): array for key, array in KEPT.items() if key.startswith(begins)}


def layers_in(text: Any) -> tuple[LayerSpec, ...]:
    """The layers of a JSON text."""
    return Recipe.from_builtins({"layers": json.loads(str(text))}).layers


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", named("spec"))
def test_the_layer_gives_pytorchs_outputs_and_gradients(name: str, dtype: str) -> None:
    case, limit = part(name), 1e-12 if dtype == "float64" else 1e-5
    recipe = Recipe.from_builtins({"layers": [json.loads(str(case["spec"])), {"kind": "flatten"}]})
    network = Network(recipe, case["x"].shape[1:], dtype)
    layer = network.at(len(case["x"])).layers[0]
    assert layer.parameters.keys() == part(name, "parameter.").keys()
    for role, tensor in part(name, "parameter.").items():
        layer.parameters[role][...] = tensor
    layer.prepare(1)
    with np.errstate(invalid="ignore"):
        assert_near(layer.forward(case["x"].astype(dtype)), case["y"], limit)
        for _ in layer.backward(case["grad_y"].astype(dtype)):
            pass
        assert_near(layer.apply(case["x"].astype(dtype)), case["inference"], limit)
    assert_near(layer.grad_x, case["grad_x"], limit)
    for role, gradient in layer.gradients.items():
        assert_near(gradient, case[f"grad_{role}"], limit)
    assert {slot.role for slot in network.buffer_slots} == part(name, "buffer.").keys()
    for slot in network.buffer_slots:
        assert_near(slot.view(network.buffers), case[f"buffer.{slot.role}"], limit)


@pytest.mark.parametrize("name", named("losses"))
def test_a_small_network_trains_as_pytorchs_does(name: str) -> None:
    case = part(name)
    trainer = trainer_of(layers_in(case["layers"]), case["x"].shape[1:])
    assert trainer.adopt(msgspec.structs.replace(trainer.recipe, optimizer=SGD(lr=0.1)))
    before, after = part(name, "before."), part(name, "after.")
    assert before.keys() == after.keys() == trainer.parameters.keys()
    trainer.set_parameters(before)
    losses = [trainer.step((case["x"], case["labels"])).scalars["loss"] for _ in case["losses"]]
    np.testing.assert_allclose(losses, case["losses"], rtol=1e-11)
    for address, wanted in after.items():
        assert_near(trainer.parameters[address], wanted, 1e-11)


@needs_torch
def test_the_golden_values_are_what_pytorch_gives_now() -> None:
    assert_made_alike("conv")
