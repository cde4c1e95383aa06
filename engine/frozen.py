"""Frozen parameters: the update leaves them as they are, as PyTorch's `requires_grad = False` does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from engine.layers import LayerSpec
    from engine.network import Network

Array = NDArray[Any]
ROLES: dict[str, tuple[str, ...]] = {"nothing": (), "weights": ("W",), "biases": ("b",), "all": ("W", "b")}


@dataclass(frozen=True)
class FrozenPart:
    """One frozen parameter: its gradient is computed and shown, but clipping and optimizer see 0 in its place."""

    gradient: Array
    update: Array
    kept: Array  # the gradient while it is hidden

    def hide(self) -> None:
        """Put 0 in the gradient's place."""
        np.copyto(self.kept, self.gradient)
        self.gradient.fill(0)

    def show(self) -> None:
        """Put the gradient back; there is no update, whatever momentum or weight decay say."""
        np.copyto(self.gradient, self.kept)
        self.update.fill(0)


def frozen_parts(network: Network, layers: Iterable[LayerSpec]) -> list[FrozenPart]:
    """The parameters that the layers' specs freeze with their field `frozen`; none costs nothing."""
    found = []
    for index, spec in enumerate(layers):
        roles = {p + role for p, layer in spec.inside() for role in ROLES[getattr(layer, "frozen", "nothing")]}
        for slot in network.slots_of(index):
            if slot.role in roles:
                gradient = slot.view(network.gradients)
                found.append(FrozenPart(gradient, slot.view(network.updates), np.empty_like(gradient)))
    return found
