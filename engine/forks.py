"""Forks: paths through time that share their past in memory. The first path of a run is a fork of nothing."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from typing import TypeAlias

from engine.edits import Adopted, Edit, Loaded
from engine.frames import Position
from engine.keyframes import Keyframe
from engine.timeline import Timeline

Change: TypeAlias = Adopted | Edit | Loaded


class Fork:
    """One path: scalars of every step from the run's first on, the changes made on it, and its own keyframes.

    `start` is where it leaves its past, `tip` the last position computed on it; `doubtful_from` the first step that
    came out otherwise when it was replayed.
    """

    def __init__(self, name: str, history: Timeline, start: Position, past: Fork | None = None) -> None:
        self.name = name
        self.history = history
        self.start = self.tip = start
        self.past = past
        self.changes: list[Change] = []
        self.keyframes: list[Keyframe] = []
        self.doubtful_from: int | None = None

    def leave(self, name: str, at: Position, whole_steps: int, changes: int) -> Fork:
        """A fork that leaves this one at a position with its first `changes` changes made."""
        history = Timeline(self.history.columns, self.history, whole_steps)
        fork = Fork(name, history, at, self)
        fork.changes = self.changes[:changes]
        if self.doubtful_from is not None and self.doubtful_from <= whole_steps:
            fork.doubtful_from = self.doubtful_from
        return fork

    @property
    def origin(self) -> Position:
        """Where its timeline begins."""
        return self.past.origin if self.past else self.start

    @property
    def first_step(self) -> int:
        """How many steps had been made where its timeline begins."""
        return self.origin.step

    @property
    def shared(self) -> int:
        """How many whole steps it shares with its past."""
        return self.history.shared

    def owner(self, step: int) -> Fork:
        """The fork whose own a keyframe at `step` of this path is."""
        return self if self.past is None or step > self.shared else self.past.owner(step)

    def nearest(self, step: int) -> Keyframe | None:
        """The last keyframe of the path at `step` or before."""
        found = bisect_right(self.keyframes, step, key=_step)
        if found:
            return self.keyframes[found - 1]
        return self.past.nearest(min(step, self.shared)) if self.past else None

    def add(self, keyframe: Keyframe) -> None:
        """Take a keyframe of its own in, in order."""
        insort(self.keyframes, keyframe, key=_step)

    def line(self) -> Iterator[Fork]:
        """The fork, its past, the past of that, and so on."""
        fork: Fork | None = self
        while fork is not None:
            yield fork
            fork = fork.past


def _step(keyframe: Keyframe) -> int:
    return keyframe.step
