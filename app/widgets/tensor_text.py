"""What is said of a tensor: its group, its shape, the formula it comes from, and the index of a cell of its picture."""

from __future__ import annotations

from math import prod

import numpy as np

from app.widgets.picture import Values
from engine.protocol import Built

Index = tuple[int, ...]
ROLE_ORDER = ("x", "y", "p", "labels", "targets", "", "grad_y", "grad_x", "grad_", "update_")


def shape_text(shape: Index) -> str:
    """32×16."""
    return "×".join(map(str, shape))


def is_gradient(address: str) -> bool:
    """Whether a tensor holds derivatives of the loss."""
    return address.partition(".")[2].startswith("grad_")


def groups(network: Built) -> dict[str, list[str]]:
    """Every tensor's address, under "data", "0 Dense 64→32", …, "loss"."""
    found: dict[str, list[str]] = {}
    titles = {str(i): f"{i} {layer.caption}" for i, layer in enumerate(network.layers)}
    titles |= {"loss": f"loss: {network.loss_title}"}
    for place in ("data", *map(str, range(len(network.layers))), "loss"):
        mine = [address for address in network.tensors if address.partition(".")[0] == place]
        if mine:
            found[titles.get(place, place)] = sorted(mine, key=_role_order)
    return found


def _role_order(address: str) -> int:
    role = address.partition(".")[2]
    if role in ROLE_ORDER:
        return ROLE_ORDER.index(role)
    prefix = role[: role.find("_") + 1]
    return ROLE_ORDER.index(prefix) if prefix in ROLE_ORDER else len(ROLE_ORDER)  # running_mean, penalty_W


def formula(network: Built, address: str) -> str:
    """Where a tensor's values come from, as text; "" where nothing is known."""
    place, _, role = address.partition(".")
    if place == "data":
        return {"x": "x: the samples of the mini-batch", "labels": "labels: the true class of each sample"}.get(
            role, ""
        )
    if place == "loss":
        known = network.loss_formulas
        return {"p": f"p: what the network believes;  {known.get('forward', '')}"}.get(role, known.get("backward", ""))
    if not place.isdigit() or int(place) >= len(network.layers):
        return ""
    return _layer_formula(network, int(place), role)


def _layer_formula(network: Built, i: int, role: str) -> str:
    known = network.layers[i].formulas
    if role == "x":
        return f"x = y of {i - 1} {network.layers[i - 1].title}" if i else "x: the samples of the mini-batch"
    if role == "y":
        return known.get("forward", "")
    if role == "grad_y":
        if i == len(network.layers) - 1:
            return f"{network.loss_formulas.get('backward', '')}  (of the loss)"
        return f"grad_y = grad_x of {i + 1} {network.layers[i + 1].title}"
    if role.startswith("grad_"):
        return known.get(role, "")
    name = role.removeprefix("update_")
    moved = name in network.layers[i].parameters  # by the optimizer: what is not, has a formula of its own or none
    return network.update_formula.replace("θ", name) if moved else known.get(role, "")


def across(values: Values, shape: Index) -> Values:
    """The picture's matrix as it is drawn: a vector lies across."""
    return values.T if len(shape) == 1 else values


def drawn_shape(shape: Index) -> tuple[int, int]:
    """Rows and columns of the whole tensor as it is drawn."""
    return (1, shape[0]) if len(shape) == 1 else (shape[0], prod(shape[1:]))


def index_at(shape: Index, row: int, column: int) -> Index:
    """The index of the entry drawn in a cell."""
    if len(shape) == 1:
        return (column,)
    return (row, *(int(i) for i in np.unravel_index(column, shape[1:])))


def cell_of(shape: Index, index: Index) -> tuple[int, int] | None:
    """The cell in which an entry is drawn; None where the tensor has no such entry."""
    if len(index) != len(shape) or not all(0 <= i < n for i, n in zip(index, shape, strict=True)):
        return None
    if len(shape) == 1:
        return 0, index[0]
    return index[0], int(np.ravel_multi_index(index[1:], shape[1:]))
