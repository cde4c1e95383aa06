"""Scaling: fitted on the training part alone, by column for tables, over all pixels for pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine import Recipe, Trainer
from engine.boundary import extent
from engine.datasets import Digits, Samples, scaled
from engine.spec import RecipeError


def trainer(scale: str, **data: Any) -> Trainer:
    """A trainer on blobs, or on other data."""
    recipe = {
        "seed": 3,
        "dtype": "float64",
        "data": {"kind": "blobs", "scale": scale, **data},
        "layers": [{"kind": "dense", "units": 10}],
        "optimizer": {"kind": "sgd", "lr": 0.05},
    }
    return Trainer(Recipe.from_json(json.dumps(recipe)))


def table(x: list[list[float]], scale: str) -> Samples:
    """Samples of two named columns."""
    return Samples(np.array(x), None, (), values=np.zeros((len(x), 1)), columns=("age", "height"), scale=scale)


def test_without_a_scale_nothing_is_done() -> None:
    samples = table([[1, 2], [3, 4]], "none")
    assert scaled(samples, np.arange(2)) is samples
    plain = trainer("none")
    np.testing.assert_array_equal(
        np.sort(np.concatenate([plain.x, plain.x_validation]).ravel()), np.sort(plain.samples.x.ravel())
    )


def test_standardize_gives_each_training_column_mean_0_and_deviation_1() -> None:
    even = trainer("standardize")
    np.testing.assert_allclose(even.x.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(even.x.std(axis=0), 1.0, atol=1e-12)
    assert np.abs(even.x_validation.mean(axis=0)).max() > 1e-6, "the validation part had its say"


def test_unit_puts_each_training_column_between_0_and_1() -> None:
    even = trainer("unit")
    np.testing.assert_array_equal(even.x.min(axis=0), 0.0)
    np.testing.assert_array_equal(even.x.max(axis=0), 1.0)


@pytest.mark.parametrize("scale", ["unit", "standardize"])
def test_the_validation_part_has_no_say(scale: str) -> None:
    rows = [[1.0, 10.0], [2.0, 30.0], [3.0, 20.0], [4.0, 50.0]]
    near, far = (table([*rows, [1e3, -1e3 * sign]], scale) for sign in (0, 1))
    np.testing.assert_array_equal(scaled(near, np.arange(4)).x[:4], scaled(far, np.arange(4)).x[:4])


@pytest.mark.parametrize("scale", ["unit", "standardize"])
def test_pictures_are_scaled_as_a_whole_so_that_blank_pixels_are_no_trouble(scale: str) -> None:
    digits = replace(Digits(first=100).load(np.random.default_rng(0)), scale=scale)
    assert (digits.x.max(axis=0) == digits.x.min(axis=0)).any(), "no pixel is blank in all of them"
    x = scaled(digits, np.arange(100)).x
    if scale == "unit":
        assert (x.min(), x.max()) == (0.0, 1.0)
    else:
        assert (x.mean(), x.std()) == (pytest.approx(0.0, abs=1e-12), pytest.approx(1.0))


@pytest.mark.parametrize("scale", ["unit", "standardize"])
def test_a_constant_column_is_refused_by_its_name(scale: str) -> None:
    samples = table([[1.0, 0.1], [2.0, 0.1], [3.0, 0.1], [4.0, 7.0]], scale)
    with pytest.raises(
        RecipeError, match=r"data\.scale: column 'height' is 0\.1 in every training sample .*; leave it out"
    ):
        scaled(samples, np.arange(3))
    with pytest.raises(RecipeError, match=r"column 2 is 0\.1 in every"):
        scaled(replace(samples, columns=()), np.arange(3))
    scaled(samples, np.arange(4))


@pytest.mark.parametrize("scale", ["unit", "standardize"])
def test_a_range_that_no_number_can_hold_is_refused(scale: str) -> None:
    samples = table([[1.0, -1.7e308], [2.0, 1.7e308]], scale)
    with pytest.raises(RecipeError, match=r"column 'height' runs from -1\.7e\+308 to 1\.7e\+308, a range that cannot"):
        scaled(samples, np.arange(2))


def test_blank_pictures_are_refused() -> None:
    blank = Samples(np.zeros((4, 4)), np.array([0, 1, 0, 1]), ("a", "b"), image_shape=(2, 2), scale="standardize")
    with pytest.raises(RecipeError, match="the value of the pixels is 0 in every training sample"):
        scaled(blank, np.arange(4))


def test_the_picture_of_the_plane_is_drawn_where_the_scaled_points_are() -> None:
    even = trainer("unit")
    left, right, bottom, top = extent(even)
    assert left < 0 < 1 < right < 2
    assert -1 < bottom < 0 < 1 < top
    np.testing.assert_array_equal(even.samples.x.min(axis=0) <= 0, True)


def test_a_scale_is_part_of_the_recipe_and_changes_what_is_learnt() -> None:
    plain, even = trainer("none"), trainer("standardize")
    plain.step()
    even.step()
    assert plain.loss != even.loss
    again = Trainer(Recipe.from_json(even.recipe.to_json()))
    again.step()
    assert again.loss == even.loss
