"""What the network says of samples: which it takes for what, how sure it is, how far its values are off."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.frames import Phase
from engine.layers.base import Array
from engine.trainer import Trainer

Part = Literal["training", "validation"]

MOST_SAMPLES = 2000  # of a part that are asked about; of a costly network fewer
MOST_WORK = 1_000_000_000  # multiply-adds of one look at a part
BLOCK = 250  # samples at once
LONGEST = 1.0  # seconds that one look may take; after it no more samples are asked about
MOST_CLASSES = 40  # of a confusion matrix
MOST_OUTPUTS = 8  # of values that are compared with their targets


@dataclass(frozen=True)
class Answers:
    """What the network says of the first N samples of a part at one step."""

    step: int
    of: int  # samples in the whole part
    x: Array  # (N, *in)
    believed: Array  # (N, K): probabilities where the loss has them, else the outputs; a single one as two classes'
    targets: Array  # (N, K) values, or as the loss takes classes
    losses: Array  # (N,), without penalties
    labels: Array | None  # (N,)
    guessed: Array | None  # (N,): the class named; −1 where an output is no number

    @property
    def wrong(self) -> int:
        """How many samples are taken for another class than theirs."""
        return int(np.count_nonzero(self.guessed != self.labels))

    def facts(self) -> Array:
        """Step, samples asked about, samples there are, wrong ones, those with an output that is no number, mean loss.

        (1, 6); where there are no classes nothing is wrong.
        """
        lost = np.count_nonzero(~np.isfinite(self.believed).all(axis=1))
        wrong = self.wrong if self.labels is not None else 0
        mean = self.losses.mean(dtype=np.float64) if len(self.losses) else np.nan
        return np.array([[self.step, len(self.x), self.of, wrong, lost, mean]])

    def confusion(self) -> Array | None:
        """How many samples of each class (rows) are taken for each class (columns); None: no classes, or too many."""
        if self.labels is None or self.guessed is None:
            return None
        size = max(self.believed.shape[1], int(self.labels.max(initial=0)) + 1)
        if size > MOST_CLASSES:
            return None
        named = self.guessed >= 0
        flat = np.bincount(self.labels[named] * size + self.guessed[named], minlength=size * size)
        return flat.reshape(size, size)

    def worst(self, cell: tuple[int, int] | None, most: int) -> Array:
        """Numbers of the samples that are wrong, or of this class taken for that one; the greatest loss first."""
        assert self.labels is not None
        if cell is None:
            wanted = self.guessed != self.labels
        else:
            wanted = (self.labels == cell[0]) & (self.guessed == cell[1])
        found = np.flatnonzero(wanted)
        cost = np.where(np.isnan(self.losses[found]), np.inf, self.losses[found])
        return np.asarray(found[np.argsort(-cost, kind="stable")][:most])

    def mistakes(self, cell: tuple[int, int] | None, most: int) -> Array:
        """Of the worst: number, class, class named, what is believed of that, what of its own class, loss; (M, 6)."""
        assert self.labels is not None
        assert self.guessed is not None
        n = self.worst(cell, most)
        labels, guessed = self.labels[n], self.guessed[n]
        of_guessed = np.where(guessed >= 0, self.believed[n, np.maximum(guessed, 0)], np.nan)
        return np.column_stack([n, labels, guessed, of_guessed, self.believed[n, labels], self.losses[n]])

    def points(self) -> Array:
        """For points in the plane: x, y, class, class named; (N, 4)."""
        assert self.labels is not None
        assert self.guessed is not None
        return np.column_stack([self.x, self.labels, self.guessed])

    def values(self) -> Array:
        """First input, targets, outputs: (N, 1 + 2·K), of MOST_OUTPUTS outputs."""
        rows = len(self.x)
        first = self.x.reshape(rows, -1)[:, :1]
        return np.hstack([first, self.targets[:, :MOST_OUTPUTS], self.believed[:, :MOST_OUTPUTS]])


def ask(trainer: Trainer, part: Part, most: int, pulse: Callable[[], None]) -> Answers:
    """Look at the first samples of a part, `most` of them, fewer where that would take too long."""
    if part == "training":
        x, targets, labels = trainer.x, trainer.targets, trainer.labels
    else:
        x, targets, labels = trainer.x_validation, trainer.targets_validation, trainer.labels_validation
    loss, outputs = trainer.network.at(trainer.recipe.batch_size).loss, []
    end, until = min(most, len(x)), time.perf_counter() + LONGEST
    with trainer.computing():
        for start in range(0, end, BLOCK):
            outputs.append(trainer.network.apply(x[start : min(start + BLOCK, end)]))
            pulse()
            if time.perf_counter() > until:
                break
        y = np.concatenate(outputs) if outputs else np.zeros((0, *trainer.network.shapes[-1]), trainer.network.dtype)
        n = len(y)
        believed, losses = loss.believe(y), loss.per_sample(y, targets[:n])
        guessed = None if labels is None else np.where(np.isfinite(y).all(axis=1), loss.classify(y), -1).astype(np.intp)
    if labels is not None and believed.shape[1] == 1:
        believed = np.hstack([1 - believed, believed])
    known = None if labels is None else labels[:n]
    step = trainer.step_count - (trainer.phase not in (None, Phase("update")))  # the last that moved the parameters
    return Answers(step, len(x), x[:n], believed, targets[:n], losses, known, guessed)


def most_samples(trainer: Trainer) -> int:
    """How many samples of a part one look may take in."""
    return max(BLOCK, min(MOST_SAMPLES, MOST_WORK // max(trainer.network.multiply_adds, 1)))
