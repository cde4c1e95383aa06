"""The gradient check passes what is right, fails what is wrong, and says so when it cannot tell."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_examples import LOSSES, network_around, placed, trainer_of

from engine import layers, losses
from engine.gradcheck import MODES, Progress, Report, check, h_sweep, steps
from engine.layers.activations import LeakyReLU, ReLU, ReLULayer, Sigmoid, SigmoidLayer, Tanh, TanhLayer
from engine.layers.base import Layer
from engine.layers.conv import Conv2D
from engine.layers.dense import Dense, DenseLayer
from engine.layers.norm import BatchNorm
from engine.layers.reshape import Flatten, ReshapeLayer
from engine.layers.smooth import ELU, GELU
from engine.network import Network
from engine.numeric import DATA, Landscape
from engine.rounding import line_noise
from engine.trainer import Trainer
from engine.verdicts import VERDICTS, first_look

Array = np.ndarray[Any, Any]
every_kind = pytest.mark.parametrize("kind", layers.KINDS, ids=lambda kind: kind.kind())
every_loss = pytest.mark.parametrize("kind", LOSSES, ids=lambda kind: kind.kind())
every_mode = pytest.mark.parametrize("mode", MODES)
draws = settings(max_examples=6, deadline=None)
batches, seeds = st.integers(1, 5), st.integers(0, 10**6)
MLP = (Dense(units=5), Tanh(), Dense(units=5), ReLU(), Dense(units=3))


def mlp(**options: Any) -> Trainer:
    """A small network with a ReLU and a Tanh, 5-5-5-3."""
    return trainer_of(MLP, (5,), **{"batch": 4, "seed": 1} | options)


def verdicts(report: Report) -> dict[str, str]:
    return {address: tensor.verdict for address, tensor in report.tensors.items()}


# --- right gradients ------------------------------------------------------------------------------


DIM = 3e-7  # of the loss, or of 1: rounding may hide a gradient that is smaller


def assert_right(report: Report) -> None:
    """Nothing fails; what can be seen has been seen, and what is 0 throughout has not passed.

    A gradient of 0 is right where units are dead, or where a hinge keeps every margin; but a backward that forgets the
    tensor gives the same.
    """
    assert report.contracts == ()
    for address, tensor in report.tensors.items():
        if not tensor.analytic.any():
            assert tensor.verdict == "unresolvable", (address, tensor.note)
        elif np.abs(tensor.analytic).max() > DIM * max(1.0, report.loss):
            assert tensor.verdict in ("pass", "kink"), (address, tensor.note)
        assert tensor.verdict != "fail", (address, tensor.note)
        assert tensor.verdict != "pass" or tensor.error <= 1e-4, (address, tensor.error)


@every_kind
@draws
@given(data=st.data(), deep=st.booleans(), batch=batches, seed=seeds, dtype=st.sampled_from(["float32", "float64"]))
def test_a_network_with_any_layer_is_not_accused(
    kind: Any, data: st.DataObject, deep: bool, batch: int, seed: int, dtype: str
) -> None:
    spec, shape = data.draw(placed(kind))
    trainer = trainer_of(network_around(spec, shape, deep), shape, batch, dtype=dtype, seed=seed)
    assert_right(check(trainer, mode=data.draw(st.sampled_from(["full", "sampled"]))))


@every_loss
@draws
@given(batch=batches, seed=seeds, scale=st.sampled_from([1e-3, 1.0, 30.0]))
def test_a_network_with_any_loss_is_not_accused(kind: Any, batch: int, seed: int, scale: float) -> None:
    stack = (*MLP, Sigmoid()) if kind.takes == "probabilities" else MLP
    assert_right(check(trainer_of(stack, (5,), batch, kind(), seed=seed, scale=scale)))


def test_a_hinge_that_keeps_every_margin_shows_nothing_and_says_so() -> None:
    trainer = mlp(loss=losses.Hinge(margin=0.0))
    trainer.set_parameters({"4.W": np.zeros((5, 3)), "4.b": np.array([5.0, 0.0, 0.0])})
    x, labels = trainer.x[:4].copy(), np.zeros(4, int)
    report = check(trainer, (x, labels))
    assert report.loss == 0
    assert set(verdicts(report).values()) == {"unresolvable"}
    assert_right(report)


def test_a_loss_so_small_that_its_logarithm_moves_in_steps_accuses_no_gradient() -> None:
    # The confident cross-entropy is log(1 + 4e-7), a multiple of 2e-16; a line on which every step is such a multiple
    # shows no rounding at all.
    stack = (GELU(approximate="tanh"), Flatten(), Dense(units=5), ELU(), Dense(units=3))
    report = check(trainer_of(stack, (2, 3, 3), batch=2, seed=339350, scale=134.86877680828576))
    assert report.loss < 1e-6
    assert_right(report)


def test_rounding_is_measured_on_a_line_that_shows_it() -> None:
    rng, points = np.random.default_rng(0), np.arange(8.0)
    even = 1 + points * 2.0**-40  # every step a multiple of the last digit: no rounding at all
    rough = 1 + points * 2.0**-40 + 1e-14 * rng.standard_normal(8)
    still = np.ones((2, 8))
    assert 2e-15 < line_noise([np.stack([even, rough])]) < 5e-14
    assert 2e-15 < line_noise([still, np.stack([rough, even]), np.stack([rough, 1 + points**4])]) < 5e-14
    assert line_noise([still]) == np.finfo(float).eps


def test_a_mini_batch_that_no_move_reaches_is_checked_like_any_other() -> None:
    stack = (Dense(units=1), Tanh(), BatchNorm(), Dense(units=4), Tanh(), Dense(units=3))  # of one sample: all 0
    trainer = trainer_of(stack, (1,), batch=1)
    trainer.x[...] = 0
    assert_right(check(trainer))


@every_mode
def test_a_right_network_passes_in_every_mode(mode: Any) -> None:
    report = check(mlp(dtype="float32"), mode=mode)
    assert set(verdicts(report).values()) == {"pass"}
    assert report.verdict == "pass"
    assert report.mode == mode
    assert "float64 copy" in report.dtype_note


def test_a_trained_and_confident_network_is_not_accused() -> None:
    trainer = mlp(seed=3)
    for _ in range(2000):
        trainer.step()
    assert trainer.loss < 1e-2
    assert all(verdict != "fail" for verdict in verdicts(check(trainer)).values())


def test_the_report_holds_both_gradients_in_the_tensors_shape() -> None:
    trainer = mlp()
    report = check(trainer)
    assert list(report.tensors) == [*trainer.parameters, "data.x"]
    for address, value in (trainer.parameters | {"data.x": trainer.x[:4]}).items():
        tensor = report.tensors[address]
        assert tensor.analytic.shape == tensor.numeric.shape == tensor.entry_error.shape == value.shape
        assert tensor.numeric.dtype == np.float64
        np.testing.assert_allclose(tensor.numeric, tensor.analytic, atol=1e-8)
    assert report.loss == pytest.approx(-np.log(1 / 3), abs=1)


def test_sampling_checks_at_least_twenty_entries_and_leaves_the_rest_open() -> None:
    trainer = trainer_of((Dense(units=20), ReLU(), Dense(units=3)), (30,), batch=1, seed=2)
    tensor = check(trainer, mode="sampled").tensors["0.W"]
    chosen = ~np.isnan(tensor.numeric)
    assert 20 <= chosen.sum() < 40
    assert tensor.counts["not checked"] == 600 - chosen.sum()
    size = np.abs(tensor.analytic)
    assert chosen.flat[size.argmax()]
    assert chosen[size > 0][size[size > 0].argmin()]
    assert (size[chosen] == 0).any()


def test_sampling_takes_all_of_a_small_tensor_and_copes_with_one_of_zeros() -> None:
    stack = (Conv2D(filters=3, kernel=3, padding=1), ReLU(), Flatten(), Dense(units=3))
    trainer = trainer_of(stack, (4, 6, 6), batch=2)
    trainer.set_parameters({"0.b": np.array([-1e3, 0.1, 0.2])})  # the first filter is dead: its gradients are all 0
    report = check(trainer, mode="sampled")
    assert not np.isnan(report.tensors["0.b"].numeric).any()
    for address in ("0.W", "3.W", "data.x"):
        assert (~np.isnan(report.tensors[address].numeric)).sum() >= 20
        assert report.tensors[address].verdict == "pass"
    trainer.set_parameters({"0.b": np.full(3, -1e3)})
    tensor = check(trainer, mode="sampled").tensors["0.W"]
    assert (~np.isnan(tensor.numeric)).sum() >= 20
    assert tensor.verdict == "unresolvable"


def test_a_projected_check_claims_no_entry() -> None:
    tensor = check(mlp(), mode="projected").tensors["2.W"]
    assert np.isnan(tensor.numeric).all()
    assert tensor.counts["not checked"] == 25
    assert tensor.projection is not None
    assert tensor.projection[0] == pytest.approx(tensor.projection[1], rel=1e-6)


# --- the numbers are those of the plain loop -----------------------------------------------------


class Talkless(DenseLayer):
    """A dense layer that tells the check nothing, as a layer of one's own would."""

    rowwise: ClassVar[bool] = False

    def react(self, *_: Any) -> None:  # type: ignore[override]
        return None

    def spread(self, *_: Any) -> None:  # type: ignore[override]
        return None


