"""First values: drawn with the variance that is meant, at right angles, or exactly as given."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest
from layer_examples import trainer_of

from engine import Recipe, RecipeError, Trainer
from engine.initializers import (
    Given,
    He,
    Initializer,
    LeCun,
    Normal,
    Orthogonal,
    TruncatedNormal,
    Uniform,
    Xavier,
)
from engine.layers.dense import Dense

FAN_IN, FAN_OUT = 300, 500


def drawn(rule: Initializer, shape: tuple[int, ...] = (FAN_IN, FAN_OUT)) -> np.ndarray[Any, Any]:
    """First values from a fixed stream."""
    values = rule.draw(np.random.default_rng(5), shape, FAN_IN, FAN_OUT)
    assert values.dtype == np.float64
    return values


@pytest.mark.parametrize(
    ("rule", "std"),
    [
        (He(), sqrt(2 / FAN_IN)),
        (He(distribution="uniform", gain=2.0), 2 * sqrt(2 / FAN_IN)),
        (Xavier(), sqrt(2 / (FAN_IN + FAN_OUT))),
        (Xavier(distribution="normal", gain=5 / 3), 5 / 3 * sqrt(2 / (FAN_IN + FAN_OUT))),
        (LeCun(), sqrt(1 / FAN_IN)),
        (LeCun(distribution="uniform"), sqrt(1 / FAN_IN)),
        (Normal(std=0.3), 0.3),
        (Uniform(limit=0.3), 0.3 / sqrt(3)),
        (TruncatedNormal(std=1.0), 0.87962566),  # of a standard normal within ±2
        (TruncatedNormal(std=1.0, cut=0.5), 0.28365),
    ],
    ids=str,
)
def test_drawn_values_have_the_standard_deviation_that_is_meant(rule: Initializer, std: float) -> None:
    values = drawn(rule)
    assert values.std() == pytest.approx(std, rel=0.01)
    assert abs(values.mean()) < 0.01 * std


def test_uniform_values_stay_within_pytorchs_bounds() -> None:
    assert np.abs(drawn(He(distribution="uniform"))).max() <= sqrt(6 / FAN_IN)
    assert np.abs(drawn(Xavier())).max() <= sqrt(6 / (FAN_IN + FAN_OUT))


def test_truncated_values_stay_within_the_cut() -> None:
    values = drawn(TruncatedNormal(std=0.1, mean=3.0))
    assert np.abs(values - 3.0).max() <= 0.2
    assert values.mean() == pytest.approx(3.0, abs=1e-3)


@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (5, 5), (11, 3, 2), (2, 3, 5), (5, 1)])
def test_orthogonal_values_stand_at_right_angles(shape: tuple[int, ...]) -> None:
    q = drawn(Orthogonal(gain=3.0), shape)
    assert q.shape == shape
    flat = q.reshape(shape[0], -1)
    square = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    np.testing.assert_allclose(square, 9 * np.eye(len(square)), atol=1e-13)


def test_every_orthogonal_matrix_is_as_likely_as_its_mirror_images() -> None:
    rng = np.random.default_rng(6)
    corners = [Orthogonal().draw(rng, (3, 3), 3, 3)[0, 0] for _ in range(400)]
    assert abs(np.mean(corners)) < 0.1


def test_given_values_never_stretch_to_another_shape() -> None:
    with pytest.raises(ValueError, match="2×3"):
        drawn(Given(values=(1.0, 2.0, 3.0)), (2, 3))


def test_given_values_are_taken_as_they_are() -> None:
    w = ((0.15, 0.25, 1.0), (0.2, 0.3, -1.0))
    stack = (Dense(units=3, weight_init=Given(values=w), bias_init=Given(values=(1.0, 2.0, 3.0))),)
    recipe = trainer_of(stack, (2,)).recipe
    trainer = Trainer(recipe)
    np.testing.assert_array_equal(trainer.parameters["0.W"], w)
    np.testing.assert_array_equal(trainer.parameters["0.b"], [1, 2, 3])
    again = Recipe.from_json(Recipe(layers=stack).to_json())
    assert again.layers == stack


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (((1.0, 2.0),), "has shape 2×3, but the given values have 1×2; give 2×3 values"),
        ((1.0, 2.0), "has shape 2×3, but the given values have 2"),
        (((1.0, 2.0, 3.0), (1.0, 2.0)), "ragged"),
        ((1.0, (1.0, 2.0, 3.0)), "ragged"),
    ],
)
def test_given_values_of_another_shape_are_refused_at_build_with_the_layer(values: Any, words: str) -> None:
    recipe = Recipe.from_builtins(
        {
            "data": {"kind": "blobs"},
            "layers": [{"kind": "dense", "units": 3, "weight_init": {"kind": "given", "values": values}}],
        }
    )
    with pytest.raises(RecipeError) as refusal:
        Trainer(recipe)
    assert words in str(refusal.value)
    assert str(refusal.value).startswith("layers[0] (dense) W: ")


def test_given_values_that_are_no_numbers_are_refused_with_their_path() -> None:
    with pytest.raises(RecipeError, match=r"layers\[0\]\.weight_init\.values\[1\]\[0\] must be"):
        Recipe.from_builtins(
            {"layers": [{"kind": "dense", "units": 1, "weight_init": {"kind": "given", "values": [[1], ["x"]]}}]}
        )
    with pytest.raises(ValueError, match="finite"):
        Given(values=((1.0, float("nan")),))
