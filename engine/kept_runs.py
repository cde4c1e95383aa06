"""The runs that an edit of the recipe has left: as long as they fit, one can go back to each where it stood."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from engine.recipe import Recipe, only_live_fields_differ
from engine.run import MAIN, Run

MOST = 24  # runs


class KeptRuns:
    """All runs there are by number, the present one too; the others together take `budget` bytes at most."""

    def __init__(self) -> None:
        self.by_number: dict[int, Run] = {}
        self._made = 0

    def __iter__(self) -> Iterator[Run]:
        return iter(self.by_number.values())

    def number(self, run: Run) -> int:
        """The number of a run that is kept."""
        return next(number for number, known in self.by_number.items() if known is run)

    def next_name(self) -> str:
        """The name of the first path of the next run."""
        taken, number = {name for run in self for name in run.forks}, self._made + 1
        while f"run {number}" in taken:
            number += 1
        return MAIN if not self.by_number else f"run {number}"

    def clear(self) -> None:
        """Forget them all: a session from a file takes their place."""
        self.by_number.clear()
        self._made = 0

    def add(self, run: Run, budget: int) -> None:
        """Another run, which is the present one; those that were never trained make room for the others, then
        those left longest ago.
        """
        if run in self.by_number.values():
            number = self.number(run)
            self.by_number[number] = self.by_number.pop(number)  # the last used is the last
        else:
            self.by_number[self._made] = run
            self._made += 1
        left, size = [n for n, known in self.by_number.items() if known is not run], 0
        dear = [n for n in left if not self.by_number[n].can_be_made_again]
        order = [n for n in left if n not in dear] + dear
        for place, number in enumerate(reversed(order)):
            size += footprint(self.by_number[number])
            if place >= MOST or size > budget:
                del self.by_number[number]

    def drop(self, run: Run) -> None:
        """Forget a run."""
        del self.by_number[self.number(run)]

    def of(self, recipe: Recipe, number: int | None = None, *, drawn: bool = False) -> Run | None:
        """The run of a recipe, of those that differ from it in live fields only the one used last.

        `number`: this one, if it is still there; `drawn`: only one whose first weights were drawn from its recipe.
        """
        found = [run for run in self if only_live_fields_differ(run.trainer.recipe, recipe)]
        wanted = self.by_number.get(-1 if number is None else number)
        if wanted in found:
            return wanted
        found = [run for run in found if not (drawn and run.kept)]
        same = [run for run in found if run.trainer.recipe == recipe]
        return (same or found)[-1] if found else None

    def twin(self, run: Run) -> Run | None:
        """Another run that began with the very same weights."""
        for other in self:
            if other is not run and other.trainer.network.same_tensors(run.trainer.network):
                size = run.trainer.network.parameters.size
                if np.array_equal(other.recorder.first.values[:size], run.recorder.first.values[:size]):
                    return other
        return None


def footprint(run: Run) -> int:
    """About how many bytes a run takes: its timeline, its data, its parameters, and what a mini-batch computes."""
    trainer = run.trainer
    entries = 3 * trainer.recipe.batch_size * sum(map(prod, trainer.network.shapes))
    arrays = (trainer.x, trainer.targets, trainer.x_validation, trainer.samples.x, trainer.network.store)
    return run.nbytes + sum(array.nbytes for array in arrays) + entries * trainer.network.dtype.itemsize