class Mixing(TanhLayer):
    """Subtracts the mean over the batch, so that every sample hangs on every other."""

    elementwise: ClassVar[bool] = False
    rowwise: ClassVar[bool] = False

    def apply(self, x: Array, out: Array | None = None) -> Array:
        return np.tanh(x - x.mean(axis=0), out=out)

    def backward(self, grad_y: Array) -> Iterator[str]:
        self.grad_y = grad_y
        inner = grad_y * (1 - self.y**2)
        np.subtract(inner, inner.mean(axis=0), out=self.grad_x)
        yield "grad_x"


def plain_loop(network: Network, x: Array, targets: Array, address: str) -> Array:
    """Central differences of the mean loss, one whole forward after the other."""
    run = network.at(len(x))
    tensor = x if address == DATA else network.views(network.parameters)[address]
    found, flat = np.zeros(tensor.size), tensor.reshape(-1)

    def loss() -> float:
        y = x
        for layer in run.layers:
            y = layer.replay(y, 1)
        return float(run.loss.per_sample(y, targets).mean())

    for i, at in enumerate(flat.tolist()):
        h = np.cbrt(np.finfo(float).eps) * max(1.0, abs(at))
        flat[i] = at + h
        up, reached = loss(), flat[i]
        flat[i] = at - h
        found[i] = (up - loss()) / (reached - flat[i])
        flat[i] = at
    return found.reshape(tensor.shape)


