"""Forms 1 to 3, and layers written as functions: any forward with its backward, as a Subject of the check.

1  forward(x), backward(grad_y); gradients kept in the object or returned
2  forward(input), backward(input, grad_output); updates itself with self.learning_rate
3  forward(input), backward(output_gradient, learning_rate); updates itself

Where a layer updates itself, the gradient is what one update with learning rate 1 takes away from a deep copy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from engine.generators import seed_globals
from engine.owncode.arrays import Array
from engine.owncode.setting import (
    BACKWARD_RAISED,
    BACKWARD_WRONG,
    NOT_FINITE,
    RAISED,
    WRONG_KIND,
    Setting,
    UnfitError,
    output_of,
    plain_array,
)
from engine.subject import Copy, Subject, SubjectError


class Worker(ABC):
    """The code at work on one copy of its parameters, in its own layout; what it raises is told as a sentence."""

    parameters: dict[str, Array]
    updates_itself: bool | None = None  # whether backward changes the parameters; None until it was tried

    @abstractmethod
    def forward(self, x: Array) -> Any:
        """What the code's forward returns. Raises SubjectError."""

    @abstractmethod
    def backward(self, grad_y: Array) -> dict[str, Array]:
        """Gradients by role, of the last forward. Raises SubjectError."""


class OwnLayer(Subject):
    """A layer of a user's file."""

    family: Literal["layer", "loss", "model"] = "layer"

    def __init__(self, name: str, form: int, make: Callable[[], Worker], setting: Setting, names: tuple[str, str]):
        self.name, self.form, self.make, self.setting = name, form, make, setting
        self.forward_name, self.backward_name = names  # with file and line, to begin a sentence with
        self.roles: set[str] | None = None  # of the parameters; None: all the worker has
        self.refusal = ""  # why it cannot be run on a mini-batch, where it takes one sample at a time
        self.averages = False  # its parameter gradients are meant as means over the mini-batch

    def copy(self) -> OwnLayerCopy:
        """A worker on its own copy."""
        return OwnLayerCopy(self)

    def draw(self, rng: np.random.Generator, batch: int) -> tuple[Array, None]:
        """Inputs that the layer takes, (B, *shape)."""
        return self.setting.draw(rng, batch), None


class OwnLayerCopy(Copy):
    """One worker, handed samples as rows whatever its layout."""

    def __init__(self, subject: OwnLayer) -> None:
        self.subject, self.worker = subject, subject.make()
        roles = subject.roles
        self.parameters = {r: v for r, v in self.worker.parameters.items() if roles is None or r in roles}

    def forward(self, x: Array, targets: Array | None = None) -> Array:
        """y (B, *out), a copy."""
        setting = self.subject.setting
        value = self.worker.forward(setting.give(x))
        y = output_of(value, setting, len(x), self.subject.forward_name)
        return np.array(setting.take(y), np.float64)

    def backward(self, grad_y: Array) -> dict[str, Array]:
        """Gradients, copies; the input's with samples as rows."""
        setting = self.subject.setting
        found = self.worker.backward(setting.give(grad_y))
        roles = {"x", *self.parameters}
        gradients = {role: np.array(gradient, np.float64) for role, gradient in found.items() if role in roles}
        if "x" in gradients:
            gradients["x"] = np.array(setting.take(gradients["x"]))
        if self.subject.averages:
            gradients |= {role: gradients[role] * len(grad_y) for role in self.parameters if role in gradients}
        return gradients


def attempt(
    make: Callable[[Setting], OwnLayer], setting: Setting
) -> tuple[OwnLayer, Array, Array, Array, dict[str, Array]]:
    """Forward and backward once: the subject, x, y, grad_y and the gradients. Raises UnfitError where that fails."""
    subject = make(setting)
    rng = np.random.default_rng(1)
    with np.errstate(all="ignore"):
        x, _ = subject.draw(rng, setting.batch)
        y, worker = _forward(subject, x)
        if not np.isfinite(y).all():
            raise UnfitError(NOT_FINITE, f"{subject.forward_name} returns NaN or infinity for ordinary inputs")
        grad_y = rng.standard_normal(y.shape)
        try:
            gradients = worker.backward(grad_y)
        except SubjectError as error:
            raise UnfitError(BACKWARD_RAISED, error) from error
    if "x" not in gradients:
        raise UnfitError(
            BACKWARD_WRONG,
            f"{subject.backward_name} returns None; return the gradient with respect to the layer's input",
        )
    return subject, x, y, grad_y, gradients


def _forward(subject: OwnLayer, x: Array) -> tuple[Array, OwnLayerCopy]:
    try:
        worker = subject.copy()
        seed_globals()
        raw = worker.worker.forward(subject.setting.give(x))
    except SubjectError as error:
        raise UnfitError(RAISED, error) from error
    try:
        y = output_of(raw, subject.setting, len(x), subject.forward_name)
    except SubjectError as error:
        raise UnfitError(WRONG_KIND, error) from error
    return np.array(subject.setting.take(y), np.float64), worker


def independent(subject: OwnLayer, x: Array, y: Array) -> bool:
    """Whether one sample's output hangs on that sample alone, as of a layer with this layout (batch norm aside)."""
    if len(x) == 1:
        return True
    moved = x.copy()
    moved[0] = moved[0][::-1] * 0.7 if subject.setting.domain != "normal" else moved[0] + 1.0
    try:
        seed_globals()
        other = subject.copy().forward(moved)
    except SubjectError:
        return False
    return other.shape == y.shape and bool(np.allclose(other[1:], y[1:], rtol=1e-9, atol=1e-12))


def influential(subject: OwnLayer, x: Array, y: Array) -> set[str]:
    """The roles of the arrays that forward's output hangs on: its parameters."""
    found = set()
    rng = np.random.default_rng(2)
    for role in subject.copy().parameters:
        worker = subject.copy()
        array = worker.parameters[role]
        array += np.ceil(np.abs(rng.standard_normal(array.shape))).astype(array.dtype)
        try:
            seed_globals()
            with np.errstate(all="ignore"):
                moved = worker.forward(x)
        except SubjectError:
            continue
        if moved.shape != y.shape or not np.array_equal(moved, y, equal_nan=True):
            found.add(role)
    return found


def gradient_array(value: Any, what: str) -> Array:
    """What a backward returned as the input's gradient, as an array. Raises SubjectError."""
    return plain_array(value, what, "the gradient with respect to the layer's input")
