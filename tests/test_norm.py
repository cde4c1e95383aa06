"""BatchNorm and LayerNorm: what training and inference use, running statistics, and going on bit for bit."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from layer_examples import built, trainer_of

from engine import gradcheck
from engine.contracts import backward
from engine.layers import LayerSpec
from engine.layers.activations import PReLU, Tanh
from engine.layers.dense import Dense
from engine.layers.norm import BatchNorm, LayerNorm
from engine.network import Network
from engine.recipe import Recipe
from engine.spec import RecipeError
from engine.trainer import Trainer

STACK = (Dense(units=6, bias=False), BatchNorm(), Tanh(), Dense(units=3))


def trainer(**changes: object) -> Trainer:
    """A small network with a batch norm; the last mini-batch of an epoch is short."""
    return trainer_of(STACK, (4,), **{"batch": 5, "count": 12, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(4,), (3, 5, 2)])
def test_in_training_each_channel_comes_out_with_beta_as_mean_and_gamma_as_deviation(shape: tuple[int, ...]) -> None:
    layer = built(BatchNorm(eps=1e-12), shape, 8, 0)
    y = layer.forward(np.random.default_rng(0).standard_normal((8, *shape)) * 7 + 100)
    axes = (0, *range(2, y.ndim))
    np.testing.assert_allclose(y.mean(axis=axes), layer.parameters["beta"], atol=1e-12)
    np.testing.assert_allclose(y.std(axis=axes), np.abs(layer.parameters["gamma"]), rtol=1e-9)


@pytest.mark.parametrize("shape", [(4,), (3, 5, 2)])
def test_a_layer_norm_takes_each_sample_by_itself(shape: tuple[int, ...]) -> None:
    network = Network(Recipe(layers=(LayerNorm(eps=1e-12),)), shape, "float64")
    network.initialize()
    y = network.at(6).layers[0].forward(np.random.default_rng(0).standard_normal((6, *shape)) * 7 + 100)
    np.testing.assert_allclose(y.reshape(6, -1).mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(y.reshape(6, -1).std(axis=1), 1, rtol=1e-9)


def test_running_statistics_start_at_0_and_1_and_move_at_every_step() -> None:
    training = trainer()
    seen = []
    for _ in range(3):
        mean, variance = training.tensor("1.running_mean"), training.tensor("1.running_var")
        assert mean is not None
        assert variance is not None
        seen.append((mean.copy(), variance.copy()))
        training.step()
    assert (seen[0][0] == 0).all()
    assert (seen[0][1] == 1).all()
    assert not np.array_equal(seen[1][0], seen[2][0])
    assert "1.running_mean" in training.tensor_infos
    assert "1.running_mean" not in training.parameters, "it is not trained"


def test_inference_uses_the_running_statistics_and_leaves_them_alone() -> None:
    training = trainer()
    for _ in range(5):
        training.step()
    before = training.state()
    x = training.x[:3]
    together = training.predict(x)
    alone = np.concatenate([training.predict(x[i : i + 1]) for i in range(3)])
    training.evaluate("training")
    np.testing.assert_allclose(together, alone, rtol=1e-12)
    assert training.state() == before


def test_after_many_steps_inference_comes_near_to_training() -> None:
    layer = built(BatchNorm(), (4,), 64, 0)
    network_mean, deviation = np.array([3.0, -2.0, 0.0, 50.0]), np.array([1.0, 0.1, 5.0, 10.0])
    running = {"running_mean": np.zeros(4), "running_var": np.ones(4)}
    layer.attach_buffers(running)
    rng = np.random.default_rng(0)
    for _ in range(300):
        layer.forward(network_mean + deviation * rng.standard_normal((64, 4)))
    np.testing.assert_allclose(running["running_mean"], network_mean, atol=0.2 * deviation.max())
    np.testing.assert_allclose(running["running_var"], deviation**2, rtol=0.25)


def test_a_state_holds_the_running_statistics_and_training_goes_on_bit_for_bit() -> None:
    one, other = trainer(), trainer()
    for _ in range(4):
        one.step()
    other.restore(one.state())
    for _ in range(4):
        one.step()
        other.step()
    assert one.state() == other.state()
    assert one.state().buffers != trainer().state().buffers


def test_a_state_taken_in_mid_batch_is_that_before_the_mini_batch() -> None:
    training = trainer()
    training.step()
    before = training.state()
    phases = training.phases()
    for phase in phases:
        if phase.kind == "loss":
            break
    assert training.state() == before


def test_building_again_gives_the_first_running_statistics() -> None:
    training = trainer()
    first = training.network.buffers.copy()
    training.step()
    assert not np.array_equal(training.network.buffers, first)
    training.network.initialize()
    np.testing.assert_array_equal(training.network.buffers, first)


def test_a_state_without_the_running_statistics_is_refused_and_changes_nothing() -> None:
    training = trainer()
    before = training.state()
    with pytest.raises(ValueError, match="other shapes"):
        training.restore(msgspec.structs.replace(before, step=3, buffers=b""))
    assert training.state() == before


def test_one_vector_alone_gives_beta_no_other_gradient_and_leaves_the_running_statistics() -> None:
    layer = built(BatchNorm(), (4,), 1, 0)
    running = {"running_mean": np.full(4, 2.0), "running_var": np.full(4, 3.0)}
    layer.attach_buffers(running)
    rng = np.random.default_rng(0)
    y = layer.forward(rng.standard_normal((1, 4)))
    np.testing.assert_array_equal(y[0], layer.parameters["beta"])
    grad_y = rng.standard_normal((1, 4))
    gradients = backward(layer, grad_y)
    np.testing.assert_array_equal(gradients["beta"], grad_y[0])
    assert not gradients["gamma"].any()
    assert not gradients["x"].any()
    assert (running["running_mean"] == 2).all()
    assert (running["running_var"] == 3).all()


def test_a_batch_whose_samples_are_all_the_same_stays_finite() -> None:
    for spec in (BatchNorm(), LayerNorm()):
        layer = built(spec, (4,), 3, 0)
        y = layer.forward(np.full((3, 4), 1e4))
        assert np.isfinite(y).all()
        assert np.isfinite(backward(layer, np.ones((3, 4)))["x"]).all()


@pytest.mark.parametrize("norm", [BatchNorm(), LayerNorm()])
@pytest.mark.parametrize("mode", ["full", "sampled", "projected"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gradient_check_passes(norm: BatchNorm | LayerNorm, mode: gradcheck.Mode, dtype: str) -> None:
    stack = (Dense(units=6, bias=False), norm, Tanh(), Dense(units=3))
    training = trainer_of(stack, (4,), batch=5, dtype=dtype, count=12)
    for _ in range(3):
        before = training.state()
        assert gradcheck.check(training, mode=mode).verdict == "pass"
        assert training.state() == before, "a check must not move the running statistics"
        training.step()


def test_a_bias_in_front_of_a_batch_norm_has_no_gradient_and_the_check_says_so() -> None:
    training = trainer_of((Dense(units=6), BatchNorm(), Tanh(), Dense(units=3)), (4,), batch=5)
    report = gradcheck.check(training)
    assert {a for a, t in report.tensors.items() if t.verdict != "pass"} == {"0.b"}
    assert report.tensors["0.b"].verdict == "unresolvable"


def test_a_batch_norm_of_one_sample_is_never_accused() -> None:
    report = gradcheck.check(trainer(batch=1))
    assert {tensor.verdict for tensor in report.tensors.values()} <= {"pass", "unresolvable"}
    assert report.tensors["3.W"].verdict == "pass"


def test_pictures_without_a_channel_axis_are_refused_with_a_cure() -> None:
    with pytest.raises(
        RecipeError, match=r"layers\[0\] \(batch_norm\) takes .* but gets 8×8 arrays .*; insert a Flatten"
    ):
        Network(Recipe(layers=(BatchNorm(),)), (8, 8))


@pytest.mark.parametrize("spec", [BatchNorm(), PReLU(per_feature=True)])
def test_what_one_moved_entry_of_a_parameter_does_is_told_rightly(spec: LayerSpec) -> None:
    layer, x = built(spec, (4,), 5, 0), np.random.default_rng(0).standard_normal((5, 4))
    before = layer.replay(x, 1).copy()
    for role, values in layer.parameters.items():
        told = layer.react(role, np.array([2]), np.array([0.3]), x)
        assert told is not None
        values[2] += 0.3
        moved = layer.replay(x, 1) - before
        values[2] -= 0.3
        assert told[0].tolist() == [2]
        np.testing.assert_allclose(told[1][0], moved[:, 2], atol=1e-14)
        assert not np.delete(moved, 2, axis=1).any()


def test_each_layer_tells_its_cost_in_multiply_adds() -> None:
    assert Dense(units=3).multiply_adds((4,)) == 12
    assert BatchNorm().multiply_adds((3, 5, 2)) == 30
    assert LayerNorm().multiply_adds((4,)) == 8
    assert Tanh().multiply_adds((4,)) == 0
