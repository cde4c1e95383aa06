"""Of the gradient of every step: mean |g| of each tensor, and the cosine to the gradient of the step before."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np

from engine.frames import Array
from engine.motion import SMALL_TENSORS
from engine.trainer import Trainer

PIECE = 65_536  # entries of a large tensor looked at together, so that they stay in the processor's cache


@dataclass(frozen=True)
class Piece:
    """A part of one tensor's gradient, beside that of the step before."""

    tensor: int
    gradient: Array
    before: Array  # also room for |g|: a large array less in the processor's cache
    ones: Array


class GradientStats:
    """Keeps the last gradient of a trainer for the next cosine; call `measure` or `remember` once for every step."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        network = trainer.network
        self._count = len(network.slots)
        self._gradients = network.gradients
        self._before = np.zeros_like(self._gradients)
        self._norm_before = nan
        self._small = self._gradients.size <= SMALL_TENSORS
        self._starts = np.array([slot.start for slot in network.slots], np.intp)
        self._share = np.array([1 / slot.parameter.size for slot in network.slots])
        self._pieces = [] if self._small else self._cut()

    def _cut(self) -> list[Piece]:
        """The tensors in pieces."""
        pieces, ones = [], np.ones(PIECE, self._gradients.dtype)
        for number, slot in enumerate(self._trainer.network.slots):
            end = slot.start + slot.parameter.size
            for start in range(slot.start, end, PIECE):
                part = slice(start, min(start + PIECE, end))
                length = part.stop - part.start
                pair = self._gradients[part], self._before[part]
                pieces.append(Piece(number, *pair, ones[:length]))
        return pieces

    def forget(self) -> None:
        """The last gradient is not known."""
        self._norm_before = nan

    def remember(self) -> None:
        """Keep the gradient of the step just completed."""
        np.copyto(self._before, self._gradients)
        self._norm_before = self._norm()

    def _norm(self) -> float:
        """‖g‖, from those of the tensors that the trainer recorded."""
        norms = self._trainer.record[4 + self._count : 4 + 2 * self._count]
        return sqrt(norms.dot(norms))

    def measure(self, means: Array) -> float:
        """Write mean |g| of every tensor into `means`; returns the cosine, NaN where the last gradient is not known."""
        if not self._count:
            return nan
        product = self._at_once(means) if self._small else self._piece_by_piece(means)
        before, self._norm_before = self._norm_before, self._norm()
        size = before * self._norm_before
        return float(product) / size if size else nan

    def _at_once(self, means: Array) -> float:
        gradients, before = self._gradients, self._before
        product: float = gradients.dot(before)
        np.abs(gradients, out=before)
        np.multiply(np.add.reduceat(before, self._starts), self._share, out=means)
        np.copyto(before, gradients)
        return product

    def _piece_by_piece(self, means: Array) -> float:
        sums, product = [0.0] * self._count, 0.0
        for piece in self._pieces:
            gradient, before = piece.gradient, piece.before
            product += gradient.dot(before)
            sums[piece.tensor] += np.abs(gradient, before).dot(piece.ones)
            before[:] = gradient
        np.multiply(sums, self._share, out=means)
        return product