def assert_plain(trainer: Trainer) -> None:
    """Whatever the short cuts, the numbers agree to 1e-9 (above rounding in a loss of about 1)."""
    network, x, targets = trainer.network, trainer.x[: trainer.recipe.batch_size].copy(), trainer.targets
    targets = targets[: len(x)]
    land = Landscape(network, x, targets)
    for address, tensor in land.tensors.items():
        entries = np.arange(tensor.size)
        plain = plain_loop(network, x, targets, address)
        np.testing.assert_allclose(land.central(address, entries).reshape(tensor.shape), plain, rtol=0, atol=1e-9)
        up, down = land.steps(address, entries)
        probed = (land.probe(address, entries, up)[0] - land.probe(address, entries, down)[0]) / (up - down)
        np.testing.assert_allclose(probed.reshape(tensor.shape), plain, rtol=0, atol=1e-9)


@every_kind
@draws
@given(data=st.data(), deep=st.booleans(), batch=batches, seed=seeds)
def test_numerical_gradients_are_the_plain_loops(
    kind: Any, data: st.DataObject, deep: bool, batch: int, seed: int
) -> None:
    spec, shape = data.draw(placed(kind))
    assert_plain(trainer_of(network_around(spec, shape, deep), shape, batch, seed=seed))


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_layer_that_tells_nothing_gets_the_plain_loops_numbers(
    monkeypatch: pytest.MonkeyPatch, batch: int, depth: int
) -> None:
    built = itertools.count()

    def some(*arguments: Any) -> Layer:
        return (Talkless if next(built) % 3 == depth else DenseLayer)(*arguments)

    trainer = mlp(batch=batch)
    monkeypatch.setattr("engine.layers.dense.DenseLayer", some)
    trainer.network._passes.clear()
    assert_plain(trainer)
    assert {type(layer) for layer in trainer.network.at(batch).layers} >= {Talkless, DenseLayer}
    assert_right(check(trainer))


