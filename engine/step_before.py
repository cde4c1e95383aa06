"""Tensors as they were one mini-batch earlier, so that a change can be told: remembered, or computed again."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from engine.frames import Array, Position
from engine.run import Run

CHANGE = "change"  # "0.change_W": what "0.W" is more than one mini-batch earlier at the same phase


@lru_cache(maxsize=4096)
def changing(address: str) -> str | None:
    """The tensor whose change an address names: "0.W" of "0.change_W"; None where it names none."""
    where, _, role = address.partition(".")
    kind, _, name = role.partition("_")
    return f"{where}.{name}" if kind == CHANGE and name else None


class StepBefore:
    """What tensors were at the same phase of the mini-batch before."""

    def __init__(self) -> None:
        self._at = Position(-1, -1)
        self._tensors: dict[str, Array] = {}

    def forget(self) -> None:
        """The run goes elsewhere."""
        self._tensors = {}

    def remember(self, run: Run, addresses: Iterable[str]) -> None:
        """A whole mini-batch is about to be computed: keep what it will change, where one has just ended."""
        self.forget()
        here = run.recorder.here
        if here.step and here.phase == len(run.trainer.all_phases) - 1:
            self._at, self._tensors = here, _copies(run, addresses)

    def find(self, run: Run, addresses: Iterable[str], *, again: bool) -> dict[str, Array]:
        """The tensors one mini-batch earlier, those that there were; not remembered, they are computed `again`, or not.

        The run stays where it is. Raises RunError.
        """
        wanted, here = set(addresses), run.recorder.here
        if not wanted or here.step <= run.path.first_step:
            return {}
        before = Position(here.step - 1, here.phase)
        if before == self._at and wanted <= self._tensors.keys():
            return {address: self._tensors[address] for address in wanted}
        if not again:
            return {}
        self._at, self._tensors = before, run.tensors_at(before, wanted)
        return dict(self._tensors)


def _copies(run: Run, addresses: Iterable[str]) -> dict[str, Array]:
    trainer = run.trainer
    stale = {"0.grad_x"} if not trainer.has_input_gradient else set()
    found = {address: trainer.tensor(address) for address in addresses if address not in stale}
    return {address: np.copy(array) for address, array in found.items() if array is not None}
