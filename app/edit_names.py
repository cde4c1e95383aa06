"""Names of edits, as the menus say them: what differs between two recipes, such as "remove ReLU 2"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from app.widgets.field_types import number_text
from engine.layers import LayerSpec
from engine.layers.off import Off
from engine.layers.residual import Residual
from engine.recipe import Recipe
from engine.spec import KindSpec, Spec

Layers = Sequence[LayerSpec]


def name_of_edit(before: Recipe, after: Recipe) -> str:
    """What was done to come from one recipe to the other, in a few words; layers by the number on their card."""
    changed = _differing(before, after)
    match changed:
        case []:
            return "start anew"
        case ["layers"] | ["layers", "bugs"]:  # which go with their layers
            return _of_layers(before.layers, after.layers)
        case ["bugs"]:
            return "plant a bug" if len(after.bugs) >= len(before.bugs) else "take a bug out"
        case ["weights_draw"]:
            return "new weights"
        case [name]:
            return _of_field(name, getattr(before, name), getattr(after, name))
        case _ if "name" in changed or len(changed) > 2:
            return f"open {after.name}"
    return f"change {' and '.join(_title(name) for name in changed)}"


def _of_layers(before: Layers, after: Layers) -> str:
    head = _common(before, after)
    tail = _common(before[head:][::-1], after[head:][::-1])
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    if not old:
        return f"{'duplicate' if _is_copy(new, after, head) else 'add'} {_named(new, head)}"
    if not new:
        return f"remove {_named(old, head)}"
    if len(old) == len(new) == 1:
        return _of_layer(old[0], new[0], head)
    if len(new) == 1 and isinstance(new[0], Residual) and tuple(old) == new[0].layers:
        return f"put {_named(old, head)} into a block"
    if len(old) == 1 and isinstance(old[0], Residual) and tuple(new) == old[0].layers:
        return f"take {_named(old, head)} apart"
    if Counter(map(_key, old)) == Counter(map(_key, new)):
        return _of_move(old, new, head)
    if len(old) == len(new):
        return _of_several(old, new, head)
    if len(old) == len(before) and not set(map(_key, old)) & set(map(_key, new)):
        return "another network"
    if len(old) > len(new):
        return _of_fewer(old, new, head)
    return "change layers"


def _of_fewer(old: Layers, new: Layers, head: int) -> str:
    """Some of the layers went, into a block that is still there or for good."""
    grown = next((i for i, layer in enumerate(new) if isinstance(layer, Residual) and layer not in old), None)
    if grown is not None:
        moved = [layer for layer in old if layer not in new and not isinstance(layer, Residual)]
        return f"drag {_named(moved, head + old.index(moved[0]))} into a block" if moved else "change a block"
    gone = list((Counter(map(_key, old)) - Counter(map(_key, new))).elements())
    return f"remove {len(gone)} layers" if len(old) - len(new) == len(gone) else "change layers"


def _of_move(old: Layers, new: Layers, head: int) -> str:
    """One layer moved, to the end or the beginning of those between."""
    if tuple(old[1:]) == tuple(new[:-1]):
        return f"move {_named(old[:1], head)} to {head + len(new) - 1}"
    if tuple(old[:-1]) == tuple(new[1:]):
        return f"move {_named(old[-1:], head + len(old) - 1)} to {head}"
    return "move layers"


def _of_several(old: Layers, new: Layers, head: int) -> str:
    """As many layers as before: switched, or changed."""
    pairs = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
    for word, one, other in (("off", 0, 1), ("on", 1, 0)):
        if all(isinstance(pair[other], Off) and pair[other].layer == pair[one] for pair in pairs):  # type: ignore[attr-defined]
            return f"switch {len(pairs)} layers {word}"
    return f"change {len(pairs)} layers" if len(pairs) < len(old) or head else "another network"


def _of_layer(old: LayerSpec, new: LayerSpec, at: int) -> str:
    """One layer became another one."""
    if isinstance(new, Off) and new.layer == old:
        return f"switch {_named((old,), at)} off"
    if isinstance(old, Off) and old.layer == new:
        return f"switch {_named((new,), at)} on"
    if isinstance(new, Residual) and new.layers == (old,):
        return f"put {_named((old,), at)} into a block"
    if isinstance(old, Residual) and old.layers == (new,):
        return f"take {_named((old,), at)} apart"
    if type(old) is not type(new):
        return f"{_named((old,), at)} → {new.label()}"
    return _of_fields(_named((old,), at), old, new)


def _of_field(name: str, old: Any, new: Any) -> str:
    """One field of the recipe became another."""
    if isinstance(old, KindSpec) and type(old) is not type(new):
        return f"{_title(name)} {old.title()} → {new.title()}"
    if isinstance(old, Spec):
        return _of_fields(old.title() if isinstance(old, KindSpec) else _title(name), old, new)
    return f"{_title(name)} {_value(old)} → {_value(new)}"


def _of_fields(where: str, old: Spec, new: Spec) -> str:
    """The only field that differs, else how many do."""
    names = _differing(old, new)
    if len(names) != 1:
        return f"change {where}"
    pair = getattr(old, names[0]), getattr(new, names[0])
    if any(isinstance(value, tuple) for value in pair):
        return f"change {where}"
    return f"{where} {_title(names[0])} {_value(pair[0])} → {_value(pair[1])}"


def _differing(old: Spec, new: Spec) -> list[str]:
    """The names of the fields that differ."""
    return [name for name in old.__struct_fields__ if getattr(old, name) != getattr(new, name)]


def _value(value: Any) -> str:
    if isinstance(value, KindSpec):
        return value.title()
    if isinstance(value, bool):
        return "on" if value else "off"
    return number_text(value) if isinstance(value, int | float) else str(value)[:24]


def _title(name: str) -> str:
    return name.replace("_", " ")


def _named(layers: Layers, at: int) -> str:
    """Such as "ReLU 2", or "3 layers"."""
    return f"{layers[0].label()} {at}" if len(layers) == 1 else f"{len(layers)} layers"


def _is_copy(new: Layers, after: Layers, head: int) -> bool:
    return tuple(after[head - len(new) : head]) == tuple(new) if head >= len(new) else False


def _key(layer: LayerSpec) -> bytes:
    return msgspec.json.encode(layer)


def _common(one: Layers, other: Layers) -> int:
    """How many layers two chains have in common from their start."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
