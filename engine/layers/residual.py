"""Residual: a block of layers with a skip around it, y = block(x) + skip(x)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import DTypeLike

from engine import layers as layer_kinds
from engine.layers.activations import ReLU
from engine.layers.base import Array, Layer, LayerSpec, Parameter, Shape, ShapeError, shape_text
from engine.layers.conv import Conv2D, steps_along
from engine.layers.dense import Dense
from engine.terms import GRAD_Y as G
from engine.terms import Cells, Product, Sum, Tensors, cells, constant, slope

DEEPEST = 4  # blocks inside each other
SKIP = "skip"  # stands in an address where an inner layer has its number: "4.skip.W" beside "4.0.W"


class Residual(LayerSpec, frozen=True, kw_only=True):
    """y = block(x) + skip(x): the layers of the block one after the other, and x itself, or a projection of it.

    A tensor of inner layer 0 has the role "0.W"; that of the projection is "skip.W".
    """

    # The union of all kinds, this one too, is complete when the package is; msgspec looks it up at first use.
    layers: Annotated[
        tuple[layer_kinds.AnyLayer, ...],
        Meta(min_length=1, max_length=50, title="layers", description="The block, from its input to its output"),
    ] = (ReLU(),)
    projection: Annotated[
        bool,
        Meta(title="projection", description="Where shapes differ, a learned Dense or 1×1 Conv2D on the skip"),
    ] = False

    family: ClassVar[str] = "Blocks"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth > DEEPEST:
            raise ValueError(f"blocks must stand at most {DEEPEST} deep inside each other")

    @property
    def depth(self) -> int:
        """How many blocks stand inside each other, this one counted."""
        return 1 + max((layer.depth for layer in self.layers if isinstance(layer, Residual)), default=0)

    @property
    def parts(self) -> tuple[str, ...]:  # type: ignore[override]  # hangs on the layers inside
        """The gradients of the inner layers from the last to the first, the projection's, and grad_x."""
        inner = [
            f"grad_{index}.{part.removeprefix('grad_')}"
            for index, layer in reversed(list(enumerate(self.layers)))
            for part in layer.parts
            if part != "grad_x"
        ]
        return (*inner, f"grad_{SKIP}.W", "grad_x")

    @property
    def formulas(self) -> dict[str, str]:  # type: ignore[override]  # hangs on the layers inside
        """Those of the inner layers' parameters, and of the block as a whole."""
        inner = {
            f"grad_{index}.{part.removeprefix('grad_')}": f"layer {index} inside: {text}"
            for index, layer in enumerate(self.layers)
            for part, text in layer.formulas.items()
            if part not in ("forward", "grad_x")
        }
        return {
            "forward": "y = block(x) + skip(x)",
            **inner,
            f"grad_{SKIP}.W": "the projection's gradient, with grad_y as it is",
            "grad_x": "grad_x = grad_x of the block + grad_x of the skip",
        }

    def shapes(self, shape: Shape) -> list[Shape]:
        """The shape of a sample before each inner layer and after the last. Raises ShapeError."""
        found = [shape]
        for index, layer in enumerate(self.layers):
            try:
                found.append(layer.output_shape(found[-1]))
            except ShapeError as error:
                raise ShapeError(f"holds layers[{index}] ({layer.kind()}), which {error.problem}", error.cure) from None
        return found

    def output_shape(self, shape: Shape) -> Shape:
        """What the block makes of `shape`. Raises ShapeError where the skip cannot be added to it."""
        self.skip(shape)
        return self.shapes(shape)[-1]

    def skip(self, shape: Shape) -> Dense | Conv2D | None:
        """The projection on the skip; None where x itself is added. Raises ShapeError where neither is possible."""
        out = self.shapes(shape)[-1]
        if out == shape:
            return None
        problem = f"adds its input {shape_text(shape)} to its block's output {shape_text(out)}"
        if not self.projection:
            raise ShapeError(problem, "give the block's last layer the size of its input, or turn projection on")
        if len(shape) == len(out) == 1:
            return Dense(units=out[0], bias=False)
        if len(shape) == len(out) == 3:
            for stride in range(1, 65):
                if all(steps_along(shape[axis], 1, stride, 0) == out[axis] for axis in (1, 2)):
                    return Conv2D(filters=out[0], kernel=1, stride=stride, bias=False)
        raise ShapeError(
            f"{problem}, which no projection can mend",
            "choose layers that keep the shape, or paddings of half a kernel",
        )

    def named(self, shape: Shape) -> dict[str, tuple[LayerSpec, Shape]]:
        """The layers inside by the first part of their roles, "0", "1", … and "skip", with what each one takes."""
        inner = zip(self.layers, self.shapes(shape), strict=False)
        found: dict[str, tuple[LayerSpec, Shape]] = {str(index): pair for index, pair in enumerate(inner)}
        skip = self.skip(shape)
        return found if skip is None else found | {SKIP: (skip, shape)}

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """Those of all layers inside, such as "0.W", "0.b" and "skip.W"."""
        return {f"{n}.{r}": p for n, (spec, at) in self.named(shape).items() for r, p in spec.parameters(at).items()}

    def buffers(self, shape: Shape) -> dict[str, Parameter]:
        """Those of all layers inside, such as "1.running_mean"."""
        return {f"{n}.{r}": p for n, (spec, at) in self.named(shape).items() for r, p in spec.buffers(at).items()}

    def inside(self) -> Iterator[tuple[str, LayerSpec]]:
        """The block, and the layers in it: by the beginnings "0." and "1." and so on."""
        yield "", self
        for index, layer in enumerate(self.layers):
            yield from ((f"{index}.{prefix}", held) for prefix, held in layer.inside())

    def multiply_adds(self, shape: Shape) -> int:
        """The sum over the layers inside."""
        return sum(spec.multiply_adds(at) for spec, at in self.named(shape).values())

    def caption(self, shape: Shape) -> str:
        """Such as "Residual (dense, tanh)"."""
        inner = ", ".join(layer.kind() for layer in self.layers[:3])
        return f"Residual ({inner}{', …' if len(self.layers) > 3 else ''})"

    def build(self, shape: Shape, batch: int, dtype: DTypeLike) -> Layer:
        """The block with all layers inside, for `batch` samples."""
        return ResidualLayer(self, shape, batch, dtype)


