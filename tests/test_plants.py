"""Planted bugs: training runs with them, forward knows nothing of them, the check sees them, recipes are validated."""

from __future__ import annotations

import json

import numpy as np
import pytest

import engine
from engine.bugs import CATALOGUE, WARNINGS
from engine.plants import plants_for
from engine.recipe import Recipe

BENCH = {
    "dtype": "float64",
    "data": {"kind": "blobs", "samples": 60, "classes": 3},
    "layers": [
        {"kind": "dense", "units": 5},
        {"kind": "leaky_relu"},
        {"kind": "batch_norm"},
        {"kind": "residual", "layers": [{"kind": "dense", "units": 5}, {"kind": "tanh"}]},
        {"kind": "dropout", "rate": 0.3},
        {"kind": "dense", "units": 5},
        {"kind": "relu"},
        {"kind": "dense", "units": 3},
    ],
    "seed": 3,
    "batch_size": 7,
}
SHAPES = [(2,), *[(5,)] * 7]
EVERYWHERE = [
    *((i, slug) for i, spec in enumerate(Recipe.from_builtins(BENCH).layers) for slug in plants_for(spec, SHAPES[i])),
    *((-1, slug) for slug in plants_for(Recipe.from_builtins(BENCH).loss, (3,))),
]
ONCE = {(type(Recipe.from_builtins(BENCH).layers[i]) if i >= 0 else None, slug): (i, slug) for i, slug in EVERYWHERE}
PLACES = [place for place in ONCE.values() if place[1] != "batch-of-one"]  # which is right for a batch of seven
# Every bug once and every kind of layer once; the campaign plants every bug in every kind of layer.
EACH_ONCE = {*{slug: (i, slug) for i, slug in PLACES}.values(), *{i: (i, slug) for i, slug in PLACES}.values()}
# Training may go as if there were no bug: the diagnosis names these, not the numbers.
NOT_IN_THE_NUMBERS = {"mutates-input", "integer-dtype", "accumulates-across-calls"}


def planted(layer: int, slug: str, **more: object) -> engine.Trainer:
    """A trainer with one bug."""
    return engine.Trainer(Recipe.from_json(json.dumps({**BENCH, "bugs": [{"layer": layer, "slug": slug, **more}]})))


@pytest.mark.parametrize(
    ("layer", "slug"),
    [pytest.param(*place, marks=() if place in EACH_ONCE else pytest.mark.campaign) for place in PLACES],
)
def test_a_planted_bug_is_trained_with_found_and_named(layer: int, slug: str) -> None:
    right, wrong = engine.Trainer(Recipe.from_builtins(BENCH)), planted(layer, slug)
    assert np.array_equal(right.predict(right.x), wrong.predict(wrong.x)), "forward knows nothing of it"
    report = engine.check(wrong, mode="sampled")
    assert report.verdict == "fail"
    assert report.bugs, "a bug that was found has a name, or is called unknown"
    where = "loss" if layer < 0 else f"{layer}."
    assert all(bug.tensor.startswith(where) or bug.tensor == str(layer) for bug in report.bugs), report.bugs
    for _ in range(3):
        right.step()
        wrong.step()
    if slug not in NOT_IN_THE_NUMBERS:
        assert not np.array_equal(right.network.parameters, wrong.network.parameters)


def test_the_network_without_a_bug_is_not_accused() -> None:
    report = engine.check(engine.Trainer(Recipe.from_builtins(BENCH)), mode="sampled")
    assert report.verdict in ("pass", "kink")
    assert report.bugs == ()


def test_a_bug_of_batches_of_one_is_seen_with_a_batch_of_one() -> None:
    layers = [{"kind": "dense", "units": 5}, {"kind": "tanh"}, {"kind": "dense", "units": 3}]
    changes = {"layers": layers, "bugs": [{"layer": 0, "slug": "batch-of-one"}]}
    wrong = engine.Trainer(Recipe.from_builtins({**BENCH, **changes}))
    assert engine.check(wrong).verdict == "pass"
    report = engine.check(wrong, batch=(wrong.x[:1], wrong.labels[:1]))  # type: ignore[index]
    assert report.verdict == "fail"
    assert "batch-of-one" in {bug.slug for bug in report.bugs}


def test_every_bug_of_the_catalogue_has_a_sentence_and_a_worked_formula() -> None:
    assert set(CATALOGUE) > WARNINGS
    for slug, entry in CATALOGUE.items():
        assert entry.sentence.endswith("."), slug
        assert entry.formula, slug
    assert {slug for _, slug in PLACES} <= set(CATALOGUE)


@pytest.mark.parametrize(
    ("bug", "words"),
    [
        ({"layer": 99, "slug": "transposed"}, r"bugs\[0\]: there is no layer 99; choose one from 0 to 7, or -1"),
        ({"layer": 1, "slug": "transposed"}, r"'transposed' cannot be planted into layers\[1\] \(leaky_relu\); use"),
        ({"layer": 0, "slug": "no-such-bug"}, "no-such-bug"),
        ({"layer": -1, "slug": "skip-dropped"}, r"cannot be planted into the loss \(softmax_cross_entropy\)"),
    ],
)
def test_a_bug_that_cannot_be_planted_is_refused_in_one_sentence(bug: dict[str, object], words: str) -> None:
    with pytest.raises(engine.RecipeError, match=words) as refused:
        planted(**bug)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_revealing_a_hidden_bug_needs_no_new_start() -> None:
    trainer = planted(0, "sign-flipped", hidden=True)
    trainer.step()
    shown = Recipe.from_json(json.dumps({**BENCH, "bugs": [{"layer": 0, "slug": "sign-flipped", "hidden": False}]}))
    assert trainer.adopt(shown)
    assert trainer.step_count == 1
