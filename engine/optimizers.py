"""Optimizers: from gradients to an update of the parameters, as a few operations on flat arrays.

All mean what PyTorch's mean: slots start at 0, weight decay is added to the gradient (AdamW's to the parameters).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Union

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from engine.spec import LIVE, KindSpec, Rate, members
from engine.terms import Cells, Product, Sum, bracketed, constant, number

Array = NDArray[Any]
Momentum = Annotated[
    float, Meta(ge=0.0, lt=1.0, title="momentum", description="How much of the last update goes on", extra=LIVE)
]
WeightDecay = Annotated[
    float, Meta(ge=0.0, le=1e6, title="weight decay", description="Pulls every parameter towards 0", extra=LIVE)
]
Epsilon = Annotated[
    float, Meta(ge=1e-30, le=1.0, title="eps", description="Added to what is divided by; so it is never 0", extra=LIVE)
]


class OptimizerSpec(KindSpec, frozen=True, kw_only=True):
    """The description of an optimizer; it holds no state of its own: `slots` flat arrays are handed to it."""

    lr: Rate = 0.1

    formula: ClassVar[str] = ""
    # What its arrays of state are called; behind them there may be one that is mere room.
    slot_names: ClassVar[tuple[str, ...]] = ()

    @property
    def formulas(self) -> dict[str, str]:
        """What "update" computes, as text."""
        return {"update": self.formula}

    @property
    def slots(self) -> int:
        """How many arrays of state it keeps per parameter; the same whatever its live fields are."""
        return 0

    def update(self, gradient: Array, parameters: Array, update: Array, slots: Array, step: int, lr: float) -> None:
        """Write the update Δθ for `gradient` into `update`, both (P,); only it and `slots` (slots, P) are written.

        `step` counts from 1; `lr` is what the schedule makes of `self.lr`. Each entry is updated for itself: large
        networks are handed over piece by piece.
        """
        raise NotImplementedError

    def terms(self, gradient: Cells, parameter: Cells, old: Sequence[float], step: int, lr: float) -> Sum | None:
        """What the update of one parameter is made of; None: the optimizer cannot say.

        `gradient` is the cell it got, `parameter` the one before the update, `old` its own state before, one a slot.
        """
        return None


def with_decay(formula: str, weight_decay: float) -> str:
    """The formula with the decayed gradient in place of the gradient, where there is a decay."""
    return "g = grad_θ + weight_decay·θ,  " + formula.replace("grad_θ", "g") if weight_decay else formula


def decayed(gradient: Array, parameters: Array, weight_decay: float, out: Array) -> Array:
    """g + weight_decay·θ, written into `out`; the gradient itself where there is no decay."""
    if not weight_decay:
        return gradient
    np.multiply(parameters, weight_decay, out=out)
    return np.add(out, gradient, out=out)


def blend(average: Array, values: Array, keep: float) -> None:
    """average ← keep·average + (1 − keep)·values, without another array."""
    np.subtract(average, values, out=average)
    np.multiply(average, keep, out=average)
    np.add(average, values, out=average)


def blend_squares(average: Array, values: Array, keep: float, room: Array) -> None:
    """average ← keep·average + (1 − keep)·values²; `room` is written, and may be `values` itself."""
    np.multiply(average, keep, out=average)
    np.multiply(values, values, out=room)
    np.multiply(room, 1.0 - keep, out=room)
    np.add(average, room, out=average)


def scaled_terms(formula: str, *terms: tuple[float, str, Cells], numbers: str = "") -> Sum:
    """A term scale · cell for each; those with the scale 0 are left out."""
    products = [Product((constant(symbol, scale), cell)) for scale, symbol, cell in terms if scale]
    return Sum(formula, products, {}, numbers)


class SGD(OptimizerSpec, frozen=True, kw_only=True):
    """Stochastic gradient descent: v ← momentum·v + g, Δθ = −lr·v; Nesterov: Δθ = −lr·(g + momentum·v)."""

    momentum: Momentum = 0.0
    nesterov: Annotated[
        bool, Meta(title="Nesterov", description="Look ahead along the momentum; nothing without it", extra=LIVE)
    ] = False
    weight_decay: WeightDecay = 0.0

    formula: ClassVar[str] = "v ← momentum·v + grad_θ,  θ ← θ − lr·v"
    slot_names: ClassVar[tuple[str, ...]] = ("velocity",)

    @property
    def formulas(self) -> dict[str, str]:
        """The update, with Nesterov and the decay where they are on."""
        text = self.formula.removesuffix("v") + "(grad_θ + momentum·v)" if self.nesterov else self.formula
        return {"update": with_decay(text, self.weight_decay)}

    @property
    def slots(self) -> int:
        """One: the velocity v. Kept without momentum too, so that momentum may change in mid-run."""
        return 1

    def update(self, gradient: Array, parameters: Array, update: Array, slots: Array, step: int, lr: float) -> None:
        """g ← g + weight_decay·θ; v ← momentum·v + g; Δθ = −lr·v, with Nesterov −lr·(g + momentum·v)."""
        velocity, momentum = slots[0], self.momentum
        if self.weight_decay:
            gradient = decayed(gradient, parameters, self.weight_decay, update)
        if momentum:
            np.multiply(velocity, momentum, out=velocity)
            np.add(velocity, gradient, out=velocity)
            if self.nesterov and momentum > 1e-12:  # below, what it adds is lost in rounding
                np.multiply(gradient, 1.0 / momentum, out=update)  # momentum·(g/momentum + v) needs no second array
                np.add(update, velocity, out=update)
                lr, gradient = lr * momentum, update
            else:
                gradient = velocity
        np.multiply(gradient, -lr, out=update)

    def terms(self, gradient: Cells, parameter: Cells, old: Sequence[float], step: int, lr: float) -> Sum:
        """−lr·g, −lr·momentum·v and −lr·weight_decay·θ; with Nesterov the gradient counts once more."""
        momentum, decay = self.momentum, self.weight_decay
        ahead = self.nesterov and momentum > 1e-12
        g, v = (1 + momentum, momentum * momentum) if ahead else (1.0, momentum)
        formula = r"\Delta \theta = -\eta \left( g + \mu v \right), \quad v \leftarrow \mu v + g"
        if not momentum:
            formula = r"\Delta \theta = -\eta \, g"
        velocity = Cells(r"v^{\mathrm{old}}", old[0])
        more = r"(1 + \mu)" if ahead else ""
        return scaled_terms(
            formula if ahead or not momentum else r"\Delta \theta = -\eta \, v, \quad v \leftarrow \mu v + g",
            (-lr * g, rf"-\eta {more}", gradient),
            (-lr * v, r"-\eta \mu^2" if ahead else r"-\eta \mu", velocity),
            (-lr * g * decay, rf"-\eta {more} \lambda", parameter),
        )


class AdaGrad(OptimizerSpec, frozen=True, kw_only=True, tag="adagrad"):
    """Steps shrink where gradients have been large: s ← s + g², Δθ = −lr·g / (√s + eps) (Duchi et al. 2011)."""

    lr: Rate = 0.01
    eps: Epsilon = 1e-10
    weight_decay: WeightDecay = 0.0

    formula: ClassVar[str] = "s ← s + grad_θ²,  θ ← θ − lr·grad_θ / (√s + eps)"
    slot_names: ClassVar[tuple[str, ...]] = ("squares",)

    @property
    def formulas(self) -> dict[str, str]:
        """The update, with the decay where it is on."""
        return {"update": with_decay(self.formula, self.weight_decay)}

    @property
    def slots(self) -> int:
        """Two: the sum of squares s, and room for the decayed gradient."""
        return 2

    def update(self, gradient: Array, parameters: Array, update: Array, slots: Array, step: int, lr: float) -> None:
        """g ← g + weight_decay·θ; s ← s + g²; Δθ = −lr·g / (√s + eps)."""
        squares, room = slots
        gradient = decayed(gradient, parameters, self.weight_decay, room)
        np.multiply(gradient, gradient, out=update)
        np.add(squares, update, out=squares)
        np.sqrt(squares, out=update)
        np.add(update, self.eps, out=update)
        np.divide(gradient, update, out=update)
        np.multiply(update, -lr, out=update)

    def terms(self, gradient: Cells, parameter: Cells, old: Sequence[float], step: int, lr: float) -> Sum:
        """g and the decay, each times −lr / (√s + eps)."""
        g = float(gradient.values) + self.weight_decay * float(parameter.values)
        squares = old[0] + g * g
        scale, symbol = -lr / (sqrt(squares) + self.eps), r"\frac{-\eta}{\sqrt{s} + \epsilon}"
        return scaled_terms(
            r"\Delta \theta = -\eta \frac{g}{\sqrt{s} + \epsilon}, \quad s \leftarrow s + g^2",
            (scale, symbol, gradient),
            (scale * self.weight_decay, symbol + r" \lambda", parameter),
            numbers=rf"s = {number(old[0])} + {bracketed(g)}^2 = {number(squares)}",
        )


class RMSProp(OptimizerSpec, frozen=True, kw_only=True):
    """Steps scaled by a running mean of squares: s ← alpha·s + (1 − alpha)·g², Δθ = −lr·g / (√s + eps)."""

    lr: Rate = 0.01
    alpha: Annotated[
        float, Meta(ge=0.0, lt=1.0, title="alpha", description="How slowly the mean of squares forgets", extra=LIVE)
    ] = 0.99
    eps: Epsilon = 1e-8
    momentum: Momentum = 0.0
    weight_decay: WeightDecay = 0.0

    formula: ClassVar[str] = "s ← alpha·s + (1 − alpha)·grad_θ²,  v ← momentum·v + grad_θ / (√s + eps),  θ ← θ − lr·v"
    slot_names: ClassVar[tuple[str, ...]] = ("squares", "velocity")

    @property
    def formulas(self) -> dict[str, str]:
        """The update, with the decay where it is on."""
        return {"update": with_decay(self.formula, self.weight_decay)}

    @property
    def slots(self) -> int:
        """Three: the mean of squares s, the velocity v, and room for the decayed gradient."""
        return 3

    def update(self, gradient: Array, parameters: Array, update: Array, slots: Array, step: int, lr: float) -> None:
        """g ← g + weight_decay·θ; s ← alpha·s + (1 − alpha)·g²; v ← momentum·v + g / (√s + eps); Δθ = −lr·v."""
        squares, velocity, room = slots
        gradient = decayed(gradient, parameters, self.weight_decay, room)
        blend_squares(squares, gradient, self.alpha, update)
        np.sqrt(squares, out=update)
        np.add(update, self.eps, out=update)
        np.divide(gradient, update, out=update)
        if self.momentum:
            np.multiply(velocity, self.momentum, out=velocity)
            np.add(velocity, update, out=velocity)
            np.copyto(update, velocity)
        np.multiply(update, -lr, out=update)

    def terms(self, gradient: Cells, parameter: Cells, old: Sequence[float], step: int, lr: float) -> Sum:
        """g and the decay, each times −lr / (√s + eps), and −lr·momentum·v."""
        g = float(gradient.values) + self.weight_decay * float(parameter.values)
        squares = self.alpha * old[0] + (1 - self.alpha) * g * g
        scale, symbol = -lr / (sqrt(squares) + self.eps), r"\frac{-\eta}{\sqrt{s} + \epsilon}"
        return scaled_terms(
            r"\Delta \theta = -\eta \, v, \quad v \leftarrow \mu v + \frac{g}{\sqrt{s} + \epsilon}, "
            r"\quad s \leftarrow \alpha s + (1 - \alpha) g^2",
            (scale, symbol, gradient),
            (-lr * self.momentum, r"-\eta \mu", Cells(r"v^{\mathrm{old}}", old[1])),
            (scale * self.weight_decay, symbol + r" \lambda", parameter),
            numbers=rf"s = {self.alpha:g} \cdot {number(old[0])} + {1 - self.alpha:.6g} \cdot {bracketed(g)}^2"
            rf" = {number(squares)}",
        )


class _Adam(OptimizerSpec, frozen=True, kw_only=True):
    """What Adam and AdamW share; they differ in what the weight decay is added to."""

    lr: Rate = 0.001
    beta1: Annotated[
        float, Meta(ge=0.0, lt=1.0, title="beta 1", description="How slowly the mean gradient forgets", extra=LIVE)
    ] = 0.9
    beta2: Annotated[
        float, Meta(ge=0.0, lt=1.0, title="beta 2", description="How slowly the mean of squares forgets", extra=LIVE)
    ] = 0.999
    eps: Epsilon = 1e-8

    slot_names: ClassVar[tuple[str, ...]] = ("first", "second")

    @property
    def slots(self) -> int:
        """Two: the running means m of g and v of g²."""
        return 2

    def _adapt(self, gradient: Array, update: Array, slots: Array, step: int, lr: float) -> None:
        """m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; Δθ = −lr·m̂ / (√v̂ + eps), m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ).

        √v̂ + eps is (√v + eps·√(1 − β₂ᵗ)) / √(1 − β₂ᵗ): so the corrections cost nothing.
        """
        mean, squares = slots
        blend(mean, gradient, self.beta1)
        blend_squares(squares, gradient, self.beta2, update)
        correction = sqrt(1.0 - self.beta2**step)
        np.sqrt(squares, out=update)
        np.add(update, self.eps * correction, out=update)
        np.divide(mean, update, out=update)
        np.multiply(update, -lr * correction / (1.0 - self.beta1**step), out=update)

    def terms(self, gradient: Cells, parameter: Cells, old: Sequence[float], step: int, lr: float) -> Sum:
        """β₁·m and (1 − β₁)·g, each times −lr / ((1 − β₁ᵗ)·(√v̂ + eps)); and the decay."""
        decay = self._decay()
        g = float(gradient.values) + decay * float(parameter.values)
        squares = self.beta2 * old[1] + (1 - self.beta2) * g * g
        corrected = squares / (1 - self.beta2**step)
        scale = -lr / ((1 - self.beta1**step) * (sqrt(corrected) + self.eps))
        symbol = r"\frac{-\eta}{(1 - \beta_1^t)(\sqrt{\hat{v}} + \epsilon)}"
        return scaled_terms(
            r"\Delta \theta = -\eta \frac{\hat{m}}{\sqrt{\hat{v}} + \epsilon}, "
            r"\quad m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2",
            (scale * (1 - self.beta1), symbol + r" (1 - \beta_1)", gradient),
            (scale * self.beta1, symbol + r" \beta_1", Cells(r"m^{\mathrm{old}}", old[0])),
            (scale * (1 - self.beta1) * decay, symbol + r" (1 - \beta_1) \lambda", parameter),
            numbers=rf"\hat{{v}} = \frac{{{self.beta2:g} \cdot {number(old[1])} + {1 - self.beta2:.6g} \cdot "
            rf"{bracketed(g)}^2}}{{1 - {self.beta2:g}^{{{step}}}}} = {number(corrected)}",
        )

    def _decay(self) -> float:
        """The weight decay that is added to the gradient."""
        raise NotImplementedError


class Adam(_Adam, frozen=True, kw_only=True):
    """Running means of g and g², corrected for their start at 0: Δθ = −lr·m̂ / (√v̂ + eps) (Kingma and Ba 2015)."""

    weight_decay: WeightDecay = 0.0

    formula: ClassVar[str] = "m ← β₁m + (1 − β₁)grad_θ,  v ← β₂v + (1 − β₂)grad_θ²,  θ ← θ − lr·m̂ / (√v̂ + eps)"

    @property
    def formulas(self) -> dict[str, str]:
        """The update, with the decay where it is on."""
        return {"update": with_decay(self.formula, self.weight_decay)}

    def _decay(self) -> float:
        return self.weight_decay

    def update(self, gradient: Array, parameters: Array, update: Array, slots: Array, step: int, lr: float) -> None:
        """g ← g + weight_decay·θ; then as Adam."""
        gradient = decayed(gradient, parameters, self.weight_decay, update)
        self._adapt(gradient, update, slots, step, lr)


class AdamW(_Adam, frozen=True, kw_only=True, tag="adamw"):
    """Adam with the weight decay apart from the gradient: Δθ = −lr·weight_decay·θ − lr·m̂ / (√v̂ + eps)."""

    weight_decay: WeightDecay = 0.01

    formula: ClassVar[str] = (
        "m ← β₁m + (1 − β₁)grad_θ,  v ← β₂v + (1 − β₂)grad_θ²,  θ ← θ − lr·weight_decay·θ − lr·m̂ / (√v̂ + eps)"
    )

    @property
    def slots(self) -> int:
        """Three: the running means m of g and v of g², and room for the decay."""
        return 3

    def update(self, gradient: Array, parameters: Array, update: Array, slots: Array, step: int, lr: float) -> None:
        """Adam's update, and −lr·weight_decay·θ (Loshchilov and Hutter 2019)."""
        self._adapt(gradient, update, slots[:2], step, lr)
        if self.weight_decay:
            np.multiply(parameters, -lr * self.weight_decay, out=slots[2])
            np.add(update, slots[2], out=update)

    def _decay(self) -> float:
        return 0.0

    def terms(self, gradient: Cells, parameter: Cells, old: Sequence[float], step: int, lr: float) -> Sum:
        """Adam's, and −lr·weight_decay·θ."""
        found = super().terms(gradient, parameter, old, step, lr)
        own = scaled_terms("", (-lr * self.weight_decay, r"-\eta \lambda", parameter))
        formula = found.formula.replace(r"\Delta \theta =", r"\Delta \theta = -\eta \lambda \theta", 1)
        return replace(found, formula=formula, products=[*found.products, *own.products])


if TYPE_CHECKING:
    AnyOptimizer = OptimizerSpec
else:
    AnyOptimizer = Union[members(OptimizerSpec)]