def test_a_layer_that_mixes_samples_gets_the_plain_loops_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tanh, "layer", Mixing)
    trainer = mlp()
    assert_plain(trainer)
    report = check(trainer)
    assert_right(report)
    assert verdicts(report)["data.x"] == "pass"


def test_parameters_are_put_back_when_a_forward_breaks_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.layers.dense.DenseLayer", Talkless)
    trainer = mlp()
    land = Landscape(trainer.network, trainer.x[:4].copy(), trainer.targets[:4])
    before = trainer.network.parameters.copy()

    def broken(*_: Any) -> Array:
        raise RuntimeError("own code")

    monkeypatch.setattr(Talkless, "apply", broken)
    with pytest.raises(RuntimeError):
        land.central("0.W", np.arange(3))
    np.testing.assert_array_equal(trainer.network.parameters, before)


# --- wrong gradients ------------------------------------------------------------------------------


def sum_instead_of_mean(self: Any) -> Array:
    return np.multiply(losses_right["softmax"](self), len(self.p), out=self.grad_y)


losses_right = {"softmax": losses.SoftmaxCrossEntropyLoss.backward}


def without_mask(self: Any, grad_y: Array) -> Iterator[str]:
    np.copyto(self.grad_x, grad_y)
    yield "grad_x"


def inverted_mask(self: Any, grad_y: Array) -> Iterator[str]:
    np.multiply(grad_y, self.y <= 0, out=self.grad_x)
    yield "grad_x"


def derivative_of_the_output(self: Any, out: Array) -> None:
    np.tanh(self.y, out=out)
    np.subtract(1, out * out, out=out)


def dense_backward(change: Callable[[Any, Array], None]) -> Callable[[Any, Array], Iterator[str]]:
    """The right backward of a dense layer, and then what a bug makes of it."""
    right = DenseLayer.backward

    def backward(self: Any, grad_y: Array) -> Iterator[str]:
        parts = list(right(self, grad_y))
        change(self, grad_y)
        yield from parts

    return backward


def first_sample_only(self: Any, grad_y: Array) -> None:
    self.grad_b[...] = grad_y[0]


def bias_forgotten(self: Any, grad_y: Array) -> None:
    self.grad_b.fill(0)


def transposed(self: Any, grad_y: Array) -> None:
    if self.W.shape[0] == self.W.shape[1]:
        self.grad_W[...] = (self.x.T @ grad_y).T


def weights_not_transposed(self: Any, grad_y: Array) -> None:
    if self.W.shape[0] == self.W.shape[1]:
        self.grad_x[...] = grad_y @ self.W


def one_entry_off(self: Any, grad_y: Array) -> None:
    self.grad_W[0, 0] *= 1.001


def a_trifle_too_large(self: Any, grad_y: Array) -> None:
    self.grad_W *= 1 + 1e-5


def not_a_number(self: Any, grad_y: Array) -> None:
    self.grad_W[0, 0] = np.nan


def nothing_at_all(self: Any, grad_y: Array) -> None:
    self.grad_W.fill(0)


