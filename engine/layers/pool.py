"""Pooling: each channel made smaller by the largest entry or the mean of its windows, or of the whole picture."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Annotated, Any, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import DTypeLike

from engine.layers.base import Array, Layer, LayerSpec, Shape, ShapeError
from engine.layers.conv import picture_shape, steps_along
from engine.terms import GRAD_Y as G
from engine.terms import Product, Sum, Tensors, cells, constant, number, only, slope


class Pooling(LayerSpec, frozen=True, kw_only=True):
    """Windows over each channel alone: x (B, channels, rows, columns) → y (B, channels, rows′, columns′)."""

    kernel: Annotated[int, Meta(ge=1, le=64, title="kernel", description="Rows and columns of a window")] = 2
    stride: Annotated[int, Meta(ge=1, le=64, title="stride", description="Pixels from one window to the next")] = 2
    padding: Annotated[
        int, Meta(ge=0, le=32, title="padding", description="Pixels added on every side, at most half the kernel")
    ] = 0

    family: ClassVar[str] = "Pooling"
    layer: ClassVar[type[Layer]]

    def output_shape(self, shape: Shape) -> Shape:
        """(channels, rows, columns) → (channels, rows′, columns′). Raises ShapeError for any other shape."""
        channels, rows, columns = picture_shape(shape)
        if 2 * self.padding > self.kernel:
            raise ShapeError(
                f"has a padding of {self.padding}, more than half of its kernel of {self.kernel}",
                f"set the padding to {self.kernel // 2} or less",
            )
        places = [steps_along(length, self.kernel, self.stride, self.padding) for length in (rows, columns)]
        if min(places) < 1:
            raise ShapeError(
                f"has windows of {self.kernel}×{self.kernel} but gets pictures of {rows}×{columns}, "
                f"padded by {self.padding}",
                "make the kernel smaller",
            )
        return (channels, *places)

    def caption(self, shape: Shape) -> str:
        """Such as "MaxPool2D 2×2"."""
        return f"{self.title()} {self.kernel}×{self.kernel}"

    def build(self, shape: Shape, batch: int, dtype: DTypeLike) -> Layer:
        """The layer with buffers for `batch` samples."""
        return self.layer(self, shape, batch, dtype)


class PoolingLayer(Layer):
    """What both poolings share: windows seen as kernel² pictures, the k-th of them the k-th entry of every window."""

    rowwise: ClassVar[bool] = True
    spec: Pooling
    outside: ClassVar[float] = 0.0  # what the padding is filled with

    def __init__(self, spec: LayerSpec, shape: Shape, batch: int, dtype: DTypeLike) -> None:
        super().__init__(spec, shape, batch, dtype)
        p, (channels, rows, columns) = self.spec.padding, shape
        self._in_padding = (slice(None), slice(None), slice(p, p + rows), slice(p, p + columns))
        self._padded_shape = (channels, rows + 2 * p, columns + 2 * p)
        self._x_padded = self._empty(batch) if p else None
        self._grad_padded = np.zeros((batch, *self._padded_shape), dtype) if p else None
        # where windows share entries, what each gives is summed up; else it is written where it belongs
        self._part = np.zeros_like(self.y) if self.spec.stride < self.spec.kernel else None

    def _empty(self, count: int) -> Array:
        """A padded picture for each of `count` samples, nothing in it yet."""
        return np.full((count, *self._padded_shape), self.outside, self.y.dtype)

    def _entries(self, padded: Array) -> list[Array]:
        """kernel² views (N, channels, rows′, columns′): the same entry of every window."""
        k, s = self.spec.kernel, self.spec.stride
        rows, columns = ((places - 1) * s + 1 for places in self.y.shape[2:])
        return [padded[:, :, i : i + rows : s, j : j + columns : s] for i in range(k) for j in range(k)]

    def _pad(self, x: Array, padded: Array | None) -> Array:
        """x as it is, or inside of `padded`."""
        if not self.spec.padding:
            return x
        padded = self._empty(len(x)) if padded is None else padded
        padded[self._in_padding] = x
        return padded

    def _fold(self, grad_y: Array) -> None:
        """grad_x from what each entry of the windows gets, one after the other."""
        padded = self.grad_x if self._grad_padded is None else self._grad_padded
        part = self._part
        padded.fill(0)
        for k, entry in enumerate(self._entries(padded)):
            if part is None:
                self._share(k, grad_y, entry)
            else:
                self._share(k, grad_y, part)
                np.add(entry, part, out=entry)
        if self._grad_padded is not None:
            np.copyto(self.grad_x, padded[self._in_padding])

    def _share(self, k: int, grad_y: Array, out: Array) -> None:
        """What the k-th entry of every window gets of grad_y, all (B, channels, rows′, columns′)."""
        raise NotImplementedError

    def _window(self, index: Shape) -> tuple[Array, Array, Array]:
        """The entries of the window behind a cell of y that lie on x: their numbers, rows and columns, (T,)."""
        _, _, rows, columns = self._in_shape
        k, (_, _, r, s) = np.arange(self.spec.kernel**2), index
        i, j = np.divmod(k, self.spec.kernel)
        u, v = self.spec.stride * r + i - self.spec.padding, self.spec.stride * s + j - self.spec.padding
        inside = (u >= 0) & (u < rows) & (v >= 0) & (v < columns)
        return k[inside], u[inside], v[inside]

    def _windows_of(self, index: Shape) -> tuple[Array, Array, Array]:
        """The windows that hold a pixel of x: its number in each, and their rows and columns in y, (T,)."""
        k, (_, _, u, v) = np.arange(self.spec.kernel**2), index
        i, j = np.divmod(k, self.spec.kernel)
        r, r_off = np.divmod(u + self.spec.padding - i, self.spec.stride)
        s, s_off = np.divmod(v + self.spec.padding - j, self.spec.stride)
        rows, columns = self.y.shape[2:]
        hit = (r_off == 0) & (s_off == 0) & (r >= 0) & (r < rows) & (s >= 0) & (s < columns)
        return k[hit], r[hit], s[hit]


class MaxPool2DLayer(PoolingLayer):
    """y = the largest entry of each window; of equal ones the first counts, of several NaN the last."""

    outside: ClassVar[float] = -np.inf

    def __init__(self, spec: LayerSpec, shape: Shape, batch: int, dtype: DTypeLike) -> None:
        super().__init__(spec, shape, batch, dtype)
        self._number = np.min_scalar_type(self.spec.kernel**2 - 1)  # entries of a window are counted in this type
        real = self._entries(self._pad(np.zeros((1, *shape), dtype), None))
        self._first = np.argmax([np.isfinite(entry[0, 0]) for entry in real], axis=0).astype(self._number)
        self._bits = np.dtype(f"i{self.y.real.itemsize}")
        self._chosen, self._candidate = self._blank(batch), self._blank(batch)
        self._keep = np.zeros(self.y.shape, np.int8)

    def _blank(self, count: int) -> Array:
        return np.zeros((count, *self.y.shape[1:]), self._number)

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = max over each window."""
        first, *others = self._entries(self._pad(x, None))
        y = np.empty((len(x), *self.y.shape[1:]), x.dtype) if out is None else out
        np.copyto(y, first)
        for entry in others:
            np.maximum(y, entry, out=y)
        return y

    def forward(self, x: Array) -> Array:
        """y = max over each window; keeps which entry it was."""
        self.x = x
        self._choose(self._pad(x, self._x_padded), self.y, self._chosen, self._keep.view(bool), self._candidate)
        return self.y

    def _choose(self, padded: Array, y: Array, chosen: Array, is_larger: Array, candidate: Array) -> None:
        """The largest entry of each window into y, its number into `chosen`; all (N, channels, rows′, columns′)."""
        entries = self._entries(padded)
        np.copyto(y, entries[0])
        chosen[...] = self._first
        for k, entry in enumerate(entries[1:], 1):
            np.greater(entry, y, out=is_larger)
            np.maximum(y, entry, out=y)
            np.multiply(is_larger.view(np.uint8), self._number.type(k), out=candidate)
            np.maximum(chosen, candidate, out=chosen)  # the numbers grow, so the last larger entry wins
        if np.isnan(y.max(initial=-np.inf)):
            for k, entry in enumerate(entries):
                np.copyto(chosen, k, where=np.isnan(entry), casting="unsafe")

    def backward(self, grad_y: Array) -> Iterator[str]:
        """grad_x: grad_y of a window goes to its largest entry, all others get nothing."""
        self.grad_y = grad_y
        self._fold(np.ascontiguousarray(grad_y))
        yield "grad_x"

    def _share(self, k: int, grad_y: Array, out: Array) -> None:
        """grad_y where the k-th entry was the largest, 0 elsewhere; by its bits, since ∞·0 would be NaN."""
        np.equal(self._chosen, k, out=self._keep.view(bool))
        np.negative(self._keep, out=self._keep)  # 0, or −1: all bits
        np.bitwise_and(grad_y.view(self._bits), self._keep, out=out.view(self._bits))

    def terms(self, role: str, index: Shape, at: Tensors) -> Sum | None:
        """y is one cell of x; grad_x gathers from the windows that the pixel has won."""
        n, c = index[:2]
        shapes = {"x": self._in_shape, "y": self.y.shape, G: self.y.shape}
        if role == "y":
            k, u, v = self._window(index)
            won = k == self._chosen[index]
            others = ", ".join(number(float(value)) for value in at("x")[n, c, u, v])
            numbers = rf"\max \left( {others} \right) = {number(float(at('y')[index]))}"
            term = Product((cells("x", at("x"), "x", (n, c, u[won], v[won])),), samples=n)
            return Sum(
                r"y_{n,c,r,s} = \max_{u,v \in \mathrm{window}} x_{n,c,u,v}", [term], only(shapes, "x", "y"), numbers
            )
        k, r, s = self._windows_of(index)
        won = self._chosen[n, c, r, s] == k
        term = Product((cells(G, at("grad_y"), "grad_y", (n, c, r[won], s[won])),), samples=n)
        formula = slope("x_{n,c,u,v}") + rf"\sum_{{r,s \, \mathrm{{won}}}} {G}_{{n,c,r,s}}"
        return Sum(formula, [term], only(shapes, G, "x"))

    def decisions(self, x: Array) -> Array:
        """Which entry of its window is the largest, (N, channels, rows′, columns′)."""
        chosen, shape = self._blank(len(x)), (len(x), *self.y.shape[1:])
        self._choose(self._pad(x, None), np.empty(shape, x.dtype), chosen, np.empty(shape, bool), self._blank(len(x)))
        return chosen


