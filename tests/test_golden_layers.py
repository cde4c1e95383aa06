"""Norms, dropout, activations and softmax give PyTorch's numbers: outputs, all gradients, running statistics."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from golden_again import kept, made_again, needs_torch

from engine.contracts import backward
from engine.layers.dropout import DropoutLayer
from engine.network import Network
from engine.recipe import Recipe

VALUES = kept("layers")
NAMES = sorted({name.partition("/")[0] for name in VALUES})
EXACT = {"rtol": 1e-12, "atol": 1e-15}


def case_of(name: str) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of one case by role."""
    return {role.partition("/")[2]: array for role, array in VALUES.items() if role.startswith(f"{name}/")}


def network_of(case: dict[str, np.ndarray[Any, Any]], dtype: str = "float64") -> Network:
    """The layer of a case in a network, with the case's parameters."""
    layers = [json.loads(str(case["spec"])), {"kind": "flatten"}]
    network = Network(Recipe.from_builtins({"layers": layers}), case["x"].shape[2:], dtype)
    for address, view in network.views(network.parameters).items():
        view[...] = case[f"parameter.{address.partition('.')[2]}"]
    return network


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_gives_what_pytorch_gives(name: str) -> None:
    case = case_of(name)
    network = network_of(case)
    layer = network.at(case["x"].shape[1]).layers[0]
    for step, (x, wanted) in enumerate(zip(case["x"], case["y"], strict=True)):
        if isinstance(layer, DropoutLayer):
            layer.mask = case["mask"][step]
        np.testing.assert_allclose(layer.forward(x), wanted, **EXACT)
    for role, gradient in backward(layer, case["grad_y"][-1]).items():
        np.testing.assert_allclose(gradient, case[f"grad_{role}"], err_msg=role, **EXACT)
    for slot in network.buffer_slots:
        np.testing.assert_allclose(slot.view(network.buffers), case[f"buffer.{slot.role}"], **EXACT)
    np.testing.assert_allclose(layer.apply(x), case["inference"], **EXACT)
    np.testing.assert_allclose(layer.apply(x, np.empty_like(layer.y)), case["inference"], **EXACT)


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_in_float32_is_as_near_as_float32_can_be(name: str) -> None:
    case = case_of(name)
    layer = network_of(case, "float32").at(case["x"].shape[1]).layers[0]
    if isinstance(layer, DropoutLayer):
        layer.mask = case["mask"][-1].astype("f4")
    y = layer.forward(case["x"][-1].astype("f4"))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, case["y"][-1], rtol=1e-5, atol=1e-5)
    for role, gradient in backward(layer, case["grad_y"][-1].astype("f4")).items():
        assert gradient.dtype == np.float32
        wanted = case[f"grad_{role}"]
        assert np.linalg.norm(gradient - wanted) <= 1e-5 * np.linalg.norm(wanted), role


@needs_torch
def test_the_values_are_those_that_pytorch_gives_today() -> None:
    again = made_again("layers")
    assert again.keys() == VALUES.keys()
    for name, array in again.items():
        if array.dtype.kind == "U":
            assert array == VALUES[name], name
        else:
            np.testing.assert_allclose(array, VALUES[name], err_msg=name, rtol=1e-12, atol=1e-14)
