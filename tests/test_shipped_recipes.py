"""The recipes and the data in the box: each opens, and shows what it is there to show, whatever the seed."""

from __future__ import annotations

import json
import math
import os
from importlib import resources
from pathlib import Path
from statistics import median
from typing import Any

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
SEEDS = [0, 1, *(pytest.param(seed, marks=pytest.mark.campaign) for seed in range(2, 5))]
CAMPAIGN_SEEDS = range(1 if os.environ.get("NABLASCOPE_SLICE") == "1" else 5)


def shipped(name: str, **changes: object) -> engine.Recipe:
    """A shipped recipe, some of its fields changed."""
    text = resources.files("resources").joinpath(f"recipes/{name}.json").read_text("utf-8")
    return engine.Recipe.from_json(json.dumps(json.loads(text) | changes))


def trainer(name: str, steps: int = 0, mnist: Path | None = None, **changes: object) -> engine.Trainer:
    """A trainer on a shipped recipe after some steps; its MNIST files from a folder."""
    if mnist is not None:
        text = resources.files("resources").joinpath(f"recipes/{name}.json").read_text("utf-8")
        changes["data"] = json.loads(text)["data"] | {"folder": str(mnist)}
    made = engine.Trainer(shipped(name, **changes))
    for _ in range(steps):
        made.step()
    return made


def output(made: engine.Trainer, layer: int) -> Any:
    """What a layer gives for all training samples."""
    x = made.x
    for built in made.network.at(1).layers[: layer + 1]:
        x = built.apply(x)
    return x


def first_against_last(made: engine.Trainer) -> float:
    """How much of the error at the output is left at the first layer: ‖∂L/∂z₁‖ / ‖∂L/∂z_L‖."""
    ends = (made.tensor(f"{layer}.grad_y") for layer in (0, len(made.recipe.layers) - 1))
    first, last = (float(np.linalg.norm(end)) for end in ends if end is not None)
    return first / last


def dead(made: engine.Trainer, layer: int) -> int:
    """How many units of a ReLU layer are 0 for every training sample."""
    return int((output(made, layer) <= 0).all(axis=0).sum())


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.name)
def test_a_shipped_recipe_opens_and_survives_being_saved(file: Any, request: pytest.FixtureRequest) -> None:
    recipe = engine.Recipe.from_json(file.read_text("utf-8"))
    assert engine.Recipe.from_json(recipe.to_json()) == recipe
    if file.name != "notebook_d.json":
        name = file.name.removesuffix(".json")
        trainer(name, steps=1, mnist=request.getfixturevalue("mnist") if recipe.data.kind() == "mnist" else None)


