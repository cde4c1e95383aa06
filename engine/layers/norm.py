"""BatchNorm and LayerNorm: x̂ = (x − μ)/√(σ² + eps), y = γ·x̂ + β; over the mini-batch, or over each sample."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import DTypeLike

from engine.initializers import Constant, Zeros
from engine.layers.base import Array, Layer, LayerSpec, Parameter, Shape, ShapeError, shape_text

Eps = Annotated[float, Meta(gt=0.0, le=1.0, title="eps", description="Added to the variance before the root")]


def affine(shape: Shape) -> dict[str, Parameter]:
    """γ, ones at first, and β, zeros."""
    size = prod(shape)
    return {
        "gamma": Parameter(shape, Constant(value=1.0), size, size),
        "beta": Parameter(shape, Zeros(), size, size),
    }


class BatchNorm(LayerSpec, frozen=True, kw_only=True):
    """Normalises each feature over the mini-batch, each channel of images over batch, rows and columns.

    Training uses the mini-batch's own mean and variance; inference the running ones, as PyTorch's BatchNorm1d and 2d
    (Ioffe and Szegedy 2015). A mini-batch with a single value a channel (batch 1 on vectors, which PyTorch refuses)
    has no variance: x̂ is 0, y is β, grad_beta is the only gradient that is not 0, the running statistics stay.
    """

    momentum: Annotated[
        float, Meta(ge=0.0, le=1.0, title="momentum", description="Weight of a mini-batch in the running statistics")
    ] = 0.1
    eps: Eps = 1e-5

    family: ClassVar[str] = "Normalisation"
    parts: ClassVar[tuple[str, ...]] = ("grad_gamma", "grad_beta", "grad_x")
    formulas: ClassVar[dict[str, str]] = {
        "forward": "y = γ·x̂ + β, x̂ = (x − μ)/√(σ² + eps), μ and σ² over the mini-batch",
        "grad_gamma": "grad_γ = Σₙ grad_y[n] ⊙ x̂[n]",
        "grad_beta": "grad_β = Σₙ grad_y[n]",
        "grad_x": "grad_x = γ/√(σ² + eps) ⊙ (grad_y − grad_β/N − x̂ ⊙ grad_γ/N)",
    }

    def output_shape(self, shape: Shape) -> Shape:
        """(features,) or (channels, rows, columns), unchanged. Raises ShapeError for another number of axes."""
        if len(shape) not in (1, 3):
            raise ShapeError(
                f"takes vectors (features,) or images (channels, rows, columns) but gets {shape_text(shape)} arrays",
                "insert a Flatten layer before it, or give the images a channel axis",
            )
        return shape

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """gamma (C,), beta (C,), C the features or channels."""
        return affine(shape[:1])

    def buffers(self, shape: Shape) -> dict[str, Parameter]:
        """running_mean (C,) of zeros, running_var (C,) of ones at first."""
        found = affine(shape[:1])
        return {"running_mean": found["beta"], "running_var": found["gamma"]}

    def multiply_adds(self, shape: Shape) -> int:
        """One an entry: the scale and shift of inference."""
        return prod(shape)

    def caption(self, shape: Shape) -> str:
        """Such as "BatchNorm 64"."""
        return f"BatchNorm {shape[0]}"

    def build(self, shape: Shape, batch: int, dtype: DTypeLike) -> Layer:
        """The layer with buffers for `batch` samples."""
        return BatchNormLayer(self, shape, batch, dtype)


class BatchNormLayer(Layer):
    """Works on x as (B, C), or (B, C, S) with S the pixels of a channel; statistics are (C,), or (C, 1) beside it."""

    spec: BatchNorm

    def __init__(self, spec: LayerSpec, shape: Shape, batch: int, dtype: DTypeLike) -> None:
        super().__init__(spec, shape, batch, dtype)
        channels, pixels = shape[0], prod(shape[1:])
        self._view: Shape = shape if len(shape) == 1 else (channels, pixels)
        self._column: Shape = (channels,) if len(shape) == 1 else (channels, 1)
        self._count = batch * pixels  # values a channel
        self.normal: Array = np.zeros((batch, *self._view), dtype)  # x̂
        self._ones, self._pixel_ones = np.ones(batch, dtype), np.ones(pixels, dtype)
        self._by_sample = np.zeros((batch, channels), dtype)
        self._mean, self._var, self._inverse, self._term = (np.zeros(channels, dtype) for _ in range(4))

    def attach(self, parameters: dict[str, Array], gradients: dict[str, Array]) -> None:
        """gamma (C,), beta (C,) and their gradients."""
        super().attach(parameters, gradients)
        self._gamma, self._beta = parameters["gamma"], parameters["beta"]
        self._grad_gamma, self._grad_beta = gradients["gamma"], gradients["beta"]

    def attach_buffers(self, buffers: dict[str, Array]) -> None:
        """running_mean (C,), running_var (C,)."""
        self.running_mean, self.running_var = buffers["running_mean"], buffers["running_var"]

    def _beside(self, statistic: Array) -> Array:
        """(C,) so that it broadcasts against x."""
        return statistic.reshape(self._column)

    def _sum(self, values: Array, out: Array) -> Array:
        """Σ over batch and pixels, (B, C) or (B, C, S) → (C,); products are faster here than sums over an axis."""
        if values.ndim == 3:
            np.dot(values.reshape(-1, values.shape[2]), self._pixel_ones, out=self._by_sample.reshape(-1))
            values = self._by_sample
        return np.dot(self._ones, values, out=out)

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = γ·(x − running mean)/√(running variance + eps) + β."""
        scale = self._gamma / np.sqrt(self.running_var + self.spec.eps)
        view = (len(x), *self._view)
        y = np.subtract(
            x.reshape(view), self._beside(self.running_mean), out=None if out is None else out.reshape(view)
        )
        np.multiply(y, self._beside(scale), out=y)
        np.add(y, self._beside(self._beta), out=y)
        return y.reshape(x.shape)

    def forward(self, x: Array) -> Array:
        """y = γ·x̂ + β by the mini-batch's own mean and variance, which the running ones move towards."""
        self.x = x
        normal, mean, var, inverse = self.normal, self._mean, self._var, self._inverse
        values, y = x.reshape(normal.shape), self.y.reshape(normal.shape)
        np.divide(self._sum(values, mean), self._count, out=mean)
        np.subtract(values, self._beside(mean), out=normal)
        np.multiply(normal, normal, out=y)  # y is free until it is written
        np.divide(self._sum(y, var), self._count, out=var)
        np.sqrt(np.add(var, self.spec.eps, out=inverse), out=inverse)
        np.reciprocal(inverse, out=inverse)
        np.multiply(normal, self._beside(inverse), out=normal)
        np.multiply(normal, self._beside(self._gamma), out=y)
        np.add(y, self._beside(self._beta), out=y)
        if self._count > 1:
            self._run_statistics()
        return self.y

    def _run_statistics(self) -> None:
        """running ← (1 − momentum)·running + momentum·(mean; variance with N − 1, the unbiased one)."""
        momentum, count = self.spec.momentum, self._count
        for running, now, weight in (
            (self.running_mean, self._mean, momentum),
            (self.running_var, self._var, momentum * count / (count - 1)),
        ):
            np.multiply(running, 1 - momentum, out=running)
            np.add(running, np.multiply(now, weight, out=self._term), out=running)

    def backward(self, grad_y: Array) -> Iterator[str]:
        """grad_γ = Σ grad_y ⊙ x̂; grad_β = Σ grad_y; grad_x = γ/√(σ² + eps)·(grad_y − grad_β/N − x̂·grad_γ/N)."""
        self.grad_y = grad_y
        given, grad_x, term = grad_y.reshape(self.normal.shape), self.grad_x.reshape(self.normal.shape), self._term
        self._sum(np.multiply(given, self.normal, out=grad_x), self._grad_gamma)
        yield "grad_gamma"
        self._sum(given, self._grad_beta)
        yield "grad_beta"
        if not self.needs_grad_x:
            return
        np.multiply(self.normal, self._beside(np.divide(self._grad_gamma, self._count, out=term)), out=grad_x)
        np.subtract(given, grad_x, out=grad_x)
        np.subtract(grad_x, self._beside(np.divide(self._grad_beta, self._count, out=term)), out=grad_x)
        np.multiply(grad_x, self._beside(np.multiply(self._gamma, self._inverse, out=term)), out=grad_x)
        yield "grad_x"

    def replay(self, x: Array, copies: int) -> Array:
        """y of each of the mini-batches by its own mean and variance; the running statistics stay."""
        values = x.reshape(copies, len(x) // copies, *self._view)
        axes = (1,) if len(self._view) == 1 else (1, 3)
        normal: Array = values - values.mean(axis=axes, keepdims=True)
        normal /= np.sqrt(np.square(normal).mean(axis=axes, keepdims=True) + self.spec.eps)
        normal *= self._beside(self._gamma)
        normal += self._beside(self._beta)
        return normal.reshape(x.shape)

    def react(self, role: str, entries: Array, deltas: Array, x: Array) -> tuple[Array, Array] | None:
        """γ[j] + δ moves column j of y by δ·x̂[:, j]; β[j] + δ moves it by δ. Images: a channel is many columns."""
        if len(self._view) > 1:
            return None
        if role == "beta":
            return entries, np.repeat(deltas[:, None], len(x), axis=1)
        normal = x - x.mean(axis=0)
        normal /= np.sqrt(np.square(normal).mean(axis=0) + self.spec.eps)
        return entries, normal.T.take(entries, axis=0) * deltas[:, None]


class LayerNorm(LayerSpec, frozen=True, kw_only=True):
    """Normalises each sample over all its features, as PyTorch's LayerNorm of the sample's shape (Ba et al. 2016)."""

    eps: Eps = 1e-5

    family: ClassVar[str] = "Normalisation"
    parts: ClassVar[tuple[str, ...]] = ("grad_gamma", "grad_beta", "grad_x")
    formulas: ClassVar[dict[str, str]] = {
        "forward": "y = γ·x̂ + β, x̂ = (x − μ)/√(σ² + eps), μ and σ² over the features of each sample",
        "grad_gamma": "grad_γ = Σₙ grad_y[n] ⊙ x̂[n]",
        "grad_beta": "grad_β = Σₙ grad_y[n]",
        "grad_x": "grad_x = (g − mean(g) − x̂ ⊙ mean(g ⊙ x̂))/√(σ² + eps), g = γ ⊙ grad_y",
    }

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """gamma and beta, each of the sample's shape."""
        return affine(shape)

    def multiply_adds(self, shape: Shape) -> int:
        """Two an entry: one for the variance, one for the scale and shift."""
        return 2 * prod(shape)

    def caption(self, shape: Shape) -> str:
        """Such as "LayerNorm 64"."""
        return f"LayerNorm {shape_text(shape)}"

    def build(self, shape: Shape, batch: int, dtype: DTypeLike) -> Layer:
        """The layer with buffers for `batch` samples."""
        return LayerNormLayer(self, shape, batch, dtype)


class LayerNormLayer(Layer):
    """Works on x as (B, F); means are (B, 1)."""

    rowwise: ClassVar[bool] = True
    spec: LayerNorm

    def __init__(self, spec: LayerSpec, shape: Shape, batch: int, dtype: DTypeLike) -> None:
        super().__init__(spec, shape, batch, dtype)
        self._features = prod(shape)
        self.normal: Array = np.zeros((batch, self._features), dtype)  # x̂
        self._work = np.zeros_like(self.normal)
        self._ones, self._share = np.ones(batch, dtype), np.full((self._features, 1), 1 / self._features, dtype)
        self._inverse, self._mean = np.zeros((batch, 1), dtype), np.zeros((batch, 1), dtype)

    def attach(self, parameters: dict[str, Array], gradients: dict[str, Array]) -> None:
        """gamma and beta as (F,), and their gradients."""
        super().attach(parameters, gradients)
        self._gamma, self._beta = (parameters[role].reshape(-1) for role in ("gamma", "beta"))
        self._grad_gamma, self._grad_beta = (gradients[role].reshape(-1) for role in ("gamma", "beta"))

    def _normalize(self, values: Array, normal: Array, work: Array, mean: Array, inverse: Array) -> None:
        """x̂ (N, F) and 1/√(σ² + eps) (N, 1) of values (N, F); `work` (N, F) and `mean` (N, 1) are scratch."""
        np.dot(values, self._share, out=mean)
        np.subtract(values, mean, out=normal)
        np.multiply(normal, normal, out=work)
        np.dot(work, self._share, out=inverse)
        np.sqrt(np.add(inverse, self.spec.eps, out=inverse), out=inverse)
        np.reciprocal(inverse, out=inverse)
        np.multiply(normal, inverse, out=normal)

    def _affine(self, normal: Array, out: Array) -> None:
        """y = γ·x̂ + β."""
        np.multiply(normal, self._gamma, out=out)
        np.add(out, self._beta, out=out)

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = γ·x̂ + β."""
        y: Array = np.empty_like(x) if out is None else out
        rows = y.reshape(-1, self._features)
        columns = np.empty((2, len(rows), 1), rows.dtype)
        self._normalize(x.reshape(rows.shape), rows, np.empty_like(rows), columns[0], columns[1])
        self._affine(rows, rows)
        return y

    def forward(self, x: Array) -> Array:
        """y = γ·x̂ + β; keeps x̂ and 1/√(σ² + eps)."""
        self.x = x
        self._normalize(x.reshape(self.normal.shape), self.normal, self._work, self._mean, self._inverse)
        self._affine(self.normal, self.y.reshape(self.normal.shape))
        return self.y

    def backward(self, grad_y: Array) -> Iterator[str]:
        """grad_γ = Σ grad_y ⊙ x̂; grad_β = Σ grad_y; grad_x = (g − mean(g) − x̂·mean(g ⊙ x̂))/√(σ² + eps)."""
        self.grad_y = grad_y
        given, work = grad_y.reshape(self.normal.shape), self._work
        np.dot(self._ones, np.multiply(given, self.normal, out=work), out=self._grad_gamma)
        yield "grad_gamma"
        np.dot(self._ones, given, out=self._grad_beta)
        yield "grad_beta"
        if not self.needs_grad_x:
            return
        grad_x = self.grad_x.reshape(self.normal.shape)
        np.multiply(given, self._gamma, out=grad_x)  # g
        np.dot(np.multiply(grad_x, self.normal, out=work), self._share, out=self._mean)
        np.multiply(self.normal, self._mean, out=work)
        np.dot(grad_x, self._share, out=self._mean)
        np.subtract(grad_x, self._mean, out=grad_x)
        np.subtract(grad_x, work, out=grad_x)
        np.multiply(grad_x, self._inverse, out=grad_x)
        yield "grad_x"
