"""One joint random direction over all parameters: two forwards tell whether a whole gradient is right.

The copy of the network that it needs is made once; a check copies parameters into it and allocates next to nothing.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np

from engine.clipping import NoClipping
from engine.layers.base import Array
from engine.motion import PIECE
from engine.network import Network, Pass
from engine.numeric import STEP, Landscape
from engine.rounding import EPS
from engine.trainer import Trainer

SPREAD = 100.0  # tensors with smaller gradients are moved farther, by up to this factor: so none hides behind another
POOL = 16 * PIECE  # random numbers at most that directions are cut out of, block by block
SHIFTS = 4096  # places to cut a block out of them
AGREE = 1e-6  # relative; far below any error in a formula, far above what is left of the curvature
LARGE = 4e3  # ‖θ‖ after an update; rounding θ in float64 costs less than 1e-12 up to here
RETRIES = (1.0, 0.1, 0.01, 1e-3)  # of the usual step: a smaller one may stop short of a kink
FLOOR = 100.0  # times the rounding error: what is smaller cannot be told from nothing

T = TypeVar("T")
Slices = Generator[bool, None, T]  # work that may stop at each yield; True where it is going to be long


class JointSlope(NamedTuple):
    """The slope of the loss along the joint direction, from the gradient and from two losses."""

    analytic: float
    numeric: float
    doubt: float  # rounding error of the numerical one
    size: float  # what the slope would be if the tensors' shares did not cancel: √Σ a_t²

    @property
    def error(self) -> float:
        """|a − n| / size; NaN where both are 0."""
        size = max(self.size, abs(self.numeric))
        return abs(self.analytic - self.numeric) / size if size else float("nan")

    @property
    def agrees(self) -> bool:
        """Whether both are the same and stand out from rounding."""
        return self.error <= AGREE and self.size >= FLOOR * self.doubt


class Part(NamedTuple):
    """A part of the flat parameters that lies in one tensor and one block of the pool, and fits into the cache."""

    tensor: int
    block: int
    place: int  # in its block
    here: slice


class JointCheck:
    """A float64 copy of a trainer's network, and directions to move it along.

    What takes longest works in slices, which the caller may take with pauses. Nothing but the copy is looked at then.
    """

    def __init__(self, trainer: Trainer, seed: int = 0) -> None:
        self.source = trainer.network
        self.network = Network(trainer.recipe, trainer.network.shapes[0], "float64")
        self.rng = np.random.Generator(np.random.PCG64(seed))
        slots, size = self.network.slots, self.network.parameters.size
        self._parts = [
            Part(number, start // POOL, start % POOL, slice(start, end))
            for number, slot in enumerate(slots)
            for start, end in pairwise(_cuts(slot.start, slot.start + slot.parameter.size))
        ]
        self._first = np.searchsorted([part.tensor for part in self._parts], range(len(slots)))
        self._shrink = np.array([slot.parameter.size for slot in slots], np.float64) ** -0.25  # moves no unit far
        self._pool = self.rng.standard_normal(min(size, POOL) + SHIFTS)
        self._blocks = size // POOL + 1
        self._room, self._at, self.direction = np.zeros(min(size, PIECE)), np.zeros(size), np.zeros(size)
        self._own = np.zeros(size, trainer.network.dtype)
        self._note_penalties(trainer)

    def _note_penalties(self, trainer: Trainer) -> None:
        """Where `own` holds a penalty's share, by the penalty's address."""
        slots = {f"{slot.layer}.penalty_{slot.role}": slot for slot in self.network.slots}
        self._penalised = {a: slot.view(self._own) for a, slot in slots.items() if a in trainer.tensor_infos}

    def own(self, trainer: Trainer) -> Array | None:
        """A copy of the gradient of the trainer's last step, (P,), without the penalties' share.

        None in mid-step, where it has been clipped, and where parameters have become so large that those before the
        update cannot be had back to twelve digits.
        """
        done = trainer.phase is not None and trainer.phase.kind == "update"
        if not done or not isinstance(trainer.recipe.clip, NoClipping):
            return None
        after = trainer.network.parameters
        if not np.dot(after, after) <= LARGE * LARGE:
            return None
        np.copyto(self._own, trainer.network.gradients)
        for address, gradient in self._penalised.items():
            gradient -= trainer.tensor(address)
        return self._own

    def apart(self, one: Array, other: Array) -> float:
        """The largest ‖a − b‖ / ‖b‖ of any tensor of two gradients, (P,)."""
        gaps, sizes = np.zeros((2, len(self._parts)))
        for number, part in enumerate(self._parts):
            b = other[part.here]
            gap = np.subtract(one[part.here], b, out=self._room[: len(b)])
            gaps[number], sizes[number] = gap.dot(gap), b.dot(b)
        squares, sizes = self._by_tensor(gaps), self._by_tensor(sizes)
        return float(np.sqrt(np.max(squares / np.where(sizes > 0, sizes, 1.0))))

    def _by_tensor(self, of_parts: Array | list[float]) -> Array:
        """The sums over each tensor of what its parts have, (T,)."""
        found: Array = np.add.reduceat(of_parts, self._first)
        return found

    def load(self, trainer: Trainer) -> None:
        """Take over what the trainer's last step started from: parameters, buffers, mini-batch and random numbers.

        In the middle of a step, or before the first, what it is at now. Raises ValueError for another network.
        """
        source, network = trainer.network, self.network
        if source is not self.source:
            raise ValueError("the network is another one; make a new JointCheck")
        if network.recipe is not source.recipe:
            network.recipe = source.recipe
            self._note_penalties(trainer)
        done = trainer.phase is not None and trainer.phase.kind == "update"
        if done:
            np.subtract(source.parameters, source.updates, out=self._at, dtype=np.float64)
        else:
            np.copyto(self._at, source.parameters)
        np.copyto(network.buffers, source.buffers_before if done else source.buffers)
        x, targets = trainer.minibatch()
        self.x = np.array(x, np.float64)
        self.targets = np.array(targets, np.float64 if targets.dtype.kind == "f" else targets.dtype)
        self.run: Pass = network.at(len(x))
        network.begin(self.run, trainer.step_count + (trainer.phase is None))

    def backward(self) -> Slices[Array]:
        """The gradient of all parameters, (P,), as the layers' own backward computes it on the copy."""
        self._return()
        run = self.run
        run.layers[0].needs_grad_x = False
        run.loss.forward((yield from self._forward()), self.targets)
        gradient = run.loss.backward()
        for layer in reversed(run.layers):
            for _ in layer.backward(gradient):
                pass
            gradient = layer.grad_x
            yield False
        found: Array = self.network.gradients
        return found

    def _forward(self) -> Slices[Array]:
        """The output of the last layer, (B, out)."""
        y = self.x
        for layer in self.run.layers:
            y = layer.forward(y)
            yield False
        return y

    def slope(self, gradient: Array, scale: float = 1.0, again: bool = False) -> Slices[JointSlope]:
        """Along a new direction, or the last one again, by a central difference with `scale` times the usual step."""
        if not again:
            self._aim(gradient)
            yield False
        h = scale * STEP
        shares = self._by_tensor([self.direction[part.here].dot(gradient[part.here]) for part in self._parts])
        up = yield from self._losses(h)
        down = yield from self._losses(-h)
        numeric = float((up - down).mean()) / (2 * h)
        doubt = 4 * EPS * float(np.abs(up).mean()) / h
        return JointSlope(float(shares.sum()), numeric, doubt, float(np.sqrt(np.dot(shares, shares))))

    def _aim(self, gradient: Array) -> None:
        """Draw a direction in which every tensor has about the same share of the slope."""
        norms = np.sqrt(self._by_tensor([gradient[part.here].dot(gradient[part.here]) for part in self._parts]))
        largest = float(norms.max())
        far = 1.0 if not 0 < largest < np.inf else largest / SPREAD / np.fmax(norms, largest / SPREAD)
        lengths = (far * self._shrink).tolist()
        shifts = self.rng.integers(SHIFTS, size=self._blocks).tolist()
        for tensor, block, place, here in self._parts:
            start = place + shifts[block]
            np.multiply(self._pool[start : start + here.stop - here.start], lengths[tensor], out=self.direction[here])

    def _return(self) -> None:
        """Put the copy's parameters back to where the step started."""
        np.copyto(self.network.parameters, self._at)

    def _losses(self, h: float) -> Slices[Array]:
        """The loss of each sample, (B,), with all parameters moved by h·direction."""
        for part in self._parts:
            there = self.network.parameters[part.here]
            np.add(np.multiply(self.direction[part.here], h, out=there), self._at[part.here], out=there)
        losses: Array = self.run.loss.per_sample((yield from self._forward()), self.targets)
        return losses

    @property
    def reach(self) -> float:
        """How far a step may go: a tenth of what the parameters are in size."""
        return 0.1 * float(np.sqrt(np.mean(self._at * self._at)))

    def landscape(self) -> Landscape:
        """The loss around the same point, for a closer look; it shares the copy."""
        self._return()
        return Landscape(self.network, self.x, self.targets, boundaries=True)


def _cuts(start: int, end: int) -> list[int]:
    """Where to cut a tensor into parts: at every multiple of PIECE, so also at those of POOL."""
    return [start, *range((start // PIECE + 1) * PIECE, end, PIECE), end]
