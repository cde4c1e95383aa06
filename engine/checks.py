"""The gradient checks of the engine process: the one that was asked for, questions about it, and the live one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from engine import gradcheck, protocol
from engine.bugs import CATALOGUE, Bug
from engine.closeup import CloseUp
from engine.livecheck import LiveCheck, LiveVerdict
from engine.numeric import DATA, STEP
from engine.trainer import Trainer

MOST_A_FRAME = 2000  # live checks that a frame brings
LARGE = 20_000_000  # multiplications in a forward pass of the mini-batch: about 10 ms
STILL = 60.0  # seconds that a slice of a large network may take


class Checks:
    """Works in slices, so that commands are heard in between; what it finds is sent, or waits for the next frame."""

    def __init__(self, send: Callable[[protocol.Event], None], be_busy: Callable[[float], None] | None = None) -> None:
        self._send, self._be_busy = send, be_busy or (lambda seconds: None)
        self._live: LiveCheck | None = LiveCheck()
        self._found: list[protocol.LiveChecked] = []
        self.forget()

    def forget(self) -> None:
        """Another network stands, or this one is back at its start: nothing is known of it."""
        self.report: gradcheck.Report | None = None
        self._closeup: CloseUp | None = None
        self._running: tuple[Iterator[Any], CloseUp, int, Trainer] | None = None
        self._sweep: tuple[str, Iterator[gradcheck.ErrorCurve | None]] | None = None
        self.forget_live()

    def forget_live(self) -> None:
        """The run is back at its start: what the live check found before is of no use."""
        self._looking: tuple[Iterator[LiveVerdict | None], Trainer] | None = None
        self._found.clear()

    @property
    def at_work(self) -> bool:
        """Whether `work` has something to do."""
        return self._running is not None or self._sweep is not None or self._looking is not None

    def work(self) -> bool:
        """One slice; True when a check has ended and there is something new to show."""
        if self._running is not None:
            return self._check_slice()
        if self._looking is not None:
            return self._live_slice()
        self._sweep_slice()
        return False

    # --- a check ----------------------------------------------------------------------------------

    def start(self, trainer: Trainer, command: protocol.Check) -> None:
        """Begin the check that was asked for; what is checked is fixed now."""
        try:
            slices = gradcheck.steps(trainer, None, command.mode, command.difference)
        except ValueError as error:  # a difference that this network does not allow
            self._send(protocol.Failed(str(error)))
            return
        self._running = slices, CloseUp(trainer), trainer.step_count, trainer

    def drop(self) -> None:
        """Give a running check up."""
        if self._running is not None:
            self._running = None
            self._send(protocol.Checked("", 0, (), (), "cancelled", cancelled=True))

    def fail(self) -> None:
        """Something went wrong: what was at work will not end."""
        self._running = self._sweep = self._looking = None

    def _check_slice(self) -> bool:
        assert self._running is not None
        slices, closeup, step, trainer = self._running
        self._warn(trainer)
        item = next(slices)
        if not isinstance(item, gradcheck.Report):
            self._send(protocol.CheckProgress(item.done, item.total))
            return False
        self._running, self._sweep = None, None
        self.report, self._closeup = item, closeup
        self._send(describe_report(item, step))
        return True

    # --- questions about the last one -------------------------------------------------------------

    def tell_entry(self, address: str, index: tuple[int, ...]) -> None:
        """Send what the check made of one entry; nothing where there is none."""
        tensor = self.report.tensors.get(address) if self.report is not None else None
        if tensor is None or self._closeup is None:
            return
        try:
            entry = self._closeup.entry(tensor, index)
        except IndexError:
            return
        flips = -1 if entry.flips is None else entry.flips
        self._send(
            protocol.Entry(
                address,
                index,
                entry.value,
                entry.analytic,
                entry.numeric,
                entry.verdict,
                entry.loss,
                entry.loss_up,
                entry.loss_down,
                entry.h,
                flips,
            )
        )

    def start_sweep(self, address: str) -> None:
        """Begin to find how a tensor's error depends on h; a newer question is answered instead of an older one."""
        tensor = self.report.tensors.get(address) if self.report is not None else None
        if tensor is not None and self._closeup is not None and tensor.analytic.shape == tensor.numeric.shape:
            self._sweep = address, self._closeup.sweep(tensor)

    def _sweep_slice(self) -> None:
        assert self._sweep is not None
        address, slices = self._sweep
        curve = next(slices)
        if curve is not None:
            self._sweep = None
            h, error, rounding = (tuple(a.tolist()) for a in (curve.h, curve.error, curve.rounding))
            self._send(protocol.Sweep(address, h, error, rounding, len(curve.entries), STEP))

    # --- live -------------------------------------------------------------------------------------

    def set_live(self, every: int | None) -> None:
        """Check every n-th step, as often as fits (0), or never (None)."""
        self._live = None if every is None else LiveCheck(every or None)
        self._looking = None

    def after_step(self, trainer: Trainer, by_hand: bool) -> bool:
        """Check the step just done where it is due (by hand always, if as often as fits); True if there is news."""
        live = self._live
        if live is None:
            return False
        due = live.due(time.perf_counter()) or (by_hand and live.every is None)
        if not due or self._looking is not None:
            return False
        self._looking = live.slices(trainer, at_once=by_hand), trainer
        if by_hand and self._is_large(trainer):
            return False  # the step is shown first
        return self._live_slice()

    def _live_slice(self) -> bool:
        """Of a small network nearly always the only one: where the gradient seems wrong, a closer look takes many."""
        assert self._looking is not None
        slices, trainer = self._looking
        self._warn(trainer)
        found = next(slices)
        if found is None:
            return False
        self._looking = None
        self._found.append(describe_live_check(found, trainer))
        return True

    def _warn(self, trainer: Trainer) -> None:
        """A slice takes some dozens of forward passes: of a large network, longer than an engine may be still."""
        if self._is_large(trainer):
            self._be_busy(STILL)

    @staticmethod
    def _is_large(trainer: Trainer) -> bool:
        return trainer.network.multiply_adds * trainer.recipe.batch_size > LARGE

    def take_live(self) -> tuple[protocol.LiveChecked, ...]:
        """The live checks that no frame brought yet, the oldest first."""
        taken = tuple(self._found[:MOST_A_FRAME])
        del self._found[:MOST_A_FRAME]
        return taken


