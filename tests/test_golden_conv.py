"""Convolution, pooling and residual blocks against values that PyTorch made in float64 (tests/golden/make_conv.py)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from layer_examples import trainer_of

from engine.layers import LayerSpec
from engine.layers.activations import ReLU, Tanh
from engine.layers.conv import Conv2D
from engine.layers.dense import Dense
from engine.layers.pool import AvgPool2D, GlobalAvgPool, MaxPool2D
from engine.layers.reshape import Flatten
from engine.layers.residual import Residual
from engine.network import Network
from engine.optimizers import SGD
from engine.recipe import Recipe

Array = np.ndarray[Any, Any]
GOLDEN = Path(__file__).parent / "golden"
KEPT: dict[str, Array] = dict(np.load(GOLDEN / "conv.npz"))
SPECS: dict[str, dict[str, Any]] = {
    "plain": {"kind": "conv2d", "filters": 3},
    "stride": {"kind": "conv2d", "filters": 2, "stride": 2},
    "padding": {"kind": "conv2d", "filters": 3, "padding": 2},
    "dilation": {"kind": "conv2d", "filters": 2, "dilation": 2},
    "pointwise": {"kind": "conv2d", "filters": 5, "kernel": 1},
    "no_bias": {"kind": "conv2d", "filters": 2, "bias": False},
    "all_at_once": {"kind": "conv2d", "filters": 3, "kernel": 2, "stride": 3, "padding": 1, "dilation": 3},
    "max": {"kind": "max_pool2d"},
    "max.odd": {"kind": "max_pool2d"},
    "max_overlapping": {"kind": "max_pool2d", "kernel": 3, "stride": 2, "padding": 1},
    "max_overlapping.odd": {"kind": "max_pool2d", "kernel": 3, "stride": 2, "padding": 1},
    "mean": {"kind": "avg_pool2d"},
    "mean.odd": {"kind": "avg_pool2d"},
    "mean_overlapping": {"kind": "avg_pool2d", "kernel": 3, "stride": 2, "padding": 1},
    "mean_overlapping.odd": {"kind": "avg_pool2d", "kernel": 3, "stride": 2, "padding": 1},
    "global": {"kind": "global_avg_pool"},
}
STACK = (
    Conv2D(filters=3, padding=1), ReLU(), MaxPool2D(),
    Conv2D(filters=5, kernel=2), Tanh(), AvgPool2D(kernel=2, stride=1),
    Flatten(), Dense(units=3),
)  # fmt: skip
# Layer for layer what make_conv.residual_net is.
RESIDUAL_STACK = (
    Residual(layers=(Conv2D(filters=2, padding=1), Tanh())),
    Residual(
        layers=(Conv2D(filters=3, stride=2, padding=1), ReLU(), Conv2D(filters=3, padding=1)), projection=True
    ),
    GlobalAvgPool(), Flatten(),
    Residual(layers=(Dense(units=5), Tanh()), projection=True),
    Dense(units=3),
)  # fmt: skip
STACKS: dict[str, tuple[LayerSpec, ...]] = {"training": STACK, "residual": RESIDUAL_STACK}


def assert_near(found: Array, wanted: Array, limit: float) -> None:
    """Same shape, same NaN and infinities, and else a difference of at most `limit` times the largest entry."""
    assert found.shape == wanted.shape
    plain = np.isfinite(wanted)
    np.testing.assert_array_equal(found[~plain], wanted[~plain])
    size = np.abs(wanted[plain]).max(initial=1e-300)
    assert np.abs(found[plain] - wanted[plain]).max(initial=0.0) <= limit * size


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", SPECS)
def test_the_layer_gives_pytorchs_outputs_and_gradients(name: str, dtype: str) -> None:
    kept = {role: array for key, array in KEPT.items() for case, _, role in [key.rpartition(".")] if case == name}
    recipe = Recipe.from_builtins({"layers": [SPECS[name], {"kind": "flatten"}]})
    layer = Network(recipe, kept["x"].shape[1:], dtype).at(len(kept["x"])).layers[0]
    for role, tensor in layer.parameters.items():
        tensor[...] = kept[role]
    limit = 1e-12 if dtype == "float64" else 1e-5
    with np.errstate(invalid="ignore"):
        assert_near(layer.forward(kept["x"].astype(dtype)), kept["y"], limit)
        for _ in layer.backward(kept["grad_y"].astype(dtype)):
            pass
    assert_near(layer.grad_x, kept["grad_x"], limit)
    assert {"W", "b"} & set(kept) == set(layer.gradients)
    for role, gradient in layer.gradients.items():
        assert_near(gradient, kept[f"grad_{role}"], limit)


def kept_parameters(name: str, when: str) -> dict[str, Array]:
    """A golden network's parameters under our addresses: "1.block.0.weight" is "1.0.W", a matrix lies transposed."""
    found = {}
    for key, array in KEPT.items():
        if key.startswith(f"{name}.{when}."):
            address = key.removeprefix(f"{name}.{when}.").replace("block.", "")
            address = address.replace("weight", "W").replace("bias", "b")
            found[address] = array.T if array.ndim == 2 else array
    return found


@pytest.mark.parametrize("name", STACKS)
def test_a_small_network_trains_as_pytorchs_does(name: str) -> None:
    trainer = trainer_of(STACKS[name], (2, 9, 8))
    assert trainer.adopt(msgspec.structs.replace(trainer.recipe, optimizer=SGD(lr=0.1)))
    before, after = kept_parameters(name, "before"), kept_parameters(name, "after")
    assert before.keys() == after.keys() == trainer.parameters.keys()
    trainer.set_parameters(before)
    batch = KEPT[f"{name}.x"], KEPT[f"{name}.labels"]
    losses = [trainer.step(batch).scalars["loss"] for _ in KEPT[f"{name}.losses"]]
    np.testing.assert_allclose(losses, KEPT[f"{name}.losses"], rtol=1e-11)
    for address, wanted in after.items():
        assert_near(trainer.parameters[address], wanted, 1e-11)


def test_pytorch_still_gives_the_values_that_are_kept() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed; the values it made are compared without it")
    found = importlib.util.spec_from_file_location("make_conv", GOLDEN / "make_conv.py")
    assert found is not None
    assert found.loader is not None
    script = importlib.util.module_from_spec(found)
    found.loader.exec_module(script)
    made = script.values()
    assert made.keys() == KEPT.keys()
    assert {name: case[0] for name, case in script.CASES.items()} == {n: s for n, s in SPECS.items() if ".odd" not in n}
    for name, array in made.items():
        np.testing.assert_allclose(array, KEPT[name], rtol=1e-10, atol=1e-12, err_msg=name)