class MaxPool2D(Pooling, frozen=True, kw_only=True, tag="max_pool2d"):
    """y = the largest entry of each window. The padding never wins."""

    formulas: ClassVar[dict[str, str]] = {
        "forward": "y[n,c,r,s] = max of x[n,c] over window (r, s)",
        "grad_x": "grad_x[n,c,u,v] = Σ grad_y[n,c,r,s] over the windows that (u, v) wins",
    }
    layer: ClassVar[type[Layer]] = MaxPool2DLayer


class AvgPool2DLayer(PoolingLayer):
    """y = the mean of each window, the zeros of the padding counted in."""

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = Σ over the window / kernel²."""
        return self._mean(self._pad(x, None), out)

    def forward(self, x: Array) -> Array:
        """y = Σ over the window / kernel²."""
        self.x = x
        return self._mean(self._pad(x, self._x_padded), self.y)

    def _mean(self, padded: Array, out: Array | None) -> Array:
        """The mean over the kernel² entries of every window."""
        first, *others = self._entries(padded)
        y = np.empty((len(padded), *self.y.shape[1:]), padded.dtype) if out is None else out
        np.copyto(y, first)
        for entry in others:
            np.add(y, entry, out=y)
        return np.divide(y, self.spec.kernel**2, out=y)

    def backward(self, grad_y: Array) -> Iterator[str]:
        """grad_x: each entry of a window gets grad_y / kernel²."""
        self.grad_y = grad_y
        self._fold(grad_y)
        yield "grad_x"

    def _share(self, k: int, grad_y: Array, out: Array) -> None:
        """grad_y / kernel², the same for all entries."""
        np.divide(grad_y, self.spec.kernel**2, out=out)

    def terms(self, role: str, index: Shape, at: Tensors) -> Sum | None:
        """y is a mean over the window; grad_x gathers from the windows that hold the pixel."""
        n, c = index[:2]
        share = constant(r"\frac{1}{k^2}", 1 / self.spec.kernel**2)
        shapes = {"x": self._in_shape, "y": self.y.shape, G: self.y.shape}
        if role == "y":
            _, u, v = self._window(index)
            term = Product((share, cells("x", at("x"), "x", (n, c, u, v))), samples=n)
            formula = r"y_{n,c,r,s} = \frac{1}{k^2} \sum_{u,v \in \mathrm{window}} x_{n,c,u,v}"
            return Sum(formula, [term], only(shapes, "x", "y"))
        _, r, s = self._windows_of(index)
        term = Product((share, cells(G, at("grad_y"), "grad_y", (n, c, r, s))), samples=n)
        formula = slope("x_{n,c,u,v}") + rf"\frac{{1}}{{k^2}} \sum_{{r,s}} {G}_{{n,c,r,s}}"
        return Sum(formula, [term], only(shapes, G, "x"))


class AvgPool2D(Pooling, frozen=True, kw_only=True, tag="avg_pool2d"):
    """y = the mean of each window, the zeros of the padding counted in as in PyTorch."""

    formulas: ClassVar[dict[str, str]] = {
        "forward": "y[n,c,r,s] = mean of x[n,c] over window (r, s)",
        "grad_x": "grad_x[n,c,u,v] = Σ grad_y[n,c,r,s] / kernel² over the windows that hold (u, v)",
    }
    reads: ClassVar[dict[str, tuple[str, ...]]] = {"grad_x": ("grad_y",)}
    layer: ClassVar[type[Layer]] = AvgPool2DLayer

    def multiply_adds(self, shape: Shape) -> int:
        """One for each entry of each window."""
        return self.kernel**2 * prod(self.output_shape(shape))


class GlobalAvgPool(LayerSpec, frozen=True, kw_only=True):
    """y[c] = the mean of the whole channel: x (B, channels, rows, columns) → y (B, channels)."""

    family: ClassVar[str] = "Pooling"
    reads: ClassVar[dict[str, tuple[str, ...]]] = {"grad_x": ("grad_y",)}
    formulas: ClassVar[dict[str, str]] = {
        "forward": "y[n,c] = Σ x[n,c,r,s] / (rows·columns)",
        "grad_x": "grad_x[n,c,r,s] = grad_y[n,c] / (rows·columns)",
    }

    def output_shape(self, shape: Shape) -> Shape:
        """(channels, rows, columns) → (channels,). Raises ShapeError for any other shape."""
        return (picture_shape(shape)[0],)

    def multiply_adds(self, shape: Shape) -> int:
        """One for each pixel."""
        return prod(shape)

    def build(self, shape: Shape, batch: int, dtype: DTypeLike) -> Layer:
        """The layer with buffers for `batch` samples."""
        return GlobalAvgPoolLayer(self, shape, batch, dtype)


class GlobalAvgPoolLayer(Layer):
    """y[n,c] = Σ x[n,c,r,s] / (rows·columns)."""

    rowwise: ClassVar[bool] = True

    def __init__(self, spec: LayerSpec, shape: Shape, batch: int, dtype: DTypeLike) -> None:
        super().__init__(spec, shape, batch, dtype)
        self._pixels = shape[1] * shape[2]
        self._share = np.zeros_like(self.y)

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """The mean over rows and columns."""
        y: Any = np.add.reduce(x, axis=(2, 3), out=out)
        return np.asarray(np.divide(y, self._pixels, out=y))

    def backward(self, grad_y: Array) -> Iterator[str]:
        """grad_x[n,c,r,s] = grad_y[n,c] / (rows·columns)."""
        self.grad_y = grad_y
        np.divide(grad_y, self._pixels, out=self._share)
        np.copyto(self.grad_x, self._share[:, :, None, None])
        yield "grad_x"

    def terms(self, role: str, index: Shape, at: Tensors) -> Sum | None:
        """y is a mean over the pixels; grad_x a share of one cell."""
        n, c = index[:2]
        share = constant(r"\frac{1}{R \cdot C}", 1 / self._pixels)
        shapes = {"x": self._in_shape, "y": self.y.shape, G: self.y.shape}
        if role == "y":
            r, s = (axis.ravel() for axis in np.indices(self._in_shape[2:]))
            term = Product((share, cells("x", at("x"), "x", (n, c, r, s))), samples=n)
            return Sum(r"y_{n,c} = \frac{1}{R \cdot C} \sum_{r,s} x_{n,c,r,s}", [term], only(shapes, "x", "y"))
        term = Product((share, cells(G, at("grad_y"), "grad_y", (n, c))), samples=n)
        formula = slope("x_{n,c,r,s}") + rf"\frac{{1}}{{R \cdot C}} \, {G}_{{n,c}}"
        return Sum(formula, [term], only(shapes, G, "x"))