BUGS = {
    "1/B missing": (losses.SoftmaxCrossEntropyLoss, "backward", sum_instead_of_mean, "0.W"),
    "ReLU mask missing": (ReLULayer, "backward", without_mask, "2.W"),
    "ReLU mask inverted": (ReLULayer, "backward", inverted_mask, "2.W"),
    "tanh derivative of the output": (TanhLayer, "derivative", derivative_of_the_output, "0.W"),
    "bias not summed over the batch": (DenseLayer, "backward", dense_backward(first_sample_only), "2.b"),
    "bias gradient forgotten": (DenseLayer, "backward", dense_backward(bias_forgotten), "4.b"),
    "square W transposed": (DenseLayer, "backward", dense_backward(transposed), "2.W"),
    "backward through W, not its transpose": (DenseLayer, "backward", dense_backward(weights_not_transposed), "data.x"),
    "one entry off by a thousandth": (DenseLayer, "backward", dense_backward(one_entry_off), "0.W"),
    "off by 1e-5 everywhere": (DenseLayer, "backward", dense_backward(a_trifle_too_large), "4.W"),
    "NaN": (DenseLayer, "backward", dense_backward(not_a_number), "4.W"),
    "no gradient at all": (DenseLayer, "backward", dense_backward(nothing_at_all), "2.W"),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_fails(monkeypatch: pytest.MonkeyPatch, bug: str, seed: int) -> None:
    owner, name, wrong, address = BUGS[bug]
    monkeypatch.setattr(owner, name, wrong)
    report = check(mlp(seed=seed))
    assert report.verdict == "fail"
    tensor = report.tensors[address]
    assert tensor.verdict == "fail", tensor.note
    assert tensor.note


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug not in ("one entry off by a thousandth", "NaN")])
def test_one_random_direction_shows_a_planted_bug(monkeypatch: pytest.MonkeyPatch, bug: str) -> None:
    owner, name, wrong, address = BUGS[bug]
    monkeypatch.setattr(owner, name, wrong)
    assert check(mlp(), mode="projected").tensors[address].verdict == "fail"


def test_a_sound_tensor_passes_beside_a_wrong_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DenseLayer, "backward", dense_backward(bias_forgotten))
    found = verdicts(check(mlp()))
    assert {address for address, verdict in found.items() if verdict == "fail"} == {"0.b", "2.b", "4.b"}
    assert found["4.W"] == found["data.x"] == "pass"


def test_a_stale_input_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(self: Any, x: Array) -> Array:
        self.x = getattr(self, "first", x)
        self.first = x
        return np.copyto(self.y, self.apply(x)) or self.y

    monkeypatch.setattr(DenseLayer, "forward", forward)
    assert check(mlp()).tensors["0.W"].verdict == "fail"


# --- contracts ------------------------------------------------------------------------------------


def ignores_upstream(self: Any, grad_y: Array) -> Iterator[str]:
    self.grad_x[...] = self.y > 0
    yield "grad_x"


def writes_upstream(self: Any, grad_y: Array) -> Iterator[str]:
    grad_y *= self.y > 0
    np.copyto(self.grad_x, grad_y)
    yield "grad_x"


def adds_up(self: Any, grad_y: Array) -> Iterator[str]:
    self.grad_x += grad_y * (self.y > 0)
    yield "grad_x"


def writes_input(self: Any, grad_y: Array) -> Iterator[str]:
    np.multiply(grad_y, self.y > 0, out=self.grad_x)
    self.x *= 0.5
    yield "grad_x"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (ignores_upstream, "upstream gradient is ignored"),
        (writes_upstream, "changes the grad_y"),
        (adds_up, "doubles when backward runs twice"),
        (writes_input, "input x is changed"),
    ],
)
def test_a_broken_contract_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch, wrong: Any, words: str) -> None:
    monkeypatch.setattr(ReLULayer, "backward", wrong)
    report = check(mlp())
    assert any(words in sentence and sentence.startswith("layer 3 (ReLU)") for sentence in report.contracts)
    assert report.verdict == "fail"


# --- neither right nor wrong ----------------------------------------------------------------------


