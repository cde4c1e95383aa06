"""Form 4, a whole model with its loss as a class, and form 5, the same as plain functions of x, y and parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from engine.generators import seed_globals
from engine.owncode.arrays import Array, Randomness, Slot, all_arrays, as_float64, get, put, slots, walk
from engine.owncode.blame import blamed
from engine.owncode.gradients import kept_gradients, returned_gradients
from engine.owncode.load import Source
from engine.owncode.losses import LossSetting, Reduction, Targets, draw_targets, how_used, reduced
from engine.owncode.names import RATES, arguments, flags
from engine.owncode.objects import fill
from engine.owncode.setting import BACKWARD_RAISED, BACKWARD_WRONG, NOT_FINITE, RAISED, WRONG_KIND, Setting, UnfitError
from engine.subject import Copy, Subject, SubjectError

KINDS: tuple[Targets, ...] = ("labels", "onehot", "values", "bits")


@dataclass(frozen=True)
class Call:
    """One function of a model: a method of its object, or a plain function; `name` as its author calls it."""

    name: str
    method: str = ""  # of the object; "" for a plain function
    function: Callable[..., Any] | None = None
    holder: str = ""  # an attribute of the object that holds the loss

    def bound(self, state: Any) -> Callable[..., Any]:
        """The function itself, bound to one copy of the object."""
        owner = getattr(state, self.holder) if self.holder else state
        found = getattr(owner, self.method) if self.method else self.function or owner
        assert callable(found)
        return found


@dataclass(frozen=True)
class ModelCode:
    """What makes up a model: its state (an object, or {"params": …}), and its three functions."""

    source: Source
    name: str
    form: int
    state: Any
    forward: Call
    loss: Call | None  # None: forward is the loss
    backward: Call

    def fresh(self) -> Any:
        """A deep copy of the state."""
        self.randomness.rewind()
        with blamed(self.source.path, f"{self.name} cannot be copied (copy.deepcopy)"):
            return copy.deepcopy(self.state)

    @cached_property
    def randomness(self) -> Randomness:
        """The generators that the file or the object holds."""
        module = self.source.module
        return Randomness({**vars(module), **dict(walk(self.state, module.__name__))})


class OwnModel(Subject):
    """A model of a user's file: its loss, and the gradients of its parameters."""

    family: Literal["layer", "loss", "model"] = "model"

    def __init__(self, code: ModelCode, setting: LossSetting) -> None:
        self.code, self.name, self.form, self.setting = code, code.name, code.form, setting
        self.slots: list[Slot] = slots(code.state, code.source.module.__name__)
        as_float64(code.state, self.slots)
        self.roles: set[str] | None = None
        self.forward_name = code.source.at((code.loss or code.forward).name)
        self.backward_name = code.source.at(code.backward.name)

    def copy(self) -> OwnModelCopy:
        """One copy of the object or the parameters."""
        return OwnModelCopy(self)

    def draw(self, rng: np.random.Generator, batch: int) -> tuple[Array, Array]:
        """Inputs and targets that the model takes."""
        x = self.setting.data.draw(rng, batch)
        outputs = self._outputs(x)
        return x, draw_targets(self.setting.targets, np.zeros((len(x), *outputs)), rng)

    def _outputs(self, x: Array) -> tuple[int, ...]:
        worker = self.copy()
        prediction = worker.predict(x)
        if not isinstance(prediction, np.ndarray) or prediction.ndim == 0:
            return (3,)  # the code hides its outputs: a guess, tried like all else
        return self.setting.data.take(prediction).shape[1:]


