"""Ways to a numerical derivative: central and forward differences, and the complex step."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import ClassVar, Literal, Protocol

import numpy as np

from engine.layers.base import Array
from engine.losses import Loss
from engine.network import Network
from engine.numeric import DATA, STEP, Landscape, replay
from engine.rounding import EPS

Difference = Literal["central", "forward", "complex"]

FORWARD_STEP = float(np.sqrt(EPS))  # balances the truncation error h of a forward difference with rounding, eps / h
Function = Callable[[Array], Array]
IMAGINARY_STEP = 1e-20  # nothing is subtracted, so that it may be as small as one likes


class Surface(Protocol):
    """What a difference needs of a Landscape."""

    tensors: dict[str, Array]

    @property
    def noise(self) -> float:
        """Rounding error of the loss."""

    @property
    def coarseness(self) -> float:
        """The least that `noise` can be."""

    def central(self, address: str, entries: Array, scale: float = 1.0) -> Array:
        """(L(θ + h) − L(θ − h)) / 2h, (P,)."""

    def changes(self, address: str, entries: Array, deltas: Array) -> Array:
        """L(one entry moved by its delta) − L, (P,)."""

    def steps(self, address: str, entries: Array, scale: float = 1.0) -> tuple[Array, Array]:
        """How far each entry moves up and down."""

    def changes_along(self, address: str, direction: Array, scales: Array) -> Array:
        """L(the whole tensor moved by scales[p]·direction) − L, (P,)."""


class Central:
    """(L(θ + h) − L(θ − h)) / 2h; error h²·L‴/6, and rounding."""

    name: ClassVar[Difference] = "central"
    h: ClassVar[float] = STEP  # times max(1, |θ|)

    def __init__(self, land: Surface) -> None:
        self.land = land

    def slopes(self, address: str, entries: Array) -> Array:
        """The derivative by each of the entries (P,), flat indices."""
        return self.land.central(address, entries)

    def doubt(self, address: str, entries: Array, numeric: Array) -> Array:
        """The rounding error of the derivatives, (P,)."""
        return np.asarray(4 * self.land.noise * self.h / STEP / self.land.steps(address, entries, self.h / STEP)[0])

    def along(self, address: str, direction: Array, h: float) -> float:
        """The slope along a direction of the tensor, with the step `h`."""
        up, down = self.land.changes_along(address, direction, np.array([h, -h]))
        return float(up - down) / (2 * h)

    def least(self, h: float) -> float:
        """The rounding error of a slope along a direction, at the least."""
        return self.land.coarseness / h


class Forward(Central):
    """(L(θ + h) − L) / h; error h·L″/2, and rounding: half the work, and eight digits at best."""

    name: ClassVar[Difference] = "forward"
    h: ClassVar[float] = FORWARD_STEP

    def slopes(self, address: str, entries: Array) -> Array:
        """The derivative by each of the entries (P,), flat indices."""
        up, _ = self.land.steps(address, entries, self.h / STEP)
        return np.asarray(self.land.changes(address, entries, up) / up)

    def along(self, address: str, direction: Array, h: float) -> float:
        """The slope along a direction of the tensor."""
        h *= self.h / STEP
        (up,) = self.land.changes_along(address, direction, np.array([h]))
        return float(up) / h


class ComplexStep(Central):
    """Im L(θ + ih) / h (Squire and Trapp 1998): no difference, so no cancellation; exact but for h².

    Needs layers that take complex numbers: analytic ones, or piecewise ones that decide by the real part. Raises
    ValueError, naming the first layer that does not.
    """

    name: ClassVar[Difference] = "complex"
    h: ClassVar[float] = IMAGINARY_STEP

    def __init__(self, land: Landscape) -> None:
        super().__init__(land)
        network = _complex_copy(land)
        _refuse_what_is_not_analytic(land, network)
        self.side = Imaginary(network, land.tensors[DATA].astype(np.complex128), land.targets)

    def slopes(self, address: str, entries: Array) -> Array:
        """The derivative by each of the entries (P,), flat indices."""
        return self.side.changes(address, entries, np.full(len(entries), 1j * self.h)) / self.h

    def doubt(self, address: str, entries: Array, numeric: Array) -> Array:
        """Rounding alone: ten times eps of the tensor's largest derivative, for sums that cancel."""
        return np.full(len(entries), 10 * EPS * float(np.abs(numeric).max(initial=0.0)))

    def along(self, address: str, direction: Array, h: float) -> float:
        """The slope along a direction of the tensor."""
        (change,) = self.side.changes_along(address, direction, np.array([1j * self.h]))
        return float(change) / self.h

    def least(self, h: float) -> float:
        """Nothing is subtracted: however small, a slope can be told from 0."""
        return 0.0


