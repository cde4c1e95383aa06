"""Custom: a layer of one's own, a class in a Python file, trained, stepped and checked like any other."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import DTypeLike

from engine.generators import global_generators_kept
from engine.layers.base import Array, Layer, LayerSpec, Parameter, Shape
from engine.spec import RecipeError
from engine.subject import SubjectError

if TYPE_CHECKING:
    from engine.owncode.layers import OwnLayer, OwnLayerCopy


class Custom(LayerSpec, frozen=True, kw_only=True, rename={"class_name": "class"}):
    """A class in a Python file, with a forward and a backward of its own."""

    file: Annotated[str, Meta(min_length=1, max_length=1000, title="file", description="Path of the Python file")]
    class_name: Annotated[
        str, Meta(min_length=1, max_length=200, title="class", description="Name of the class in the file")
    ]
    args: Annotated[
        str,
        Meta(
            max_length=1000,
            title="arguments",
            description="Of its constructor, such as units_out=10; the number of inputs is known",
        ),
    ] = ""

    family: ClassVar[str] = "Own code"

    @property
    def formulas(self) -> dict[str, str]:  # type: ignore[override]  # names the file
        """Where the code stands: its formula is what it computes."""
        name = f"{self.class_name} in {Path(self.file).name}"
        return {"forward": f"y = forward(x) of {name}", "grad_x": f"grad_x, as backward of {name} gives it"}

    def subject(self, shape: Shape, seed: int | None = None) -> OwnLayer:
        """The class at work on samples of `shape`. Raises RecipeError: one sentence with file and line."""
        from engine.owncode.as_layer import own_layer  # a parser and more, which a run without own code can do without

        try:
            return own_layer(Path(self.file), self.class_name, self.args, shape, seed)
        except SubjectError as error:
            raise RecipeError(f"own layer: {error}") from None

    def output_shape(self, shape: Shape) -> Shape:
        """What forward makes of some samples. Raises RecipeError where it cannot be run."""
        subject = self.subject(shape)
        x, _ = subject.draw(np.random.default_rng(0), subject.setting.batch)
        with np.errstate(all="ignore"), global_generators_kept():
            return tuple(subject.copy().forward(x).shape[1:])

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """The arrays that its forward hangs on, with the values that its constructor gives them."""
        found = self.subject(shape).copy().parameters
        return {role: Parameter(v.shape, OwnStart(self, shape, role), *_fans(v.shape)) for role, v in found.items()}

    def backward_parts(self, shape: Shape) -> tuple[str, ...]:
        """All at once: the parts come in the order of its parameters, the input's last."""
        return (*(f"grad_{role}" for role in self.parameters(shape)), "grad_x")

    def label(self) -> str:
        """The class's own name."""
        return self.class_name

    def caption(self, shape: Shape) -> str:
        """Such as "MyDense in homework.py"."""
        return f"{self.class_name} in {Path(self.file).name}"

    def build(self, shape: Shape, batch: int, dtype: DTypeLike) -> Layer:
        """The layer with buffers for `batch` samples."""
        return CustomLayer(self, shape, batch, dtype)


def _fans(shape: Shape) -> tuple[int, int]:
    return (shape[0], shape[-1]) if shape else (1, 1)


@dataclass(frozen=True)
class OwnStart:
    """The first values that the user's own constructor gives a parameter."""

    spec: Custom
    shape: Shape
    role: str

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        """The values in an instance constructed anew, its random numbers drawn from `rng`."""
        made = self.spec.subject(self.shape, int(rng.integers(2**31)))
        return np.array(made.copy().parameters[self.role], np.float64)

    def check(self, shape: Shape) -> None:
        """They have the parameter's shape, which is taken from them."""