class OwnModelCopy(Copy):
    """One model at work, handed samples as rows."""

    def __init__(self, subject: OwnModel) -> None:
        self.subject, self.code = subject, subject.code
        self.state = subject.code.fresh()
        wanted = [s for s in subject.slots if subject.roles is None or s.role in subject.roles]
        self.parameters = {slot.role: get(self.state, slot.path) for slot in wanted}
        self.values: dict[str, Any] = {}

    def predict(self, x: Array) -> Any:
        """What forward gives, without what it keeps for backward."""
        data = self.subject.setting.data
        self.values = {"x": data.give(x), "rate": 1.0}
        if not isinstance(self.state, dict) or "params" not in self.state:
            self.values["params"] = None
        else:
            self.values["params"] = self.state["params"]
        if self.code.loss is None:
            return None
        returned = self._call(self.code.forward, self.state, ("x", "params"))
        self.values["prediction"], self.values["cache"] = split(returned)
        return self.values["prediction"]

    def forward(self, x: Array, targets: Array | None = None) -> Array:
        """The loss, shape ()."""
        assert targets is not None
        prediction = self.predict(x)
        self.values["target"] = self.subject.setting.data.give(targets)
        if self.code.loss is None:
            value = self._call(self.code.forward, self.state, ("x", "target", "params"))
        elif not isinstance(prediction, np.ndarray):
            raise SubjectError(
                f"{self.code.source.at(self.code.forward.name)} returns {_kind(prediction)}; return the outputs as a "
                "NumPy array"
            )
        else:
            value = self._call(self.code.loss, self.state, ("prediction", "target", "x", "params"))
        if isinstance(value, tuple):
            value = value[0]
        return reduced(value, self.subject.setting.reduction, len(x), self.subject.forward_name)

    def backward(self, grad_y: Array) -> dict[str, Array]:
        """Gradients of the parameters, of the last forward."""
        state = copy.deepcopy(self.state, {id(v): v for v in self.values.values() if isinstance(v, np.ndarray)})
        module = self.code.source.module.__name__
        updates_itself = self._set_rate(state)
        before = {path: np.array(value) for path, value in all_arrays(state, module).items()}
        held = self.values
        self.values = held | {"params": state["params"] if isinstance(state, dict) and "params" in state else None}
        try:
            returned = self._call(self.code.backward, state, ("x", "target", "params", "cache", "prediction"))
        finally:
            self.values = held
        found = self._found(returned, state, before, updates_itself)
        return {r: np.array(g, np.float64) * grad_y for r, g in found.items() if r in self.parameters}

    def _found(self, returned: Any, state: Any, before: dict[Any, Array], rate_known: bool) -> dict[str, Array]:
        """Gradients by role: returned, kept, or what an update with learning rate 1 took away."""
        wanted, module = self.subject.slots, self.code.source.module.__name__
        if isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[0], float | np.floating):
            returned = returned[1]  # (loss, gradients)
        shapes = {slot.role: before[slot.path].shape for slot in wanted}
        if isinstance(returned, dict | list | tuple | np.ndarray):
            found = returned_gradients(returned, self._returned_names(), None, shapes)
            if found:
                return found
        changed = {
            slot.role: before[slot.path] - np.asarray(get(state, slot.path))
            for slot in wanted
            if not np.array_equal(before[slot.path], np.asarray(get(state, slot.path)))
        }
        if changed and not rate_known:
            raise SubjectError(
                f"{self.subject.backward_name} changes the parameters, but with which learning rate cannot be told; "
                "keep it in self.learning_rate, or return the gradients"
            )
        return changed or kept_gradients(state, wanted, module, before)

    def _returned_names(self) -> list[str]:
        return self.code.source.returned_names(self.code.backward.name)

    def _set_rate(self, state: Any) -> bool:
        """Learning rate 1 wherever the model keeps one; whether there is one."""
        known = any(p.name.lower() in RATES for p in arguments(self.code.backward.bound(state), all_of_them=True))
        for path, value in list(walk(state, self.code.source.module.__name__)):
            if str(path[-1]).strip("_").lower() in RATES and isinstance(value, float | int):
                known = put(state, path, 1.0) or known
        return known

    def _call(self, call: Call, state: Any, order: tuple[str, ...]) -> Any:
        function = call.bound(state)
        values = {key: value for key, value in self.values.items() if value is not None or key == "cache"}
        values["grad"] = np.ones(())
        with blamed(self.code.source.path, call.name):
            return function(*fill(function, values, tuple(k for k in order if k in values)), **flags(function))


def split(returned: Any) -> tuple[Any, Any]:
    """The outputs and the cache in what a forward returns: y, (y, cache), (zs, activations), [activations]."""
    pair = isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[0], np.ndarray)
    if pair and not isinstance(returned[1], np.ndarray):
        return returned  # type: ignore[no-any-return]
    last = returned
    while isinstance(last, list | tuple) and last:
        last = last[-1]
    if isinstance(last, dict) and last:
        last = list(last.values())[-1]
    return last, returned


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def attempt(code: ModelCode, setting: LossSetting) -> OwnModel:
    """The model, run once forward and backward. Raises UnfitError."""
    subject = OwnModel(code, setting)
    with np.errstate(all="ignore"):
        try:
            x, targets = subject.draw(np.random.default_rng(1), setting.data.batch)
            worker = subject.copy()
            value = worker.forward(x, targets)
        except SubjectError as error:
            raise UnfitError(WRONG_KIND if " returns " in str(error) else RAISED, error) from error
        if not np.isfinite(value):
            raise UnfitError(NOT_FINITE, f"{subject.forward_name} returns {value} for ordinary inputs")
        try:
            gradients = worker.backward(np.ones(()))
        except SubjectError as error:
            raise UnfitError(BACKWARD_RAISED, error) from error
    if not gradients:
        raise UnfitError(
            BACKWARD_WRONG,
            f"{subject.backward_name} returns None; return the gradients of the parameters, in their order",
        )
    subject.roles = _moving(subject, x, targets) & set(gradients)
    if not subject.roles:
        raise UnfitError(
            BACKWARD_WRONG, f"{subject.backward_name} gives no gradient of an array that the loss hangs on"
        )
    return subject


def _moving(subject: OwnModel, x: Array, targets: Array) -> set[str]:
    """The parameters that the loss hangs on."""
    seed_globals()
    base = subject.copy().forward(x, targets)
    found = set()
    for role in subject.copy().parameters:
        worker = subject.copy()
        array = worker.parameters[role]
        array += (0.1 * np.random.default_rng(2).standard_normal(array.shape) + 0.5).astype(array.dtype)
        try:
            seed_globals()
            with np.errstate(all="ignore"):
                moved = worker.forward(x, targets)
        except SubjectError:
            continue
        if not np.array_equal(moved, base, equal_nan=True):
            found.add(role)
    return found


def loss_settings(
    source: Source, code: ModelCode, data: list[Setting], kinds: tuple[Targets, ...]
) -> Iterator[LossSetting]:
    """Every way to feed a model: its data, the kind of its targets, and what is averaged."""
    name = (code.loss or code.forward).name
    used: Reduction = how_used(source, name) if "." not in name else ""
    for setting in data:
        ordered = ("onehot", "labels", "values", "bits") if setting.layout == "columns" else kinds
        for kind in ordered:
            yield LossSetting(replace(setting, domain="normal"), kind, used or "mean")