@pytest.mark.parametrize("spec", [ReLU(), LeakyReLU()])
@every_mode
def test_a_planted_kink_is_a_kink_and_no_failure(spec: layers.LayerSpec, mode: Any) -> None:
    trainer = trainer_of((Dense(units=4), spec, Dense(units=3)), (5,), batch=1)
    values = trainer.parameters["0.W"]
    values[:, 0] = 0
    trainer.set_parameters({"0.W": values, "0.b": np.array([0.0, 0.3, -0.3, 0.3])})
    report = check(trainer, mode=mode)
    assert report.tensors["0.W"].verdict == "kink", report.tensors["0.W"].note
    assert report.tensors["0.b"].verdict == "kink"
    assert report.tensors["2.W"].verdict == "pass"
    if mode == "full":
        (kink,) = report.tensors["0.b"].kinks
        assert kink.at == (0,)
        analytic = report.tensors["0.b"].analytic[0]
        assert min(kink.left, kink.right) - 1e-6 <= analytic <= max(kink.left, kink.right) + 1e-6
        assert kink.left != pytest.approx(kink.right)
        assert report.tensors["0.W"].counts["kink"] == 5


def test_a_wrong_value_on_a_kink_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    right = ReLULayer.backward

    def too_large(self: Any, grad_y: Array) -> Iterator[str]:
        yield from right(self, grad_y)
        self.grad_x[self.x == 0] = 3 * grad_y[self.x == 0]

    monkeypatch.setattr(ReLULayer, "backward", too_large)
    trainer = trainer_of((Dense(units=4), ReLU(), Dense(units=3)), (5,), batch=1)
    values = trainer.parameters["0.W"]
    values[:, 0] = 0
    trainer.set_parameters({"0.W": values, "0.b": np.array([0.0, 0.3, -0.3, 0.3])})
    assert check(trainer).tensors["0.b"].verdict == "fail"


def test_a_kink_of_a_layer_that_says_nothing_is_found_by_its_slopes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReLULayer, "decisions", Layer.decisions)
    trainer = trainer_of((Dense(units=4), ReLU(), Dense(units=3)), (5,), batch=1)
    values = trainer.parameters["0.W"]
    values[:, 0] = 0
    trainer.set_parameters({"0.W": values, "0.b": np.array([0.0, 0.3, -0.3, 0.3])})
    assert check(trainer).tensors["0.b"].verdict == "kink"


@pytest.mark.parametrize("distance", [1e-6, -1e-6, 3e-7, 3e-8, -3e-8])
def test_a_kink_within_the_step_but_beside_the_point_hides_nothing(distance: float) -> None:
    trainer = trainer_of((Dense(units=4), ReLU(), Dense(units=3)), (5,), batch=1)
    values = trainer.parameters["0.W"]
    values[:, 0] = 0
    trainer.set_parameters({"0.W": values, "0.b": np.array([distance, 0.3, -0.3, 0.3])})
    tensor = check(trainer).tensors["0.b"]
    assert tensor.verdict in ("pass", "kink"), tensor.note
    if abs(distance) > 1e-7:
        assert tensor.verdict == "pass", tensor.note


@pytest.mark.parametrize(("kind", "size"), [(Sigmoid, 60.0), (Tanh, 40.0), (ReLU, -40.0)])
@every_mode
def test_what_lies_behind_saturated_or_dead_units_is_unresolvable(kind: Any, size: float, mode: Any) -> None:
    trainer = trainer_of((Dense(units=4), kind(), Dense(units=3)), (5,), batch=3)
    trainer.set_parameters({"0.b": np.full(4, size)})
    report = check(trainer, mode=mode)
    for address in ("0.W", "0.b", "data.x"):
        tensor = report.tensors[address]
        assert tensor.verdict == "unresolvable", address
        assert np.isnan(tensor.error)
        assert "dead or saturated" in tensor.note
    assert report.tensors["2.b"].verdict == "pass"
    assert report.verdict == "unresolvable"


