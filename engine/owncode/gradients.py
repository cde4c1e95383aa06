"""The gradients that a user's backward gives: returned by name or by order, or kept in the object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.owncode.arrays import CONTAINERS, VALUES, Array, Path, Slot, all_arrays, get
from engine.owncode.names import is_gradient_of, is_input_gradient, plain


def kept_gradients(holder: Any, found: list[Slot], module: str, before: dict[Path, Array]) -> dict[str, Array]:
    """Gradients that backward left in the object, by role: by their names, else by shape among what is new.

    `before`: copies of all arrays as they were before backward.
    """
    now = all_arrays(holder, module)
    roles: dict[str, Array] = {}
    for slot in found:
        path = next((path for path in now if _belongs(path, slot.path)), None)
        if path is not None:
            roles[slot.role] = np.asarray(now[path])
    missing = [slot for slot in found if slot.role not in roles]
    parameters = {slot.path for slot in found}
    used = {id(value) for value in roles.values()}
    new = [v for p, v in now.items() if p not in parameters and id(v) not in used and _changed(before.get(p), v)]
    for slot in missing:
        fitting = [value for value in new if value.shape == get(holder, slot.path).shape]
        rivals = [other for other in missing if get(holder, other.path).shape == get(holder, slot.path).shape]
        if len(fitting) == len(rivals) == 1:
            roles[slot.role] = fitting[0]
    return roles


def _changed(before: Array | None, now: Array) -> bool:
    return before is None or before.shape != now.shape or not np.array_equal(before, now)


def _belongs(path: Path, parameter: Path) -> bool:
    """Whether the array at a path is, by its name and place, the gradient of the parameter at another."""
    if path == parameter:
        return False
    *owner, last = parameter
    if isinstance(last, str) and last.strip("_") in VALUES and list(path[:-1]) == owner:
        return "grad" in str(path[-1]) or str(path[-1]) in {"g", "d", "dvalue"}
    if isinstance(last, str) and list(path[:-1]) == owner and isinstance(path[-1], str):
        return is_gradient_of(path[-1], last)
    if len(path) < 2 or not isinstance(path[-2], str):
        return False
    container, key = path[-2].strip("_"), path[-1]
    if isinstance(last, int):
        named = owner and (is_gradient_of(container, str(owner[-1])) or _holds_gradients(container))
        return bool(named) and key == last and list(path[:-2]) == owner[:-1]
    if not _holds_gradients(container) or not isinstance(key, str):
        return False
    inside = owner[-1:] and str(owner[-1]).strip("_") in CONTAINERS
    above = owner[:-1] if inside else owner
    return list(path[:-2]) == above and (plain(key) == plain(last) or is_gradient_of(key, last))


def _holds_gradients(container: str) -> bool:
    return "grad" in container.lower() or container.lower() in {"d", "deltas", "derivatives", "dparams"}


# --- returned -------------------------------------------------------------------------------------


def flattened(returned: Any) -> list[Any]:
    """The arrays of nested lists, tuples and the values of dicts, in order."""
    if isinstance(returned, dict):
        returned = list(returned.values())
    if isinstance(returned, list | tuple):
        return [array for item in returned for array in flattened(item)]
    return [returned] if isinstance(returned, np.ndarray | np.generic | float) else []


def returned_gradients(
    returned: Any, names: Sequence[str], x_shape: tuple[int, ...] | None, shapes: dict[str, tuple[int, ...]]
) -> dict[str, Array]:
    """Gradients by role, "x" for the input's, of what a backward returned.

    `names`: the names in its return statement; `shapes`: of the parameters, by role, in their order; `x_shape` None
    where the input's gradient is not wanted. Names count first, then shapes, then the order.
    """
    if isinstance(returned, dict):
        pairs = [(str(key), value) for key, value in returned.items()]
    elif isinstance(returned, list | tuple) and len(names) == len(returned) and all(names):
        pairs = list(zip(names, returned, strict=True))
    else:
        pairs = []
    found = _by_name(pairs, x_shape is not None, list(shapes))
    if pairs and len(found) >= len(shapes):
        return found
    items = [np.asarray(item) for item in flattened(returned)]
    return _by_shape(items, x_shape, shapes) | found


def _by_name(pairs: list[tuple[str, Any]], with_x: bool, roles: list[str]) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for name, value in pairs:
        if not isinstance(value, np.ndarray | np.generic):
            continue
        role = next((r for r in roles if is_gradient_of(name, r)), None)
        role = role or next((r for r in roles if plain(name) == plain(r)), None)
        if role is not None:
            found.setdefault(role, np.asarray(value))
        elif with_x and is_input_gradient(name):
            found.setdefault("x", np.asarray(value))
    return found


def _by_shape(
    items: list[Array], x_shape: tuple[int, ...] | None, shapes: dict[str, tuple[int, ...]]
) -> dict[str, Array]:
    """In the order x, parameters; else parameters, x; else reversed; whichever has most shapes right."""
    wanted = dict(shapes) if x_shape is None else {"x": x_shape, **shapes}
    if x_shape is not None and len(items) == len(shapes):
        wanted.pop("x")
    roles = list(wanted)
    behind = [*roles[1:], roles[0]] if x_shape is not None and roles else roles
    orders = [roles, behind, roles[::-1], behind[::-1]]
    if len(items) < len(roles):
        orders = [order[: len(items)] for order in orders]

    def right(order: list[str]) -> int:
        return sum(item.shape == wanted[role] for item, role in zip(items, order, strict=False))

    best = max(orders, key=right)
    return dict(zip(best, items, strict=False))
