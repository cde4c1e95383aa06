"""Dropout: how much it drops, when it draws, and that a step replayed drops the same."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from layer_examples import trainer_of

from engine import gradcheck
from engine.contracts import backward
from engine.layers.activations import Tanh
from engine.layers.dense import Dense
from engine.layers.dropout import Dropout, DropoutLayer
from engine.network import Network
from engine.recipe import Recipe
from engine.trainer import Trainer


def trainer(rate: float = 0.4, **changes: object) -> Trainer:
    """A small network with two dropouts; the last mini-batch of an epoch is short."""
    stack = (Dense(units=8), Dropout(rate=rate), Tanh(), Dropout(rate=rate), Dense(units=3))
    return trainer_of(stack, (4,), **{"batch": 5, "count": 12, **changes})  # type: ignore[arg-type]


def mask_of(training: Trainer, layer: int = 1) -> np.ndarray:
    """The mask of the present mini-batch."""
    found = training.current.layers[layer]
    assert isinstance(found, DropoutLayer)
    return found.mask.copy()


def lone(rate: float, size: int = 100_000, dtype: str = "float64") -> DropoutLayer:
    """A dropout alone, on one sample of `size` features."""
    layer = Network(Recipe(layers=(Dropout(rate=rate),)), (size,), dtype).at(1).layers[0]
    assert isinstance(layer, DropoutLayer)
    return layer


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.97])
def test_the_share_that_is_kept_is_1_minus_rate_and_the_mean_stays(rate: float) -> None:
    layer = lone(rate)
    layer.prepare(1)
    kept = layer.mask != 0
    np.testing.assert_allclose(layer.mask[kept], 1 / (1 - rate), rtol=1e-15)
    spread = np.sqrt(rate * (1 - rate) / kept.size)
    assert abs(kept.mean() - (1 - rate)) <= 5 * spread
    assert abs(layer.forward(np.ones((1, kept.size))).mean() - 1) <= 5 * spread / (1 - rate)


def test_what_is_dropped_gets_no_gradient_and_the_rest_grows() -> None:
    layer = lone(0.25, 1000)
    layer.prepare(3)
    y = layer.forward(np.ones((1, 1000)))
    np.testing.assert_array_equal(backward(layer, np.full((1, 1000), 2.0))["x"], 2 * y)
    assert set(np.unique(y)) == {0.0, 1 / 0.75}


def test_inference_lets_everything_through() -> None:
    training = trainer()
    training.step()
    layer, x = training.current.layers[1], np.random.default_rng(0).standard_normal((3, 8))
    np.testing.assert_array_equal(layer.apply(x), x)
    np.testing.assert_array_equal(layer.apply(x, np.empty_like(x)), x)
    plain = trainer(0.0)
    plain.set_parameters(training.parameters)
    np.testing.assert_array_equal(training.predict(training.x), plain.predict(training.x))


def test_masks_differ_from_step_to_step_and_from_layer_to_layer_and_from_seed_to_seed() -> None:
    training, other = trainer(), trainer(seed=1)
    training.step()
    other.step()
    first = mask_of(training)
    assert not np.array_equal(first, mask_of(training, 3))
    assert not np.array_equal(first, mask_of(other))
    training.step()
    assert not np.array_equal(first, mask_of(training))


def test_masks_of_different_steps_and_layers_have_nothing_to_do_with_each_other() -> None:
    masks = []
    for key in ((0, 0), (0, 1), (1, 0), (0, 0, 0)):
        layer = lone(0.5, 20_000)
        layer.stream_key = key
        for step in (1, 2, 3):
            layer.prepare(step)
            masks.append(layer.mask[0] - 1)
    correlation = np.corrcoef(masks) - np.eye(len(masks))
    assert np.abs(correlation).max() < 5 / np.sqrt(20_000)
    for moved in (1, 2, 4, 8, 16):  # the numbers of one step are not those of another moved on
        between = np.corrcoef([mask[moved:] for mask in masks], [mask[:-moved] for mask in masks])
        assert np.abs(between[: len(masks), len(masks) :]).max() < 5 / np.sqrt(20_000 - moved)


def test_a_step_replayed_drops_the_same_entries() -> None:
    training = trainer()
    training.step()
    state = training.state()
    training.step()
    wanted, after = mask_of(training), training.state()
    for _ in range(3):
        training.step()
    training.restore(state)
    training.step()
    np.testing.assert_array_equal(mask_of(training), wanted)
    assert training.state() == after


def test_looking_on_in_between_does_not_change_what_is_dropped() -> None:
    one, other = trainer(), trainer()
    for _ in range(4):
        one.step()
        other.step()
        other.predict(other.x)
        other.evaluate("training")
        gradcheck.check(other, mode="projected")
        other.network.at(2)
    assert one.state() == other.state()


def test_the_rate_may_change_in_mid_run() -> None:
    training = trainer()
    training.step()
    layers = list(training.recipe.layers)
    layers[1] = Dropout(rate=0.0)
    assert training.adopt(msgspec.structs.replace(training.recipe, layers=tuple(layers)))
    assert (mask_of(training) == 0).any(), "the mini-batch in work keeps its mask"
    training.step()
    assert (mask_of(training) == 1).all()
    assert (mask_of(training, 3) == 0).any()


def test_float32_and_float64_networks_drop_the_same_entries() -> None:
    masks = []
    for dtype in ("float32", "float64"):
        layer = lone(0.3, 1000, dtype)
        layer.prepare(7)
        masks.append(layer.mask != 0)
    np.testing.assert_array_equal(*masks)


@pytest.mark.parametrize("mode", ["full", "sampled", "projected"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [1, 5])
def test_the_gradient_check_passes_before_a_mini_batch_and_in_it(mode: gradcheck.Mode, dtype: str, batch: int) -> None:
    training = trainer(dtype=dtype, batch=batch)
    assert gradcheck.check(training, mode=mode).verdict == "pass"
    for phase in training.phases():
        if phase.kind == "loss":
            break
    assert gradcheck.check(training, mode=mode).verdict == "pass"


def test_the_gradient_check_looks_at_the_mask_of_the_mini_batch_in_work() -> None:
    training = trainer(dtype="float64")
    training.step()
    training.step()
    for _ in training.phases():
        pass
    report = gradcheck.check(training)
    training.restore(msgspec.structs.replace(training.state(), step=training.step_count - 1))
    assert training.step().loss == pytest.approx(report.loss, rel=1e-12)
