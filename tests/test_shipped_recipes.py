"""The recipes and the data in the box: each opens, and shows what it is there to show."""

from __future__ import annotations

import json
from importlib import resources

import numpy as np
import pytest

import engine

RECIPES = sorted(
    (file for file in resources.files("resources").joinpath("recipes").iterdir() if file.name.endswith(".json")),
    key=lambda file: file.name,
)
STEPS_AND_ACCURACY = {
    "blobs": (300, 0.95),
    "circles": (600, 0.95),
    "digits": (1000, 0.93),
    "moons": (600, 0.95),
    "spirals": (1000, 0.93),
    "xor": (600, 0.95),
}


def shipped(name: str, **changes: object) -> engine.Recipe:
    """A shipped recipe, some of its fields changed."""
    text = resources.files("resources").joinpath(f"recipes/{name}.json").read_text("utf-8")
    return engine.Recipe.from_json(json.dumps(json.loads(text) | changes))


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.name)
def test_a_shipped_recipe_opens_and_survives_being_saved(file):
    recipe = engine.Recipe.from_json(file.read_text("utf-8"))
    engine.Trainer(recipe)
    assert engine.Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("name", STEPS_AND_ACCURACY)
def test_a_shipped_recipe_learns(name, seed):
    steps, wanted = STEPS_AND_ACCURACY[name]
    trainer = engine.Trainer(shipped(name, seed=seed))
    for _ in range(steps):
        trainer.step()
    assert trainer.evaluate()[1] >= wanted


@pytest.mark.parametrize("seed", [0, 7])
def test_the_deep_sigmoid_network_shows_a_vanishing_gradient(seed):
    trainer = engine.Trainer(shipped("deep_sigmoid", seed=seed))
    for _ in range(300):
        trainer.step()
        norms = [np.linalg.norm(gradient) for address, gradient in trainer.gradients.items() if address.endswith(".W")]
        assert norms[0] < 0.01 * norms[-1]
    assert trainer.evaluate()[1] < 0.25


def test_the_digits_are_all_there():
    with resources.files("resources").joinpath("data/digits.npz").open("rb") as file, np.load(file) as stored:
        images, labels = stored["images"], stored["labels"]
    assert images.shape == (1797, 8, 8)
    assert images.dtype == labels.dtype == np.uint8
    assert images.max() == 16
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
