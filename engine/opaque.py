"""The landscape of a subject of which only forward can be called: L = Σ G ⊙ y with fixed random G, or its own loss.

It stands where `engine.numeric.Landscape` stands, so that verdicts, noise floor and kinks are the same. Nothing is
known of how the subject works: every moved entry is a forward of its own.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from engine.generators import SEED, seed_globals
from engine.numeric import STEP
from engine.rounding import EPS, SPACINGS, line_noise
from engine.subject import INPUT, Array, Copy, Subject, SubjectError
from engine.verdicts import SCALES


class Forward:
    """y of a subject at any point, the same at every call: draws are repeated, state that forward keeps is forgotten.

    How much that takes is tried once: nothing, generators seeded before each call, or a fresh copy for each.
    """

    def __init__(self, subject: Subject, x: Array, targets: Array | None) -> None:
        self.subject, self.x, self.targets = subject, x, targets
        self.copy: Copy = subject.copy()
        self.seeded = self.fresh = self.random = False
        seed_globals()
        self.first = np.array(self.copy.forward(x.copy(), targets))
        self.y = np.asarray(self.first, np.float64)
        self.repeatable = self._settle()

    def _settle(self) -> bool:
        """Find the cheapest way whose results repeat."""
        seed_globals(SEED + 1)
        if all(self._repeats() for _ in range(2)):
            return True
        self.seeded = True
        if all(self._repeats() for _ in range(2)):
            self.random = True
            return True
        self.fresh = True
        if not all(self._repeats() for _ in range(2)):
            return False
        seed_globals(SEED)
        copy = self.subject.copy()
        copy.forward(self.x.copy(), self.targets)
        self.random = not np.array_equal(copy.forward(self.x.copy(), self.targets), self.first, equal_nan=True)
        return True

    def _repeats(self) -> bool:
        return np.array_equal(self.at(self.x.copy()), self.y, equal_nan=True)

    def at(self, x: Array, targets: Array | None = None) -> Array:
        """y at x with the parameters of `copy`, float64."""
        if self.seeded:
            seed_globals()
        copy = self.copy
        if self.fresh:
            copy = self.subject.copy()
            for role, value in self.copy.parameters.items():
                copy.parameters[role][...] = value
        return np.asarray(copy.forward(x, self.targets if targets is None else targets), np.float64)


class OpaqueLandscape:
    """L around one point: the subject's parameters and one mini-batch x (B, *in). `tensors` by role, "x" for x."""

    def __init__(self, subject: Subject, x: Array, targets: Array | None, rng: np.random.Generator) -> None:
        self.forward = Forward(subject, x, targets)
        self.x = np.array(x, np.float64)
        self.y = self.forward.y
        self.batch = len(x)
        self.grad_y: Array = rng.standard_normal(self.y.shape) if subject.family == "layer" else np.ones(self.y.shape)
        parameters = self.forward.copy.parameters
        self.tensors: dict[str, Array] = {role: value for role, value in parameters.items() if value.dtype.kind == "f"}
        self.tensors[INPUT] = self.x
        self.loss = float(np.sum(self.grad_y * self.y))
        self.jumps: dict[str, Array] = {}  # |D₊ − D₋| of the entries of the last `central`, by role

    def _change(self, x: Array) -> float:
        """L at x − L here."""
        y = self.forward.at(x)
        if y.shape != self.y.shape:
            raise SubjectError(f"forward gives shape {y.shape} after {self.y.shape} for inputs of the same shape")
        return float(np.sum(self.grad_y * (y - self.y)))

    def changes(self, address: str, entries: Array, deltas: Array) -> Array:
        """L(one entry moved by its delta) − L, (P,)."""
        tensor, at_x = self.tensors[address], address == INPUT
        flat = tensor.reshape(-1)
        if not np.shares_memory(flat, tensor):
            raise SubjectError(f"the parameter {address} is not laid out in one piece; make it a plain array")
        found = np.empty(len(entries))
        for k, (entry, delta) in enumerate(zip(entries.tolist(), deltas.tolist(), strict=True)):
            before = flat[entry]
            flat[entry] = before + delta
            try:
                found[k] = self._change(tensor.copy() if at_x else self.x.copy())
            finally:
                flat[entry] = before
        return found

    def steps(self, address: str, entries: Array, scale: float = 1.0) -> tuple[Array, Array]:
        """How far each entry moves up and down, as rounding lets it arrive."""
        at = self.tensors[address].reshape(-1)[entries]
        h = (scale * STEP * np.maximum(1.0, np.abs(at))).astype(at.dtype)
        return (at + h) - at, (at - h) - at

    def central(self, address: str, entries: Array, scale: float = 1.0) -> Array:
        """(L(θ + h) − L(θ − h)) / 2h for each of the entries (P,)."""
        up, down = self.steps(address, entries, scale)
        rise, fall = self.changes(address, entries, up), self.changes(address, entries, down)
        if address not in self.jumps:
            self.jumps[address] = np.zeros(self.tensors[address].size)
        self.jumps[address][entries] = np.abs(rise / up - fall / down)
        return np.asarray((rise - fall) / (up - down))

    def probe(self, address: str, entries: Array, deltas: Array) -> tuple[Array, Array]:
        """As `changes`; of decisions nothing is known."""
        return self.changes(address, entries, deltas), np.zeros(len(entries), np.intp)

    def changes_along(self, address: str, direction: Array, scales: Array) -> Array:
        """L(the whole tensor moved by scales[p]·direction) − L, (P,)."""
        return self.probe_along(address, direction, scales)[0]

    def probe_along(self, address: str, direction: Array, scales: Array) -> tuple[Array, Array]:
        """As `probe`, for moves of the whole tensor by scales[p]·direction."""
        tensor = self.tensors[address]
        before = tensor.copy()
        found = np.empty(len(scales))
        try:
            for k, scale in enumerate(scales):
                tensor[...] = before + scale * direction
                found[k] = self._change(self.x.copy())
        finally:
            tensor[...] = before
        return found, np.zeros(len(scales), np.intp)

    def chunk(self, address: str) -> int:
        """How many entries to take at once."""
        return 256

    def widest(self, address: str) -> int:
        """As many features as let a second look take eight entries at once: each costs many forwards here."""
        return max(1, (1 << 20) // (8 * 2 * len(SCALES) * self.batch))

    def reach(self, address: str) -> float:
        """How far a step may go to escape rounding: a tenth of the parameters' size, or of x's."""
        tensors = [self.x] if address == INPUT else [value for role, value in self.tensors.items() if role != INPUT]
        values = np.concatenate([value.reshape(-1) for value in tensors])
        return 0.1 * float(np.sqrt(np.mean(values * values)))

    @property
    def coarseness(self) -> float:
        """What rounding y alone costs."""
        return EPS * float(np.linalg.norm(self.grad_y * self.y))

    @cached_property
    def noise(self) -> float:
        """How far rounding throws L off, as measured along a random line."""
        rng = np.random.Generator(np.random.PCG64(1))
        lines = {role: rng.standard_normal(tensor.shape) for role, tensor in self.tensors.items()}
        return max(line_noise(self._line(lines, spacing) for spacing in SPACINGS), self.coarseness)

    def _line(self, lines: dict[str, Array], spacing: float) -> Array:
        """L minus the base's at eight points θ + k·spacing·line/√size."""
        before = {role: tensor.copy() for role, tensor in self.tensors.items()}
        size = np.sqrt(sum(line.size for line in lines.values()))
        values = np.empty(8)
        try:
            for k in range(8):
                for role, line in lines.items():
                    self.tensors[role][...] = before[role] + k * spacing / size * line
                values[k] = self._change(self.x.copy())
        finally:
            for role, value in before.items():
                self.tensors[role][...] = value
        return values
