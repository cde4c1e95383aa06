"""BatchNorm and LayerNorm: x̂ = (x − μ)/√(σ² + eps), y = γ·x̂ + β; over the mini-batch, or over each sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import DTypeLike

from engine.initializers import Constant, Zeros
from engine.layers.base import Array, Layer, LayerSpec, Parameter, Shape, ShapeError, shape_text
from engine.terms import GRAD_Y as G
from engine.terms import Product, Sum, Tensors, cells, constant, slope

Eps = Annotated[float, Meta(gt=0.0, le=1.0, title="eps", description="Added to the variance before the root")]

INNER = ("mean", "var", "normal", "y")


def affine(shape: Shape) -> dict[str, Parameter]:
    """γ, ones at first, and β, zeros."""
    size = prod(shape)
    return {
        "gamma": Parameter(shape, Constant(value=1.0), size, size),
        "beta": Parameter(shape, Zeros(), size, size),
    }


def statistic_terms(role: str, at: Tensors, group: tuple[Array, ...], where: Shape, over: str) -> Sum:
    """A mean or a variance: a term for each cell of x in the group, which is given as an index."""
    x, mean = at("x"), at("mean")
    share, taken = constant(r"\frac{1}{N}", 1 / len(group[0])), cells("x", x, "x", group)
    if role == "mean":
        return Sum(rf"\mu = {over} x", [Product((share, taken))], {"x": x.shape, r"\mu": mean.shape})
    squares = np.square(x[group].astype(np.float64) - mean[where])
    factor = replace(taken, applied=squares, function=r"\left( {} - \mu \right)^2")
    return Sum(rf"\sigma^2 = {over} \left( x - \mu \right)^2", [Product((share, factor))], {"x": x.shape})


def normal_terms(at: Tensors, index: Shape, where: Shape, inverse: float) -> Sum:
    """x̂: the cell of x, less the mean, both over the root of the variance."""
    scale = constant(r"\frac{1}{\sqrt{\sigma^2 + \epsilon}}", inverse)
    minus = constant("-1", -1.0)
    products = [
        Product((scale, cells("x", at("x"), "x", index))),
        Product((scale, minus, cells(r"\mu", at("mean"), "mean", where))),
    ]
    shapes = {"x": at("x").shape, r"\mu": at("mean").shape, r"\sigma^2": at("var").shape}
    return Sum(r"\hat{x} = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}", products, shapes)


def affine_terms(
    role: str, index: Shape, at: Tensors, group: tuple[Array | int, ...], own: Shape, inverse: float
) -> Sum | None:
    """y = γ·x̂ + β, and the gradients of γ and β: sums over the group; None for other roles."""
    shapes = {"x": at("x").shape, r"\gamma": at("gamma").shape}
    if role == "y":
        gamma, normal = cells(r"\gamma", at("gamma"), "gamma", own), cells(r"\hat{x}", at("normal"), "normal", index)
        products = [Product((gamma, normal)), Product((cells(r"\beta", at("beta"), "beta", own),))]
        return Sum(r"y = \gamma \, \hat{x} + \beta", products, shapes)
    if role not in ("grad_gamma", "grad_beta"):
        return None
    down, samples = cells(G, at("grad_y"), "grad_y", group), np.asarray(group[0])
    if role == "grad_beta":
        return Sum(slope(r"\beta") + rf"\sum {G}", [Product((down,), samples=samples)], shapes)
    factors = down, cells(r"\hat{x}", at("normal"), "normal", group)
    return Sum(slope(r"\gamma") + rf"\sum {G} \, \hat{{x}}", [Product(factors, samples=samples)], shapes)


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
    forward_parts: ClassVar[tuple[str, ...]] = INNER
    reads: ClassVar[dict[str, tuple[str, ...]]] = {
        "grad_gamma": ("grad_y", "normal"),
        "grad_beta": ("grad_y",),
        "grad_x": ("grad_y", "normal", "var", "gamma", "grad_gamma", "grad_beta"),
    }
    formulas: ClassVar[dict[str, str]] = {
        "forward": "y = γ·x̂ + β, x̂ = (x − μ)/√(σ² + eps), μ and σ² over the mini-batch",
        "mean": "μ = meanₙ x[n]",
        "var": "σ² = meanₙ (x[n] − μ)²",
        "normal": "x̂ = (x − μ)/√(σ² + eps)",
        "y": "y = γ·x̂ + β",
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

    def inner_shapes(self, shape: Shape, batch: int) -> dict[str, Shape]:
        """mean and var (C,), normal (B, *in)."""
        return {"mean": shape[:1], "var": shape[:1], "normal": (batch, *shape)}

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
        for _ in self.forward_steps(x):
            pass
        return self.y

    def forward_steps(self, x: Array) -> Iterator[str]:
        """Mean and variance of the mini-batch, x̂, and y."""
        self.x = x
        normal, mean, var, inverse = self.normal, self._mean, self._var, self._inverse
        values, y = x.reshape(normal.shape), self.y.reshape(normal.shape)
        np.divide(self._sum(values, mean), self._count, out=mean)
        yield "mean"
        np.subtract(values, self._beside(mean), out=normal)
        np.multiply(normal, normal, out=y)  # y is free until it is written
        np.divide(self._sum(y, var), self._count, out=var)
        yield "var"
        np.sqrt(np.add(var, self.spec.eps, out=inverse), out=inverse)
        np.reciprocal(inverse, out=inverse)
        np.multiply(normal, self._beside(inverse), out=normal)
        yield "normal"
        np.multiply(normal, self._beside(self._gamma), out=y)
        np.add(y, self._beside(self._beta), out=y)
        if self._count > 1:
            self._run_statistics()
        yield "y"

    def inner(self, role: str) -> Array | None:
        """mean and var (C,), normal (B, *in)."""
        known = {"mean": self._mean, "var": self._var, "normal": self.normal.reshape(self.y.shape)}
        return known.get(role)

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

    def terms(self, role: str, index: Shape, at: Tensors) -> Sum | None:
        """Statistics are sums over the mini-batch; the rest is made of few terms."""
        channel = index[0] if role in ("mean", "var", "grad_gamma", "grad_beta") else index[1]
        group = self._group(channel)
        if role in ("mean", "var"):
            return statistic_terms(role, at, group, (channel,), r"\frac{1}{N} \sum_n")
        inverse = float(1 / np.sqrt(np.float64(at("var")[channel]) + self.spec.eps))
        if role == "normal":
            return normal_terms(at, index, (channel,), inverse)
        return affine_terms(role, index, at, group, (channel,), inverse) or self._terms_of_input(index, at, inverse)

    def _group(self, channel: int) -> tuple[Array, ...]:
        """The cells of x that share a channel's statistics, as an index."""
        n, *rest = (axis.ravel() for axis in np.indices((len(self.y), *self.y.shape[2:])))
        return (n, np.full_like(n, channel), *rest)

    def _terms_of_input(self, index: Shape, at: Tensors, inverse: float) -> Sum:
        """grad_x: what comes down, less its mean, less its part along x̂."""
        channel, count = (index[1],), self._count
        scale = constant(r"\frac{\gamma}{\sqrt{\sigma^2 + \epsilon}}", float(at("gamma")[channel]) * inverse)
        share = constant(r"-\frac{1}{N}", -1 / count)
        down, normal = cells(G, at("grad_y"), "grad_y", index), cells(r"\hat{x}", at("normal"), "normal", index)
        sums = (
            cells(r"\frac{\partial L}{\partial \beta}", at("grad_beta"), "grad_beta", channel),
            cells(r"\frac{\partial L}{\partial \gamma}", at("grad_gamma"), "grad_gamma", channel),
        )
        products = [Product((scale, down)), Product((scale, share, sums[0])), Product((scale, share, normal, sums[1]))]
        formula = slope("x") + (
            rf"\frac{{\gamma}}{{\sqrt{{\sigma^2 + \epsilon}}}} \left( {G} - \frac{{1}}{{N}} "
            r"\frac{\partial L}{\partial \beta} - \frac{\hat{x}}{N} \frac{\partial L}{\partial \gamma} \right)"
        )
        return Sum(formula, products, {"x": self._in_shape, r"\gamma": at("gamma").shape})

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
    forward_parts: ClassVar[tuple[str, ...]] = INNER
    reads: ClassVar[dict[str, tuple[str, ...]]] = {
        "grad_gamma": ("grad_y", "normal"),
        "grad_beta": ("grad_y",),
        "grad_x": ("grad_y", "normal", "var", "gamma"),
    }
    formulas: ClassVar[dict[str, str]] = {
        "forward": "y = γ·x̂ + β, x̂ = (x − μ)/√(σ² + eps), μ and σ² over the features of each sample",
        "mean": "μ[n] = mean of x[n]",
        "var": "σ²[n] = mean of (x[n] − μ[n])²",
        "normal": "x̂ = (x − μ)/√(σ² + eps)",
        "y": "y = γ·x̂ + β",
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

    def inner_shapes(self, shape: Shape, batch: int) -> dict[str, Shape]:
        """mean and var (B,), normal (B, *in)."""
        return {"mean": (batch,), "var": (batch,), "normal": (batch, *shape)}

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
        self._inverse, self._mean, self._var, self._share_of = (np.zeros((batch, 1), dtype) for _ in range(4))

    def attach(self, parameters: dict[str, Array], gradients: dict[str, Array]) -> None:
        """gamma and beta as (F,), and their gradients."""
        super().attach(parameters, gradients)
        self._gamma, self._beta = (parameters[role].reshape(-1) for role in ("gamma", "beta"))
        self._grad_gamma, self._grad_beta = (gradients[role].reshape(-1) for role in ("gamma", "beta"))

    def _normalize(self, values: Array, normal: Array, work: Array, mean: Array, inverse: Array) -> Iterator[str]:
        """x̂ (N, F) and 1/√(σ² + eps) (N, 1) of values (N, F), step by step; at "var" σ² stands in `inverse`.

        `work` (N, F) and `mean` (N, 1) are scratch.
        """
        np.dot(values, self._share, out=mean)
        yield "mean"
        np.subtract(values, mean, out=normal)
        np.multiply(normal, normal, out=work)
        np.dot(work, self._share, out=inverse)
        yield "var"
        np.sqrt(np.add(inverse, self.spec.eps, out=inverse), out=inverse)
        np.reciprocal(inverse, out=inverse)
        np.multiply(normal, inverse, out=normal)
        yield "normal"

    def _affine(self, normal: Array, out: Array) -> None:
        """y = γ·x̂ + β."""
        np.multiply(normal, self._gamma, out=out)
        np.add(out, self._beta, out=out)

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = γ·x̂ + β."""
        y: Array = np.empty_like(x) if out is None else out
        rows = y.reshape(-1, self._features)
        columns = np.empty((2, len(rows), 1), rows.dtype)
        for _ in self._normalize(x.reshape(rows.shape), rows, np.empty_like(rows), columns[0], columns[1]):
            pass
        self._affine(rows, rows)
        return y

    def forward(self, x: Array) -> Array:
        """y = γ·x̂ + β; keeps x̂ and 1/√(σ² + eps)."""
        for _ in self.forward_steps(x):
            pass
        return self.y

    def forward_steps(self, x: Array) -> Iterator[str]:
        """Mean and variance of each sample, x̂, and y."""
        self.x = x
        values = x.reshape(self.normal.shape)
        for part in self._normalize(values, self.normal, self._work, self._mean, self._inverse):
            if part == "var":
                np.copyto(self._var, self._inverse)
            yield part
        self._affine(self.normal, self.y.reshape(self.normal.shape))
        yield "y"

    def inner(self, role: str) -> Array | None:
        """mean and var (B,), normal (B, *in)."""
        known = {"mean": self._mean[:, 0], "var": self._var[:, 0], "normal": self.normal.reshape(self.y.shape)}
        return known.get(role)

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
        np.dot(np.multiply(grad_x, self.normal, out=work), self._share, out=self._share_of)
        np.multiply(self.normal, self._share_of, out=work)
        np.dot(grad_x, self._share, out=self._share_of)
        np.subtract(grad_x, self._share_of, out=grad_x)
        np.subtract(grad_x, work, out=grad_x)
        np.multiply(grad_x, self._inverse, out=grad_x)
        yield "grad_x"

    def terms(self, role: str, index: Shape, at: Tensors) -> Sum | None:
        """Statistics are sums over a sample's features; the rest is made of few terms."""
        features = self.y.shape[1:]
        if role in ("grad_gamma", "grad_beta"):
            return affine_terms(role, index, at, (np.arange(len(self.y)), *index), index, 0.0)
        n = index[0]
        group = (np.full(self._features, n), *(axis.ravel() for axis in np.indices(features)))
        if role in ("mean", "var"):
            return statistic_terms(role, at, group, (n,), r"\frac{1}{N} \sum_j")
        inverse = float(1 / np.sqrt(np.float64(at("var")[n]) + self.spec.eps))
        if role == "normal":
            return normal_terms(at, index, (n,), inverse)
        own = index[1:]
        return affine_terms(role, index, at, group, own, inverse) or self._terms_of_input(index, at, group, inverse)

    def _terms_of_input(self, index: Shape, at: Tensors, group: tuple[Array, ...], inverse: float) -> Sum:
        """grad_x: what comes down, and what comes by mean and variance from every feature of the sample."""
        n, own, given, normal = index[0], index[1:], at("grad_y"), at("normal")
        down = constant(r"\frac{1}{\sqrt{\sigma^2 + \epsilon}}", inverse)
        gammas = cells(r"\gamma", at("gamma"), "gamma", group[1:])
        other = cells(r"\hat{x}", normal, "normal", group)
        along = constant(r"-\frac{1}{N}", -1 / self._features)
        weights = np.asarray(1 + float(normal[index]) * other.values)
        through = replace(other, applied=weights, function=r"\left( 1 + \hat{x}_{own} \, {} \right)")
        products = [
            Product((down, cells(r"\gamma", at("gamma"), "gamma", own), cells(G, given, "grad_y", index)), samples=n),
            Product((down, along, gammas, cells(G, given, "grad_y", group), through), samples=n),
        ]
        formula = slope("x") + (
            r"\frac{1}{\sqrt{\sigma^2 + \epsilon}} \left( \gamma g - \mathrm{mean}(\gamma g) "
            r"- \hat{x} \; \mathrm{mean}(\gamma g \, \hat{x}) \right)"
        )
        return Sum(formula, products, {"x": self._in_shape, r"\gamma": at("gamma").shape})
