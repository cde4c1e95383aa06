"""What the norms panel can show over the steps, all of it on a log scale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from app.widgets.curve_data import Array, Read
from engine.protocol import Built
from engine.timeline import Timeline

PER_LAYER = "gradient norm per layer"


@dataclass(frozen=True)
class Line:
    """One curve: its name in the key, the tag at its end, and how its rows are read."""

    name: str
    tag: str
    read: Read


def per_layer(network: Built, history: Timeline) -> Iterator[Line]:
    """√ of the sum of the squared norms of a layer's gradients."""
    for i, layer in enumerate(network.layers):
        if layer.parameters:
            places = [history.columns.index(f"gradient.{i}.{role}") for role in layer.parameters]
            yield Line(f"{i} {layer.title}", str(i), partial(together, history, places))


def per_tensor(network: Built, history: Timeline) -> Iterator[Line]:
    """The norm of the gradient of each parameter."""
    for address in _parameters(network):
        yield Line(address, address, partial(together, history, [history.columns.index(f"gradient.{address}")]))


def passed_on(network: Built, history: Timeline) -> Iterator[Line]:
    """‖grad_y‖ of each layer, where it is recorded."""
    for i, layer in enumerate(network.layers):
        if f"delta.{i}" in history.columns:
            yield Line(f"{i} {layer.title}", str(i), partial(together, history, [history.columns.index(f"delta.{i}")]))


def update_ratios(network: Built, history: Timeline) -> Iterator[Line]:
    """‖update‖ / ‖parameter‖ of each parameter; about 0.001 is healthy."""
    for address in _parameters(network):
        pair = (history.columns.index(f"{kind}.{address}") for kind in ("update", "parameter"))
        yield Line(address, address, partial(_quotient, history, *pair))


def learning_rate(network: Built, history: Timeline) -> Iterator[Line]:
    """The rate that was used."""
    yield Line("learning rate", "", partial(together, history, [history.columns.index("lr")]))


QUANTITIES = {
    PER_LAYER: per_layer,
    "gradient norm per tensor": per_tensor,
    "passed on: ‖grad_y‖": passed_on,
    "update / parameter": update_ratios,
    "learning rate": learning_rate,
}


def together(history: Timeline, places: list[int], first: int, last: int) -> Array:
    """√ of the sum of squares of some columns, in rows first … last − 1."""
    rows = history.rows(first, last)
    if len(places) == 1:
        return np.asarray(rows[:, places[0]])
    with np.errstate(all="ignore"):
        return np.asarray(np.hypot.reduce(rows[:, places], axis=1))


def _quotient(history: Timeline, above: int, below: int, first: int, last: int) -> Array:
    rows = history.rows(first, last)
    with np.errstate(all="ignore"):
        return np.asarray(rows[:, above] / rows[:, below])


def _parameters(network: Built) -> list[str]:
    return [f"{i}.{role}" for i, layer in enumerate(network.layers) for role in layer.parameters]
