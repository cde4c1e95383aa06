"""Edits of a recipe as plain functions: a recipe goes in, another one comes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from app.widgets.field_types import initial
from engine.layers import LayerSpec
from engine.recipe import Recipe
from engine.spec import KindSpec, Spec

_K = TypeVar("_K", bound=KindSpec)

# First values of fields that have no default, where something better than the least allowed is known.
FIRST = {"units": 16, "images": "train-images-idx3-ubyte.gz", "labels": "train-labels-idx1-ubyte.gz"}


def default_spec(kind: type[_K]) -> _K:
    """A sensible first spec of a kind."""
    fields = msgspec.structs.fields(kind)
    given = {f.encode_name: FIRST.get(f.name, initial(inspect.type_info(f.type))) for f in fields if f.required}
    return msgspec.convert({**given, "kind": kind.kind()}, kind)


def with_layers(recipe: Recipe, layers: Sequence[LayerSpec]) -> Recipe:
    """The recipe with other layers."""
    return msgspec.structs.replace(recipe, layers=tuple(layers))


def insert_layer(recipe: Recipe, at: int, layer: LayerSpec) -> Recipe:
    """The recipe with one layer more, which has the index `at`."""
    return with_layers(recipe, (*recipe.layers[:at], layer, *recipe.layers[at:]))


def remove_layer(recipe: Recipe, at: int) -> Recipe:
    """The recipe without its layer `at`."""
    return with_layers(recipe, (*recipe.layers[:at], *recipe.layers[at + 1 :]))


def replace_layer(recipe: Recipe, at: int, layer: LayerSpec) -> Recipe:
    """The recipe with another layer in place of its layer `at`."""
    return with_layers(recipe, (*recipe.layers[:at], layer, *recipe.layers[at + 1 :]))


def move_layer(recipe: Recipe, at: int, to: int) -> Recipe:
    """The recipe with its layer `at` moved so that its index becomes `to`."""
    return insert_layer(remove_layer(recipe, at), to, recipe.layers[at])


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
    kind = inspect.type_info(annotation)
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return kind
