"""Edits of a recipe as plain functions: a recipe goes in, another one comes out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from app.widgets.field_types import initial, type_info
from engine.layers import LayerSpec
from engine.layers.off import Off
from engine.layers.residual import Residual
from engine.recipe import Recipe, with_layers
from engine.spec import KindSpec, Spec

_K = TypeVar("_K", bound=KindSpec)

MOST_INSIDE = 50  # layers of a block

# First values of fields that have no default, where something better than the least allowed is known.
FIRST = {"units": 16, "images": "train-images-idx3-ubyte.gz", "labels": "train-labels-idx1-ubyte.gz"}


def default_spec(kind: type[_K]) -> _K:
    """A sensible first spec of a kind."""
    fields = msgspec.structs.fields(kind)
    given = {f.encode_name: FIRST.get(f.name, initial(type_info(f.type))) for f in fields if f.required}
    return msgspec.convert({**given, "kind": kind.kind()}, kind)


def insert_layer(recipe: Recipe, at: int, layer: LayerSpec) -> Recipe:
    """The recipe with one layer more, which has the index `at`."""
    places = range(len(recipe.layers))
    return with_layers(recipe, (*recipe.layers[:at], layer, *recipe.layers[at:]), (*places[:at], None, *places[at:]))


def remove_layers(recipe: Recipe, at: Collection[int]) -> Recipe:
    """The recipe without some of its layers."""
    return _rearranged(recipe, [i for i in range(len(recipe.layers)) if i not in at])


def replace_layer(recipe: Recipe, at: int, layer: LayerSpec) -> Recipe:
    """The recipe with another layer in place of its layer `at`."""
    return with_layers(recipe, (*recipe.layers[:at], layer, *recipe.layers[at + 1 :]))


def move_layer(recipe: Recipe, at: int, to: int) -> Recipe:
    """The recipe with its layer `at` moved so that its index becomes `to`."""
    return move_layers(recipe, (at,), to)


def move_layers(recipe: Recipe, at: Collection[int], to: int) -> Recipe:
    """The recipe with some layers moved, in their order, so that the index of the first becomes `to`."""
    rest = [i for i in range(len(recipe.layers)) if i not in at]
    return _rearranged(recipe, [*rest[:to], *sorted(at), *rest[to:]])


def _rearranged(recipe: Recipe, places: Sequence[int]) -> Recipe:
    """The recipe with the layers of these indices."""
    return with_layers(recipe, [recipe.layers[i] for i in places], places)


def duplicate_layers(recipe: Recipe, at: Collection[int]) -> Recipe:
    """The recipe with a copy of some layers behind the last of them."""
    behind = max(at) + 1
    copies, places = [recipe.layers[i] for i in sorted(at)], range(len(recipe.layers))
    return with_layers(
        recipe,
        (*recipe.layers[:behind], *copies, *recipe.layers[behind:]),
        (*places[:behind], *[None] * len(copies), *places[behind:]),
    )


def switch_layers(recipe: Recipe, at: Collection[int]) -> Recipe:
    """The recipe with some layers off; on, where all of them are off."""
    layers, on = list(recipe.layers), all(isinstance(recipe.layers[i], Off) for i in at)
    for i in at:
        layer = layers[i]
        if isinstance(layer, Off):
            layers[i] = layer.layer if on else layer
        else:
            layers[i] = Off(layer=layer)
    return with_layers(recipe, layers)


def wrap_layers(recipe: Recipe, at: Collection[int]) -> Recipe:
    """The recipe with some layers inside a residual block, at the first one's place. Raises ValueError: too deep."""
    block = Residual(layers=tuple(recipe.layers[i] for i in sorted(at)))
    return insert_layer(remove_layers(recipe, at), min(at), block)


def unwrap_layer(recipe: Recipe, at: int) -> Recipe:
    """The recipe with the layers of a residual block in its place."""
    block = recipe.layers[at]
    inside = block.layers if isinstance(block, Residual) else (block,)
    return with_layers(recipe, (*recipe.layers[:at], *inside, *recipe.layers[at + 1 :]))


def put_into(recipe: Recipe, at: Collection[int], onto: int) -> Recipe:
    """The recipe with some layers at the end of the block `onto`. Raises ValueError: too deep or too many."""
    block = recipe.layers[onto]
    if not isinstance(block, Residual) or onto in at:
        return recipe
    inner = (*block.layers, *(recipe.layers[i] for i in sorted(at)))
    if len(inner) > MOST_INSIDE:
        raise ValueError(f"a block holds {MOST_INSIDE} layers at most")
    return remove_layers(replace_layer(recipe, onto, Residual(layers=inner, projection=block.projection)), at)


def edit_key(where: object, old: Spec, new: Spec) -> object:
    """The key under which edits of one field in a row are one for undo; None (alone) where the kind changed."""
    if type(old) is not type(new):
        return None
    return where, *(name for name in new.__struct_fields__ if getattr(old, name) != getattr(new, name))


def matched(old: Sequence[LayerSpec], new: Sequence[LayerSpec]) -> list[int | None]:
    """For each new layer the index of the old one that it most likely was; None for one that is new."""
    unused = set(range(len(old)))
    found: list[int | None] = []
    for i, spec in enumerate(new):
        same = [j for j in sorted(unused) if old[j] == spec]
        choice = i if i in same else (same[0] if same else None)
        found.append(choice)
        unused.discard(-1 if choice is None else choice)
    if len(old) == len(new):  # none came or went: a layer that matches no other was edited in its place
        found = [i if j is None and i in unused else j for i, j in enumerate(found)]
    return found


def reads_files(spec: Any) -> bool:
    """Whether a spec names files: what is typed of a path is worth keeping even where there is no such file yet."""
    return any(isinstance(_plain(f.type), inspect.StrType) for f in msgspec.structs.fields(spec))


def _plain(annotation: Any) -> inspect.Type:
    kind = type_info(annotation)
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return kind
