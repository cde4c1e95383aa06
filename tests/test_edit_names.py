"""An edit is named by what differs, as undo and redo say it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.edit_names import name_of_edit
from app.recipe_edit import (
    duplicate_layers,
    insert_layer,
    move_layers,
    put_into,
    remove_layers,
    switch_layers,
    unwrap_layer,
    wrap_layers,
)
from engine.initializers import Zeros
from engine.layers.activations import ReLU, Sigmoid, Tanh
from engine.layers.dense import Dense
from engine.layers.residual import Residual
from engine.optimizers import SGD, Adam
from engine.recipe import Recipe

R = Recipe(layers=(Dense(units=32), Tanh(), ReLU(), Residual(layers=(Tanh(), Sigmoid())), Dense(units=10)))
OFF = switch_layers(R, (2,))


def changed(at: int, **fields: Any) -> Recipe:
    layers = list(R.layers)
    layers[at] = msgspec.structs.replace(layers[at], **fields)
    return msgspec.structs.replace(R, layers=tuple(layers))


def other(**fields: Any) -> Recipe:
    return msgspec.structs.replace(R, **fields)


NAMES: list[tuple[Recipe, Recipe, str]] = [
    (R, remove_layers(R, (2,)), "remove ReLU 2"),
    (R, remove_layers(R, (1, 2)), "remove 2 layers"),
    (R, remove_layers(R, (0, 2)), "remove 2 layers"),
    (R, insert_layer(R, 1, ReLU()), "add ReLU 1"),
    (R, duplicate_layers(R, (0,)), "duplicate Dense 1"),
    (R, duplicate_layers(R, (0, 1)), "duplicate 2 layers"),
    (R, move_layers(R, (0,), 2), "move Dense 0 to 2"),
    (R, move_layers(R, (4,), 1), "move Dense 4 to 1"),
    (R, OFF, "switch ReLU 2 off"),
    (OFF, R, "switch ReLU 2 on"),
    (R, switch_layers(R, (0, 2)), "switch 2 layers off"),
    (switch_layers(R, (0, 2)), R, "switch 2 layers on"),
    (R, wrap_layers(R, (1,)), "put Tanh 1 into a block"),
    (R, wrap_layers(R, (1, 2)), "put 2 layers into a block"),
    (R, unwrap_layer(R, 3), "take Residual 3 apart"),
    (R, put_into(R, (2,), 3), "drag ReLU 2 into a block"),
    (R, changed(0, units=48), "Dense 0 units 32 → 48"),
    (R, changed(0, bias=False), "Dense 0 bias on → off"),
    (R, changed(0, weight_init=Zeros()), "Dense 0 weight init He → Zeros"),
    (R, other(layers=(*R.layers[:2], Tanh(), *R.layers[3:])), "ReLU 2 → Tanh"),
    (R, other(layers=(Dense(units=5), Sigmoid())), "another network"),
    (R, other(optimizer=SGD(lr=0.2)), "SGD lr 0.1 → 0.2"),
    (R, other(optimizer=Adam()), "optimizer SGD → Adam"),
    (R, other(batch_size=64), "batch size 32 → 64"),
    (R, other(weights_draw=1), "new weights"),
    (R, other(name="Other", seed=3, layers=R.layers[:1]), "open Other"),
    (R, R, "start anew"),
]


@pytest.mark.parametrize(("before", "after", "name"), NAMES, ids=[name for *_, name in NAMES])
def test_an_edit_is_called_by_what_it_did(before: Recipe, after: Recipe, name: str) -> None:
    assert name_of_edit(before, after) == name
