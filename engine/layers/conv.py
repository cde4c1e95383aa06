"""Two-dimensional convolution, as one matrix product over all windows of a sample (im2col)."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta
from numpy.lib.stride_tricks import as_strided
from numpy.typing import DTypeLike

from engine.initializers import AnyInitializer, He, Zeros
from engine.layers.base import Array, Layer, LayerSpec, Parameter, Shape, ShapeError, shape_text
from engine.spec import L1, L2, Frozen
from engine.terms import GRAD_Y as G
from engine.terms import Product, Sum, Tensors, cells, only, slope

AT_ONCE = 48 << 10  # numbers in the windows of a block of samples, so that they stay in the cache
PICTURE_CURE = "insert a Reshape layer before it that makes (channels, rows, columns)"


def picture_shape(shape: Shape, cure: str = PICTURE_CURE) -> tuple[int, int, int]:
    """(channels, rows, columns). Raises ShapeError for anything else."""
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    gets = {1: "vectors", 2: "pictures without channels"}.get(len(shape), "arrays")
    raise ShapeError(f"takes pictures (channels, rows, columns) but gets {gets} of shape {shape_text(shape)}", cure)


def steps_along(length: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """How many places a window has along an axis: ⌊(length + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1."""
    return (length + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


class Conv2D(LayerSpec, frozen=True, kw_only=True, tag="conv2d"):
    """Each filter slides over the picture: x (B, channels, rows, columns) → y (B, filters, rows′, columns′).

    W (filters, channels, kernel, kernel), b (filters,). As in PyTorch the kernel is not flipped (cross-correlation).
    """

    filters: Annotated[int, Meta(ge=1, le=4096, title="filters", description="Number of output channels")]
    kernel: Annotated[int, Meta(ge=1, le=64, title="kernel", description="Rows and columns of a filter")] = 3
    stride: Annotated[int, Meta(ge=1, le=64, title="stride", description="Pixels from one window to the next")] = 1
    padding: Annotated[int, Meta(ge=0, le=64, title="padding", description="Zeros added on every side")] = 0
    dilation: Annotated[
        int, Meta(ge=1, le=64, title="dilation", description="Pixels from one entry of a filter to the next")
    ] = 1
    bias: Annotated[bool, Meta(title="bias", description="Add a learned offset to each filter's output")] = True
    weight_init: Annotated[AnyInitializer, Meta(title="weights start", description="How W is drawn")] = He()
    bias_init: Annotated[AnyInitializer, Meta(title="biases start", description="How b is drawn")] = Zeros()
    l1: L1 = 0.0
    l2: L2 = 0.0
    frozen: Frozen = "nothing"

    family: ClassVar[str] = "Convolution"
    parts: ClassVar[tuple[str, ...]] = ("grad_W", "grad_b", "grad_x")
    reads: ClassVar[dict[str, tuple[str, ...]]] = {"grad_b": ("grad_y",), "grad_x": ("grad_y", "W")}
    formulas: ClassVar[dict[str, str]] = {
        "forward": "y[n,f,r,s] = Σ W[f,c,i,j]·x[n,c,u,v] + b[f], over c, i, j; "
        "u = stride·r + dilation·i − padding, v = stride·s + dilation·j − padding",
        "grad_W": "grad_W[f,c,i,j] = Σ grad_y[n,f,r,s]·x[n,c,u,v], over n, r, s",
        "grad_b": "grad_b[f] = Σₙᵣₛ grad_y[n,f,r,s]",
        "grad_x": "grad_x[n,c,u,v] = Σ W[f,c,i,j]·grad_y[n,f,r,s], over f and the windows that hold (u, v)",
    }

    def output_shape(self, shape: Shape) -> Shape:
        """(channels, rows, columns) → (filters, rows′, columns′). Raises ShapeError for any other shape."""
        _, rows, columns = picture_shape(
            shape, f"{PICTURE_CURE}, or use Flatten and Dense in its place" if len(shape) == 2 else PICTURE_CURE
        )
        places = [steps_along(n, self.kernel, self.stride, self.padding, self.dilation) for n in (rows, columns)]
        if min(places) < 1:
            reach = self.dilation * (self.kernel - 1) + 1
            raise ShapeError(
                f"has windows of {reach}×{reach} but gets pictures of {rows}×{columns}, padded by {self.padding}",
                "make the kernel or the dilation smaller, or the padding larger",
            )
        return (self.filters, *places)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """W (filters, channels, kernel, kernel) and, with a bias, b (filters,)."""
        area = self.kernel * self.kernel
        fan_in, fan_out = shape[0] * area, self.filters * area
        wanted = (self.filters, shape[0], self.kernel, self.kernel)
        found = {"W": Parameter(wanted, self.weight_init, fan_in, fan_out)}
        if self.bias:
            found["b"] = Parameter((self.filters,), self.bias_init, fan_in, fan_out)
        return found

    def multiply_adds(self, shape: Shape) -> int:
        """filters·channels·kernel²·rows′·columns′ for one sample."""
        return shape[0] * self.kernel**2 * prod(self.output_shape(shape))

    def caption(self, shape: Shape) -> str:
        """Such as "Conv2D 1→8, 3×3"."""
        return f"Conv2D {shape[0] if len(shape) == 3 else '?'}→{self.filters}, {self.kernel}×{self.kernel}"

    def build(self, shape: Shape, batch: int, dtype: DTypeLike) -> Layer:
        """The layer with buffers for `batch` samples."""
        return Conv2DLayer(self, shape, batch, dtype)


class Windows:
    """All windows of up to `count` pictures as columns of a matrix, (channels·kernel², places), and back.

    Where the stride is 1 a place is kept for every column of the padded picture, also those where a window would wrap
    into the next row: whole pictures are then copied as one piece. What stands at these places is left out of y, and
    the gradient is 0 there.
    """

    def __init__(self, spec: Conv2D, shape: Shape, count: int, dtype: DTypeLike) -> None:
        channels, rows, columns = shape
        filters, self.rows, self.columns = spec.output_shape(shape)
        k, s, p, d = spec.kernel, spec.stride, spec.padding, spec.dilation
        height, width = rows + 2 * p, columns + 2 * p
        across = width if s == 1 else self.columns
        self._stored = np.zeros(count * channels * height * width + d * (k - 1), dtype)  # the last window wraps too
        self._padded = self._stored[: count * channels * height * width].reshape(count, channels, height, width)
        self._inner = self._padded[:, :, p : p + rows, p : p + columns]
        n, c, h, w = self._padded.strides
        self._windows = as_strided(
            self._stored, (count, channels, k, k, self.rows, across), (n, c, d * h, d * w, s * h, s * w)
        )
        self._unfolded = np.zeros(self._windows.shape, dtype)
        self.matrix = self._unfolded.reshape(count, channels * k * k, self.rows * across)
        self.wide = np.zeros((count, filters, self.rows, across), dtype)  # y, or its gradient, at all places
        self.wide_matrix = self.wide.reshape(count, filters, self.rows * across)

    def unfold(self, x: Array) -> int:
        """Lay the windows of x (N, channels, rows, columns) out in `matrix`[:N]; returns N."""
        count = len(x)
        self._stored.fill(0)  # the padding and what lies behind the last picture, where `fold` writes too
        np.copyto(self._inner[:count], x)
        np.copyto(self._unfolded[:count], self._windows[:count])
        return count

    def widen(self, grad_y: Array) -> int:
        """Put grad_y (N, filters, rows′, columns′) at the real places of `wide`[:N], 0 at the others; returns N."""
        count = len(grad_y)
        np.copyto(self.narrow(count), grad_y)
        self.wide[:count, :, :, self.columns :] = 0
        return count

    def fold(self, out: Array) -> None:
        """Sum what `matrix`[:N] holds for each pixel over the windows it lies in, into out (N, channels, …)."""
        count, k = len(out), self._windows.shape[2]
        self._stored.fill(0)
        for i in range(k):
            for j in range(k):
                reached = self._windows[:count, :, i, j]
                np.add(reached, self._unfolded[:count, :, i, j], out=reached)
        np.copyto(out, self._inner[:count])

    def narrow(self, count: int) -> Array:
        """The places of `wide` that are real, (count, filters, rows′, columns′)."""
        return self.wide[:count, :, :, : self.columns]


class Conv2DLayer(Layer):
    """y[n] = W·windows(x[n]) + b, with W as (filters, channels·kernel²)."""

    rowwise: ClassVar[bool] = True
    spec: Conv2D

    def __init__(self, spec: LayerSpec, shape: Shape, batch: int, dtype: DTypeLike) -> None:
        super().__init__(spec, shape, batch, dtype)
        self._shape = shape
        filters, places = self.spec.filters, prod(self.y.shape[2:])
        entries = shape[0] * self.spec.kernel**2
        self._block = max(1, min(batch, AT_ONCE // (entries * places)))
        self._windows = Windows(self.spec, shape, self._block, dtype)  # of x, and of grad_x
        self._grad_each = np.zeros((self._block, filters, entries), dtype)  # grad_W, sample by sample
        self._grad_sum = np.zeros((filters, entries), dtype)

    def attach(self, parameters: dict[str, Array], gradients: dict[str, Array]) -> None:
        """W (filters, channels, kernel, kernel), b (filters,) or none, and their gradients."""
        super().attach(parameters, gradients)
        self._W = parameters["W"].reshape(self.spec.filters, -1)
        self._grad_W = gradients["W"].reshape(self.spec.filters, -1)
        self._b = parameters["b"].reshape(-1, 1, 1) if "b" in parameters else None

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = W·windows(x) + b."""
        y = np.empty((len(x), *self.y.shape[1:]), self.y.dtype) if out is None else out
        each = prod(self._windows.matrix.shape[1:])
        return self._slide(Windows(self.spec, self._shape, max(1, min(len(x), AT_ONCE // each)), self.y.dtype), x, y)

    def forward(self, x: Array) -> Array:
        """y = W·windows(x) + b; the windows are laid out again in backward, which is cheaper than to keep them."""
        self.x = x
        return self._slide(self._windows, x, self.y)

    def _slide(self, windows: Windows, x: Array, y: Array) -> Array:
        """y (N, filters, rows′, columns′) from x (N, channels, rows, columns), block by block of samples."""
        for block in _blocks(len(x), len(windows.matrix)):
            count = windows.unfold(x[block])
            np.matmul(self._W, windows.matrix[:count], out=windows.wide_matrix[:count])
            if self._b is None:
                np.copyto(y[block], windows.narrow(count))
            else:
                np.add(windows.narrow(count), self._b, out=y[block])
        return y

    def backward(self, grad_y: Array) -> Iterator[str]:
        """grad_W = Σₙ grad_y[n]·windows(x[n])ᵀ; grad_b = Σₙᵣₛ grad_y; grad_x folds Wᵀ·grad_y[n] (col2im)."""
        self.grad_y = grad_y
        self._grad_W.fill(0)
        for block in _blocks(len(grad_y), self._block):
            self._add_grad_W(self.x[block], grad_y[block])
        yield "grad_W"
        if self._b is not None:
            np.add.reduce(grad_y, axis=(0, 2, 3), out=self.gradients["b"])
            yield "grad_b"
        if self.needs_grad_x:
            windows = self._windows
            for block in _blocks(len(grad_y), self._block):
                count = windows.widen(grad_y[block])
                np.matmul(self._W.T, windows.wide_matrix[:count], out=windows.matrix[:count])
                windows.fold(self.grad_x[block])
            yield "grad_x"

    def terms(self, role: str, index: Shape, at: Tensors) -> Sum | None:
        """Each cell is a sum over the windows, or over the entries of one; what lies in the padding is left out."""
        shapes = {"x": self._in_shape, "W": self.parameters["W"].shape, "y": self.y.shape, G: self.y.shape}
        samples, (_, channels, k, _), (rows, columns) = len(self.y), shapes["W"], self.y.shape[2:]
        if role == "grad_b":
            n, r, s = (axis.ravel() for axis in np.indices((samples, rows, columns)))
            factor = cells(G, at("grad_y"), "grad_y", (n, index[0], r, s))
            formula = slope("b_f") + rf"\sum_{{n,r,s}} {G}_{{n,f,r,s}}"
            return Sum(formula, [Product((factor,), samples=n)], only(shapes, G))
        if role == "y":
            n, f, r, s = map(np.asarray, index)
            c, i, j = (axis.ravel() for axis in np.indices((channels, k, k)))
        elif role == "grad_W":
            f, c, i, j = map(np.asarray, index)
            n, r, s = (axis.ravel() for axis in np.indices((samples, rows, columns)))
        else:
            return self._terms_of_input(index, at, shapes)
        u, v = self._pixel(r, i), self._pixel(s, j)
        inside = (u >= 0) & (u < self._in_shape[2]) & (v >= 0) & (v < self._in_shape[3])
        n, f, r, s, c, i, j, u, v = (
            np.broadcast_to(axis, inside.shape)[inside] for axis in (n, f, r, s, c, i, j, u, v)
        )
        pixel = cells("x", at("x"), "x", (n, c, u, v))
        where = r"\quad u = \mathrm{stride} \cdot r + \mathrm{dilation} \cdot i - \mathrm{padding}"
        if role == "grad_W":
            factors = pixel, cells(G, at("grad_y"), "grad_y", (n, f, r, s))
            formula = slope("W_{f,c,i,j}") + rf"\sum_{{n,r,s}} x_{{n,c,u,v}} \, {G}_{{n,f,r,s}},{where}"
            return Sum(formula, [Product(factors, samples=n)], only(shapes, "x", G, "W"))
        products = [Product((pixel, cells("W", at("W"), "W", (f, c, i, j))), samples=n)]
        formula = r"y_{n,f,r,s} = \sum_{c,i,j} W_{f,c,i,j} \, x_{n,c,u,v}"
        if self._b is not None:
            formula += " + b_f"
            products.append(Product((cells("b", at("b"), "b", (index[1],)),)))
        return Sum(f"{formula},{where}", products, only(shapes, "x", "W", "y"))

    def _pixel(self, place: Array | int, entry: Array | int) -> Array:
        """The row (or column) of x that an entry of the window at a place lies on; outside of x in the padding."""
        return (
            np.asarray(self.spec.stride * np.asarray(place) + self.spec.dilation * np.asarray(entry))
            - self.spec.padding
        )

    def _terms_of_input(self, index: Shape, at: Tensors, shapes: dict[str, Shape]) -> Sum:
        """grad_x: a sum over the filters and the windows that hold the pixel."""
        n, c, u, v = index
        f, i, j = (axis.ravel() for axis in np.indices((shapes["W"][0], *shapes["W"][2:])))
        spec, (rows, columns) = self.spec, self.y.shape[2:]
        r, r_off = np.divmod(u + spec.padding - spec.dilation * i, spec.stride)
        s, s_off = np.divmod(v + spec.padding - spec.dilation * j, spec.stride)
        hit = (r_off == 0) & (s_off == 0) & (r >= 0) & (r < rows) & (s >= 0) & (s < columns)
        f, i, j, r, s = (axis[hit] for axis in (f, i, j, r, s))
        factors = cells(G, at("grad_y"), "grad_y", (n, f, r, s)), cells("W", at("W"), "W", (f, c, i, j))
        formula = slope("x_{n,c,u,v}") + rf"\sum_{{f,r,s}} {G}_{{n,f,r,s}} \, W_{{f,c,i,j}}"
        return Sum(formula, [Product(factors, samples=n)], only(shapes, G, "W", "x"))

    def _add_grad_W(self, x: Array, grad_y: Array) -> None:
        """grad_W += Σₙ grad_y[n]·windows(x[n])ᵀ over the samples of a block."""
        windows, count = self._windows, self._windows.unfold(x)
        windows.widen(grad_y)
        columns = windows.matrix[:count].transpose(0, 2, 1)
        np.matmul(windows.wide_matrix[:count], columns, out=self._grad_each[:count])
        np.add.reduce(self._grad_each[:count], axis=0, out=self._grad_sum)
        np.add(self._grad_W, self._grad_sum, out=self._grad_W)


def _blocks(count: int, size: int) -> list[slice]:
    """Slices of at most `size` samples that cover `count`."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]
