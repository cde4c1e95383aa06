"""The recipe: everything that defines a run, frozen, as JSON, with sentences for what is wrong in it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

import msgspec
from msgspec import Meta

from engine import layers as layer_kinds
from engine.bugs import PlantedBug
from engine.clipping import AnyClipping, NoClipping
from engine.datasets import AnyData, Digits
from engine.layers import LayerSpec
from engine.layers.custom import beside
from engine.losses import AnyLoss, SoftmaxCrossEntropy
from engine.optimizers import SGD, AnyOptimizer
from engine.schedules import AnySchedule, ConstantRate
from engine.spec import KindSpec, RecipeError, Spec, members

if TYPE_CHECKING:
    AnyLayer = LayerSpec
else:
    AnyLayer = Union[layer_kinds.KINDS]

MAX_FILE = 16_000_000  # bytes; a recipe is text of a few kilobytes


class Recipe(Spec, frozen=True, kw_only=True):
    """A whole run: data, layers, loss, optimizer, batch size, seed, dtype."""

    format: Annotated[Literal[1], Meta(title="format")] = 1
    name: Annotated[str, Meta(max_length=200, title="name")] = "Untitled"
    seed: Annotated[int, Meta(ge=0, le=2**53, title="seed", description="Where all random draws start")] = 0
    weights_draw: Annotated[
        int, Meta(ge=0, le=2**53, title="weights draw", description="Another number draws other first weights")
    ] = 0
    dtype: Annotated[
        Literal["float32", "float64"], Meta(title="number type", description="Precision of every tensor")
    ] = "float32"
    data: AnyData = Digits()
    layers: Annotated[tuple[AnyLayer, ...], Meta(min_length=1, max_length=200, title="layers")]
    loss: AnyLoss = SoftmaxCrossEntropy()
    optimizer: AnyOptimizer = SGD()
    schedule: Annotated[
        AnySchedule, Meta(title="schedule", description="What becomes of the learning rate from step to step")
    ] = ConstantRate()
    clip: Annotated[AnyClipping, Meta(title="clip", description="Limits gradients that are too large")] = NoClipping()
    batch_size: Annotated[int, Meta(ge=1, le=1_000_000, title="batch size", description="Samples a mini-batch")] = 32
    bugs: Annotated[
        tuple[PlantedBug, ...], Meta(max_length=50, title="bugs", description="Planted into backward, to be found")
    ] = ()

    @classmethod
    def from_json(cls, text: str | bytes) -> Recipe:
        """The recipe in a JSON text. Raises RecipeError: one sentence with the path of the field."""
        try:
            raw = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RecipeError(_not_json(error)) from None
        return cls.from_builtins(raw)

    @classmethod
    def from_builtins(cls, raw: Any) -> Recipe:
        """The recipe in plain dicts and lists. Raises RecipeError: one sentence with the path of the field."""
        if isinstance(raw, dict) and isinstance(raw.get("format"), int) and raw["format"] > 1:
            raise RecipeError(
                f"format: this recipe has format {raw['format']}, made by a newer Nablascope; update to open it"
            )
        try:
            return msgspec.convert(raw, cls)
        except RecursionError as error:
            raise RecipeError(_not_json(error)) from None
        except msgspec.ValidationError as error:
            raise RecipeError(" ".join(_sentence(str(error), raw).split())) from None

    @classmethod
    def from_file(cls, path: str | Path) -> Recipe:
        """The recipe in a file. Raises RecipeError: one sentence that names the file."""
        path = Path(path)
        try:
            if path.is_file() and path.stat().st_size > MAX_FILE:
                raise RecipeError(f"{path} is too large for a recipe; choose a recipe's JSON file")
            text = path.read_bytes()
        except IsADirectoryError:
            raise RecipeError(f"{path} is a folder; choose a recipe's JSON file in it") from None
        except FileNotFoundError:
            raise RecipeError(f"{path} does not exist; check the path") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RecipeError(f"{path} cannot be read ({reason}); choose another file") from None
        try:
            recipe = cls.from_json(text)
        except RecipeError as error:
            raise RecipeError(f"{path}: {error}") from None
        return msgspec.structs.replace(recipe, layers=beside(recipe.layers, path.parent))

    def to_json(self) -> str:
        """The recipe as indented JSON, every field written out."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()


def with_layers(recipe: Recipe, layers: Sequence[LayerSpec], places: Sequence[int | None] | None = None) -> Recipe:
    """The recipe with other layers; planted bugs go with the layers they are in, and with those that are gone.

    `places` has for every layer the index that it had, None where it is new. Without it, those at both ends that are
    the same are what they were, and so are those between if they are as many.
    """
    if places is None:
        places = _places_by_ends(recipe.layers, layers)
    bugs = tuple(
        msgspec.structs.replace(bug, layer=bug.layer if bug.layer < 0 else places.index(bug.layer))
        for bug in recipe.bugs
        if bug.layer < 0 or bug.layer in places
    )
    return msgspec.structs.replace(recipe, layers=tuple(layers), bugs=bugs)