def test_a_gradient_too_small_for_the_usual_step_is_seen_by_larger_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = (Dense(units=4), Sigmoid(), Dense(units=4), Sigmoid(), Dense(units=3))
    trainer = trainer_of(stack, (5,), batch=3)
    trainer.set_parameters({"0.b": np.full(4, 12.0), "2.b": np.full(4, 10.0)})
    tensor = check(trainer).tensors["0.b"]
    assert np.abs(tensor.analytic).max() < 3e-9
    assert tensor.verdict == "pass", tensor.note
    right = SigmoidLayer.derivative

    def forgotten(self: Any, out: Array) -> None:
        right(self, out)
        out *= 0.9

    monkeypatch.setattr(SigmoidLayer, "derivative", forgotten)
    assert check(trainer).tensors["0.b"].verdict == "fail"


def test_what_agrees_only_within_rounding_does_not_pass() -> None:
    analytic, numeric = np.array([1e-10, 5e-9, 1e-3, 0.0, 1e-10]), np.array([2e-10, 5.01e-9, 1e-3, 0.0, 0.0])
    status = first_look(analytic, numeric, np.full(5, 1e-10))
    assert [VERDICTS[s] for s in status] == ["unresolvable", "unresolvable", "pass", "pass", "unresolvable"]


def test_an_infinite_loss_accuses_no_gradient() -> None:
    trainer = mlp(loss=losses.MeanSquaredError())
    trainer.set_parameters({"4.b": np.array([1e200, 0, 0])})
    report = check(trainer)
    assert set(verdicts(report).values()) == {"unresolvable"}
    assert "inf" in report.tensors["0.W"].note


@pytest.mark.parametrize("scale", [1e-4, 1e3, 1e5])
@pytest.mark.parametrize("loss", [losses.SoftmaxCrossEntropy(), losses.MeanSquaredError()])
def test_large_and_tiny_inputs_accuse_no_gradient(scale: float, loss: losses.LossSpec) -> None:
    for seed in range(5):
        report = check(mlp(scale=scale, loss=loss, seed=seed))
        assert {tensor.note for tensor in report.tensors.values() if tensor.verdict == "fail"} == set()


# --- manners --------------------------------------------------------------------------------------


def everything(trainer: Trainer) -> list[Any]:
    """All that training hangs on, as bytes: storage, buffers, record and place."""
    arrays = [
        trainer.network.store,
        trainer.record,
        trainer.x,
        trainer.targets,
    ]
    for run in trainer.network._passes.values():
        arrays += [run.x, run.targets, run.loss.p, run.loss.grad_y]
        for layer in run.layers:
            arrays += [layer.y, layer.grad_x, getattr(layer, "x", np.zeros(0)), getattr(layer, "grad_y", np.zeros(0))]
    flags = [layer.needs_grad_x for layer in trainer.current.layers]
    names = list(trainer.network._passes), trainer.step_count, trainer.phase, flags
    return [*(array.tobytes() for array in arrays), *names]


@every_mode
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("done", [0, 1, 3])
def test_the_trainer_is_untouched_bit_for_bit(mode: Any, own: bool, done: int) -> None:
    trainer, twin = mlp(dtype="float32"), mlp(dtype="float32")
    for _ in range(done):
        trainer.step()
        twin.step()
    batch = (np.ones((4, 5)), np.array([0, 1, 2, 0])) if own else None
    before = everything(trainer)
    check(trainer, batch, mode)
    assert everything(trainer) == before
    for _ in range(5):
        assert trainer.step().scalars == twin.step().scalars


def test_a_check_in_mid_step_leaves_the_step_as_it_is() -> None:
    trainer, twin = mlp(), mlp()
    for number, _ in enumerate(trainer.phases()):
        if number % 3 == 0:
            check(trainer, mode="sampled")
    twin.step()
    assert everything(trainer) == everything(twin)


