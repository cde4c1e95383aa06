"""What every layer is: a spec that knows shapes, and a built layer that knows forward and backward."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from engine.spec import KindSpec
from engine.terms import Sum, Tensors

Array = NDArray[Any]
Shape = tuple[int, ...]


class ShapeError(ValueError):
    """A layer cannot take the shape it is given. `problem` says so, `cure` says what to do."""

    def __init__(self, problem: str, cure: str) -> None:
        super().__init__(f"{problem}; {cure}")
        self.problem = problem
        self.cure = cure


def shape_text(shape: Shape) -> str:
    """A shape as people write it: 64, or 28×28."""
    return "×".join(map(str, shape)) if shape else "1"


class FirstValues(Protocol):
    """How a parameter's first values come about; an Initializer is one way."""

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        """First values, float64, of `shape`."""

    def check(self, shape: Shape) -> None:
        """Raise ValueError, a problem and a cure, where there are no first values of this shape."""


@dataclass(frozen=True)
class Parameter:
    """One parameter tensor to be made: its shape and how its first values are drawn."""

    shape: Shape
    initializer: FirstValues
    fan_in: int
    fan_out: int

    @property
    def size(self) -> int:
        """Number of entries."""
        return prod(self.shape)


class LayerSpec(KindSpec, frozen=True, kw_only=True):
    """The description of one layer. Shapes are those of one sample, without the batch axis."""

    # What each phase computes, as text: "forward", and one entry per part of backward.
    formulas: ClassVar[dict[str, str]] = {}
    # The parts of one backward phase, in the order they are computed.
    parts: ClassVar[tuple[str, ...]] = ("grad_x",)
    # Inner steps of forward that one can step into, each the role of what it computes; the last is "y".
    forward_parts: ClassVar[tuple[str, ...]] = ()
    # What forward ("forward", or a part of it) and each part of backward read, by role, where that is not the usual:
    # x and all parameters; of backward grad_y and x, for grad_x the parameters too.
    reads: ClassVar[dict[str, tuple[str, ...]]] = {}
    family: ClassVar[str] = "Other"

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of one output sample for an input sample of `shape`. Raises ShapeError."""
        return shape

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """The layer's parameters by role, for an input sample of `shape`."""
        return {}

    def buffers(self, shape: Shape) -> dict[str, Parameter]:
        """Tensors by role that the layer keeps from step to step but does not train, such as running_mean."""
        return {}

    def inner_shapes(self, shape: Shape, batch: int) -> dict[str, Shape]:
        """What the inner steps of forward compute but for y, by role, for `batch` samples of `shape`."""
        return {}

    def held(self, shape: Shape, batch: int) -> dict[str, tuple[Shape, str]]:
        """What layers held inside compute, by role ("0.y"), for `batch` samples of `shape`.

        Each with its shape and when it stands: at "forward", or at that part of backward.
        """
        return {}

    def read_by(self, step: str, shape: Shape) -> tuple[str, ...] | None:
        """What "forward", or a part of it or of backward, reads for a sample of `shape`; None: see `reads`."""
        return self.reads.get(step)

    def backward_parts(self, shape: Shape) -> tuple[str, ...]:
        """Those of `parts` that there are for a sample of `shape`: without a bias no grad_b."""
        roles = self.parameters(shape)
        return tuple(part for part in self.parts if part == "grad_x" or part.removeprefix("grad_") in roles)

    def multiply_adds(self, shape: Shape) -> int:
        """Multiplications with an addition in the forward of one sample of `shape`."""
        return 0

    def label(self) -> str:
        """What its column and its card are called: as a rule its kind."""
        return self.title()

    def caption(self, shape: Shape) -> str:
        """The layer's name with its sizes, such as "Dense 64→32"."""
        return self.title()

    def inside(self) -> Iterator[tuple[str, LayerSpec]]:
        """This layer and all that it holds, each with what its roles begin with: "" for its own."""
        yield "", self

    def build(self, shape: Shape, batch: int, dtype: DTypeLike) -> Layer:
        """The layer itself, with buffers for batches of `batch` samples."""
        raise NotImplementedError