DIFFERENCES: dict[Difference, Callable[[Landscape], Central]] = {
    "central": Central,
    "forward": Forward,
    "complex": ComplexStep,
}


class Imaginary(Landscape):
    """A complex landscape, of whose changes only the imaginary part is wanted."""

    def _part(self, change: Array) -> Array:
        return np.asarray(change.imag)


# --- what takes complex numbers -------------------------------------------------------------------


def _complex_copy(land: Landscape) -> Network:
    """The landscape's network with complex parameters. Raises ValueError, naming the layer that cannot be made so."""
    real = land.network
    for index, (spec, shape) in enumerate(zip(real.recipe.layers, real.shapes, strict=False)):
        try:
            spec.build(shape, land.batch, np.complex128)
        except Exception as error:  # whatever a layer of one's own raises
            raise _refusal(f"layer {index} ({spec.title()})") from error
    network = Network(real.recipe, real.shapes[0], "complex128")
    network.parameters[...], network.buffers[...] = real.parameters, real.buffers
    network.drawn_for = real.drawn_for
    return network


def _refuse_what_is_not_analytic(land: Landscape, network: Network) -> None:
    """Raise ValueError for the first layer, or the loss, whose complex step is not its slope at drawn inputs."""
    rng = np.random.Generator(np.random.PCG64(3))
    run = network.at(land.batch)
    for index, (real, other) in enumerate(zip(land.layers, run.layers, strict=True)):
        x = rng.standard_normal(land.inputs[index].shape)
        if not _analytic(partial(replay, real, copies=1), partial(replay, other, copies=1), x, rng):
            raise _refusal(f"layer {index} ({real.spec.title()})")
    y = rng.uniform(0.1, 0.9, land.inputs[-1].shape)  # probabilities, which every loss takes
    if not _analytic(partial(_per_sample, land, land.criterion), partial(_per_sample, land, run.loss), y, rng):
        raise _refusal(f"the loss ({network.recipe.loss.title()})")


def _per_sample(land: Landscape, loss: Loss, y: Array) -> Array:
    return loss.per_sample(y, land.targets)


@np.errstate(all="ignore")
def _analytic(real: Function, other: Function, x: Array, rng: np.random.Generator) -> bool:
    """Whether `other` at x + ih·d gives what `real` gives at x, and its slope along d, but for 1 % on kinks."""
    d, t = rng.standard_normal(x.shape), 1e-6
    slope = (real(x + t * d) - real(x - t * d)) / (2 * t)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy warns where an imaginary part is thrown away
            y = other(x + 1j * IMAGINARY_STEP * d)
    except Exception:  # whatever a layer of one's own raises
        return False
    if not np.iscomplexobj(y) or y.shape != slope.shape or not np.allclose(y.real, real(x), rtol=1e-9, atol=1e-9):
        return False
    off = np.abs(y.imag / IMAGINARY_STEP - slope) > 1e-4 * (np.abs(slope) + np.sqrt(np.mean(slope**2)))
    return bool(np.mean(off) <= 0.01)


def _refusal(what: str) -> ValueError:
    return ValueError(f"difference: {what} does not take complex numbers as an analytic function does; use central")
