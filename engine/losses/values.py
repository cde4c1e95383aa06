"""Losses over values: squared, absolute and Huber error. Classes are taken as one-hot rows, or 0 and 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import DTypeLike

from engine.losses.base import Array, Loss, LossSpec, difference_terms, over_entries
from engine.magnitude import magnitude
from engine.terms import Cells, Index, Product, Sum, Tensors, cells, constant

Convention = Literal["mean", "sum", "half"]


class MeanSquaredError(LossSpec, frozen=True, kw_only=True):
    """L = mean of (y − target)², or their sum, or half their sum a sample: see convention.

    "mean": over batch and outputs, as PyTorch's MSELoss. "sum": over batch and outputs, as its reduction="sum".
    "half": ½·Σ over the outputs, then the mean over the batch.
    """

    convention: Annotated[
        Convention,
        Meta(title="convention", description="Mean over batch and outputs, their sum, or ½·sum a sample"),
    ] = "mean"

    @property
    def averaging(self) -> str:
        """What it averages or sums."""
        return {
            "mean": "mean over batch and outputs",
            "sum": "sum over batch and outputs",
            "half": "½·sum over the outputs, mean over the batch",
        }[self.convention]

    @property
    def formulas(self) -> dict[str, str]:
        """Forward and backward in this convention."""
        return {
            "mean": {"forward": "L = mean (y − target)²", "backward": "grad_y = 2(y − target) / (B·K)"},
            "sum": {"forward": "L = Σ (y − target)²", "backward": "grad_y = 2(y − target)"},
            "half": {"forward": "L = meanₙ ½ Σₖ (y − target)²", "backward": "grad_y = (y − target) / B"},
        }[self.convention]

    def build(self, outputs: int, batch: int, dtype: DTypeLike) -> Loss:
        """The loss with buffers."""
        return MeanSquaredErrorLoss(outputs, batch, dtype, self.convention)

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return "squared error"


class DifferenceLoss(Loss):
    """A loss of d = y − t alone."""

    def __init__(self, outputs: int, batch: int, dtype: DTypeLike) -> None:
        super().__init__(outputs, batch, dtype)
        self._difference = np.zeros((batch, outputs), dtype)
        self._flat = self._difference.reshape(-1)
        self._each = 1.0 / self.grad_y.size

    def _subtract(self, y: Array, targets: Array) -> Array:
        """d = y − t, (B, K), kept for backward."""
        np.copyto(self.p, y)
        return np.subtract(y, targets, out=self._difference)

    def _summed(
        self, role: str, index: Index, at: Tensors, scale: Cells, of_d: Callable[[Array], Array], function: str
    ) -> Sum:
        """The terms scale · f(y − t): of the loss all entries, of grad_y and p one; p is y itself."""
        y = at("y")
        if role == "p":
            return Sum("p = y", [Product((cells("y", y, "y", index),))], {"y": y.shape})
        d = y.astype(np.float64) - at("targets")
        left = "g_{n,k} = " if role == "grad_y" else r"L = \sum_{n,k} "
        formula = left + scale.symbol + r" \, " + function.replace("{}", "y_{n,k}")
        return over_entries(formula, y, scale, of_d(d), function, index)


class MeanSquaredErrorLoss(DifferenceLoss):
    """L = c·Σ (y − t)², grad_y = 2c·(y − t); c is 1 / (B·K) for "mean", 1 for "sum", 1 / 2B for "half"."""

    def __init__(self, outputs: int, batch: int, dtype: DTypeLike, convention: Convention = "mean") -> None:
        super().__init__(outputs, batch, dtype)
        self._factor = {"mean": 1.0 / (batch * outputs), "sum": 1.0, "half": 0.5 / batch}[convention]
        self._a_sample = batch * self._factor

    def per_sample(self, y: Array, targets: Array) -> Array:
        """B·c·Σ_k (y − t)², (N,): for "sum", B times the sample's own, B the size the loss is built for."""
        difference = y - targets
        return np.asarray(np.multiply(difference, difference, out=difference).sum(axis=1) * self._a_sample)

    def forward(self, y: Array, targets: Array) -> float:
        """c·Σ (y − t)²."""
        self._subtract(y, targets)
        return float(np.dot(self._flat, self._flat)) * self._factor

    def backward(self) -> Array:
        """2c·(y − t)."""
        return np.multiply(self._difference, 2.0 * self._factor, out=self.grad_y)

    def terms(self, role: str, index: Index, at: Tensors) -> Sum | None:
        """The loss sums c·(y − t)² over all entries; grad_y is 2c·y − 2c·t."""
        if role == "grad_y":
            target, formula = float(at("targets")[index]), r"g_{n,k} = c \left( y_{n,k} - t_{n,k} \right)"
            return difference_terms("y", at("y"), target, 2 * self._factor, index, formula)
        scale = constant("c", self._factor)
        return self._summed(role, index, at, scale, lambda d: d * d, r"\left( {} - t \right)^2")


