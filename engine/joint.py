"""One joint random direction over all parameters: two forwards tell whether a whole gradient is right.

The copy of the network that it needs is made once; a check copies parameters into it and allocates next to nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.clipping import NoClipping
from engine.layers.base import Array
from engine.network import Network, Pass
from engine.numeric import STEP, Landscape
from engine.rounding import EPS
from engine.trainer import Trainer

SPREAD = 100.0  # tensors with smaller gradients are moved farther, by up to this factor: so none hides behind another
SHIFTS = 4096  # directions that one pool of random numbers gives
AGREE = 1e-6  # relative; far below any error in a formula, far above what is left of the curvature
LARGE = 4e3  # ‖θ‖ after an update; rounding θ in float64 costs less than 1e-12 up to here
RETRIES = (1.0, 0.1, 0.01, 1e-3)  # of the usual step: a smaller one may stop short of a kink
FLOOR = 100.0  # times the rounding error: what is smaller cannot be told from nothing


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


class JointCheck:
    """A float64 copy of a trainer's network, and directions to move it along."""

    def __init__(self, trainer: Trainer, seed: int = 0) -> None:
        self.source = trainer.network
        self.network = Network(trainer.recipe, trainer.network.shapes[0], "float64")
        self.rng = np.random.Generator(np.random.PCG64(seed))
        slots, size = self.network.slots, self.network.parameters.size
        self._starts = np.array([slot.start for slot in slots], np.intp)
        self._lengths = np.diff([*self._starts, size])
        self._shrink = np.array([slot.parameter.size for slot in slots], np.float64) ** -0.25  # moves no unit far
        self._pool = self.rng.standard_normal(size + SHIFTS)
        self._room, self._at = np.zeros(size), np.zeros(size)
        self.direction, self._own = np.zeros(size), np.zeros(size)
        self._note_penalties(trainer)

    def _note_penalties(self, trainer: Trainer) -> None:
        """Where `own` holds a penalty's share, by the penalty's address."""
        slots = {f"{slot.layer}.penalty_{slot.role}": slot for slot in self.network.slots}
        self._penalised = {a: slot.view(self._own) for a, slot in slots.items() if a in trainer.tensor_infos}

    def own(self, trainer: Trainer) -> Array | None:
        """The gradient of the trainer's last step, (P,) float64, without the penalties' share.

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
        np.subtract(one, other, out=self._room)
        gaps, sizes = (np.add.reduceat(part * part, self._starts) for part in (self._room, other))
        return float(np.sqrt(np.max(gaps / np.where(sizes > 0, sizes, 1.0))))

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

    @np.errstate(all="ignore")
    def backward(self) -> Array:
        """The gradient of all parameters, (P,), as the layers' own backward computes it on the copy."""
        self._return()
        run, y = self.run, self.x
        run.layers[0].needs_grad_x = False
        for layer in run.layers:
            y = layer.forward(y)
        run.loss.forward(y, self.targets)
        gradient = run.loss.backward()
        for layer in reversed(run.layers):
            for _ in layer.backward(gradient):
                pass
            gradient = layer.grad_x
        found: Array = self.network.gradients
        return found

    @np.errstate(all="ignore")
    def slope(self, gradient: Array, scale: float = 1.0, again: bool = False) -> JointSlope:
        """Along a new direction, or the last one again, by a central difference with `scale` times the usual step."""
        if not again:
            self._aim(gradient)
        h = scale * STEP
        np.multiply(self.direction, gradient, out=self._room)
        shares = np.add.reduceat(self._room, self._starts)
        up, down = self._losses(h), self._losses(-h)
        numeric = float((up - down).mean()) / (2 * h)
        doubt = 4 * EPS * float(np.abs(up).mean()) / h
        return JointSlope(float(shares.sum()), numeric, doubt, float(np.sqrt(np.dot(shares, shares))))

    def _aim(self, gradient: Array) -> None:
        """Draw a direction in which every tensor has about the same share of the slope."""
        np.multiply(gradient, gradient, out=self._room)
        norms = np.sqrt(np.add.reduceat(self._room, self._starts))
        largest = float(norms.max())
        far = 1.0 if not 0 < largest < np.inf else largest / SPREAD / np.fmax(norms, largest / SPREAD)
        shift = int(self.rng.integers(SHIFTS))
        np.multiply(
            self._pool[shift:][: len(self.direction)], np.repeat(far * self._shrink, self._lengths), out=self.direction
        )

    def _return(self) -> None:
        """Put the copy's parameters back to where the step started."""
        np.copyto(self.network.parameters, self._at)

    def _losses(self, h: float) -> Array:
        """The loss of each sample, (B,), with all parameters moved by h·direction."""
        at = self.network.parameters
        np.add(np.multiply(self.direction, h, out=at), self._at, out=at)
        y = self.x
        for layer in self.run.layers:
            y = layer.forward(y)
        losses: Array = self.run.loss.per_sample(y, self.targets)
        return losses

    @property
    def reach(self) -> float:
        """How far a step may go: a tenth of what the parameters are in size."""
        return 0.1 * float(np.sqrt(np.mean(self._at * self._at)))

    def landscape(self) -> Landscape:
        """The loss around the same point, for a closer look; it shares the copy."""
        self._return()
        return Landscape(self.network, self.x, self.targets, boundaries=True)