class CustomLayer(Layer):
    """Calls the user's code with the engine's parameters; it gets copies, so that nothing it does reaches further.

    The code computes in float64 whatever the network's dtype. Raises SubjectError: one sentence with file and line.
    """

    draws: ClassVar[bool] = True
    spec: Custom

    def __init__(self, spec: LayerSpec, shape: Shape, batch: int, dtype: DTypeLike) -> None:
        super().__init__(spec, shape, batch, dtype)
        self._subject = self.spec.subject(shape)
        self._copy = self._subject.copy()
        self._draw = 0

    def prepare(self, step: int) -> None:
        """Random numbers that the code draws hang on the seed, the layer and the step."""
        self._draw = zlib.crc32(repr((*self.stream_key, step)).encode())

    def _run(self, copy: OwnLayerCopy, x: Array) -> Array:
        """y of a copy that gets the engine's parameters and this step's random numbers."""
        from engine.owncode.as_layer import draw_anew  # as above

        for role, array in copy.parameters.items():
            array[...] = self.parameters[role]
        with global_generators_kept():
            draw_anew(copy, self._draw)
            return copy.forward(np.array(x, np.float64))

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y of any number of samples, by a copy that is thrown away."""
        y = self._run(self._subject.copy(), x)
        if out is None:
            return y.astype(self.y.dtype)
        np.copyto(out, y)
        return out

    def forward(self, x: Array) -> Array:
        """y = forward(x) of the user's code."""
        self.x = x
        y = self._run(self._copy, x)
        if y.shape != self.y.shape:
            raise SubjectError(
                f"{self._subject.forward_name} returns shape {y.shape} for x of shape {x.shape}, but gave "
                f"{self.y.shape[1:]} a sample before; return as many numbers for every mini-batch"
            )
        np.copyto(self.y, y)
        return self.y

    def backward(self, grad_y: Array) -> Iterator[str]:
        """Everything the user's backward gives, then part by part."""
        self.grad_y = grad_y
        found = self._copy.backward(np.array(grad_y, np.float64))
        for role, gradient in (*self.gradients.items(), ("x", self.grad_x)):
            self._take(role, found, gradient)
        yield from (f"grad_{role}" for role in self.gradients)
        if self.needs_grad_x:
            yield "grad_x"

    def _take(self, role: str, found: dict[str, Array], into: Array) -> None:
        if role not in found and role != "x" and self._copy.worker.updates_itself:
            into.fill(0)  # it took nothing away
            return
        if role not in found:
            raise SubjectError(f"{self._subject.backward_name} gives no gradient of {role}; return or keep it")
        if found[role].shape != into.shape:
            raise SubjectError(
                f"{self._subject.backward_name} gives grad_{role} of shape {found[role].shape}, but {role} has "
                f"{into.shape}; nablascope check tells more"
            )
        np.copyto(into, found[role])


def own_files(layers: Iterable[LayerSpec]) -> tuple[Path, ...]:
    """The files whose code a network of these layers would run, each once."""
    held = (layer for spec in layers for _, layer in spec.inside())
    return tuple(dict.fromkeys(Path(layer.file) for layer in held if isinstance(layer, Custom)))


def take_up_own_code(layers: Iterable[LayerSpec]) -> None:
    """Run the files of own layers as they are now. Raises RecipeError: one sentence with file and line."""
    files = own_files(layers)
    if not files:
        return
    from engine.owncode.as_layer import take_up  # as above

    try:
        take_up(files)
    except SubjectError as error:
        raise RecipeError(f"own layer: {error}") from None


def beside(layers: tuple[LayerSpec, ...], folder: Path) -> tuple[LayerSpec, ...]:
    """The layers, the files of own code looked for in the recipe's folder where their paths are relative."""

    def moved(layer: LayerSpec) -> LayerSpec:
        if isinstance(layer, Custom):
            return msgspec.structs.replace(layer, file=str(folder.resolve() / layer.file))
        held = getattr(layer, "layers", ())
        return msgspec.structs.replace(layer, layers=tuple(map(moved, held))) if held else layer

    return tuple(map(moved, layers))