def _places_by_ends(old: Sequence[LayerSpec], new: Sequence[LayerSpec]) -> list[int | None]:
    shorter = min(len(old), len(new))
    head = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    tail = next((i for i in range(shorter - head) if old[-1 - i] != new[-1 - i]), shorter - head)
    middle = [None] * (len(new) - head - tail) if len(old) != len(new) else range(head, len(new) - tail)
    return [*range(head), *middle, *range(len(old) - tail, len(old))]


def validated(recipe: Recipe) -> Recipe:
    """The same recipe with every limit checked, as after a change made in code. Raises RecipeError."""
    return Recipe.from_builtins(msgspec.to_builtins(recipe))


def only_live_fields_differ(old: Recipe, new: Recipe) -> bool:
    """Whether the step from `old` to `new` can be taken in mid-run."""
    return _live_step(msgspec.structs.replace(old, name=new.name), new)


def _live_step(old: Any, new: Any) -> bool:
    """Whether two values are the same but for live fields of specs of the same kinds, however deep inside."""
    if old == new:
        return True
    if isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
        return all(map(_live_step, old, new))
    if not isinstance(old, Spec) or type(old) is not type(new):
        return False
    return all(
        is_live(field.type) or _live_step(getattr(old, field.name), getattr(new, field.name))
        for field in msgspec.structs.fields(old)
    )


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Where two recipes of the same kinds differ, such as "optimizer.lr 0.1 → 0.01"."""
    if old == new:
        return []
    if isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
        pairs = [(f"{path}[{i}]", *pair) for i, pair in enumerate(zip(old, new, strict=True))]
    elif isinstance(old, Spec) and type(old) is type(new):
        names = [field.name for field in msgspec.structs.fields(old) if field.name != "name"]
        pairs = [(f"{path}.{name}" if path else name, getattr(old, name), getattr(new, name)) for name in names]
    else:
        return [f"{path} {old} → {new}"]
    return [text for where, before, after in pairs for text in differences(before, after, where)]


def is_live(annotation: Any) -> bool:
    """Whether an annotated field is marked as changeable in mid-run."""
    return any(
        isinstance(m, Meta) and (m.extra or {}).get("live", False) for m in getattr(annotation, "__metadata__", ())
    )


def _not_json(error: Exception) -> str:
    """A sentence for text that is no JSON."""
    found = re.search(r"byte (\d+)", str(error))
    if isinstance(error, RecursionError):
        return "the recipe is nested too deeply to be one; choose a recipe's JSON file"
    if "truncated" in str(error):
        return "the recipe is cut off or empty: its JSON ends too early; restore the rest of the file"
    where = f" at byte {found.group(1)}" if found else ""
    return f"the recipe is not valid JSON{where}; check the commas, quotes and brackets there"


def _sentence(message: str, raw: Any) -> str:
    """msgspec's message as one sentence: where, what is wrong, what stands there, what to do."""
    what, _, path = message.partition(" - at `")
    path = path.rstrip("`").removeprefix("$").removeprefix(".")
    value = _value_at(raw, path)
    if path.endswith("kind") and "Invalid value" in what:
        return f"{path}: {value!r} is not a known kind; {_cure_kind(path, value)}"
    missing = re.search(r"missing required field `(.+)`", what)
    if missing:
        return f"{path or 'recipe'}: the field {missing.group(1)!r} is missing; add it"
    unknown = re.search(r"unknown field `(.+)`", what, re.DOTALL)
    if unknown:
        return f"{path or 'recipe'}: the field {unknown.group(1)!r} is not known here; remove or rename it"
    wanted = what.replace("`", "").replace("Expected", "must be").replace("str", "text")
    wanted = wanted.replace("must be array", "must be a list")
    found = "" if isinstance(value, dict | list) or value is _NOTHING else f", not {_short(value)}"
    return f"{path or 'recipe'} {wanted.split(', got')[0]}{found}; change it"


def _cure_kind(path: str, value: Any) -> str:
    """What to write instead of an unknown kind: the nearest known one, or all of them."""
    families = {
        "layers": LayerSpec,
        "data": AnyData,
        "loss": AnyLoss,
        "optimizer": AnyOptimizer,
        "schedule": AnySchedule,
        "clip": AnyClipping,
    }
    family = families.get(re.split(r"[.\[]", path)[0])
    nested_layer = re.fullmatch(r"(layers\[\d+\]\.)+kind", path)
    if family is None or (path.count(".") > 1 and not nested_layer):
        from engine.initializers import Initializer as Nested

        kinds = [k.kind() for k in members(Nested)]
    else:
        kinds = [k.kind() for k in _family_members(family)]
    near = difflib.get_close_matches(str(value), kinds, 1)
    return f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(kinds)}"


def _family_members(family: Any) -> tuple[type[KindSpec], ...]:
    """The kinds of a family given as its base class or as a union."""
    return members(family) if isinstance(family, type) else family.__args__


_NOTHING = object()


def _value_at(raw: Any, path: str) -> Any:
    """What stands at a path such as layers[1].units, or _NOTHING."""
    for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        try:
            raw = raw[int(index)] if index else raw[key]
        except (KeyError, IndexError, TypeError):
            return _NOTHING
    return raw


def _short(value: Any) -> str:
    """A value in a sentence, cut where long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
