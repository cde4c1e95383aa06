"""How the parameters move: by the optimizer's update; and the norms of parameters, gradients and updates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from engine.frozen import FrozenPart
    from engine.network import Network
    from engine.optimizers import OptimizerSpec

Array = NDArray[Any]
SMALL_TENSORS = 20_000  # entries; up to here one operation over all parameters beats one for each tensor
PIECE = 65_536  # entries; of larger networks so many at once are read into the cache and stay while they are needed


class Motion:
    """Moves the parameters of a network. `norms` (3, T), rows of parameters, gradients and updates, is written to."""

    def __init__(self, network: Network, norms: Array) -> None:
        self._network, self._norms = network, norms
        size = network.parameters.size
        self._small = size <= SMALL_TENSORS
        if self._small:
            self._three = network.store[:3].reshape(-1)
            self._starts = np.array([row * size + slot.start for row in range(3) for slot in network.slots], np.intp)
            self._squares = np.zeros_like(self._three)
        else:
            self._pieces = [
                (column, network.store[:, start : min(start + PIECE, slot.start + slot.parameter.size)])
                for column, slot in enumerate(network.slots)
                for start in range(slot.start, slot.start + slot.parameter.size, PIECE)
            ]

    def move(self, optimizer: OptimizerSpec, frozen: list[FrozenPart], step: int, lr: float) -> None:
        """Let the optimizer compute its update, add it to the parameters, and note the norms.

        `frozen` are the parts that are hidden; they are shown again, without an update.
        """
        at_once = self._small or bool(frozen)  # frozen parts take their updates back before anything moves
        if at_once:
            _update(optimizer, self._network.store, step, lr)
            for part in frozen:
                part.show()
        if self._small:
            self._move_all()
        else:
            self._norms.fill(0)
            for column, store in self._pieces:
                if not at_once:
                    _update(optimizer, store, step, lr)
                self._move_piece(column, *store[:3])
        np.sqrt(self._norms, out=self._norms)

    def _move_all(self) -> None:
        """All parameters at once, and the squared norms of all tensors."""
        parameters, _, updates = self._network.store[:3]
        np.add(parameters, updates, out=parameters)
        if self._norms.size:
            np.multiply(self._three, self._three, out=self._squares)
            self._norms.reshape(-1)[:] = np.add.reduceat(self._squares, self._starts)

    def _move_piece(self, column: int, parameters: Array, gradients: Array, updates: Array) -> None:
        """A piece of the tensor in this column of `norms`, and its share of the squared norms."""
        np.add(parameters, updates, out=parameters)
        for row, part in enumerate((parameters, gradients, updates)):
            self._norms[row, column] += np.dot(part, part)


def _update(optimizer: OptimizerSpec, store: Array, step: int, lr: float) -> None:
    """Write the update of these columns of the network's store."""
    optimizer.update(store[1], store[0], store[2], store[3:], step, lr)
