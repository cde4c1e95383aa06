"""What can be changed in mid-run, each change with its place in time: a cell, all weights, or another live recipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar

import msgspec
import numpy as np

from engine.frames import Array, Position
from engine.recipe import Recipe
from engine.timeline import RunError
from engine.trainer import Trainer

INPUT, LABELS, TARGETS = "data.x", "data.labels", "data.targets"


@dataclass(frozen=True)
class Undo:
    """What a change to the data has overwritten."""

    array: Array
    index: tuple[int, ...]
    value: Any


class Adopted(msgspec.Struct, frozen=True):
    """From here on another recipe, one that differs in live fields only."""

    at: Position
    recipe: Recipe
    of_data: ClassVar[bool] = False

    def apply(self, trainer: Trainer) -> list[Undo]:
        """Let the trainer go on with the recipe."""
        trainer.adopt(self.recipe)
        return []


class Edit(msgspec.Struct, frozen=True):
    """One cell typed over. A cell of the mini-batch is that of its sample, which keeps it in all later epochs."""

    at: Position
    address: str
    index: tuple[int, ...]
    value: float
    sample: int | None = None  # which training sample a row of the mini-batch is

    @property
    def of_data(self) -> bool:
        """Whether it changes the data, and not the network."""
        return self.sample is not None

    def apply(self, trainer: Trainer) -> list[Undo]:
        """Write the cell, of data also in the mini-batch in work; returns how to have the data as they were."""
        if self.sample is None:
            trainer.network.views(trainer.network.parameters)[self.address][self.index] = self.value
            return []
        undo = []
        row, *rest = self.index
        for of_data, of_batch, value in self._places(trainer):
            cell = (self.sample, *rest)
            undo.append(Undo(of_data, cell, np.copy(of_data[cell])))
            of_data[cell] = value
            if trainer.phase is not None and of_batch is not None:
                of_batch[(row, *rest)] = value
        return undo

    def _places(self, trainer: Trainer) -> Iterator[tuple[Array, Array | None, Any]]:
        """What to write: into which array of the training data, and into which of the mini-batch, if one is drawn."""
        run = trainer.current
        if self.address == INPUT:
            yield trainer.x, run.x, self.value
        elif self.address == TARGETS:
            yield trainer.targets, run.targets, self.value
        elif trainer.labels is not None:
            yield trainer.labels, trainer.batch_labels, int(self.value)
            yield trainer.targets, run.targets, target_of(trainer, int(self.value))


class Loaded(msgspec.Struct, frozen=True, eq=False):
    """Parameters and buffers replaced by those of a file, by address; optimizer and generators go on as they were."""

    at: Position
    source: str  # the file's name
    values: dict[str, Any]
    of_data: ClassVar[bool] = False

    @property
    def nbytes(self) -> int:
        """The memory of the tensors."""
        return sum(int(value.nbytes) for value in self.values.values())

    def apply(self, trainer: Trainer) -> list[Undo]:
        """Write the tensors; the buffers also where a mini-batch that is given up would put them back from."""
        network = trainer.network
        places = network.views(network.parameters)
        for flat in (network.buffers_before, network.buffers):
            for slot in network.buffer_slots:
                if slot.address in self.values:
                    slot.view(flat)[...] = self.values[slot.address]
        for address, value in self.values.items():
            if address in places:
                places[address][...] = value
        return []


def bytes_of_loaded(paths: Iterable[Iterable[object]]) -> int:
    """The memory of the weights out of files among the changes of some paths, which may share them."""
    loaded = {id(change): change.nbytes for path in paths for change in path if isinstance(change, Loaded)}
    return sum(loaded.values())


def target_of(trainer: Trainer, label: int) -> Any:
    """What the loss compares with for a label: the label itself, or a row."""
    outputs = trainer.network.shapes[-1][0]
    return trainer.recipe.loss.targets(np.array([label]), None, outputs, trainer.network.dtype)[0]


def edit_of(trainer: Trainer, at: Position, address: str, index: int | tuple[int, ...], value: Any) -> Edit:
    """The edit that writes `value` into a cell. Raises RunError: one sentence."""
    address = INPUT if address == "0.x" else address
    index = tuple(index) if isinstance(index, tuple | list) else (index,)
    array = _editable(trainer, address)
    if not all(isinstance(i, int | np.integer) for i in index) or len(index) != array.ndim:
        raise RunError(f"{address} has shape {array.shape}; give one whole number for each of its axes, not {index}")
    if not all(0 <= i < n for i, n in zip(index, array.shape, strict=True)):
        raise RunError(f"{address} has no cell {list(index)}: its shape is {array.shape}; choose a cell inside")
    plain = tuple(int(i) for i in index)
    sample = int(trainer.chosen[plain[0]]) if address.startswith("data.") else None
    return Edit(at, address, plain, _number(trainer, address, value), sample)


def _editable(trainer: Trainer, address: str) -> Array:
    """The tensor at an address, if its cells may be typed over. Raises RunError."""
    views = trainer.network.views(trainer.network.parameters)
    if address in views:
        return views[address]
    data: dict[str, Array | None] = {INPUT: trainer.current.x, LABELS: trainer.batch_labels}
    if trainer.labels is None:
        data[TARGETS] = trainer.current.targets
    array = data.get(address)
    if address in data and trainer.phase is None:
        raise RunError(f"{address} cannot be edited here: no mini-batch is drawn; step into one first")
    if array is None:
        known = ", ".join((*views, *(name for name in data if name != LABELS or trainer.labels is not None)))
        raise RunError(f"{address!r} cannot be edited; choose one of {known}")
    return array


def _number(trainer: Trainer, address: str, value: Any) -> float:
    """The value as a number that fits the tensor; NaN and infinity are meant. Raises RunError."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise RunError(f"{address}: {value!r} is not a number; type one such as 0.5, nan or inf") from None
    if address == LABELS:
        classes = max(trainer.network.shapes[-1][0], 2)
        if not (number.is_integer() and 0 <= number < classes):
            raise RunError(f"{address}: {value!r} is not a class; type a whole number from 0 to {classes - 1}")
    dtype = trainer.network.dtype
    with np.errstate(over="ignore"):
        if isfinite(number) and not np.isfinite(dtype.type(number)):
            raise RunError(f"{address}: {value!r} is beyond {dtype}; type at most {np.finfo(dtype).max:.4g}, or inf")
    return number
