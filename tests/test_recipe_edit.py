"""Edits of the layers: a planted bug stays in its layer, wherever that goes, and goes with it for good."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from app.edit_names import name_of_edit
from app.recipe_edit import (
    duplicate_layers,
    insert_layer,
    move_layers,
    put_into,
    remove_layers,
    replace_layer,
    unwrap_layer,
    wrap_layers,
)
from engine.bugs import PlantedBug
from engine.layers.activations import ReLU, Tanh
from engine.layers.dense import Dense
from engine.layers.residual import Residual
from engine.recipe import Recipe, with_layers

ON_LOSS = PlantedBug(layer=-1, slug="loss-not-averaged")
CHAIN = (Dense(units=8), ReLU(), Residual(layers=(Dense(units=8), ReLU())), ReLU(), Dense(units=10))


def with_bug(layer: int) -> Recipe:
    """The chain with a bug in one of its layers, and one in the loss."""
    return Recipe(layers=CHAIN, bugs=(ON_LOSS, PlantedBug(layer=layer, slug="relu-mask-missing")))


EDITS: dict[str, tuple[Callable[[Recipe], Recipe], dict[int, int | None]]] = {  # and where bugs of layers get to
    "insert its twin before": (lambda r: insert_layer(r, 1, ReLU()), {0: 0, 1: 2, 3: 4}),
    "insert its twin behind": (lambda r: insert_layer(r, 2, ReLU()), {0: 0, 1: 1, 3: 4}),
    "remove": (lambda r: remove_layers(r, (0, 1)), {0: None, 1: None, 3: 1, 4: 2}),
    "edit in place": (lambda r: replace_layer(r, 4, Dense(units=12)), {1: 1, 3: 3, 4: 4}),
    "move to the end": (lambda r: move_layers(r, (1,), 4), {0: 0, 1: 4, 3: 2, 4: 3}),
    "move two up": (lambda r: move_layers(r, (3, 4), 0), {0: 2, 1: 3, 3: 0, 4: 1}),
    "duplicate": (lambda r: duplicate_layers(r, (0, 1)), {0: 0, 1: 1, 3: 5}),
    "into a new block": (lambda r: wrap_layers(r, (0, 1)), {0: None, 1: None, 3: 2}),
    "out of the block": (lambda r: unwrap_layer(r, 2), {1: 1, 2: None, 3: 4}),
    "onto the block": (lambda r: put_into(r, (0, 1), 2), {0: None, 1: None, 2: 0, 3: 1}),
    "another stack": (lambda r: with_layers(r, (Dense(units=3), Tanh())), {0: None, 1: None, 4: None}),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_planted_bug_goes_where_its_layer_goes(edit: str) -> None:
    make, places = EDITS[edit]
    for before, after in places.items():
        recipe = with_bug(before)
        edited = make(recipe)
        assert edited.bugs[0] == ON_LOSS
        assert [bug.layer for bug in edited.bugs[1:]] == ([] if after is None else [after])
        without = msgspec.structs.replace(recipe, bugs=())
        assert edited.layers == make(without).layers
        assert name_of_edit(recipe, edited) == name_of_edit(without, make(without))