class Layer:
    """One built layer: `forward` keeps what `backward` needs; both write into buffers made once.

    x, grad_x: (B, *in); y, grad_y: (B, *out). `parameters` and `gradients` hold views of the network's flat arrays.
    """

    elementwise: ClassVar[bool] = False  # y[n, j] hangs on x[n, j] alone
    rowwise: ClassVar[bool] = False  # y[n] = f(x[n]) with one f for all samples; where False, nothing is assumed
    draws: ClassVar[bool] = False  # wants `prepare` before every training mini-batch
    stream_key: tuple[int, ...] = (0, 0)  # (seed, layer index): what random numbers hang on, beside the step
    x: Array
    grad_y: Array

    def __init__(self, spec: LayerSpec, shape: Shape, batch: int, dtype: DTypeLike) -> None:
        self.spec = spec
        self.y: Array = np.zeros((batch, *spec.output_shape(shape)), dtype)
        self._in_shape = (batch, *shape)
        self.needs_grad_x = True
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}

    @cached_property
    def grad_x(self) -> Array:
        """(B, *in), made when first wanted: that of a network's first layer seldom is."""
        return np.zeros(self._in_shape, self.y.dtype)

    def attach(self, parameters: dict[str, Array], gradients: dict[str, Array]) -> None:
        """Take the views of the network's flat arrays, by role ("W") and by gradient ("grad_W")."""
        self.parameters, self.gradients = parameters, gradients

    def attach_buffers(self, buffers: dict[str, Array]) -> None:
        """Take the views of the network's flat array of buffers, by role ("running_mean")."""

    def adopt(self, spec: LayerSpec) -> None:
        """Go on with a spec that differs in live fields only."""
        self.spec = spec

    def prepare(self, step: int) -> None:
        """Draw what forward needs in mini-batch `step` (from 1): a pure function of stream_key and step."""

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y for any number of samples, remembering nothing: (N, *in) → (N, *out)."""
        raise NotImplementedError

    def forward(self, x: Array) -> Array:
        """y of one mini-batch, (B, *in) → (B, *out); keeps x for backward."""
        self.x = x
        return self.apply(x, self.y)

    def forward_steps(self, x: Array) -> Iterator[str]:
        """As `forward`, step by step; yields the role of what stands. For layers with `forward_parts`."""
        raise NotImplementedError

    def inner(self, role: str) -> Array | None:
        """What an inner step of forward has computed; None where there is no such."""
        return None

    def backward(self, grad_y: Array) -> Iterator[str]:
        """Compute the gradients from grad_y, (B, *out), part by part; yields the name of each part when it stands."""
        raise NotImplementedError

    def terms(self, role: str, index: Shape, at: Tensors) -> Sum | None:
        """What one cell of "y", "grad_x" or a parameter's gradient ("grad_W") is made of; None: the layer cannot say.

        `at` gives the layer's tensors by role, the parameters as they were in forward and backward.
        """
        return None

    def decisions(self, x: Array) -> Array | None:
        """Which side of its kinks each entry of x falls on; None where the layer is smooth."""
        return None

    # --- how the layer reacts to one moved entry; `engine.numeric` uses what a layer can tell, and does without -----

    def replay(self, x: Array, copies: int) -> Array:
        """y of `copies` mini-batches on top of each other, (copies·B, *in), each as `forward` makes it."""
        if self.rowwise or copies == 1:
            return self.apply(x)
        return np.concatenate([self.apply(batch) for batch in x.reshape(copies, -1, *x.shape[1:])])

    def react(self, role: str, entries: Array, deltas: Array, x: Array) -> tuple[Array, Array] | None:
        """What moving one entry of a parameter does, where it moves one column of y: the columns (P,), moves (P, B).

        `entries` (P,) are flat indices into the parameter, each moved alone by its delta. None: the layer cannot say.
        """
        return None

    def pass_column(self, values: Array, columns: Array) -> Array | None:
        """y[·, column] from x[·, column] alone, any shape in and out; None where y mixes the columns of x."""
        return self.apply(values) if self.elementwise and self.rowwise else None

    def spread(self, columns: Array, moves: Array) -> Array | None:
        """What y gains, (R, *out), when in row r x[r, columns[r]] moves by moves[r]; None where it is not linear."""
        return None