class AbsoluteError(LossSpec, frozen=True, kw_only=True):
    """L = mean over batch and outputs of |y − target| (as PyTorch's L1Loss)."""

    @property
    def formulas(self) -> dict[str, str]:
        """Forward and backward."""
        return {"forward": "L = mean |y − target|", "backward": "grad_y = sign(y − target) / (B·K)"}

    def build(self, outputs: int, batch: int, dtype: DTypeLike) -> Loss:
        """The loss with buffers."""
        return AbsoluteErrorLoss(outputs, batch, dtype)

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return "absolute error"


class AbsoluteErrorLoss(DifferenceLoss):
    """L = mean |y − t|; grad_y = sign(y − t) / (B·K), 0 where they are equal."""

    def per_sample(self, y: Array, targets: Array) -> Array:
        """Mean over the outputs of |y − t|, (N,)."""
        return np.asarray(magnitude(y - targets).mean(axis=1))

    def forward(self, y: Array, targets: Array) -> float:
        """Mean over batch and outputs of |y − t|."""
        np.abs(self._subtract(y, targets), out=self.grad_y)
        return float(np.add.reduce(self.grad_y, axis=None)) * self._each

    def backward(self) -> Array:
        """sign(y − t) / (B·K)."""
        np.sign(self._difference, out=self.grad_y)
        return np.multiply(self.grad_y, self._each, out=self.grad_y)

    def terms(self, role: str, index: Index, at: Tensors) -> Sum | None:
        """The loss sums |y − t| / (B·K) over all entries; grad_y is the sign's share."""
        sign = role == "grad_y"
        function = r"\mathrm{sign} \left( {} - t \right)" if sign else r"\left| {} - t \right|"
        scale = constant(r"\frac{1}{B \cdot K}", self._each)
        return self._summed(role, index, at, scale, np.sign if sign else np.abs, function)

    def decisions(self, y: Array, targets: Array) -> Array:
        """The sign of y − t."""
        return np.asarray(np.sign(y - targets))


class Huber(LossSpec, frozen=True, kw_only=True):
    """L = mean of ½d² where |d| ≤ delta, else delta·(|d| − ½·delta); d = y − target (as PyTorch's HuberLoss)."""

    delta: Annotated[
        float, Meta(gt=0.0, le=1e6, title="delta", description="From here on the error counts linearly")
    ] = 1.0

    @property
    def formulas(self) -> dict[str, str]:
        """Forward and backward."""
        d = f"{self.delta:g}"
        return {
            "forward": f"L = mean c·(d − c/2),  d = y − target,  c = d within ±{d}",
            "backward": "grad_y = c / (B·K)",
        }

    def build(self, outputs: int, batch: int, dtype: DTypeLike) -> Loss:
        """The loss with buffers."""
        return HuberLoss(outputs, batch, dtype, self.delta)


class HuberLoss(DifferenceLoss):
    """L = mean c·(d − c/2), grad_y = c / (B·K), where c is d clipped to ±delta."""

    def __init__(self, outputs: int, batch: int, dtype: DTypeLike, delta: float) -> None:
        super().__init__(outputs, batch, dtype)
        self.delta = delta
        self._clipped = np.zeros((batch, outputs), dtype)

    def per_sample(self, y: Array, targets: Array) -> Array:
        """Mean over the outputs of c·(d − c/2), (N,)."""
        difference = y - targets
        clipped = np.clip(difference, -self.delta, self.delta)
        return np.asarray((clipped * (difference - clipped / 2)).mean(axis=1))

    def forward(self, y: Array, targets: Array) -> float:
        """Mean over batch and outputs of c·(d − c/2)."""
        self._subtract(y, targets)
        np.clip(self._difference, -self.delta, self.delta, out=self._clipped)
        clipped = self._clipped.reshape(-1)
        return float(np.dot(clipped, self._flat) - 0.5 * np.dot(clipped, clipped)) * self._each

    def backward(self) -> Array:
        """c / (B·K)."""
        return np.multiply(self._clipped, self._each, out=self.grad_y)

    def terms(self, role: str, index: Index, at: Tensors) -> Sum | None:
        """The loss sums c·(d − c/2) / (B·K) over all entries, d = y − t, c = d within ±delta; grad_y is c / (B·K)."""

        def clipped(d: Array) -> Array:
            return np.clip(d, -self.delta, self.delta)

        def cost(d: Array) -> Array:
            return np.asarray(clipped(d) * (d - clipped(d) / 2))

        scale = constant(r"\frac{1}{B \cdot K}", self._each)
        if role == "grad_y":
            return self._summed(role, index, at, scale, clipped, r"\mathrm{clip}_{\delta} \left( {} - t \right)")
        return self._summed(role, index, at, scale, cost, r"h_{\delta} \left( {} - t \right)")
