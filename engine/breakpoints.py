"""Breakpoints: where stepping stops by itself, on the phase and the tensor that are the cause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from engine.conditions import AnyCondition, AtPhase, CheckFails, DeadUnits, Found, LiveCheck, NonFinite
from engine.frames import Array, Phase, Position
from engine.timeline import RunError
from engine.trainer import Trainer

if TYPE_CHECKING:
    from engine.recorder import Recorder


class Breakpoint(msgspec.Struct):
    """A condition with its hit count, as it is kept with a session.

    `kind` is that of the layer it speaks of, so that a layer since removed, or moved, is noticed.
    """

    condition: AnyCondition
    enabled: bool = True
    hits: int = 0
    kind: str | None = None

    @property
    def title(self) -> str:
        """In words, for a list."""
        return self.condition.title


@dataclass(frozen=True)
class Hit:
    """Where stepping stopped and why."""

    breakpoint: Breakpoint
    position: Position
    phase: Phase
    tensor: str  # the address of the tensor that is the cause; "" at a phase
    sentence: str


class Breakpoints:
    """The breakpoints of a run, in the order they were set."""

    def __init__(self, trainer: Trainer, health: bool) -> None:
        self._trainer, self._health = trainer, health
        self._all: list[Breakpoint] = []
        self._landed: dict[int, int] = {}  # by the breakpoint's id: the step it stopped in the middle of

    def __iter__(self) -> Iterator[Breakpoint]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def add(self, condition: AnyCondition) -> Breakpoint:
        """A new one. Raises RunError where there is no such layer or phase."""
        found = Breakpoint(condition)
        if sentence := self.problem(found):
            raise RunError(sentence)
        if condition.layer is not None:
            found.kind = self._trainer.recipe.layers[condition.layer].kind()
        self._all.append(found)
        return found

    def keep(self, found: Breakpoint) -> str:
        """Take one of another run over; without its layer it is kept disabled: returns the sentence, or ""."""
        sentence = self.problem(found)
        found.enabled = found.enabled and not sentence
        self._all.append(found)
        return sentence

    def remove(self, found: Breakpoint) -> None:
        """Take one away. Raises RunError where it is not there."""
        if not any(found is known for known in self._all):
            raise RunError(f"the breakpoint {found.title} has been removed already; choose one of the list")
        self._all = [known for known in self._all if known is not found]

    def enable(self, found: Breakpoint, enabled: bool = True) -> None:
        """Let one stop, or not. Raises RunError where its layer is no more."""
        if enabled and (sentence := self.problem(found)):
            raise RunError(sentence)
        found.enabled = enabled

    def problem(self, found: Breakpoint) -> str:
        """A sentence where a breakpoint does not fit the network; else ""."""
        condition, layers = found.condition, self._trainer.recipe.layers
        if condition.layer is not None:
            there = 0 <= condition.layer < len(layers)
            if not there or found.kind not in (None, layers[condition.layer].kind()):
                kind = f" ({found.kind})" if found.kind else ""
                return (
                    f"breakpoint {found.title}: layer {condition.layer}{kind} is no more; remove it or set it elsewhere"
                )
        if isinstance(condition, DeadUnits) and not self._health:
            return f"breakpoint {found.title}: dead units are not recorded; make the run with health=True"
        if isinstance(condition, AtPhase) and not any(condition.meets(p, True) for p in self._trainer.all_phases):
            return f"breakpoint {found.title}: there is no such phase; choose one such as {self._trainer.all_phases[1]}"
        return ""

    # --- stopping ---------------------------------------------------------------------------------

    def forget_landings(self) -> None:
        """One has gone elsewhere: what was passed may stop again."""
        self._landed.clear()

    @property
    def at_phases(self) -> list[Breakpoint]:
        """Those that stop at a phase."""
        return [b for b in self._all if b.enabled and isinstance(b.condition, AtPhase)]

    def at(self, waiting: list[Breakpoint], recorder: Recorder, phase: Phase, ends_operation: bool) -> Hit | None:
        """Whether one of the `waiting` stops at the phase just computed."""
        for found in waiting:
            condition = found.condition
            if isinstance(condition, AtPhase) and condition.meets(phase, ends_operation):
                return self._hit(found, recorder, Found("", ""))
        return None

    def after_step(self, recorder: Recorder, live_check: LiveCheck | None) -> Hit | None:
        """Look at the step just completed; where a condition has come true, go to the phase that is the cause."""
        step, history = recorder.trainer.step_count, recorder.path.history
        causes: list[tuple[int, Breakpoint, Found]] = []
        for found in self._all:
            condition = found.condition
            if not found.enabled or isinstance(condition, AtPhase) or self._landed.pop(id(found), None) == step:
                continue
            if isinstance(condition, CheckFails):
                cause = condition.found(live_check(self._trainer)) if live_check else None
            else:
                cause = condition.find(history, step, self._trainer)
                if cause and step > 1 and condition.find(history, step - 1, self._trainer):
                    cause = None  # it was true before: not news
            if cause:
                causes.append((self._made_by(cause), found, cause))
        for number, found, cause in sorted(causes, key=lambda c: c[0]):
            there = self._go(recorder, step, number, found, cause)
            if there is not None:
                return self._hit(found, recorder, there)
        return None

    def _made_by(self, cause: Found) -> int:
        """The number of the phase that computes the tensor; −1 where it must be searched for."""
        if cause.tensor == "loss":
            return self._trainer.all_phases.index(Phase("loss"))
        info = self._trainer.tensor_infos.get(cause.tensor)
        return -1 if info is None else info.made_by

    def _go(self, recorder: Recorder, step: int, number: int, found: Breakpoint, cause: Found) -> Found | None:
        """Be where the cause was computed; None, and at the step's end, where it cannot be found."""
        if not isinstance(found.condition, NonFinite):
            recorder.go(Position(step, number))
            return cause
        for place in range(len(self._trainer.all_phases)):
            recorder.go(Position(step, place))
            bad = first_bad(self._trainer, place, found.condition.layer)
            if bad:
                return Found(bad, cause.text)
        return None

    def _hit(self, found: Breakpoint, recorder: Recorder, cause: Found) -> Hit:
        found.hits += 1
        self._landed[id(found)] = recorder.trainer.step_count
        phase = recorder.trainer.phase or Phase("batch")
        what = f": {cause.tensor} {cause.text}" if cause.text else ""
        step = f"step {recorder.trainer.step_count:,}"
        where = f"at {phase}, {step}" if isinstance(found.condition, AtPhase) else f"at {step}, {phase}"
        why = "" if isinstance(found.condition, AtPhase) else f": {found.title}"
        sentence = f"Stopped {where}{why}{what}."
        return Hit(found, recorder.here, phase, cause.tensor, sentence)


def first_bad(trainer: Trainer, number: int, layer: int | None = None) -> str:
    """The first tensor of those computed in a phase that holds NaN or infinity, by address; "" where none does.

    In the first phase parameters and buffers count too: they were there before. `layer`: only that layer's.
    """
    phase = trainer.all_phases[number]
    made = [a for a, info in trainer.tensor_infos.items() if info.made_by == number]
    if phase.kind == "batch":
        made += [a for a, info in trainer.tensor_infos.items() if info.made_by < 0]
    if phase.kind == "update":
        made += [slot.address for slot in trainer.network.slots]
    for address in made:
        of_layer = layer is None or address.partition(".")[0] == str(layer)
        array = trainer.tensor(address) if of_layer else None
        if array is not None and not _finite(array):
            return address
    return "loss" if phase.kind == "loss" and layer is None and not np.isfinite(trainer.loss) else ""


def _finite(array: Array) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())