def test_recipes_have_names_of_their_own() -> None:
    names = [engine.Recipe.from_json(file.read_text("utf-8")).name for file in RECIPES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("name", STEPS_AND_ACCURACY)
def test_a_shipped_recipe_learns(name: str, seed: int) -> None:
    steps, wanted = STEPS_AND_ACCURACY[name]
    assert trainer(name, steps, seed=seed).evaluate()[1] >= wanted


@pytest.mark.parametrize("seed", [0, 7])
def test_the_deep_sigmoid_network_shows_a_vanishing_gradient(seed: int) -> None:
    deep = trainer("deep_sigmoid", seed=seed)
    for _ in range(300):
        deep.step()
        norms = [np.linalg.norm(gradient) for address, gradient in deep.gradients.items() if address.endswith(".W")]
        assert norms[0] < 0.01 * norms[-1]
    assert deep.evaluate()[1] < 0.25


def test_the_digits_are_all_there() -> None:
    with resources.files("resources").joinpath("data/digits.npz").open("rb") as file, np.load(file) as stored:
        images, labels = stored["images"], stored["labels"]
    assert images.shape == (1797, 8, 8)
    assert images.dtype == labels.dtype == np.uint8
    assert images.max() == 16
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


# --- the classroom's recipes ----------------------------------------------------------------------------


def test_the_example_by_hand_has_the_numbers_of_the_hand() -> None:
    hand = trainer("by_hand")
    assert hand.evaluate("training")[0] == pytest.approx(0.298371109, abs=5e-10)
    hand.step()
    np.testing.assert_allclose(
        hand.parameters["0.W"].T, [[0.149780716, 0.19956143], [0.24975114, 0.29950229]], atol=1e-8
    )
    np.testing.assert_allclose(
        hand.parameters["2.W"].T, [[0.35891648, 0.408666186], [0.511301270, 0.561370121]], atol=1e-8
    )
    assert hand.evaluate("training")[0] == pytest.approx(0.291027774, abs=5e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_error_vanishes_on_its_way_through_sigmoids_at_every_step(seed: int) -> None:
    vanishing = trainer("vanishing", seed=seed)
    for _ in range(300):
        vanishing.step()
        assert 1e-5 < first_against_last(vanishing) < 1e-3
    assert vanishing.evaluate("training")[1] < 0.6


@pytest.mark.parametrize("seed", SEEDS)
def test_the_error_comes_through_relus_and_the_network_learns(seed: int) -> None:
    cured = trainer("vanishing_cured", seed=seed)
    for _ in range(600):
        cured.step()
        assert 0.03 < first_against_last(cured) < 100
    assert cured.evaluate("training")[1] > 0.98


def test_a_badly_wrong_neuron_learns_slowly_from_the_squared_error_and_fast_from_cross_entropy() -> None:
    squared, entropy = trainer("wrong_neuron_squared"), trainer("wrong_neuron_cross_entropy")
    assert squared.predict([[1.0]])[0, 0] == entropy.predict([[1.0]])[0, 0] == pytest.approx(0.982, abs=5e-4)
    for _ in range(50):
        entropy.step()
    assert entropy.predict([[1.0]])[0, 0] == pytest.approx(0.099, abs=6e-4)
    for steps, wanted in ((150, 0.933), (300, 0.203)):
        while squared.step_count < steps:
            squared.step()
        assert squared.predict([[1.0]])[0, 0] == pytest.approx(wanted, abs=5e-4)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("seed", SEEDS)
def test_weights_of_zero_have_gradients_of_exactly_zero_for_ever(seed: int, activation: str) -> None:
    layers = json.loads(shipped("zero_init").to_json())["layers"]
    layers = [layer if layer["kind"] == "dense" else {"kind": activation} for layer in layers]
    zero = trainer("zero_init", seed=seed, layers=layers)
    for _ in range(100):
        zero.step()
        assert all(not gradient.any() for address, gradient in zero.gradients.items() if address.endswith(".W"))
    assert zero.evaluate("training")[0] == pytest.approx(math.log(2), abs=1e-3)


@pytest.mark.parametrize("seed", SEEDS)
def test_weights_that_start_alike_stay_alike(seed: int) -> None:
    alike = trainer("constant_init", 1000, seed=seed)
    w1, w2 = alike.parameters["0.W"], alike.parameters["2.W"]
    np.testing.assert_array_equal(w1, w1[:, :1] + np.zeros_like(w1))
    assert np.linalg.matrix_rank(w2) == 1
    assert np.abs(w1 - 0.5).max() > 0.01, "nothing was learnt at all"
    assert alike.evaluate("training")[1] < 0.85


@pytest.mark.parametrize("seed", SEEDS)
def test_weights_that_are_too_large_explode_within_a_few_steps(seed: int) -> None:
    assert not math.isfinite(trainer("exploding_init", 4, seed=seed).loss)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rate_that_is_too_large_explodes_and_a_small_one_learns(seed: int) -> None:
    assert trainer("exploding_lr", 20, seed=seed).loss > 1e30
    small = trainer("exploding_lr", seed=seed, optimizer={"kind": "sgd", "lr": 0.1})
    before = small.evaluate("training")[0]
    for _ in range(1000):
        small.step()
    assert small.evaluate("training")[0] < 0.15 * before


@pytest.mark.parametrize("seed", SEEDS)
def test_a_large_rate_kills_every_unit_of_the_second_relu(seed: int) -> None:
    killed = trainer("dead_relu_lr", 600, seed=seed)
    assert dead(killed, 3) == 8
    assert killed.evaluate("training")[1] == 0.5
    alive = trainer("dead_relu_lr", 1000, seed=seed, optimizer={"kind": "sgd", "lr": 0.1})
    assert alive.evaluate("training")[1] > 0.98


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bias_far_below_zero_kills_both_relus(seed: int) -> None:
    killed = trainer("dead_relu_bias", 200, seed=seed)
    assert (dead(killed, 1), dead(killed, 3)) == (8, 8)
    assert killed.evaluate("training")[0] == pytest.approx(math.log(2), abs=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_tanh_wants_weights_that_are_neither_small_nor_large(seed: int) -> None:
    small, right, large = (trainer(f"tanh_scale_{size}", 1, seed=seed) for size in ("small", "right", "large"))
    assert small.frame().scalars["gradient.0.W"] < 1e-4 < 1e-2 < right.frame().scalars["gradient.0.W"]
    for made in (small, right, large):
        for _ in range(600):
            made.step()
    assert small.evaluate("training")[0] == pytest.approx(math.log(2), abs=1e-3)
    assert right.evaluate("training")[1] > 0.98
    for layer in (3, 5):
        assert (np.abs(output(large, layer)) > 0.99).mean() > 0.85
        assert (np.abs(output(right, layer)) > 0.99).mean() < 0.3


@pytest.mark.parametrize("seed", SEEDS)
def test_a_spiral_needs_a_hidden_layer(seed: int) -> None:
    assert trainer("spiral_linear", 300, seed=seed).evaluate("training")[1] < 0.65
    assert trainer("spiral_hidden", 500, seed=seed).evaluate("training")[1] > 0.95


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sane_classifier_starts_at_the_logarithm_of_its_classes_and_learns_20_samples_by_heart(seed: int) -> None:
    sane = trainer("sanity_checks", seed=seed)
    assert len(sane.x) == 20
    assert sane.evaluate("training")[0] == pytest.approx(math.log(10), abs=0.01)
    for _ in range(200):
        sane.step()
    assert sane.evaluate("training")[1] == 1.0
    assert sane.evaluate("training")[0] < 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_skips_bring_the_gradient_through_twenty_layers(seed: int) -> None:
    without, rescued = (trainer(f"residual_{name}", 1, seed=seed) for name in ("without", "with"))
    assert first_against_last(without) < 1e-3
    assert first_against_last(rescued) > 0.5
    for made in (without, rescued):
        for _ in range(300):
            made.step()
    assert without.evaluate()[1] < 0.25
    assert rescued.evaluate()[1] > 0.6


@pytest.mark.parametrize("seed", SEEDS)
def test_the_bug_bench_learns_without_a_bug(seed: int) -> None:
    assert trainer("bug_bench", 1500, seed=seed).evaluate("training")[1] == 1.0


@pytest.mark.parametrize(
    ("bench", "slug", "tensor"), [("transposed", "transposed", "2.W"), ("derivative", "extra-derivative", "1.x")]
)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_planted_bug_hides_from_the_loss_and_not_from_the_check(
    seed: int, bench: str, slug: str, tensor: str
) -> None:
    wrong = trainer(f"bug_bench_{bench}", 1, seed=seed)
    report = engine.check(wrong)
    assert report.verdict == "fail"
    assert [(bug.slug, bug.tensor) for bug in report.bugs] == [(slug, tensor)]
    for _ in range(1499):
        wrong.step()
    assert wrong.evaluate("training")[1] == 1.0


# --- the five notebooks ---------------------------------------------------------------------------------


def accuracy_of_notebook_a(mnist: Path, seed: int) -> float:
    """On the 647 pictures held back, after 50 iterations on the other 2,500."""
    made = trainer("notebook_a", 50, mnist=mnist, seed=seed)
    assert (len(made.x), len(made.x_validation), made.batches) == (2500, 647, 1)
    assert made.x.max() == 255
    return made.evaluate()[1]


def test_notebook_a_learns_three_digits_from_raw_pixels(mnist: Path) -> None:
    assert accuracy_of_notebook_a(mnist, 0) > 0.92


@pytest.mark.campaign
def test_notebook_a_reaches_its_accuracy_over_five_seeds(mnist: Path) -> None:
    assert median(accuracy_of_notebook_a(mnist, seed) for seed in CAMPAIGN_SEEDS) >= 0.96


def test_notebook_b_learns_from_batches_in_order(mnist: Path) -> None:
    made = trainer("notebook_b", mnist=mnist, seed=0)
    assert (made.batches, len(made.x_validation)) == (125, 2000)
    before = made.evaluate()[0]
    for _ in range(125):
        made.step()
    np.testing.assert_array_equal(made.current.x, made.x[-64:])
    assert made.evaluate()[0] < before - 0.1


@pytest.mark.campaign
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", CAMPAIGN_SEEDS)
def test_notebook_b_reaches_both_its_accuracies(mnist: Path, seed: int) -> None:
    made = trainer("notebook_b", 1876, mnist=mnist, seed=seed)
    assert made.evaluate()[1] == pytest.approx(0.77, abs=0.03)
    while made.step_count < 9380:
        made.step()
    assert made.evaluate()[1] == pytest.approx(0.898, abs=0.02)


@pytest.mark.parametrize("rate", [1e-4, 1e-2])
@pytest.mark.parametrize("seed", SEEDS)
def test_notebook_c_lowers_the_loss_of_random_labels(seed: int, rate: float) -> None:
    made = trainer("notebook_c", seed=seed, optimizer={"kind": "sgd", "lr": rate})
    assert (made.x.shape, made.batches) == ((64, 5), 4)
    before = made.evaluate("training")[0]
    for _ in range(400):
        made.step()
    assert made.evaluate("training")[0] < before


def test_notebook_d_is_refused_with_the_layer_both_shapes_and_the_cure(mnist: Path) -> None:
    with pytest.raises(engine.RecipeError) as refused:
        trainer("notebook_d", mnist=mnist)
    assert str(refused.value) == (
        "layers[0] (dense) takes vectors (in,) → (100,) but gets 28×28 arrays from the data; "
        "insert a Flatten layer before it"
    )


def test_notebook_e_is_d_with_a_flatten(mnist: Path) -> None:
    d, e = shipped("notebook_d"), shipped("notebook_e")
    assert e.layers[1:] == d.layers
    made = trainer("notebook_e", 400, mnist=mnist, seed=0)
    assert made.evaluate()[1] > 0.5


@pytest.mark.campaign
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", CAMPAIGN_SEEDS)
def test_notebook_e_reaches_its_accuracy_after_25_epochs(mnist: Path, seed: int) -> None:
    made = trainer("notebook_e", mnist=mnist, seed=seed)
    for _ in range(25 * made.batches):
        made.step()
    assert made.evaluate("training")[1] > 0.999
    assert made.evaluate()[1] >= 0.955
