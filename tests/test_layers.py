"""Every layer kind and loss alone: its backward against differences of its forward, and the promises it makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_examples import LOSSES, away_from_zero, built, network_around, placed, trainer_of

from engine import layers
from engine.contracts import backward, layer_contracts, loss_contracts
from engine.layers.custom import Custom

Array = np.ndarray[Any, Any]
every_kind = pytest.mark.parametrize("kind", layers.KINDS, ids=lambda kind: kind.kind())
every_loss = pytest.mark.parametrize("kind", LOSSES, ids=lambda kind: kind.kind())
draws = settings(max_examples=12, deadline=None)
batches, seeds = st.integers(1, 5), st.integers(0, 10**6)


def central_differences(value: Callable[[], float], tensor: Array) -> Array:
    """∂value/∂tensor, one entry after the other, h = 6e-6·max(1, |θ|)."""
    found, flat = np.zeros(tensor.size), tensor.reshape(-1)
    for i, at in enumerate(flat.tolist()):
        h = 6e-6 * max(1.0, abs(at))
        flat[i] = at + h
        up, reached = value(), flat[i]
        flat[i] = at - h
        found[i] = (up - value()) / (reached - flat[i])
        flat[i] = at
    return found.reshape(tensor.shape)


def distance(one: Array, other: Array) -> float:
    """‖a − n‖ / (‖a‖ + ‖n‖), the divisor at least 1e-3: what is smaller drowns in the rounding of a difference."""
    size = float(np.linalg.norm(one) + np.linalg.norm(other))
    return float(np.linalg.norm(one - other)) / max(size, 1e-3)


@every_kind
@draws
@given(data=st.data(), batch=batches, seed=seeds)
def test_a_layers_gradients_are_those_of_its_forward(kind: Any, data: st.DataObject, batch: int, seed: int) -> None:
    spec, shape = data.draw(placed(kind))
    layer, rng = built(spec, shape, batch, seed), np.random.default_rng(seed)
    x = away_from_zero(rng, (batch, *shape))
    upstream = rng.standard_normal(layer.forward(x).shape)
    analytic = backward(layer, upstream)
    for role, tensor in (layer.parameters | {"x": x}).items():
        numeric = central_differences(lambda: float((upstream * layer.replay(x, 1)).sum()), tensor)
        assert distance(analytic[role], numeric) <= 1e-7, role


@every_kind
@draws
@given(data=st.data(), batch=batches, seed=seeds)
def test_a_layer_keeps_its_contracts(kind: Any, data: st.DataObject, batch: int, seed: int) -> None:
    spec, shape = data.draw(placed(kind))
    layer, rng = built(spec, shape, batch, seed), np.random.default_rng(seed)
    x = rng.standard_normal((batch, *shape))
    assert list(layer_contracts(layer, x, rng.standard_normal(layer.forward(x).shape))) == []


@every_kind
@draws
@given(data=st.data(), copies=batches, seed=seeds)
def test_many_mini_batches_at_once_give_what_each_gives_alone(
    kind: Any, data: st.DataObject, copies: int, seed: int
) -> None:
    spec, shape = data.draw(placed(kind))
    layer, rng = built(spec, shape, 3, seed), np.random.default_rng(seed)
    x = rng.standard_normal((copies * 3, *shape))
    alone = np.concatenate([layer.replay(batch, 1) for batch in x.reshape(copies, 3, *shape)])
    np.testing.assert_allclose(layer.replay(x, copies), alone, rtol=1e-12, atol=1e-13)
    if layer.rowwise:
        rows = np.concatenate([layer.apply(row[None]) for row in x])
        np.testing.assert_allclose(layer.apply(x), rows, rtol=1e-12, atol=1e-13)


@every_kind
@draws
@given(data=st.data(), seed=seeds)
def test_where_the_slope_jumps_the_layer_says_that_it_decides_otherwise(
    kind: Any, data: st.DataObject, seed: int
) -> None:
    spec, shape = data.draw(placed(kind))
    layer, rng = built(spec, shape, 1, seed), np.random.default_rng(seed)
    x = np.round(rng.standard_normal((1, *shape)))  # zeros and ties are common
    towards, h = rng.standard_normal(x.shape), 1e-4
    here, up, down = layer.replay(x, 1), layer.replay(x + h * towards, 1), layer.replay(x - h * towards, 1)
    jump = np.abs((up - here) - (here - down)).max() / h
    sides = [layer.decisions(x + h * towards), layer.decisions(x), layer.decisions(x - h * towards)]
    if sides[1] is None or all(np.array_equal(sides[1], side) for side in sides):
        assert jump < 0.05
    assert sides[1] is None or len(sides[1]) == 1


@every_kind
@draws
@given(data=st.data(), seed=seeds)
def test_backward_yields_the_parts_its_spec_names(kind: Any, data: st.DataObject, seed: int) -> None:
    spec, shape = data.draw(placed(kind))
    layer = built(spec, shape, 2, seed)
    y = layer.forward(np.random.default_rng(seed).standard_normal((2, *shape)))
    named = list(spec.backward_parts(shape))
    assert sorted(named) == sorted([*(f"grad_{role}" for role in layer.parameters), "grad_x"])
    assert list(layer.backward(np.ones_like(y))) == named
    told = ("grad_x",) if kind is Custom else named  # of own code only the file tells more
    assert set(spec.formulas) >= {"forward", *told}


@every_kind
@draws
@given(data=st.data(), deep=st.booleans())
def test_buffers_are_made_once_and_used_at_every_step(kind: Any, data: st.DataObject, deep: bool) -> None:
    spec, shape = data.draw(placed(kind))
    trainer = trainer_of(network_around(spec, shape, deep), shape, batch=4)
    trainer.needs_input_gradient = True

    def places() -> list[int]:
        trainer.step()
        run = trainer.current
        arrays = [a for layer in run.layers for a in (layer.y, layer.grad_x, *layer.gradients.values())]
        return [array.__array_interface__["data"][0] for array in (*arrays, run.loss.grad_y)]

    assert places() == places()


@every_loss
@draws
@given(batch=batches, outputs=st.integers(2, 5), seed=seeds)
def test_a_losss_gradient_is_that_of_its_mean(kind: Any, batch: int, outputs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    spec, labels = kind(), rng.integers(0, outputs, batch)
    values = rng.standard_normal((batch, outputs)) if spec.takes == "values" else rng.random((batch, outputs))
    targets = spec.targets(labels, None if spec.needs_classes else values, outputs, "f8")
    loss, y = spec.build(outputs, batch, "f8"), rng.standard_normal((batch, outputs))
    if spec.takes == "probabilities":
        y = 0.1 + 0.8 / (1 + np.exp(-y))
    value = loss.forward(y, targets)
    assert value == pytest.approx(float(loss.per_sample(y, targets).mean()), rel=1e-12)
    analytic = loss.backward().copy()
    numeric = central_differences(lambda: float(loss.per_sample(y, targets).mean()), y)
    assert distance(analytic, numeric) <= 1e-7
    assert list(loss_contracts(loss, y, targets)) == []
