"""Every field of every spec: just outside its limits, and of another type, gives one sentence with the path."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from engine import Recipe, RecipeError, clipping, datasets, initializers, layers, losses, optimizers, schedules
from engine.recipe import validated
from engine.spec import KindSpec, members

DENSE = {"kind": "dense", "units": 3}
FAMILIES: dict[str, tuple[type[KindSpec], ...]] = {
    "layers[0]": layers.KINDS,
    "layers[0].weight_init": members(initializers.Initializer),
    "loss": members(losses.LossSpec),
    "optimizer": members(optimizers.OptimizerSpec),
    "schedule": members(schedules.Schedule),
    "clip": members(clipping.Clipping),
    "data": members(datasets.DataSpec),
}
WRONG_TYPE = {"IntType": "text", "FloatType": "text", "BoolType": "yes", "StrType": 5, "LiteralType": "no such choice"}


def shipped(kind: type[Any]) -> bool:
    """Whether a kind is the engine's own and not one that a test made."""
    return kind.__module__.startswith("engine.")


def plain(info: inspect.Type) -> inspect.Type:
    """A field's type without what is said about it."""
    return plain(info.type) if isinstance(info, inspect.Metadata) else info


def fields_of(kind: type[Any]) -> list[inspect.Field]:
    """A spec's fields with their limits."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return list(info.fields)


def example(info: inspect.Type) -> Any:
    """Some value that a required field takes."""
    info = plain(info)
    if isinstance(info, inspect.IntType):
        return max(info.ge or 1, 1)
    if isinstance(info, inspect.FloatType):
        return info.ge or 0.5
    if isinstance(info, inspect.StrType):
        return "some.file"
    if isinstance(info, inspect.VarTupleType):
        item = plain(info.item_type)
        inner = item.types[0] if isinstance(item, inspect.UnionType) else item
        return [dict(DENSE)] if isinstance(plain(inner), inspect.StructType) else [example(inner)]
    raise AssertionError(f"teach test_limits an example of {info}")


def whole(kind: type[Any]) -> dict[str, Any]:
    """A spec of this kind as it stands in a recipe, with its required fields alone."""
    found = {"kind": kind.kind()}
    for field in fields_of(kind):
        if field.required:
            found[field.encode_name] = example(field.type)
    return found


def recipe_with(place: str, spec: dict[str, Any]) -> dict[str, Any]:
    """A recipe with the spec at this place."""
    if place == "layers[0]":
        return {"layers": [spec, DENSE]}
    if place == "layers[0].weight_init":
        return {"layers": [{**DENSE, "weight_init": spec}]}
    return {"layers": [DENSE], place: spec}


def outside(info: inspect.Type) -> Iterator[tuple[str, Any]]:
    """What a field must refuse: just below, just above, no number, another type."""
    info = plain(info)
    if isinstance(info, inspect.UnionType) and info.includes_none:  # a field that may be left open
        inner = next(kind for kind in info.types if not isinstance(kind, inspect.NoneType))
        yield from (case for case in outside(inner) if case[0] != "null")
        return
    if isinstance(info, inspect.IntType):
        assert info.ge is not None, "no lower limit"
        assert info.le is not None, "no upper limit"
        yield from (("below", info.ge - 1), ("above", info.le + 1), ("fraction", 0.5))
    if isinstance(info, inspect.FloatType):
        low, high = (info.ge, info.gt), (info.le, info.lt)
        assert low != (None, None), "no lower limit"
        assert high != (None, None), "no upper limit"
        yield "below", info.gt if info.gt is not None else math.nextafter(info.ge or 0.0, -math.inf)
        yield "above", info.lt if info.lt is not None else math.nextafter(info.le or 0.0, math.inf)
        yield from (("NaN", math.nan), ("infinity", math.inf), ("a boolean", True))
    yield "null", None
    yield "an object", {"no such": 1}
    if type(info).__name__ in WRONG_TYPE:
        yield "another type", WRONG_TYPE[type(info).__name__]


def cases() -> Iterator[Any]:
    """Place, kind, field, and a value outside its limits."""
    for place, kinds in FAMILIES.items():
        for kind in filter(shipped, kinds):
            for field in fields_of(kind):
                for name, value in outside(field.type):
                    case = place, whole(kind), field.encode_name, value
                    yield pytest.param(*case, id=f"{place}-{kind.kind()}-{field.encode_name}-{name}")
    for field in fields_of(Recipe):
        for name, value in outside(field.type):
            yield pytest.param("", {}, field.encode_name, value, id=f"recipe-{field.encode_name}-{name}")


@pytest.mark.parametrize(("place", "spec", "field", "value"), list(cases()))
def test_what_lies_outside_a_fields_limits_is_refused_in_one_sentence(
    place: str, spec: dict[str, Any], field: str, value: Any
) -> None:
    changed = {**spec, field: value}
    raw = recipe_with(place, changed) if place else {"layers": [DENSE], field: value}
    with pytest.raises(RecipeError) as refusal:
        Recipe.from_builtins(raw)
    sentence = str(refusal.value)
    assert sentence.startswith(f"{place}.{field}" if place else field), sentence
    assert "\n" not in sentence
    assert ";" in sentence, "no cure"


@pytest.mark.parametrize(
    ("place", "kind"),
    [pytest.param(p, k, id=f"{p}-{k.kind()}") for p, kinds in FAMILIES.items() for k in kinds if shipped(k)],
)
def test_what_lies_just_inside_a_fields_limits_is_taken(place: str, kind: type[KindSpec]) -> None:
    for field in fields_of(kind):
        info = plain(field.type)
        if not isinstance(info, inspect.IntType | inspect.FloatType):
            continue
        low = info.ge if info.ge is not None else math.nextafter(info.gt or 0.0, math.inf)
        high = info.le if info.le is not None else math.nextafter(getattr(info, "lt", None) or 0.0, -math.inf)
        for value in (low, high):
            taken = Recipe.from_builtins(recipe_with(place, {**whole(kind), field.encode_name: value}))
            assert validated(taken) == taken


@pytest.mark.parametrize(
    ("place", "kind"),
    [pytest.param(p, k, id=f"{p}-{k.kind()}") for p, kinds in FAMILIES.items() for k in kinds if shipped(k)],
)
def test_no_number_is_refused_in_code_too(place: str, kind: type[KindSpec]) -> None:
    spec = msgspec.convert(whole(kind), kind)
    for field in fields_of(kind):
        if isinstance(plain(field.type), inspect.FloatType):
            for value in (math.nan, math.inf):
                with pytest.raises(ValueError, match="finite"):
                    msgspec.structs.replace(spec, **{field.name: value})
