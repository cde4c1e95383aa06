"""An object of a user's class at work: its methods called with what their arguments are named for."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from engine.owncode.arrays import Array, Randomness, Slot, all_arrays, as_float64, get, put, slots, walk
from engine.owncode.blame import blamed
from engine.owncode.gradients import kept_gradients, returned_gradients
from engine.owncode.layers import Worker, gradient_array
from engine.owncode.load import Source
from engine.owncode.names import RATES, arguments, flags, is_input_gradient, meaning
from engine.subject import SubjectError

OUTPUTS = ("output", "outputs", "out", "y", "a", "activation", "result")  # where a forward that returns None keeps it


class Template:
    """An instance as it was constructed, of which every worker gets its own deep copy."""

    def __init__(self, source: Source, instance: Any, forward: str, backward: str) -> None:
        self.source, self.instance, self.forward, self.backward = source, instance, forward, backward
        self.module = source.module.__name__
        self.what_forward = source.at(source.method(type(instance), forward))
        self.what_backward = source.at(source.method(type(instance), backward))
        self.slots: list[Slot] = slots(instance, self.module)
        as_float64(self.instance, self.slots)
        inside = dict(walk(instance, self.module))
        self.randomness = Randomness({**vars(source.module), **inside})

    def fresh(self) -> Any:
        """A deep copy. Raises SubjectError where the object cannot be copied."""
        name = type(self.instance).__name__
        self.randomness.rewind()
        with blamed(self.source.path, f"{name} cannot be copied (copy.deepcopy)"):
            return copy.deepcopy(self.instance)

    def warmed(self, x: Array) -> Template:
        """As this one, but with the parameters that a first forward makes."""
        instance = self.fresh()
        with blamed(self.source.path, self.source.method(type(instance), self.forward)):
            getattr(instance, self.forward)(x)
        return Template(self.source, instance, self.forward, self.backward)


class ObjectWorker(Worker):
    """One copy of an object; `backward` fills its arguments by their names: input, gradient, learning rate."""

    def __init__(self, template: Template) -> None:
        self.template, self.source = template, template.source
        self.target = template.fresh()
        self.parameters: dict[str, Array] = {s.role: get(self.target, s.path) for s in template.slots}
        self.x: Array | None = None
        self.updates_itself: bool | None = None

    def forward(self, x: Array) -> Any:
        """The call itself; where it returns None, what it left in self.output."""
        self.x = x
        method = getattr(self.target, self.template.forward)
        with blamed(self.source.path, self._named(self.template.forward)):
            y = method(x, **flags(method))
        if y is None:
            kept = (getattr(self.target, name, None) for name in OUTPUTS)
            y = next((value for value in kept if isinstance(value, np.ndarray)), None)
        return y

    def backward(self, grad_y: Array) -> dict[str, Array]:
        """Gradients of the input and the parameters; on a deep copy where the object updates itself."""
        if self.updates_itself is None:
            self.updates_itself = self._updates_itself(grad_y)
        worker = self._copy() if self.updates_itself else self.target
        before = {p: np.array(v) for p, v in all_arrays(worker, self.template.module).items()}
        if self.updates_itself:
            self._set_rate(worker)
        elif callable(getattr(worker, "zero_grad", None)) and not arguments(worker.zero_grad):
            worker.zero_grad()
        returned = self._call(worker, grad_y)
        found = self._named_gradients(worker, returned, before)
        if self.updates_itself:
            for slot in self.template.slots:
                now = np.asarray(get(worker, slot.path))
                if now.shape != before[slot.path].shape or not np.array_equal(now, before[slot.path]):
                    found[slot.role] = before[slot.path] - now
        return found

    def _named_gradients(self, worker: Any, returned: Any, before: dict[Any, Array]) -> dict[str, Array]:
        kept = kept_gradients(worker, self.template.slots, self.template.module, before)
        kept = {role: value for role, value in kept.items() if not self.updates_itself}
        shapes = {s.role: self.parameters[s.role].shape for s in self.template.slots if s.role not in kept}
        assert self.x is not None
        if isinstance(returned, dict | list | tuple):
            qualified = self.source.method(type(worker), self.template.backward)
            names = self.source.returned_names(qualified)
            kept = returned_gradients(returned, names, self.x.shape, shapes) | kept
        elif returned is not None:
            kept["x"] = gradient_array(returned, self.template.what_backward)
        if "x" not in kept:
            now = all_arrays(worker, self.template.module)
            named = (v for p, v in now.items() if isinstance(p[-1], str) and is_input_gradient(p[-1]))
            first = next(named, None)
            kept |= {} if first is None else {"x": np.asarray(first)}
        return kept

    # --- the call ---------------------------------------------------------------------------------

    def _call(self, worker: Any, grad_y: Array) -> Any:
        method = getattr(worker, self.template.backward)
        with blamed(self.source.path, self._named(self.template.backward)):
            return method(*fill(method, {"grad": grad_y, "x": self.x, "rate": 1.0}, ("x", "grad")))

    def _copy(self) -> Any:
        """A deep copy after forward that shares the input it was given, so that a change of it is seen."""
        with blamed(self.source.path, f"{type(self.target).__name__} cannot be copied"):
            return copy.deepcopy(self.target, {id(self.x): self.x})

    def _updates_itself(self, grad_y: Array) -> bool:
        """Whether backward changes the parameters; tried on a copy."""
        worker = self._copy()
        before = {slot.path: np.array(get(worker, slot.path)) for slot in self.template.slots}
        assert self.x is not None
        kept = self.x.copy()
        self._call(worker, grad_y.copy())
        if not np.array_equal(self.x, kept, equal_nan=True):
            self.x[...] = kept
        return any(not np.array_equal(get(worker, path), value) for path, value in before.items())

    def _set_rate(self, worker: Any) -> None:
        """Learning rate 1, wherever this object keeps it. Raises SubjectError where it cannot be found."""
        set_any = False
        for path, value in list(walk(worker, self.template.module)):
            if str(path[-1]).strip("_").lower() in RATES and isinstance(value, float | int):
                set_any = put(worker, path, 1.0) or set_any
        for name, value in (item for cls in type(worker).__mro__ for item in vars(cls).items()):
            if name.strip("_").lower() in RATES and isinstance(value, float | int):
                set_any = put(worker, (name,), 1.0)
        method = getattr(worker, self.template.backward)
        if set_any or any(meaning(p.name) == "rate" for p in arguments(method, all_of_them=True)):
            return
        names = vars(self.source.module)
        rates = [n for n, v in names.items() if n.lower() in RATES and isinstance(v, float | int)]
        for name in rates:
            names[name] = 1.0
        if not rates:
            raise SubjectError(
                f"{self.template.what_backward} changes the parameters, but with which learning rate cannot be told; "
                "keep it in self.learning_rate"
            )

    def _named(self, method: str) -> str:
        return self.source.method(type(self.target), method)


def fill(function: Callable[..., Any], values: dict[str, Any], order: tuple[str, ...]) -> list[Any]:
    """Values for a function's required arguments: by what their names mean, the rest in the order given.

    Optional learning rates are filled too where they stand next. Raises SubjectError for what cannot be told.
    """
    wanted = arguments(function)
    chosen: list[str] = ["" for _ in wanted]
    for k, parameter in enumerate(wanted):
        known = meaning(parameter.name)
        if known in values and known not in chosen:
            chosen[k] = known
    if len(wanted) == 1 and chosen[0] in ("", "x"):
        chosen[0] = order[-1]  # whatever its name: a backward with one argument gets what flows backward
    free = [key for key in order if key not in chosen]
    for k, parameter in enumerate(wanted):
        if not chosen[k]:
            if not free:
                name = getattr(function, "__qualname__", "the function")
                raise SubjectError(f"{name}: what its argument {parameter.name} is cannot be told from its name")
            chosen[k] = free.pop(0)
    filled = [values[key] for key in chosen]
    optional = arguments(function, all_of_them=True)[len(wanted) : len(wanted) + 1]
    takes_rate = "rate" in values and optional and meaning(optional[0].name) == "rate"
    if takes_rate and optional[0].kind is not inspect.Parameter.KEYWORD_ONLY:
        filled.append(values["rate"])
    return filled
