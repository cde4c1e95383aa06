"""What the update overwrites, kept while somebody looks: parameters, gradients and optimizer state as they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from engine.frozen import FrozenPart
    from engine.network import Network
    from engine.penalties import Penalty
    from engine.recipe import Recipe

Array = NDArray[Any]
MOST = 64 << 20  # bytes; of larger networks nothing is kept


class Before:
    """A network's store (see `Network`) as it was before the update of mini-batch `step`; −1: nothing is kept.

    `recipe`, `penalties` and `frozen` are those that the update went by: live fields may change right after it.
    """

    def __init__(self, network: Network, recipe: Recipe) -> None:
        self._network = network
        self.store: Array = np.empty((0, 0), network.dtype)
        self.step = -1
        self.recipe = recipe
        self.penalties: Sequence[Penalty] = ()
        self.frozen: Sequence[FrozenPart] = ()

    def keep(self, step: int, recipe: Recipe, penalties: Sequence[Penalty], frozen: Sequence[FrozenPart]) -> None:
        """Copy what the update of this step is about to change."""
        store = self._network.store
        self.step = -1
        if store.nbytes > MOST:
            return
        if self.store.shape != store.shape:
            self.store = np.empty_like(store)
        np.copyto(self.store, store)
        self.step, self.recipe, self.penalties, self.frozen = step, recipe, penalties, frozen
