"""Frames in shared memory: three slots in one block, written by the engine, read by the app."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.beliefs import Beliefs, is_belief
from engine.boundary import PLANE, beliefs, is_plane, points
from engine.carried import carried
from engine.frames import Frame, Phase, Picture, Position, as_matrix, reduce_extremes
from engine.gradcheck import Report
from engine.protocol import FrameReady, LiveChecked, Packed, WatchItem
from engine.run import Run
from engine.step_before import changing
from engine.tensorcheck import TensorReport
from engine.timeline import Timeline

SLOTS = 3
SLOT_BYTES = 16 * 2**20
CHECKED = ("analytic", "numeric", "difference", "error", "pairs")  # what one can watch of a tensor that was checked
HISTORY_BYTES = 2 * 2**20  # of each slot, kept for rows of the timeline
PACK_WITHIN = 0.0004  # seconds of a frame for tensors that may wait, while a run plays


class FrameSlots:
    """The block of shared memory. The app creates and unlinks it; the engine attaches to it by name."""

    def __init__(self, name: str | None = None) -> None:
        self.block = SharedMemory(name, create=name is None, size=0 if name else SLOTS * SLOT_BYTES)
        self._owner = name is None

    @property
    def name(self) -> str:
        """The block's name, to attach by."""
        return self.block.name

    def unlink(self) -> None:
        """Remove the block's name, once, in the owner; who is attached keeps the memory, nothing can be left behind."""
        if self._owner:
            self._owner = False
            self.block.unlink()

    def close(self) -> None:
        """Let go of the block."""
        self.unlink()
        self.block.close()

    def view(self, slot: int, offset: int, shape: tuple[int, ...], kind: Any) -> NDArray[Any]:
        """An array lying in a slot."""
        return np.ndarray(shape, kind, self.block.buf, slot * SLOT_BYTES + offset)


def read_frame(
    slots: FrameSlots, event: FrameReady, phases: tuple[Phase, ...], batches: int, shown: Mapping[str, Picture]
) -> Frame:
    """The frame an event tells of, its arrays copied out of the slot; what is late is still as it was `shown`."""
    tensors = {address: shown[address] for address in event.late if address in shown} | {
        p.address: Picture(
            slots.view(event.slot, p.offset, (p.rows, p.columns), np.float32).copy(), p.shape, p.computed
        )
        for p in event.tensors
    }
    phase = phases[event.phase] if event.phase >= 0 else None
    position = Position(event.step, event.phase)
    return Frame(position, phase, event.epoch, event.batch, batches, event.scalars, tensors)


def read_history(slots: FrameSlots, event: FrameReady, columns: int) -> NDArray[Any]:
    """The rows of the timeline an event brings, (N, columns)."""
    return slots.view(event.slot, event.history_offset, (event.history_rows, columns), np.float64).copy()