def describe_report(report: gradcheck.Report, step: int) -> protocol.Checked:
    """The event that tells of a finished check."""
    tensors = tuple(
        protocol.Judged(address, t.verdict, float(t.error), t.note) for address, t in report.tensors.items()
    )
    bugs = tuple(describe_bug(bug) for bug in report.bugs)
    return protocol.Checked(
        report.mode, step, tensors, tuple(report.contracts), report.dtype_note, difference=report.difference, bugs=bugs
    )


def describe_bug(bug: Bug) -> protocol.NamedBug:
    """A bug as it is told: its evidence as short texts."""
    title = CATALOGUE[bug.slug].title if bug.slug in CATALOGUE else bug.slug
    evidence = {name.replace("_", " "): _short(value) for name, value in bug.evidence.items()}
    return protocol.NamedBug(bug.slug, title, bug.tensor, bug.sentence, evidence, float(bug.confidence), bug.formula)


def _short(value: Any) -> str:
    """Evidence in few characters: numbers with four figures, lists with commas."""
    if isinstance(value, np.ndarray | list | tuple | set):
        return ", ".join(_short(v) for v in value)
    if isinstance(value, float | np.floating):
        return f"{float(value):.4g}"
    return str(value)


def describe_live_check(found: LiveVerdict, trainer: Trainer) -> protocol.LiveChecked:
    """The row that tells of one live check; a failing one names layer and tensor in a sentence."""
    if found.layer is None:
        note = f"step {found.step}: {found.note}" if found.note else ""
        return protocol.LiveChecked(found.step, found.verdict, float(found.error), sentence=note)
    wrong = [a for a, report in found.tensors.items() if report.verdict == "fail"]
    mine = [a for a in wrong if a.partition(".")[0] == str(found.layer) and a != DATA]
    where = name_layer(found.layer, trainer)
    tensor = mine[0] if mine else ""
    role = f" {tensor.partition('.')[2]}" if tensor else ""
    sentence = f"step {found.step}: the gradient of {where}{role} is wrong: {found.note}"
    return protocol.LiveChecked(found.step, found.verdict, float(found.error), found.layer, tensor, sentence)


def name_layer(layer: int, trainer: Trainer) -> str:
    """A layer in a sentence, such as "layer 2 (Dense 32→16)"; one past the last is the loss."""
    specs = trainer.recipe.layers
    if layer >= len(specs):
        return f"the loss ({trainer.recipe.loss.title()})"
    return f"layer {layer} ({specs[layer].caption(trainer.network.shapes[layer])})"
