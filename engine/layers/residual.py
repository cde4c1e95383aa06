"""Residual: a block of layers with a skip around it, y = block(x) + skip(x)."""

from __future__ import annotations

from collections.abc import Container, Iterator
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

    Tensors of inner layer 0 have the roles "0.W", "0.y", "0.grad_y"; those of the projection "skip.W", "skip.y".
    What the two ways bring back to x are "0.grad_x" and "skip.grad_x".
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

    def _backward(self, shape: Shape) -> Iterator[tuple[str, LayerSpec, Shape, list[str], str]]:
        """The layers inside in the order of backward: name, spec, what it takes, its parts outside, the part after."""
        named, parts, done = self.named(shape), self.backward_parts(shape), 0
        for name in (*sorted(named.keys() - {SKIP}, key=int, reverse=True), *(named.keys() & {SKIP})):
            mine = [part for part in parts if part.startswith(f"grad_{name}.")]
            done += len(mine)
            yield name, *named[name], mine, parts[done]

    def held(self, shape: Shape, batch: int) -> dict[str, tuple[Shape, str]]:
        """All that each layer inside computes, y and grad_y, and grad_x of the first and of the projection."""
        found: dict[str, tuple[Shape, str]] = {}
        for name, spec, at, mine, after in self._backward(shape):
            found |= {f"{name}.{role}": (size, "forward") for role, size in spec.inner_shapes(at, batch).items()}
            for role, (size, part) in spec.held(at, batch).items():
                there = f"grad_{name}.{part.removeprefix('grad_')}"
                found[f"{name}.{role}"] = size, part if part == "forward" else there if there in mine else after
            y = (batch, *spec.output_shape(at))
            found[f"{name}.y"] = y, "forward"
            if name != SKIP:
                found[f"{name}.grad_y"] = y, (*mine, after)[0]
            if name in ("0", SKIP):
                found[f"{name}.grad_x"] = (batch, *at), after
        return found

    def read_by(self, step: str, shape: Shape) -> tuple[str, ...] | None:
        """Of a part of backward: what that layer inside reads, and those that the gradient came through before it."""
        passed: list[str] = []
        for name, spec, at, mine, after in self._backward(shape):
            for part in (*mine, after):
                inner = "grad_x" if part == after else f"grad_{part.removeprefix(f'grad_{name}.')}"
                parameters, read = spec.parameters(at), spec.read_by(inner, at)
                usual = ("grad_y", "x", *(parameters if inner == "grad_x" else ()))
                roles = usual if read is None else read
                passed += [outside(name, role, parameters, len(self.layers)) for role in roles]
                if part == step and part != after:
                    break
                if part != after:
                    passed.clear()
            if step in mine:
                break
        if not step.startswith("grad_"):
            return None
        held = self.held(shape, 1)
        return tuple(role for role in dict.fromkeys((*passed, "grad_y")) if held.get(role, ("", ""))[1] != step)

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
    def layers(self) -> dict[str, Layer]:
        """The built layers inside by the first part of their roles: "0", "1", … and "skip"."""
        return self._named

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

    def inner(self, role: str) -> Array | None:
        """What a layer inside has computed, such as "0.y" or "0.grad_y"."""
        name, _, rest = role.partition(".")
        layer = self._named.get(name)
        if layer is None:
            return None
        if rest in ("y", "grad_x", "grad_y"):
            found: Array | None = getattr(layer, rest, None)
            return found
        return layer.inner(rest)

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
        """y and grad_x have two terms, block and skip; what is of a layer inside has the terms that it tells."""
        name, _, inner = role.removeprefix("grad_").partition(".")
        if inner == "grad_y":
            return self._terms_between(name, index, at)
        if inner:
            return self._terms_inside(name, f"grad_{inner}" if role.startswith("grad_") else inner, index, at)
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

    def _terms_between(self, name: str, index: Shape, at: Tensors) -> Sum | None:
        """Of grad_y of a layer inside: the grad_x of the one after it, or the block's grad_y, which a sum hands on."""
        after = int(name) + 1
        if after < len(self._block):
            return self._terms_inside(str(after), "grad_x", index, at)
        given = cells(G, at("grad_y"), "grad_y", index)
        return Sum(slope(r"\mathrm{block}") + G, [Product((given,), samples=index[0])], {"y": self.y.shape})

    def _terms_inside(self, name: str, role: str, index: Shape, at: Tensors) -> Sum | None:
        """Of a layer inside; its parameters have an address outside, and so has what goes from layer to layer."""
        layer, parameters = self._named[name], self._named[name].parameters

        def inside(wanted: str) -> Array:
            if wanted.removeprefix("grad_") in parameters:
                return at(outside(name, wanted, parameters, len(self._block)))
            inner = layer.inner(wanted)
            found: Array = getattr(layer, wanted) if inner is None else inner
            return found

        found = layer.terms(role, index, inside)
        if found is None:
            return None
        products = [replace(p, factors=[self._outside(name, f, parameters) for f in p.factors]) for p in found.products]
        return replace(found, products=products)

    def _outside(self, name: str, factor: Cells, parameters: dict[str, Array]) -> Cells:
        if not factor.address:  # a constant
            return factor
        return replace(factor, address=outside(name, factor.address, parameters, len(self._block)))

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


def outside(name: str, role: str, parameters: Container[str], count: int) -> str:
    """What a role of a layer inside, one of so many, is called in the block; x and grad_y are the neighbours'."""
    if role == "x":
        return "x" if name in ("0", SKIP) else f"{int(name) - 1}.y"
    if role == "grad_y" and name in (str(count - 1), SKIP):
        return role
    plain = role.removeprefix("grad_")
    return f"grad_{name}.{plain}" if plain != role and plain in parameters else f"{name}.{role}"


def _of(name: str, tensors: dict[str, Array]) -> dict[str, Array]:
    """The tensors of one layer inside, by the roles that it knows."""
    return {role.removeprefix(f"{name}."): value for role, value in tensors.items() if role.startswith(f"{name}.")}


def _parts(name: str, layer: Layer, grad_y: Array) -> Iterator[str]:
    """Backward of one layer inside: its parts but grad_x, by the names they have outside."""
    for part in layer.backward(grad_y):
        if part != "grad_x":
            yield f"grad_{name}.{part.removeprefix('grad_')}"