class Packer:
    """Writes frames into the slots in turn."""

    def __init__(self, slots: FrameSlots) -> None:
        self._slots = slots
        self._next = 0
        self.sent: dict[int, int] = {}  # rows of each fork's timeline that the app has
        self._written: set[WatchItem] = set()  # what is watched, and was packed at least once
        self._late: str | None = None  # the first tensor that had to wait
        self.beliefs = Beliefs()

    def pack(
        self,
        run: Run,
        report: Report | None,
        watch: tuple[WatchItem, ...],
        playing: bool,
        live: tuple[LiveChecked, ...],
        timelines: Mapping[int, Timeline],
        minus: Mapping[str, NDArray[Any]],
        *,
        hurried: bool = False,
    ) -> FrameReady:
        """Write the present position's frame into the next slot and describe it.

        `timelines` are those of all forks by number, a past's before its fork's; `minus` what is taken off tensors;
        `hurried`: the next frame comes at once, so that what may wait need not all be in this one.
        """
        slot, self._next = self._next, (self._next + 1) % SLOTS
        frame = run.trainer.frame()
        fork, first, rows = self._pack_history(timelines, slot)
        self.beliefs.begin(run.trainer, playing)
        with np.errstate(all="ignore"):
            tensors, late = self._pack_tensors(run, report, watch, slot, minus, PACK_WITHIN if hurried else math.inf)
        return FrameReady(
            slot=slot,
            step=frame.step,
            phase=frame.position.phase,
            epoch=frame.epoch,
            batch=frame.batch,
            playing=playing,
            scalars={**frame.scalars, **carried(run)},
            tensors=tensors,
            late=late,
            history_first=first,
            history_rows=rows,
            history_offset=0,
            live=live,
            history_fork=fork,
            tip=run.recorder.tip,
        )

    def _pack_tensors(
        self,
        run: Run,
        report: Report | None,
        watch: tuple[WatchItem, ...],
        slot: int,
        minus: Mapping[str, NDArray[Any]],
        within: float,
    ) -> tuple[tuple[Packed, ...], tuple[str, ...]]:
        """Write the tensors, those that may wait for so many seconds; returns what was written, and what was not.

        Those that had to wait come first the next time, and one of them always has time; all are written once before
        any has to wait.
        """
        infos, now = run.trainer.tensor_infos, run.trainer.position.phase
        packed: list[Packed] = []
        late: list[str] = []
        offset, until, waited = HISTORY_BYTES, time.perf_counter() + within, False
        for item in self._in_turn(watch):
            if item.may_wait:
                if waited and item in self._written and (late or time.perf_counter() > until):
                    late.append(item.address)
                    continue
                waited = True
            believed = is_belief(item.address)
            if believed:
                array = self.beliefs.tensor(run.trainer, item.address, item.rows)
            else:
                array = shown_tensor(run, report, item, minus)
            if array is None:
                continue
            matrix = as_matrix(array)
            if not believed and item.address not in PLANE:  # those come in the size asked for
                matrix = reduce_extremes(matrix, item.rows, item.columns, holes=of_a_check(item.address))
            if offset + matrix.size * 4 > SLOT_BYTES:
                break
            self._slots.view(slot, offset, matrix.shape, np.float32)[...] = within_float32(matrix)
            info = infos.get(changing(item.address) or item.address)
            computed = info is None or info.made_by <= now
            packed.append(Packed(item.address, offset, len(matrix), matrix.shape[1], array.shape, computed))
            self._written.add(item)
            offset += -(-matrix.size // 16) * 64
        self._late = late[0] if late else None
        return tuple(packed), tuple(late)

    def _in_turn(self, watch: tuple[WatchItem, ...]) -> Iterator[WatchItem]:
        """Those that may not wait, then the others from the first that had to."""
        self._written &= set(watch)
        yield from (item for item in watch if not item.may_wait)
        waiting = [item for item in watch if item.may_wait]
        first = next((i for i, item in enumerate(waiting) if item.address == self._late), 0)
        yield from waiting[first:] + waiting[:first]

    def forget_tensors(self) -> None:
        """Another run is shown: of its tensors nothing was written."""
        self._written, self._late = set(), None

    def is_behind(self, timelines: Mapping[int, Timeline]) -> bool:
        """Whether there are rows that were not sent yet."""
        return any(self._sent(number, timeline) < len(timeline) for number, timeline in timelines.items())

    def _sent(self, number: int, timeline: Timeline) -> int:
        """How many rows of a fork the app has; those that it shares with its past come with that one's."""
        return min(self.sent.get(number, timeline.shared), len(timeline))

    def _pack_history(self, timelines: Mapping[int, Timeline], slot: int) -> tuple[int, int, int]:
        """Write rows not sent yet, of one fork, as many as fit; returns which, the first row's number and how many."""
        behind = [n for n, timeline in timelines.items() if self._sent(n, timeline) < len(timeline)]
        number = behind[0] if behind else next(iter(timelines))
        timeline = timelines[number]
        first = self._sent(number, timeline)
        rows = timeline.rows(first, first + HISTORY_BYTES // (8 * len(timeline.columns)))
        self._slots.view(slot, 0, rows.shape, np.float64)[...] = rows
        self.sent[number] = first + len(rows)
        return number, first, len(rows)


def within_float32(matrix: NDArray[Any]) -> NDArray[Any]:
    """The matrix with finite values beyond float32's range at its ends: only what is infinite may look infinite."""
    if matrix.dtype != np.float64:
        return matrix
    largest = float(np.finfo(np.float32).max)
    return np.where(np.isfinite(matrix), np.clip(matrix, -largest, largest), matrix)


def shown_tensor(
    run: Run, report: Report | None, item: WatchItem, minus: Mapping[str, NDArray[Any]]
) -> NDArray[Any] | None:
    """The tensor at an address as frames show it: less what is taken off it, then in float64. None where it is not."""
    changed = changing(item.address)
    if changed is not None and item.address not in minus:
        return None
    array = find_tensor(run, report, WatchItem(changed) if changed else item)
    if array is None or item.address not in minus:
        return array
    if array.shape != minus[item.address].shape:  # the last mini-batch of an epoch may be smaller
        return None
    with np.errstate(all="ignore"):
        return np.asarray(np.subtract(array, minus[item.address], dtype=np.float64))


def find_tensor(run: Run, report: Report | None, item: WatchItem) -> NDArray[Any] | None:
    """The tensor at any address one can watch, also those of the plane and of the last check."""
    where, _, role = item.address.partition(".")
    trainer = run.trainer
    if item.address in PLANE:
        if not is_plane(trainer):
            return None
        return points(trainer) if role == "points" else beliefs(trainer, item.rows)
    kind, _, name = role.partition("_")
    if kind in CHECKED:
        judged = report.tensors.get(f"{where}.{name}") if report else None
        return check_tensor(judged, kind, item.rows) if judged is not None else None
    if item.address == "0.grad_x" and not trainer.has_input_gradient:
        return None
    return trainer.tensor(item.address)


@lru_cache(maxsize=4096)
def of_a_check(address: str) -> bool:
    """Whether an address names something of the last check."""
    return address.partition(".")[2].partition("_")[0] in CHECKED


def check_tensor(judged: TensorReport, kind: str, most: int) -> NDArray[Any] | None:
    """What one can watch of a tensor that was checked, by the first word of its role; None where there is no such."""
    if kind in ("analytic", "numeric"):
        return np.asarray(getattr(judged, kind))
    if kind == "error":
        return judged.entry_error
    if judged.analytic.shape != judged.numeric.shape:
        return None
    return np.asarray(judged.analytic - judged.numeric) if kind == "difference" else pairs(judged, most)


def pairs(judged: TensorReport, most: int) -> NDArray[Any]:
    """Analytic value, numeric value, flat index and status of the entries looked at, (N, 4), at most so many.

    Where there are more, the half that differs most, and others at equal distances.
    """
    analytic, numeric, status = (a.reshape(-1) for a in (judged.analytic, judged.numeric, judged.status))
    chosen = np.flatnonzero(np.isfinite(numeric) & np.isfinite(analytic))
    if len(chosen) > most:
        gap = np.abs(analytic - numeric)[chosen]
        worst = np.argpartition(gap, len(chosen) - most // 2)[len(chosen) - most // 2 :]
        spread = np.linspace(0, len(chosen) - 1, most - len(worst)).astype(np.intp)
        chosen = chosen[np.union1d(worst, spread)]
    return np.column_stack([analytic[chosen], numeric[chosen], chosen, status[chosen]])
