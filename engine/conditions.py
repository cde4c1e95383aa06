"""What a breakpoint waits for: a phase of a layer, or a condition over the numbers of a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, TypeAlias

import numpy as np
from msgspec import Meta, Struct

from engine.frames import Phase
from engine.health import dead
from engine.timeline import Timeline
from engine.trainer import Trainer

BEFORE = 10  # mini-batches whose mean loss a rise is measured against
Bound = Annotated[float, Meta(ge=0.0)]


@dataclass(frozen=True)
class Found:
    """What made a condition true: the tensor, and how to say it."""

    tensor: str  # its address; "loss" for the loss itself; "" where only a search through the phases tells
    text: str


class Condition(Struct, frozen=True, kw_only=True, tag=True):
    """The base of all conditions; `layer` limits it to one layer, None: any."""

    layer: int | None = None

    @property
    def title(self) -> str:
        """In words, for a list of breakpoints."""
        raise NotImplementedError

    def find(self, history: Timeline, step: int, trainer: Trainer) -> Found | None:
        """What makes it true in a step of which all numbers are known; None where nothing does."""
        raise NotImplementedError

    def of_layer(self) -> str:
        """ " of layer 2", or nothing."""
        return "" if self.layer is None else f" of layer {self.layer}"

    def _tensors(self, trainer: Trainer) -> Iterator[str]:
        """The addresses of the parameters it speaks of, in the order of backward."""
        for slot in reversed(trainer.network.slots):
            if self.layer in (None, slot.layer):
                yield slot.address


class AtPhase(Condition, frozen=True, kw_only=True):
    """A phase has been computed; a backward phase without `part` when all its parts have been."""

    kind: str
    part: str | None = None

    @property
    def title(self) -> str:
        """Such as "at backward 2 grad_W"."""
        return f"at {Phase(self.kind, self.layer, self.part)}"

    def find(self, history: Timeline, step: int, trainer: Trainer) -> Found | None:
        """Phases are looked at as they come, not at the end of a step."""
        return None

    def meets(self, phase: Phase, ends_operation: bool) -> bool:
        """Whether this is the phase."""
        if phase.kind != self.kind or phase.layer != self.layer:
            return False
        return ends_operation if self.part is None else phase.part == self.part


class NonFinite(Condition, frozen=True, kw_only=True):
    """The first NaN or infinity in any tensor."""

    @property
    def title(self) -> str:
        """In words."""
        return f"first NaN or infinity{self.of_layer()}"

    def find(self, history: Timeline, step: int, trainer: Trainer) -> Found | None:
        """Whether any number that every tensor leaves its mark in is NaN or infinite."""
        marks = ("loss", "parameter.", "gradient.", "update.", "delta.", "mean.")
        row = history.at(step)
        values = [row[i] for i, name in enumerate(history.columns) if name.startswith(marks)]
        return None if np.isfinite(values).all() else Found("", "is NaN or infinite")


class GradientNorm(Condition, frozen=True, kw_only=True):
    """The gradient's norm of a parameter is below or above a bound."""

    below: Bound | None = None
    above: Bound | None = None

    @property
    def title(self) -> str:
        """In words."""
        return f"gradient norm{self.of_layer()} {_outside(self.below, self.above)}"

    def find(self, history: Timeline, step: int, trainer: Trainer) -> Found | None:
        """The first parameter in the order of backward."""
        for address in self._tensors(trainer):
            norm = history.value(f"gradient.{address}", step)
            if _is_outside(norm, self.below, self.above):
                where, _, role = address.partition(".")
                return Found(f"{where}.grad_{role}", f"has the norm {norm:.3g}, {_outside(self.below, self.above)}")
        return None


class UpdateRatio(Condition, frozen=True, kw_only=True):
    """‖Δθ‖/‖θ‖ of a parameter is outside a band. Biases start at 0, so of layers with weights only those count."""

    below: Bound | None = 1e-5
    above: Bound | None = 1e-1

    @property
    def title(self) -> str:
        """In words."""
        return f"update over parameter{self.of_layer()} {_outside(self.below, self.above)}"

    def find(self, history: Timeline, step: int, trainer: Trainer) -> Found | None:
        """The first such parameter in the order of backward."""
        weights = {slot.address for slot in trainer.network.slots if len(slot.parameter.shape) > 1}
        for address in self._tensors(trainer):
            size = history.value(f"parameter.{address}", step)
            if address not in weights or not size > 0:
                continue
            ratio = history.value(f"update.{address}", step) / size
            if _is_outside(ratio, self.below, self.above):
                where, _, role = address.partition(".")
                text = f"is {ratio:.3g} of its parameter, {_outside(self.below, self.above)}"
                return Found(f"{where}.update_{role}", text)
        return None


class DeadUnits(Condition, frozen=True, kw_only=True):
    """More than a share of a ReLU's units is above 0 for no sample of the mini-batch."""

    above: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.5

    @property
    def title(self) -> str:
        """In words."""
        return f"dead units{self.of_layer()} above {self.above:.3g}"

    def find(self, history: Timeline, step: int, trainer: Trainer) -> Found | None:
        """The first such layer."""
        for index in range(len(trainer.recipe.layers)):
            share = dead(history, index, step)
            if self.layer in (None, index) and share > self.above:
                return Found(f"{index}.y", f"is 0 for every sample in {share:.3g} of its units")
        return None


class LossRise(Condition, frozen=True, kw_only=True):
    """The loss of a mini-batch is above the mean of the ten before it by more than a bound."""

    by: Bound

    @property
    def title(self) -> str:
        """In words."""
        return f"loss rises by more than {self.by:.3g}"

    def find(self, history: Timeline, step: int, trainer: Trainer) -> Found | None:
        """The loss; it takes ten mini-batches to compare with."""
        if step <= BEFORE:
            return None
        before = float(np.mean([history.value("loss", k) for k in range(step - BEFORE, step)]))
        rise = history.value("loss", step) - before
        return Found("loss", f"rises by {rise:.3g} over the ten mini-batches before") if rise > self.by else None


class CheckFails(Condition, frozen=True, kw_only=True):
    """The live gradient check fails."""

    @property
    def title(self) -> str:
        """In words."""
        return f"live gradient check fails{self.of_layer()}"

    def find(self, history: Timeline, step: int, trainer: Trainer) -> Found | None:
        """Asked for by the breakpoints, who know the check."""
        return None

    def found(self, tensor: str) -> Found | None:
        """What the check's answer, the address of a wrong gradient or "", means."""
        if not tensor or self.layer not in (None, _layer_of(tensor)):
            return None
        return Found(tensor, "is not the gradient that the numbers say")


LiveCheck = Callable[[Trainer], str]  # the address of a wrong gradient of the present mini-batch, or ""
AnyCondition: TypeAlias = AtPhase | NonFinite | GradientNorm | UpdateRatio | DeadUnits | LossRise | CheckFails


def _layer_of(address: str) -> int | None:
    where = address.partition(".")[0]
    return int(where) if where.isdigit() else None


def _is_outside(value: float, below: float | None, above: float | None) -> bool:
    return isfinite(value) and ((below is not None and value < below) or (above is not None and value > above))


def _outside(below: float | None, above: float | None) -> str:
    """Such as "below 1e-08 or above 10"."""
    bounds = [f"{word} {bound:.3g}" for word, bound in (("below", below), ("above", above)) if bound is not None]
    return " or ".join(bounds) or "nowhere"
