"""What a changed network keeps: every weight whose shape still fits; the timeline begins anew and is exact."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.initializers import Zeros
from engine.kept_runs import KeptRuns
from engine.layers.activations import Tanh
from engine.layers.dense import Dense
from engine.layers.norm import BatchNorm
from engine.layers.off import Off
from engine.layers.residual import Residual
from engine.optimizers import Adam
from engine.recipe import Recipe
from engine.run import Run
from engine.travel import Travel

A, B, C = Dense(units=4), Dense(units=5), Dense(units=3)
RECIPE = Recipe.from_builtins(
    {
        "data": {"kind": "blobs"},
        "layers": [{"kind": "dense", "units": 3}],
        "batch_size": 16,
        "optimizer": {"kind": "sgd"},
    }
)
BEFORE = msgspec.structs.replace(RECIPE, layers=(A, BatchNorm(), B, Tanh(), C))


def trained(recipe: Recipe = BEFORE, **how: Any) -> Run:
    run = Run(recipe, **how)
    for _ in range(5):
        run.step()
    return run


@pytest.mark.parametrize(
    ("changed", "kept", "same"),
    [
        (
            {"layers": (A, BatchNorm(), B, C)},
            (4, 4),
            {"0.W": "0.W", "2.b": "2.b", "3.W": "4.W", "1.running_mean": "1.running_mean"},
        ),
        ({"layers": (A, Tanh(), BatchNorm(), B, Tanh(), C)}, (4, 4), {"2.gamma": "1.gamma", "5.W": "4.W"}),
        ({"layers": (A, BatchNorm(), Dense(units=6), Tanh(), C)}, (2, 4), {"0.W": "0.W", "4.b": "4.b"}),
        ({"layers": (A, BatchNorm(), Dense(units=5, bias=False), Tanh(), C)}, (4, 4), {"2.W": "2.W"}),
        ({"layers": (A, BatchNorm(), Residual(layers=(B,), projection=True), Tanh(), C)}, (3, 4), {"2.0.W": "2.W"}),
        ({"layers": (A, Off(layer=BatchNorm()), B, Tanh(), C)}, (3, 3), {"0.W": "0.W", "4.W": "4.W"}),
        ({"layers": (Dense(units=4, weight_init=Zeros()), BatchNorm(), B, Tanh(), C)}, (3, 4), {"0.b": "0.b"}),
        ({"optimizer": Adam()}, (4, 4), {"0.W": "0.W"}),
        ({"batch_size": 8}, (4, 4), {"4.W": "4.W"}),
        ({"dtype": "float64"}, (4, 4), {"4.W": "4.W"}),
    ],
)
def test_every_weight_that_fits_is_kept(changed: dict[str, Any], kept: tuple[int, int], same: dict[str, str]) -> None:
    old = trained()
    new = Run(msgspec.structs.replace(BEFORE, **changed), after=old)
    assert new.kept == kept
    for mine, theirs in same.items():
        assert np.array_equal(new.trainer.tensor(mine), old.trainer.tensor(theirs))  # type: ignore[arg-type]
    assert (new.position.step, len(new.history)) == (0, 0)
    first = new.trainer.parameters
    new.step()
    after = new.trainer.parameters
    new.seek(0)
    assert all(np.array_equal(new.trainer.parameters[a], first[a]) for a in first)
    new.seek(1)
    assert all(np.array_equal(new.trainer.parameters[a], after[a]) for a in first)


@pytest.mark.parametrize("changed", [{"seed": 5}, {"weights_draw": 1}, {"layers": (A, B, C)}])
def test_weights_are_drawn_from_the_recipe_where_that_is_asked_or_nothing_was_learned(changed: dict[str, Any]) -> None:
    old = Run(BEFORE) if "layers" in changed else trained()
    recipe = msgspec.structs.replace(BEFORE, **changed)
    new, fresh = Run(recipe, after=old), Run(recipe)
    assert new.kept is None
    assert np.array_equal(new.trainer.network.parameters, fresh.trainer.network.parameters)


def test_a_planted_bug_begins_where_its_run_began_so_that_the_two_can_be_compared() -> None:
    old = trained(msgspec.structs.replace(BEFORE, layers=(A, Tanh(), C)), after=trained())
    assert old.kept is not None
    raw = msgspec.to_builtins(old.trainer.recipe) | {"bugs": [{"layer": 0, "slug": "bias-not-summed"}]}
    planted = Run(Recipe.from_builtins(raw), after=old)
    size = planted.trainer.network.parameters.size
    assert np.array_equal(planted.trainer.network.parameters, old.recorder.first.values[:size])


def test_runs_that_were_never_trained_make_room_before_others() -> None:
    runs, first = KeptRuns(), trained()
    runs.add(first, 10**9)
    for units in range(6, 40):
        runs.add(Run(msgspec.structs.replace(BEFORE, layers=(Dense(units=units), C))), 10**9)
    assert first in list(runs)
    assert runs.of(BEFORE) is first


def test_a_run_that_made_room_for_others_leaves_the_memory_and_a_session_opened_is_numbered_anew() -> None:
    runs, run = KeptRuns(), trained()
    travel = Travel(lambda _: None, runs)
    runs.add(run, 0)
    assert travel.number(run.path) == 0
    gone = weakref.ref(run.path)
    runs.drop(run)
    del run
    gc.collect()
    assert gone() is None
    other = trained()
    assert travel.number(other.path) == 1, "no number is given twice"
    travel.number_anew()
    assert travel.number(other.path) == 0
