"""L1 and L2 penalties: their own share of the gradient, recorded apart from the data loss."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from layer_examples import trainer_of

from engine import Trainer, check
from engine.layers.activations import Tanh
from engine.layers.dense import Dense
from engine.network import Network
from engine.optimizers import SGD
from engine.penalties import penalties_of

Array = np.ndarray[Any, Any]


def penalised(l1: float, l2: float, dtype: str = "float64") -> Trainer:
    """A small network whose first layer is penalised."""
    return trainer_of((Dense(units=4, l1=l1, l2=l2), Tanh(), Dense(units=3)), (2,), dtype=dtype)


@pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.0, 0.2), (0.3, 0.2)])
def test_a_penaltys_share_of_the_gradient_is_the_slope_of_what_is_recorded(l1: float, l2: float) -> None:
    trainer, plain = penalised(l1, l2), penalised(0.0, 0.0)
    w = trainer.parameters["0.W"]
    frame, free = trainer.step(), plain.step()
    assert frame.loss == free.loss, "the data loss is apart"
    assert frame.scalars["penalty"] == pytest.approx(l1 * np.abs(w).sum() + l2 / 2 * (w**2).sum(), rel=1e-14)
    assert free.scalars["penalty"] == 0
    added = trainer.tensor("0.penalty_W")
    assert added is not None
    np.testing.assert_allclose(added, l1 * np.sign(w) + l2 * w, rtol=1e-14)
    np.testing.assert_allclose(trainer.gradients["0.W"] - plain.gradients["0.W"], added, rtol=1e-12, atol=1e-15)
    for address in ("0.b", "2.W", "2.b"):
        np.testing.assert_array_equal(trainer.gradients[address], plain.gradients[address])
    assert trainer.tensor_infos["0.penalty_W"].shape == (2, 4)
    assert plain.tensor("0.penalty_W") is None


def test_the_penaltys_gradient_is_that_of_its_value_by_differences() -> None:
    trainer = penalised(0.3, 0.2)
    network = Network(trainer.recipe, (2,), "float64")
    network.parameters[...] = trainer.network.parameters
    (penalty,) = penalties_of(network, trainer.recipe.layers)
    penalty.add()
    analytic, flat = penalty.added.copy().reshape(-1), penalty.weights.reshape(-1)
    for i in range(flat.size):
        flat[i] += 1e-6
        up = penalty.add()
        flat[i] -= 2e-6
        down = penalty.add()
        flat[i] += 1e-6
        assert (up - down) / 2e-6 == pytest.approx(analytic[i], rel=1e-7)


def test_the_gradient_check_looks_at_the_data_loss_alone() -> None:
    report, free = check(penalised(0.3, 0.2)), check(penalised(0.0, 0.0))
    assert report.verdict == "pass"
    np.testing.assert_array_equal(report.tensors["0.W"].analytic, free.tensors["0.W"].analytic)


def test_an_l2_penalty_on_every_weight_is_sgds_weight_decay() -> None:
    stack = (Dense(units=4, l2=0.1, bias=False), Tanh(), Dense(units=3, l2=0.1, bias=False))
    one = trainer_of(stack, (2,))
    other = trainer_of(tuple(msgspec.structs.replace(s, l2=0.0) if isinstance(s, Dense) else s for s in stack), (2,))
    decaying = msgspec.structs.replace(other.recipe, optimizer=SGD(weight_decay=0.1))
    assert other.adopt(decaying)
    for _ in range(50):
        one.step()
        other.step()
    for address, value in one.parameters.items():
        np.testing.assert_allclose(value, other.parameters[address], rtol=1e-12)


def test_a_penalty_may_come_and_go_in_mid_run() -> None:
    trainer = penalised(0.0, 0.0)
    trainer.step()
    layers = trainer.recipe.layers
    stronger = (msgspec.structs.replace(layers[0], l2=0.5), *layers[1:])  # type: ignore[call-arg]
    assert trainer.adopt(msgspec.structs.replace(trainer.recipe, layers=stronger))
    w = trainer.parameters["0.W"]
    assert trainer.step().scalars["penalty"] == pytest.approx(0.25 * (w**2).sum())
    assert "0.penalty_W" in trainer.tensor_infos
    assert trainer.adopt(msgspec.structs.replace(trainer.recipe, layers=layers))
    assert trainer.step().scalars["penalty"] == 0
