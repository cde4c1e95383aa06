"""What the norms panel can show over the steps, all of it on a log scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from app.widgets.curve_data import Array, Read
from engine.protocol import Built
from engine.timeline import Timeline

PER_LAYER = "gradient norm per layer"


@dataclass(frozen=True)
class Lines:
    """The curves of a quantity: the name of each in the key, the tag at its end, and how all are read, (curves, N)."""

    names: tuple[str, ...]
    tags: tuple[str, ...]
    read: Read


def per_layer(network: Built, history: Timeline) -> Lines:
    """√ of the sum of the squared norms of a layer's gradients."""
    layers = [(i, layer) for i, layer in enumerate(network.layers) if layer.parameters]
    groups = [[f"gradient.{i}.{role}" for role in layer.parameters] for i, layer in layers]
    return _lines([(f"{i} {layer.title}", str(i)) for i, layer in layers], history, groups)


def per_tensor(network: Built, history: Timeline) -> Lines:
    """The norm of the gradient of each parameter."""
    names = _parameters(network)
    return _lines([(name, name) for name in names], history, [[f"gradient.{name}"] for name in names])


def passed_on(network: Built, history: Timeline) -> Lines:
    """‖grad_y‖ of each layer, where it is recorded."""
    layers = [(i, layer) for i, layer in enumerate(network.layers) if f"delta.{i}" in history.columns]
    return _lines([(f"{i} {layer.title}", str(i)) for i, layer in layers], history, [[f"delta.{i}"] for i, _ in layers])


def update_ratios(network: Built, history: Timeline) -> Lines:
    """‖update‖ / ‖parameter‖ of each parameter; about 0.001 is healthy."""
    names = _parameters(network)
    above, below = ([history.columns.index(f"{kind}.{name}") for name in names] for kind in ("update", "parameter"))
    return Lines(tuple(names), tuple(names), partial(_quotients, history, above, below))


def learning_rate(network: Built, history: Timeline) -> Lines:
    """The rate that was used."""
    return _lines([("learning rate", "")], history, [["lr"]])


QUANTITIES: dict[str, Callable[[Built, Timeline], Lines]] = {
    PER_LAYER: per_layer,
    "gradient norm per tensor": per_tensor,
    "passed on: ‖grad_y‖": passed_on,
    "update / parameter": update_ratios,
    "learning rate": learning_rate,
}


def _lines(names: Sequence[tuple[str, str]], history: Timeline, groups: Sequence[Sequence[str]]) -> Lines:
    return Lines(tuple(name for name, _ in names), tuple(tag for _, tag in names), norms(history, groups))


def norms(history: Timeline, groups: Sequence[Sequence[str]]) -> Read:
    """√ of the sum of squares over each group of columns, (groups, N)."""
    first_of = [history.columns.index(group[0]) for group in groups]
    others = [(number, history.columns.index(column)) for number, group in enumerate(groups) for column in group[1:]]
    places = [*first_of, *(place for _, place in others)]
    rounds = list(_rounds([number for number, _ in others], len(groups)))

    def read(first: int, last: int) -> Array:
        values = history.read(places, first, last)
        found = values[: len(groups)]
        with np.errstate(all="ignore"):
            for into, parts in rounds:
                found[into] = np.hypot(found[into], values[parts])
        return found

    return read


def _rounds(numbers: Sequence[int], begin: int) -> Iterator[tuple[list[int], list[int]]]:
    """Which curves take which rows in, no curve twice in one round: all of a round are done at once."""
    left = list(enumerate(numbers, begin))
    while left:
        now = {number: row for row, number in reversed(left)}
        yield list(now), list(now.values())
        left = [(row, number) for row, number in left if now[number] != row]


def _quotients(history: Timeline, above: list[int], below: list[int], first: int, last: int) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(history.read(above, first, last) / history.read(below, first, last))


def _parameters(network: Built) -> list[str]:
    return [f"{i}.{role}" for i, layer in enumerate(network.layers) for role in layer.parameters]
