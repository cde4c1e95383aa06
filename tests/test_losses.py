"""Losses: what they make of labels, how they classify, how far they can be driven, and their kinks under the check."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from layer_examples import trainer_of

from engine import Recipe, RecipeError, Trainer, check, losses
from engine.layers.activations import Sigmoid
from engine.layers.dense import Dense

Array = np.ndarray[Any, Any]
PROBABILITIES = [losses.CrossEntropy(), losses.BinaryCrossEntropyOnProbabilities()]


def two_classes(loss: dict[str, Any], *last: dict[str, Any]) -> Trainer:
    """XOR with a single output."""
    recipe = {
        "dtype": "float64",
        "data": {"kind": "xor", "samples": 200},
        "layers": [{"kind": "dense", "units": 8}, {"kind": "tanh"}, {"kind": "dense", "units": 1}, *last],
        "loss": loss,
        "optimizer": {"kind": "sgd", "lr": 0.4, "momentum": 0.5},
    }
    return Trainer(Recipe.from_json(json.dumps(recipe)))


@pytest.mark.parametrize(
    ("kind", "last", "half"),
    [
        ("binary_cross_entropy", [], 0.0),
        ("binary_cross_entropy_on_probabilities", [{"kind": "sigmoid"}], 0.5),
        ("mean_squared_error", [], 0.5),
    ],
)
def test_a_single_output_tells_two_classes_by_its_side_of_the_threshold(
    kind: str, last: list[dict[str, Any]], half: float
) -> None:
    trainer = two_classes({"kind": kind}, *last)
    for _ in range(600):
        trainer.step()
    assert trainer.evaluate()[1] > 0.9
    loss = trainer.current.loss
    y = np.array([[half - 0.01], [half + 0.01], [half]])
    assert loss.classify(y).tolist() == [False, True, False]
    assert loss.hit_share(y, np.array([0, 1, 1])) == pytest.approx(2 / 3)
    if kind != "mean_squared_error":
        assert ((trainer.predict(trainer.x) > 0.5)[:, 0] == trainer.labels).mean() > 0.9


def test_binary_cross_entropy_refuses_targets_that_are_no_shares() -> None:
    spec = losses.BinaryCrossEntropy()
    with pytest.raises(ValueError, match="run from -2 to 3"):
        spec.targets(None, np.array([[-2.0], [3.0]]), 1, "f8")
    with pytest.raises(ValueError, match="run from 0 to 2"):
        spec.targets(np.array([0, 2]), None, 1, "f8")


@pytest.mark.parametrize("kind", ["cross_entropy", "hinge", "softmax_cross_entropy"])
def test_losses_over_classes_refuse_values(kind: str) -> None:
    from engine.datasets import Samples

    spec = Recipe.from_builtins({"layers": [{"kind": "dense", "units": 1}], "loss": {"kind": kind}}).loss
    samples = Samples(np.zeros((4, 2)), None, (), np.zeros((4, 1)))
    with pytest.raises(ValueError, match="needs class labels"):
        spec.targets(samples.labels, samples.values, 1, "f8")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [*losses.AnyLoss.__args__], ids=lambda kind: kind.kind())
def test_outputs_however_large_give_finite_losses_and_gradients(kind: Any, dtype: str) -> None:
    spec = kind()
    largest = 1.0 if spec.takes == "probabilities" else 1e4
    y = np.array([[largest, 0.0, -largest], [0.0, largest, largest]]) if largest > 1 else np.eye(3)[[0, 1]]
    targets = spec.targets(np.array([1, 0]), None, 3, dtype)
    loss = spec.build(3, 2, dtype)
    assert np.isfinite(loss.forward(y.astype(dtype), targets))
    gradient = loss.backward()
    assert np.isfinite(gradient).all()
    assert gradient.dtype == dtype


@pytest.mark.parametrize("spec", PROBABILITIES, ids=lambda spec: spec.kind())
def test_a_probability_of_0_at_the_label_costs_100_and_has_no_slope(spec: losses.LossSpec) -> None:
    targets = spec.targets(np.array([0]), None, 2, "f8")
    loss = spec.build(2, 1, "f8")
    share = 0.5 if isinstance(spec, losses.BinaryCrossEntropyOnProbabilities) else 1.0
    assert loss.forward(np.array([[0.0, 0.5]]), targets) == pytest.approx(share * 100 + (1 - share) * np.log(2))
    assert loss.backward()[0, 0] == 0
    assert not loss.decisions(np.array([[0.0, 0.5]]), targets).all()  # type: ignore[union-attr]


@pytest.mark.parametrize(("convention", "factor"), [("mean", 1 / 6), ("sum", 1.0), ("half", 1 / 4)])
def test_squared_error_says_and_keeps_its_convention(convention: Any, factor: float) -> None:
    spec = losses.MeanSquaredError(convention=convention)
    y, t = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]]), np.zeros((2, 3))
    loss = spec.build(3, 2, "f8")
    assert loss.forward(y, t) == pytest.approx(15 * factor)
    np.testing.assert_allclose(loss.backward(), 2 * factor * y)
    assert convention.replace("half", "½") in spec.averaging
    assert len({losses.MeanSquaredError(convention=c).formulas["forward"] for c in ("mean", "sum", "half")}) == 3


def test_an_evaluation_of_a_summed_loss_is_that_of_a_mini_batch_of_the_recipes_size() -> None:
    trainer = trainer_of((Dense(units=3),), (2,), 4, losses.MeanSquaredError(convention="sum"))
    before = trainer.evaluate("training")[0]
    y = trainer.network.apply(trainer.x)
    assert before == pytest.approx(4 * ((y - trainer.targets) ** 2).sum(axis=1).mean())
    trainer.step(batch=(trainer.x[:1], trainer.targets[:1]))
    assert trainer.evaluate("training")[0] != before
    trainer.network.parameters[...] = 0
    assert trainer.evaluate("training")[0] == pytest.approx(4.0)


ON_A_KINK = {"absolute_error": (losses.AbsoluteError(), [1.0, 0.0, 0.4]), "hinge": (losses.Hinge(), [0.7, -0.3, 0.2])}


@pytest.mark.parametrize("away", [0.0, 1e-6, -2e-7])
@pytest.mark.parametrize("name", ON_A_KINK)
def test_outputs_on_or_by_a_losss_kink_are_no_error(name: str, away: float) -> None:
    spec, y = ON_A_KINK[name]
    trainer = trainer_of((Dense(units=3),), (2,), 1, spec)
    trainer.set_parameters({"0.W": np.ones((2, 3)), "0.b": np.array(y) - 2 + np.array([0, away, 0])})
    bias = check(trainer, (np.ones((1, 2)), [0])).tensors["0.b"]
    assert bias.verdict == ("kink" if name == "hinge" and not away else "pass"), bias.note


def test_saturated_probabilities_accuse_no_gradient() -> None:
    for loss in PROBABILITIES:
        trainer = trainer_of((Dense(units=3), Sigmoid()), (2,), 4, loss)
        trainer.set_parameters({"0.W": trainer.parameters["0.W"] * 1e4})
        assert check(trainer).verdict != "fail"


def test_a_loss_names_what_it_needs_when_the_outputs_are_too_few() -> None:
    with pytest.raises(RecipeError, match="gives 1 outputs, but the data has 2 classes"):
        two_classes({"kind": "hinge"})
