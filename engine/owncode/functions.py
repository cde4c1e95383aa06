"""Form 5 in parts: layers written as functions, and a function with the function of its derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from engine.owncode.arrays import Array
from engine.owncode.blame import blamed
from engine.owncode.construct import INS, OUTS
from engine.owncode.gradients import returned_gradients
from engine.owncode.layers import OwnLayer, Worker, attempt, gradient_array, independent
from engine.owncode.load import Source
from engine.owncode.models import split
from engine.owncode.names import arguments, meaning, plain
from engine.owncode.pairs import Pair
from engine.owncode.setting import Setting, furthest, settings, working
from engine.owncode.slopes import agreement
from engine.subject import SubjectError

Of = Literal["input", "output"]


class DerivativeWorker(Worker):
    """An elementwise function and its derivative: sigmoid and sigmoid_prime, of the input or of the output."""

    def __init__(
        self,
        source: Source,
        names: tuple[str, str],
        function: Callable[..., Any],
        derivative: Callable[..., Any],
        of: Of,
    ) -> None:
        self.source, self.names, self.function, self.derivative, self.of = source, names, function, derivative, of
        self.parameters = {}

    def forward(self, x: Array) -> Any:
        """f(x)."""
        self.x = x
        with blamed(self.source.path, self.names[0]):
            self.y, _ = split(self.function(x))
        return self.y

    def backward(self, grad_y: Array) -> dict[str, Array]:
        """grad_y ⊙ f′, or grad_y times a Jacobian for each sample where the code gives one."""
        with blamed(self.source.path, self.names[1]):
            found = self.derivative(self.x if self.of == "input" else self.y)
        slope = gradient_array(found, self.source.at(self.names[1]))
        if slope.ndim == grad_y.ndim + 1 and len(slope) == len(grad_y):
            return {"x": np.einsum("bij,bi->bj", slope, grad_y)}
        if slope.ndim == 0 or slope.shape != grad_y.shape:
            raise SubjectError(
                f"{self.source.at(self.names[1])} returns shape {slope.shape} for an input of {grad_y.shape}; return "
                "the derivative at each entry"
            )
        return {"x": grad_y * slope}


def find_derivative(
    source: Source, name: str, names: tuple[str, str], function: Callable[..., Any], derivative: Callable[..., Any],
    usual: Setting | None, form: int = 5,
) -> OwnLayer:  # fmt: skip
    """A function and its derivative as a layer; the derivative is of the input unless only the output fits."""
    ats = (source.at(names[0]), source.at(names[1]))

    def make(of: Of) -> Callable[[Setting], OwnLayer]:
        worker = lambda: DerivativeWorker(source, names, function, derivative, of)  # noqa: E731
        return lambda setting: OwnLayer(name, form, worker, setting, ats)

    subject = _first(make("input"), [INS], usual)
    if agreement(subject) != "same":
        try:
            other = _first(make("output"), [INS], usual)
        except SubjectError:
            return subject
        if agreement(other) == "same":
            return other
    return subject


def _first(make: Callable[[Setting], OwnLayer], sizes: list[int], usual: Setting | None) -> OwnLayer:
    """The first setting that works, that of the file before others, with samples independent before others."""
    works, _ = working(settings(sizes, sizes, []), lambda s: attempt(make, s))
    found = [result for _, result in works]
    subjects = [(subject, independent(subject, x, y)) for subject, x, y, _, _ in found]
    as_usual = [s for s, _ in subjects if usual is not None and s.setting.layout == usual.layout]
    chosen: OwnLayer = (as_usual or [s for s, alone in subjects if alone] or [subjects[0][0]])[0]
    return chosen


# --- layers as functions: affine_forward(x, W, b) → y, cache; affine_backward(grad_y, cache) -------


class FunctionWorker(Worker):
    """A forward with its parameters as arguments, and a backward that is given grad_y and what it needs by name."""

    def __init__(self, source: Source, pair: Pair, parameters: dict[str, Array]) -> None:
        self.source, self.pair = source, pair
        self.parameters = {name: value.copy() for name, value in parameters.items()}
        functions = source.own_functions
        self.function, self.gradient = functions[pair.forward], functions[pair.backward]

    def forward(self, x: Array) -> Any:
        """The output; a cache that comes with it is kept."""
        self.x = x
        with blamed(self.source.path, self.pair.forward):
            returned = self.function(x, *self.parameters.values())
        self.y, self.cache = returned[0] if isinstance(returned, tuple) else returned, returned
        if isinstance(returned, tuple):
            self.cache = returned[1] if len(returned) == 2 else returned[1:]
        return self.y

    def backward(self, grad_y: Array) -> dict[str, Array]:
        """Gradients by role; what a backward wants is told by the names of its arguments."""
        known = {plain(name): value for name, value in self.parameters.items()}
        first = arguments(self.function)[0].name
        known |= {plain(first): self.x}
        values: list[Any] = []
        spare: list[Any] = [self.cache if isinstance(self.cache, tuple | dict | list) else self.x, self.x]
        for parameter in arguments(self.gradient):
            kind = meaning(parameter.name)
            if kind == "grad" and not any(value is grad_y for value in values):
                values.append(grad_y)
            elif plain(parameter.name) in known:
                values.append(known[plain(parameter.name)])
            elif kind == "cache":
                values.append(self.cache)
            elif kind == "prediction" and parameter.name.lower() not in {"x", "z"}:
                values.append(self.y)
            elif spare:
                values.append(spare.pop(0))
        with blamed(self.source.path, self.pair.backward):
            returned = self.gradient(*values)
        if isinstance(returned, tuple | list | dict):
            shapes = {name: value.shape for name, value in self.parameters.items()}
            return returned_gradients(returned, self.source.returned_names(self.pair.backward), self.x.shape, shapes)
        return {"x": gradient_array(returned, self.source.at(self.pair.backward))}


def find_function_layer(source: Source, pair: Pair, usual: Setting | None) -> OwnLayer:
    """A layer written as two functions. Raises SubjectError where it cannot be run."""
    failures: list[SubjectError] = []
    functions = source.own_functions
    names = [p.name for p in arguments(functions[pair.forward])][1:]
    ats = (source.at(pair.forward), source.at(pair.backward))
    for parameters in _parameters(names):

        def make(setting: Setting, given: dict[str, Array] = parameters) -> OwnLayer:
            return OwnLayer(pair.forward, 5, lambda: FunctionWorker(source, pair, given), setting, ats)

        sizes = [d for value in parameters.values() if value.ndim > 1 for d in value.shape] or [INS]
        try:
            return _first(make, sizes, usual if not names else None)
        except SubjectError as error:
            failures.append(error)
    raise furthest(failures)


def _parameters(names: list[str]) -> list[dict[str, Array]]:
    """Parameters for arguments of these names: (in, out) and (out,), then the ways to turn them round."""
    rng = np.random.default_rng(7)
    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((INS, OUTS), (OUTS,)), ((INS, OUTS), (1, OUTS)), ((OUTS, INS), (OUTS, 1)), ((OUTS, INS), (OUTS,)),
    ]  # fmt: skip
    if not names:
        return [{}]
    if any(plain(name) in {"gamma", "beta"} for name in names):
        return [{name: rng.standard_normal(shape) for name in names} for shape in ((INS,), (1, INS), (INS, 1))]
    return [
        {name: rng.standard_normal(wide if plain(name)[:1] == "w" else narrow) for name in names}
        for wide, narrow in shapes
    ]