def test_the_mini_batch_that_is_shown_is_the_one_checked() -> None:
    trainer = mlp(batch=5)  # 12 samples: the last of an epoch has two
    first = trainer.x[np.asarray(mlp_order(trainer))[:5]]
    assert check(trainer).tensors["data.x"].analytic.shape == (5, 5)
    trainer.step()
    np.testing.assert_array_equal(trainer.current.x, first)
    trainer.step()
    trainer.step()
    report = check(trainer)
    assert report.tensors["data.x"].analytic.shape == (2, 5)
    y = trainer.network.apply(trainer.current.x)
    assert report.loss == pytest.approx(trainer.current.loss.per_sample(y, trainer.current.targets).mean())


def mlp_order(trainer: Trainer) -> list[int]:
    """The order of the first epoch, from a trainer of the same recipe."""
    twin = Trainer(trainer.recipe)
    twin.step()
    return [int(i) for i in twin._order]


def test_a_mini_batch_of_ones_own_is_checked() -> None:
    x, labels = np.random.default_rng(0).standard_normal((7, 5)), np.arange(7) % 3
    report = check(mlp(), (x, labels))
    assert report.tensors["data.x"].numeric.shape == (7, 5)
    assert report.verdict == "pass"
    with pytest.raises(ValueError, match="batch"):
        check(mlp(), (x[:, :3], labels))
    with pytest.raises(ValueError, match="mode"):
        check(mlp(), mode="thorough")  # type: ignore[arg-type]


def test_slices_tell_their_progress_and_end_with_the_report() -> None:
    *told, report = steps(trainer_of((Dense(units=30), Tanh(), Dense(units=3)), (40,), batch=4))
    assert isinstance(report, Report)
    assert all(isinstance(progress, Progress) for progress in told)
    done = [progress.done for progress in told]  # type: ignore[union-attr]
    assert done == sorted(done)
    assert done[-1] == told[-1].total == 40 * 30 + 30 + 30 * 3 + 3 + 4 * 40  # type: ignore[union-attr]


def test_an_abandoned_check_changes_nothing_and_the_next_one_is_whole() -> None:
    trainer = mlp()
    before, slices = everything(trainer), steps(trainer)
    for _ in range(8):
        next(slices)
    slices.close()  # type: ignore[attr-defined]
    assert everything(trainer) == before
    assert check(trainer).verdict == "pass"


def test_training_may_go_on_between_two_slices() -> None:
    trainer = mlp()
    trainer.step()
    expected, slices = check(trainer), steps(trainer)
    for item in slices:
        trainer.step()
        last = item
    assert isinstance(last, Report)
    for address, tensor in last.tensors.items():
        np.testing.assert_array_equal(tensor.numeric, expected.tensors[address].numeric)
        np.testing.assert_array_equal(tensor.analytic, expected.tensors[address].analytic)


def test_pictures_are_checked_through_flatten() -> None:
    trainer = trainer_of((Flatten(), Dense(units=4), Tanh(), Dense(units=3)), (4, 4), batch=2)
    assert type(trainer.network.at(2).layers[0]) is ReshapeLayer
    report = check(trainer)
    assert report.verdict == "pass"
    assert report.tensors["data.x"].numeric.shape == (2, 4, 4)


# --- error against h ------------------------------------------------------------------------------


def test_the_h_sweep_of_a_right_gradient_is_a_valley() -> None:
    curve = h_sweep(mlp(), "0.W")
    best = int(np.argmin(curve.error))
    assert 1e-7 < curve.h[best] < 1e-3
    assert curve.error[best] < 1e-8
    assert curve.error[0] > 100 * curve.error[best]
    assert curve.error[-1] > 100 * curve.error[best]
    assert curve.rounding[-1] == pytest.approx(curve.error[-1], rel=100)


def test_the_h_sweep_of_a_wrong_gradient_is_a_plateau(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TanhLayer, "derivative", derivative_of_the_output)
    curve = h_sweep(mlp(), "0.W")
    middle = curve.error[(curve.h < 1e-3) & (curve.h > 1e-9)]
    assert middle.max() / middle.min() < 1.01
    with pytest.raises(KeyError, match=r"9\.W"):
        h_sweep(mlp(), "9.W")
