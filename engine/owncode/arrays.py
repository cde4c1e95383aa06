"""The arrays that an object of a user's code holds, which of them are parameters, and the generators it draws from."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.owncode.names import BUFFERS, of_gradient, plain

Array = NDArray[Any]
Path = tuple[str | int, ...]
DEEPEST = 5
CONTAINERS = {"params", "parameters", "weights", "param"}  # a dict of this name holds parameters under their own names
VALUES = {"value", "data", "val", "array", "values"}  # a parameter object keeps its array under one of these


@dataclass(frozen=True)
class Slot:
    """Where a parameter lives: its role, as its author calls it, and the way to it from the object."""

    role: str
    path: Path


def get(holder: Any, path: Path) -> Any:
    """What lies at the end of a path of attributes, keys and indices."""
    for step in path:
        holder = _children(holder)[step]
    return holder


def put(holder: Any, path: Path, value: Any) -> bool:
    """Set what lies at the end of a path; whether that can be done (a tuple cannot be written)."""
    owner, last = get(holder, path[:-1]), path[-1]
    if isinstance(owner, tuple):
        return False
    if isinstance(owner, dict | list):
        owner[last] = value  # type: ignore[index]
    else:
        setattr(owner, str(last), value)
    return True


def _children(holder: Any) -> dict[Any, Any]:
    if isinstance(holder, dict):
        return holder
    if isinstance(holder, list | tuple):
        return dict(enumerate(holder))
    if isinstance(holder, np.ndarray):
        return {}
    named: dict[Any, Any] = dict(getattr(holder, "__dict__", {}))
    slots = getattr(type(holder), "__slots__", ())
    slots = (slots,) if isinstance(slots, str) else slots
    return named | {name: getattr(holder, name) for name in slots if hasattr(holder, name)}


def walk(holder: Any, module: str, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Everything inside an object: attributes, items of lists and dicts, and objects of the same file's classes."""
    if len(path) > DEEPEST or isinstance(holder, type):
        return
    inner = isinstance(holder, dict | list | tuple) or type(holder).__module__ == module
    if not inner:
        return
    for step, value in _children(holder).items():
        if isinstance(step, str | int):
            yield (*path, step), value
            yield from walk(value, module, (*path, step))


def arrays(holder: Any, module: str) -> dict[Path, Array]:
    """The numeric arrays inside an object, each once."""
    found: dict[Path, Array] = {}
    seen: set[int] = set()
    for path, value in walk(holder, module):
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiu" and value.size and id(value) not in seen:
            seen.add(id(value))
            found[path] = value
    return found


def all_arrays(holder: Any, module: str) -> dict[Path, Array]:
    """As `arrays`, but an array that hangs in two places is found in both."""
    found = walk(holder, module)
    return {p: v for p, v in found if isinstance(v, np.ndarray | np.generic) and v.dtype.kind in "fiu"}  # type: ignore[misc]


def slots(holder: Any, module: str) -> list[Slot]:
    """The arrays that may be parameters: all but those named like gradients of others, and buffers."""
    found = arrays(holder, module)
    names = {name_of(path) for path in found}
    kept: list[Slot] = []
    for path in found:
        name = name_of(path)
        others = {plain(other) for other in names - {name}}
        if of_gradient(name) & others or _buffer(path):
            continue
        taken = {slot.role for slot in kept}
        role = name if name not in taken else spelled(path)
        kept.append(Slot(role, path))
    return kept


def _buffer(path: Path) -> bool:
    text = [step for step in path if isinstance(step, str)]
    return bool(text and (BUFFERS.search(text[-1]) or "grad" in text[-1].lower()))


def name_of(path: Path) -> str:
    """What an array is called: its attribute or key; an index stays with its list: weights[0]; layers[1].W."""
    if len(path) == 2 and str(path[0]).strip("_") in CONTAINERS and isinstance(path[1], str):
        return path[1].strip("_")
    if len(path) > 1 and isinstance(path[-1], str) and path[-1].strip("_") in VALUES:
        return name_of(path[:-1])
    return spelled(path)


def spelled(path: Path) -> str:
    """A path as it stands in code: layers[0].W."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.lstrip("._")


def as_float64(holder: Any, found: list[Slot]) -> None:
    """Turn parameters of lesser floating types into float64; integers stay what they are."""
    for slot in found:
        value = get(holder, slot.path)
        if value.dtype.kind == "f" and value.dtype != np.float64:
            put(holder, slot.path, value.astype(np.float64))


# --- random draws ---------------------------------------------------------------------------------


class Randomness:
    """The generators that a file or an object made for itself, put back to where they are now before each copy.

    NumPy's and Python's global ones are not among them: whoever runs forward seeds those.
    """

    def __init__(self, held: dict[Any, Any]) -> None:
        self.own = [(g, copy.deepcopy(_state(g))) for g in held.values() if _state(g) is not None]

    def rewind(self) -> None:
        """Back to the start."""
        for generator, state in self.own:
            if isinstance(generator, random.Random):
                generator.setstate(state)
            elif isinstance(generator, np.random.RandomState):
                generator.set_state(state)
            else:
                generator.bit_generator.state = state


def _state(value: Any) -> Any:
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    if isinstance(value, np.random.RandomState):
        return value.get_state()
    return value.getstate() if isinstance(value, random.Random) else None
