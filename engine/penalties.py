"""L1 and L2 penalties: what large weights cost, apart from the data loss, and their own share of the gradient."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from engine.layers import LayerSpec
    from engine.network import Network

Array = NDArray[Any]
PENALISED = "W"  # the parameter that a layer's l1 and l2 speak of


@dataclass(frozen=True)
class Penalty:
    """l1·Σ|W| + l2/2·ΣW² of one tensor; its gradient l1·sign(W) + l2·W (as PyTorch's weight_decay is, for l2)."""

    address: str  # of what it adds to the gradient, such as "0.penalty_W"
    l1: float
    l2: float
    weights: Array
    gradient: Array  # the layer's grad_W
    room: Array  # as large as W, free to be written
    added: Array  # what the penalty adds to grad_W

    def add(self) -> float:
        """Add the penalty's gradient to grad_W; returns the penalty. sign(0) is 0."""
        weights, added, value = self.weights, self.added, 0.0
        np.multiply(weights, self.l2, out=added)
        if self.l2:
            value = 0.5 * float(np.vdot(weights, added))
        if self.l1:
            np.multiply(np.sign(weights, out=self.room), self.l1, out=self.room)
            value += float(np.vdot(weights, self.room))
            np.add(added, self.room, out=added)
        np.add(self.gradient, added, out=self.gradient)
        return value


def _asked_for(spec: LayerSpec) -> Iterator[tuple[str, float, float]]:
    """Role, l1 and l2 of every penalty in a layer, and in the layers inside it."""
    for prefix, layer in spec.inside():
        l1, l2 = getattr(layer, "l1", 0.0), getattr(layer, "l2", 0.0)
        if l1 or l2:
            yield prefix + PENALISED, l1, l2


def penalties_of(network: Network, layers: Iterable[LayerSpec]) -> list[Penalty]:
    """The penalties that the layers' specs ask for with their fields `l1` and `l2`; none costs nothing."""
    found = []
    for index, spec in enumerate(layers):
        slots = {slot.role: slot for slot in network.slots_of(index)}
        for role, l1, l2 in _asked_for(spec):
            weights, gradient = slots[role].view(network.parameters), slots[role].view(network.gradients)
            room, added = slots[role].view(network.updates), np.zeros_like(weights)
            found.append(Penalty(f"{index}.penalty_{role}", l1, l2, weights, gradient, room, added))
    return found
