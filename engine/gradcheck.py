"""The gradient check: each tensor's analytic gradient held against a numerical one, and a verdict.

Everything runs on float64 copies; the trainer goes on as if nothing had happened. The numerical side never calls a
backward (`engine.numeric`); what a difference means is decided in `engine.verdicts`.

A verdict never passes vacuously. `pass` needs at least one entry whose gradient stands out from rounding, with every
such entry in agreement. Entries that are 0 both ways (a ReLU that is off) agree, but a tensor of nothing else (dead or
saturated units) is `unresolvable`: a backward that always gave 0 would look the same.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from engine import suspects
from engine.bugs import Bug
from engine.contracts import backward, broken_contracts
from engine.differences import DIFFERENCES, Difference
from engine.layers.base import Array
from engine.network import Network
from engine.numeric import DATA, INPUT, STEP, Landscape
from engine.tensorcheck import TensorCheck, TensorReport
from engine.trainer import Trainer
from engine.verdicts import VERDICTS, Verdict, tensor_error

Mode = Literal["full", "sampled", "projected"]
MODES: tuple[Mode, ...] = ("full", "sampled", "projected")
SAMPLES = 24  # entries a tensor when sampling, a quarter from each stratum


class Progress(NamedTuple):
    """How far a check is: entries done of total, and the tensor at work."""

    done: int
    total: int
    address: str


@dataclass(frozen=True)
class Report:
    """The check of a whole network on one mini-batch."""

    mode: Mode
    loss: float
    tensors: dict[str, TensorReport]  # by address, "data.x" for the mini-batch's inputs
    contracts: tuple[str, ...]  # what backward breaks whatever the numbers are; not looked at in mode "projected"
    dtype_note: str
    h: float = STEP  # of a central or forward difference times max(1, |θ|) of each entry
    difference: Difference = "central"  # how the numerical side was computed
    bugs: tuple[Bug, ...] = ()  # by name, with addresses for tensors; looked for where something fails

    @property
    def verdict(self) -> Verdict:
        """The worst of all: fail (also for a broken contract), unresolvable, kink, pass."""
        if self.contracts:
            return "fail"
        return max((tensor.verdict for tensor in self.tensors.values()), key=VERDICTS.index)


def check(
    trainer: Trainer,
    batch: tuple[Any, Any] | None = None,
    mode: Mode = "full",
    difference: Difference = "central",
) -> Report:
    """Check every gradient of the trainer's network on one mini-batch; the trainer is left untouched.

    `batch` is (x, y) of your own; by default the mini-batch the trainer shows, or the first of the data. `mode`:
    "full" checks every entry, "sampled" 24 a tensor and one random direction, "projected" that direction alone.
    `difference`: "central", "forward" or "complex" (see engine.differences); entries that it leaves in doubt are
    looked at again by central differences of many steps. Raises ValueError for an unknown mode or difference, a batch
    that does not fit, or a layer that does not take complex numbers.
    """
    *_, last = steps(trainer, batch, mode, difference)
    assert isinstance(last, Report)
    return last


def steps(
    trainer: Trainer,
    batch: tuple[Any, Any] | None = None,
    mode: Mode = "full",
    difference: Difference = "central",
) -> Iterator[Progress | Report]:
    """As `check`, in slices of some milliseconds: yields Progress, at last the Report; may be abandoned at any time.

    What is checked is fixed when this is called: the trainer may go on between two slices.
    """
    if mode not in MODES:
        raise ValueError(f"mode: {mode!r} is not known; use one of {', '.join(MODES)}")
    if difference not in DIFFERENCES:
        raise ValueError(f"difference: {difference!r} is not known; use one of {', '.join(DIFFERENCES)}")
    return _Check(trainer, batch, mode, difference).slices()


def _copies(trainer: Trainer, batch: tuple[Any, Any] | None) -> tuple[Network, Network, Array, Array]:
    """Two float64 copies of the network, for the numerical and the analytic side; the mini-batch x and its targets."""
    networks = []
    for _ in range(2):
        network = Network(trainer.recipe, trainer.network.shapes[0], "float64")
        network.parameters[...] = trainer.network.parameters
        network.buffers[...] = trainer.network.buffers
        network.drawn_for = trainer.step_count + (trainer.phase is None)
        networks.append(network)
    x, targets = trainer.minibatch(batch)
    kind = np.float64 if targets.dtype.kind == "f" else targets.dtype
    return networks[0], networks[1], np.array(x, np.float64), np.array(targets, kind)


def analytic_gradients(network: Network, x: Array, targets: Array) -> dict[str, Array]:
    """Every gradient as the layers' own backward computes it, by address, also of what enters each layer ("3.x").

    "data.x" is that of the inputs, and one past the last layer stands what the loss gives.

    Another mini-batch goes forward first, so that a layer that keeps a stale input is seen.
    """
    run = network.at(len(x))
    with np.errstate(all="ignore"):
        for values in (x[::-1] * 0.7 + 0.1, x.copy()):
            y = values
            for layer in run.layers:
                layer.needs_grad_x = True
                y = layer.forward(y)
        run.loss.forward(y, targets)
        gradient = run.loss.backward()
        found: dict[str, Array] = {f"{len(run.layers)}.{INPUT}": gradient.copy()}
        for index in reversed(range(len(run.layers))):
            parts = backward(run.layers[index], gradient)
            gradient = run.layers[index].grad_x
            found |= {f"{index}.{role}": part for role, part in parts.items()}
    found[DATA] = found.pop(f"0.{INPUT}")
    return found


class _Check:
    """One check at work: the copies, and what has been found so far."""

    def __init__(self, trainer: Trainer, batch: tuple[Any, Any] | None, mode: Mode, difference: Difference) -> None:
        self.mode = mode
        numeric, self.network, self.x, self.targets = _copies(trainer, batch)
        self.landscape = Landscape(numeric, self.x, self.targets)
        self.difference = DIFFERENCES[difference](self.landscape)
        self.dtype = trainer.network.dtype
        self.rng = np.random.Generator(np.random.PCG64(0))

    def slices(self) -> Iterator[Progress | Report]:
        """Analytic side, contracts, then tensor by tensor."""
        land = self.landscape
        self.analytic = analytic_gradients(self.network, self.x.copy(), self.targets)
        contracts: list[str] = []
        chosen = {address: self._choose(address) for address in land.tensors}
        self.done, self.total = 0, sum(len(entries) or 1 for entries in chosen.values())
        if self.mode != "projected":
            for sentence in broken_contracts(self.network.at(len(self.x)), self.x.copy(), self.targets):
                contracts += [sentence] if sentence else []
                yield Progress(0, self.total, "")
        tensors = {}
        for address, entries in chosen.items():
            tensors[address] = yield from self._tensor(address, entries)
        bugs = yield from self._bugs(contracts, tensors)
        note = "" if self.dtype == np.float64 else f"checked on a float64 copy of the {self.dtype} network"
        yield Report(
            self.mode, land.loss, tensors, tuple(contracts), note, self.difference.h, self.difference.name, bugs
        )

    def _bugs(
        self, contracts: list[str], tensors: dict[str, TensorReport]
    ) -> Generator[Progress, None, tuple[Bug, ...]]:
        """What is wrong by name, where anything is: each layer alone is asked."""
        failed = contracts or any(report.verdict == "fail" for report in tensors.values())
        found: list[Bug] = []
        if failed and self.mode != "projected":
            for bugs in suspects.named(self.network, self.x.copy(), self.targets):
                found += bugs
                yield Progress(self.total, self.total, "")
        return tuple(sorted(found, key=lambda bug: (bug.slug == "unknown", -bug.confidence)))

    def _tensor(self, address: str, entries: Array) -> Generator[Progress, None, TensorReport]:
        """The check of one tensor, its slices told as progress of the whole."""
        rng = None if self.mode == "full" else self.rng
        slices = TensorCheck(self.landscape, address, self.analytic[address], entries, rng, self.difference).slices()
        while True:
            try:
                self.done += next(slices)
            except StopIteration as end:
                self.done += not len(entries)
                yield Progress(self.done, self.total, address)
                return end.value  # type: ignore[no-any-return]
            yield Progress(self.done, self.total, address)

    def _choose(self, address: str) -> Array:
        """Flat indices of the entries to check: all, or from four strata: largest, smallest, zero, and any."""
        tensor = self.landscape.tensors[address]
        if self.mode == "projected":
            return np.zeros(0, np.intp)
        if self.mode == "full" or tensor.size <= SAMPLES:
            return np.arange(tensor.size)
        size = np.abs(self.analytic[address].reshape(-1))
        filled, zeros = np.flatnonzero(size != 0), np.flatnonzero(size == 0)
        quarter, chosen = SAMPLES // 4, np.zeros(0, np.intp)
        if len(filled) > 2 * quarter:
            order = np.argpartition(size[filled], (quarter, len(filled) - quarter))
            chosen = filled[np.concatenate([order[:quarter], order[-quarter:]])]
        if len(zeros):
            chosen = np.append(chosen, self.rng.choice(zeros, min(quarter, len(zeros)), replace=False))
        drawn = self.rng.choice(tensor.size, SAMPLES, replace=False)
        return np.union1d(chosen, drawn[~np.isin(drawn, chosen)][: SAMPLES - len(chosen)])


# --- error against h ------------------------------------------------------------------------------


@dataclass(frozen=True)
class ErrorCurve:
    """Error of a tensor's numerical gradient against the step h, with what rounding alone would make of it."""

    h: Array  # (S,), large to small
    error: Array  # (S,), ‖a − n(h)‖ / (‖a‖ + ‖n(h)‖) over the entries
    rounding: Array  # (S,), the error that rounding alone makes; the curve follows it on the left
    entries: Array  # flat indices, the largest and some at random


