"""Keyframes: copies of all that training hangs on, under a memory budget, rarer the older they are."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from engine.edits import bytes_of_loaded
from engine.frames import Array
from engine.recipe import Recipe
from engine.timeline import RunError
from engine.trainer import Trainer

if TYPE_CHECKING:
    from engine.forks import Fork

DEFAULT_BUDGET = 256_000_000  # bytes
MOST = 1000  # keyframes, however small they are
AHEAD = 64  # steps whose scalars must find room before the next keyframe
RARELY = 50  # taking a keyframe may cost 1/50 of the time since the last one


class Keyframe:
    """The parameters, optimizer slots and buffers after `step` whole steps, in one flat array.

    `changes` of the fork's path had been made by then; `recipe` was the trainer's.
    """

    __slots__ = ("changes", "recipe", "step", "values")

    def __init__(self, trainer: Trainer, changes: int, values: Array | None = None) -> None:
        network = trainer.network
        parts = (network.parameters, network.optimizer_slots.reshape(-1), network.buffers)
        self.step, self.recipe, self.changes = trainer.step_count, trainer.recipe, changes
        self.values: Array = np.empty(sum(map(len, parts)), network.dtype) if values is None else values
        np.concatenate(parts, out=self.values)

    @classmethod
    def of(cls, step: int, recipe: Recipe, changes: int, values: Array) -> Keyframe:
        """One that was kept before, such as in a file."""
        made = cls.__new__(cls)
        made.step, made.recipe, made.changes, made.values = step, recipe, changes, values
        return made

    def load(self, trainer: Trainer) -> None:
        """Put the trainer where the keyframe was taken."""
        network, size = trainer.network, trainer.network.parameters.size
        end = size + network.optimizer_slots.size
        if trainer.recipe is not self.recipe:
            trainer.adopt(self.recipe)
        trainer.go_to(self.step, self.values[:size], self.values[size:end], self.values[end:])

    def agrees(self, trainer: Trainer) -> bool:
        """Whether the trainer, at the same whole step, has the very bits that were kept."""
        network = trainer.network
        at = 0
        for part in (network.parameters, network.optimizer_slots.reshape(-1), network.buffers):
            if not np.array_equal(self.values[at : at + part.size].view(np.uint8), part.view(np.uint8)):
                return False
            at += part.size
        return True


class Keyframes:
    """Takes keyframes and thins them out: all forks of a run together stay within `budget` bytes, all else counted."""

    def __init__(self, trainer: Trainer, budget: int) -> None:
        network = trainer.network
        self._trainer = trainer
        self.size = network.parameters.nbytes + network.optimizer_slots.nbytes + network.buffers.nbytes
        self.budget = budget
        self.count = 0
        self._spare: list[Array] = []  # of keyframes dropped, to be written again
        self._last = self._cost = 0.0
        self.lent = 0  # how many read keyframes in other threads: meanwhile none is written again

    @property
    def nbytes(self) -> int:
        """The memory of all keyframes."""
        return int(self.size * (self.count + len(self._spare)))

    @property
    def too_small(self) -> str:
        """A sentence where the budget holds no keyframe; else ""."""
        if self.budget >= self.size:
            return ""
        return (
            f"the timeline's budget of {self.budget / 1e6:,.3g} MB is below one keyframe of this network "
            f"({self.size / 1e6:,.3g} MB), so that only its start is kept; "
            f"give it {self.size * 10 / 1e6:,.3g} MB or more"
        )

    def set_budget(self, budget: int, forks: Iterable[Fork], cursor: int) -> None:
        """Another budget. Raises RunError where it holds no keyframe, and then nothing changes."""
        before, self.budget = self.budget, budget
        if sentence := self.too_small:
            self.budget = before
            raise RunError(sentence)
        self._spare.clear()
        self._thin(list(forks), cursor)

    def due(self) -> bool:
        """Whether a keyframe would cost little now, against the time that has gone by since the last."""
        return time.perf_counter() - self._last >= RARELY * self._cost

    def take(self, fork: Fork, forks: Iterable[Fork], changes: int) -> None:
        """Keep the trainer's present whole step for a path; `changes` of it have been made."""
        start = time.perf_counter()
        self._thin(list(forks), self._trainer.step_count)
        keyframe = Keyframe(self._trainer, changes, self._spare.pop() if self._spare else None)
        fork.owner(keyframe.step).add(keyframe)
        self.count += 1
        self._last = time.perf_counter()
        self._cost = self._last - start

    def forget(self, fork: Fork) -> None:
        """Give up what a fork holds of its own."""
        self.count -= len(fork.keyframes)
        fork.keyframes.clear()

    def _thin(self, forks: list[Fork], cursor: int) -> None:
        """Where there is no room for one more, drop a sixteenth of the keyframes: those that are needed least."""
        scalars = sum(fork.history.nbytes for fork in forks) + AHEAD * 8 * len(forks[0].history.columns)
        others = scalars + bytes_of_loaded(fork.changes for fork in forks)
        room = max(1, min(MOST, (self.budget - others) // max(self.size, 1)))
        if self.count < room:
            del self._spare[room - self.count :]  # scalars have grown into their place
            return
        goal = room - max(1, room // 16)
        while self.count > goal and (dropped := self._drop(forks, cursor, self.count - goal)):
            if not self.lent:
                self._spare += dropped
            self.count -= len(dropped)
        del self._spare[max(room - self.count, 1) :]

    def _drop(self, forks: list[Fork], cursor: int, want: int) -> list[Array]:
        """Drop at most `want` keyframes, no two beside each other; returns their arrays."""
        places = [(fork, place) for fork in forks for place in range(len(fork.keyframes))]
        order = np.argsort(np.concatenate([_need(fork, cursor) for fork in forks]), kind="stable")
        chosen: set[int] = set()
        for number in order.tolist():
            fork, place = places[number]
            if len(chosen) == want or (place == 0 and fork.past is None):
                break  # what may not be dropped comes last
            if not {number - 1, number + 1} & chosen:
                chosen.add(number)
        dropped = []
        for number in sorted(chosen, reverse=True):
            fork, place = places[number]
            dropped.append(fork.keyframes.pop(place).values)
        return dropped


def _need(fork: Fork, cursor: int) -> Array:
    """How much each keyframe of a fork is needed, infinitely where it may not be dropped.

    That is the distance that dropping it would leave, against the square root of how far it lies from where work goes
    on: so distances grow with age, but those far back do not grow out of reach. The first of a path of its own stays.
    """
    steps = np.array([keyframe.step for keyframe in fork.keyframes], float)
    if not len(steps):
        return steps
    tip = max(len(fork.history), steps[-1])
    before, after = np.append(fork.shared, steps[:-1]), np.append(steps[1:], tip)
    need: Array = (after - before) / np.sqrt(1 + np.minimum(tip - steps, np.abs(cursor - steps)))
    if fork.past is None:
        need[0] = np.inf
    return need
