"""Central and forward differences and the complex step agree where all can be had, and say so where one cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_examples import LOSSES, network_around, placed, trainer_of
from test_gradcheck import MLP, MODES, derivative_of_the_output, mlp, verdicts

from engine import layers
from engine.differences import DIFFERENCES
from engine.gradcheck import check
from engine.layers.activations import ReLU, Sigmoid, Tanh, TanhLayer
from engine.layers.dense import Dense
from engine.layers.smooth import GELU
from engine.layers.softmax import Softmax

every_difference = pytest.mark.parametrize("difference", DIFFERENCES)
every_mode = pytest.mark.parametrize("mode", MODES)
draws = settings(max_examples=10, deadline=None)
NOT_ANALYTIC = {"gelu", "custom"}  # the error function; own code may do anything


@every_difference
@every_mode
def test_a_right_network_passes_by_every_difference(difference: Any, mode: Any) -> None:
    report = check(mlp(), mode=mode, difference=difference)
    assert set(verdicts(report).values()) == {"pass"}
    assert report.difference == difference


@every_difference
@every_mode
def test_a_wrong_network_fails_by_every_difference(monkeypatch: pytest.MonkeyPatch, difference: Any, mode: Any) -> None:
    monkeypatch.setattr(TanhLayer, "derivative", derivative_of_the_output)
    found = verdicts(check(mlp(), mode=mode, difference=difference))
    assert found["0.W"] == "fail"
    assert found["4.W"] == "pass"


def test_each_difference_is_as_exact_as_it_can_be() -> None:
    errors = {}
    for difference in DIFFERENCES:
        report = check(mlp(seed=2), difference=difference)
        errors[difference] = max(tensor.error for tensor in report.tensors.values())
    assert errors["complex"] < 1e-14
    assert errors["complex"] < errors["central"] < 1e-8
    assert errors["central"] < errors["forward"] < 1e-6


@pytest.mark.parametrize("kind", layers.KINDS, ids=lambda kind: kind.kind())
@draws
@given(data=st.data(), deep=st.booleans(), batch=st.integers(1, 4), seed=st.integers(0, 10**6))
def test_a_complex_step_goes_through_every_layer_or_names_the_one_it_does_not(
    kind: Any, data: st.DataObject, deep: bool, batch: int, seed: int
) -> None:
    spec, shape = data.draw(placed(kind))
    trainer = trainer_of(network_around(spec, shape, deep), shape, batch, seed=seed)
    if kind.kind() in NOT_ANALYTIC and getattr(spec, "approximate", "none") == "none":
        with pytest.raises(ValueError, match=rf"layer \d+ \({spec.title()}\) does not take complex numbers.*central"):
            check(trainer, difference="complex")
        return
    report = check(trainer, difference="complex")
    for tensor in report.tensors.values():
        assert tensor.verdict in ("pass", "kink", "unresolvable"), tensor.note
        largest = np.abs(tensor.analytic).max()
        if tensor.verdict == "pass" and largest > 1e-6:
            assert np.nanmax(np.abs(tensor.analytic - tensor.numeric)) < 1e-12 * max(1, largest)


@pytest.mark.parametrize("kind", LOSSES, ids=lambda kind: kind.kind())
def test_a_complex_step_goes_through_every_loss(kind: Any) -> None:
    last: tuple[Any, ...] = ()
    if kind.takes == "probabilities":
        last = (Softmax() if kind.needs_classes else Sigmoid(),)
    report = check(trainer_of((*MLP, *last), (5,), 3, kind(), seed=4), difference="complex")
    assert report.tensors["0.W"].verdict == "pass"
    assert report.tensors["0.W"].error < 1e-13


def test_a_complex_step_sees_gradients_that_rounding_hides_from_a_difference() -> None:
    stack = (Dense(units=4), Tanh(), Dense(units=4), Tanh(), Dense(units=3))
    trainer = trainer_of(stack, (5,), batch=3)
    trainer.set_parameters({"0.b": np.full(4, 14.0), "2.b": np.full(4, 9.0)})
    tensor = check(trainer, difference="complex", mode="projected").tensors["0.W"]
    assert np.abs(tensor.analytic).max() < 1e-15
    assert tensor.verdict == "pass", tensor.note
    assert check(trainer, mode="projected").tensors["0.W"].verdict == "unresolvable"


def test_on_a_tie_the_complex_step_finds_the_kink_too() -> None:
    trainer = trainer_of((Dense(units=4), ReLU(), Dense(units=3)), (5,), batch=1)
    values = trainer.parameters["0.W"]
    values[:, 0] = 0
    trainer.set_parameters({"0.W": values, "0.b": np.array([0.0, 0.3, -0.3, 0.3])})
    report = check(trainer, difference="complex")
    assert report.tensors["0.b"].verdict == "kink"
    assert report.tensors["2.W"].verdict == "pass"


def test_an_abs_that_loses_the_imaginary_part_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    def modulus(self: Any, x: Any, out: Any = None) -> Any:
        return np.add(np.abs(x), 0 * x, out=out)  # complex, and wrong

    monkeypatch.setattr(TanhLayer, "apply", modulus)
    with pytest.raises(ValueError, match=r"layer 1 \(Tanh\)"):
        check(mlp(), difference="complex")


def test_unknown_differences_are_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="difference: 'backward' is not known; use one of central, forward, complex"):
        check(mlp(), difference="backward")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"layer 0 \(GELU\) does not take complex numbers"):
        check(trainer_of((GELU(), Dense(units=3)), (4,)), difference="complex")