def h_sweep(
    trainer: Trainer, address: str, batch: tuple[Any, Any] | None = None, h: Array | None = None, entries: int = 20
) -> ErrorCurve:
    """How the error of one tensor depends on h: a V means right, a plateau wrong, slope −1 rounding, a step a kink.

    Raises KeyError where there is no such tensor.
    """
    numeric, network, x, targets = _copies(trainer, batch)
    land = Landscape(numeric, x, targets)
    if address not in land.tensors:
        raise KeyError(f"no tensor {address!r}; there are {', '.join(land.tensors)}")
    *_, curve = sweeping(land, address, analytic_gradients(network, x.copy(), targets)[address], h, entries)
    assert curve is not None
    return curve


def sweeping(
    land: Landscape, address: str, analytic: Array, h: Array | None = None, entries: int = 20
) -> Iterator[ErrorCurve | None]:
    """As `h_sweep`, in slices: yields None after each h, at last the curve."""
    analytic = analytic.reshape(-1)
    rng = np.random.Generator(np.random.PCG64(0))
    largest = np.argsort(-np.abs(analytic), kind="stable")[: (entries + 1) // 2]
    rest = rng.permutation(np.setdiff1d(np.arange(analytic.size), largest))
    chosen = np.sort(np.concatenate([largest, rest[: entries - len(largest)]]))
    steps_h = 10.0 ** np.arange(-1.0, -12.25, -0.5) if h is None else np.asarray(h, np.float64)
    a, error = analytic[chosen], np.empty(len(steps_h))
    for place, step in enumerate(steps_h):
        error[place] = tensor_error(a, land.central(address, chosen, step / STEP))
        yield None
    with np.errstate(all="ignore"):
        rounding = land.noise / steps_h * np.sqrt(len(chosen)) / (2 * float(np.linalg.norm(a)))
    yield ErrorCurve(steps_h, error, rounding, chosen)