class ResidualLayer(Layer):
    """y = block(x) + skip(x)."""

    spec: Residual

    def __init__(self, spec: LayerSpec, shape: Shape, batch: int, dtype: DTypeLike) -> None:
        super().__init__(spec, shape, batch, dtype)
        self._named = {name: inner.build(at, batch, dtype) for name, (inner, at) in self.spec.named(shape).items()}
        self._skip = self._named.get(SKIP)
        self._block = [layer for name, layer in self._named.items() if name != SKIP]
        self._draws = any(layer.draws for layer in self._block)
        self._rowwise = all(layer.rowwise for layer in self._block)

    @property
    def rowwise(self) -> bool:  # type: ignore[override]  # hangs on the layers inside
        """Whether all layers inside are."""
        return self._rowwise

    @property
    def draws(self) -> bool:  # type: ignore[override]  # hangs on the layers inside
        """Whether any layer inside does."""
        return self._draws

    def attach(self, parameters: dict[str, Array], gradients: dict[str, Array]) -> None:
        """Hand each layer inside its own: "0.W" is W of layer 0."""
        super().attach(parameters, gradients)
        for name, layer in self._named.items():
            layer.attach(_of(name, parameters), _of(name, gradients))

    def attach_buffers(self, buffers: dict[str, Array]) -> None:
        """Hand each layer inside its own."""
        super().attach_buffers(buffers)
        for name, layer in self._named.items():
            layer.attach_buffers(_of(name, buffers))

    def adopt(self, spec: LayerSpec) -> None:
        """Go on with a spec that differs in live fields only, inside too."""
        super().adopt(spec)
        for layer, inner in zip(self._block, self.spec.layers, strict=True):
            layer.adopt(inner)

    def prepare(self, step: int) -> None:
        """Let every layer inside that draws do so; its place in the block is the last of its key."""
        for index, layer in enumerate(self._block):
            if layer.draws:
                layer.stream_key = (*self.stream_key, index)
                layer.prepare(step)

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = block(x) + skip(x)."""
        y = x
        for layer in self._block:
            y = layer.apply(y)
        return np.add(y, x if self._skip is None else self._skip.apply(x), out=out)

    def forward(self, x: Array) -> Array:
        """y = block(x) + skip(x); each layer inside keeps what its backward needs."""
        self.x = y = x
        for layer in self._block:
            y = layer.forward(y)
        return np.add(y, x if self._skip is None else self._skip.forward(x), out=self.y)

    def backward(self, grad_y: Array) -> Iterator[str]:
        """grad_y goes through the block and through the skip; grad_x is the sum of what arrives."""
        self.grad_y = gradient = grad_y
        self._block[0].needs_grad_x = self.needs_grad_x
        for index in reversed(range(len(self._block))):
            layer = self._block[index]
            yield from _parts(str(index), layer, gradient)
            gradient = layer.grad_x
        through = grad_y
        if self._skip is not None:
            self._skip.needs_grad_x = self.needs_grad_x
            yield from _parts(SKIP, self._skip, grad_y)
            through = self._skip.grad_x
        if self.needs_grad_x:
            np.add(gradient, through, out=self.grad_x)
            yield "grad_x"

    def terms(self, role: str, index: Shape, at: Tensors) -> Sum | None:
        """y and grad_x have two terms, block and skip; a gradient of a parameter has those of the layer inside."""
        if role.startswith("grad_") and role != "grad_x":
            name, _, inner = role.removeprefix("grad_").partition(".")
            return self._terms_inside(name, inner, index, at)
        forward = role == "y"
        block, skip = self._block[-1].y if forward else self._block[0].grad_x, self._skip
        given, symbol = ("x", "x") if forward else ("grad_y", G)
        if skip is None:
            added = cells(symbol, at(given), given, index)
        else:
            added = constant(r"\mathrm{skip}", float((skip.y if forward else skip.grad_x)[index]))
        through = constant(r"\mathrm{block}", float(block[index]))
        left = "y = " if forward else slope("x")
        other = rf"\mathrm{{skip}}({symbol})" if skip is not None else symbol
        formula = left + rf"\mathrm{{block}}({symbol}) + {other}"
        products = [Product((through,), samples=index[0]), Product((added,), samples=index[0])]
        return Sum(formula, products, {"x": self._in_shape, "y": self.y.shape})

    def _terms_inside(self, name: str, role: str, index: Shape, at: Tensors) -> Sum | None:
        """Of a layer inside; its parameters have an address outside, and what it shares with the block."""
        layer, parameters = self._named[name], self._named[name].parameters

        def inside(wanted: str) -> Array:
            if wanted in parameters:
                return at(f"{name}.{wanted}")
            inner = layer.inner(wanted)
            found: Array = getattr(layer, wanted) if inner is None else inner
            return found

        found = layer.terms(f"grad_{role}", index, inside)
        if found is None:
            return None
        products = [replace(p, factors=[self._outside(name, f, parameters) for f in p.factors]) for p in found.products]
        return replace(found, products=products)

    def _outside(self, name: str, factor: Cells, parameters: dict[str, Array]) -> Cells:
        role, last = factor.address, str(len(self._block) - 1)
        if role in parameters or "." in role:
            return replace(factor, address=f"{name}.{role}")
        shared = (role == "x" and name in ("0", SKIP)) or (role == "grad_y" and name in (last, SKIP))
        return factor if shared else replace(factor, address="")

    def replay(self, x: Array, copies: int) -> Array:
        """y of `copies` mini-batches, each layer inside in its training form."""
        *_, y = self._inside(x, copies)
        return np.asarray(y + (x if self._skip is None else self._skip.replay(x, copies)))

    def decisions(self, x: Array) -> Array | None:
        """The decisions of all layers inside, (N, all of them); None where all are smooth."""
        copies = 1 if self.rowwise else max(1, len(x) // len(self.y))
        reached = pairwise(self._inside(x, copies))
        sides = [layer.decisions(at) for layer, (at, _) in zip(self._block, reached, strict=True)]
        decided = [side.reshape(len(x), -1) for side in sides if side is not None]
        return np.concatenate(decided, axis=1) if decided else None

    def _inside(self, x: Array, copies: int) -> Iterator[Array]:
        """What enters each inner layer, and what leaves the last."""
        yield x
        for layer in self._block:
            x = layer.replay(x, copies)
            yield x


def _of(name: str, tensors: dict[str, Array]) -> dict[str, Array]:
    """The tensors of one layer inside, by the roles that it knows."""
    return {role.removeprefix(f"{name}."): value for role, value in tensors.items() if role.startswith(f"{name}.")}


def _parts(name: str, layer: Layer, grad_y: Array) -> Iterator[str]:
    """Backward of one layer inside: its parts but grad_x, by the names they have outside."""
    for part in layer.backward(grad_y):
        if part != "grad_x":
            yield f"grad_{name}.{part.removeprefix('grad_')}"
