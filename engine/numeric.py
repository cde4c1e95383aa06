"""Numerical gradients: the loss of one mini-batch as a function of parameters and inputs, by forward passes alone.

A parameter that moves changes nothing in front of its layer, and a dense layer's `W[i, j]` only column j of what is
behind it. So each perturbed loss is computed from where the perturbation begins, and many of them at once, as rows of
one tall matrix. Nothing is approximated: every entry's L(θ ± h) is evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from math import prod

import numpy as np

from engine.layers.base import Array, Layer
from engine.network import Network
from engine.rounding import EPS, LINES, SPACINGS, line_noise

INPUT = "x"  # the role of what enters a layer
INPUT = "x"  # the role of what enters a layer
DATA = "data.x"  # the address of the mini-batch's inputs
STEP = float(np.cbrt(EPS))  # balances the truncation error h² of a central difference with rounding, eps / h
TALL = 1 << 18  # numbers in a tall matrix: two megabytes, which stay in the cache
BLIND = 32  # entries at once where a layer has to be run anew for each


def flat_rows(array: Array) -> Array:
    """(N, …) as (N, features)."""
    return array.reshape(len(array), prod(array.shape[1:]))


def replay(layer: Layer, x: Array, copies: int) -> Array:
    """y of any rows where the layer takes each by itself, else of `copies` whole mini-batches."""
    return layer.apply(x) if layer.rowwise else layer.replay(x, copies)


def _each_moved(values: Array, entries: Array, deltas: Array) -> Iterator[Array]:
    """The values with one entry after the other moved by its delta, in place."""
    flat = values.reshape(-1)
    for entry, delta in zip(entries.tolist(), deltas.tolist(), strict=True):
        before = flat[entry]
        flat[entry] += delta
        yield values
        flat[entry] = before


class Landscape:
    """The loss L(θ, x) around one point: a float64 network's parameters and one mini-batch x (B, *in).

    The network is the landscape's own: a layer that cannot say how it reacts has its parameters moved and put back.
    """

    @np.errstate(all="ignore")
    def __init__(self, network: Network, x: Array, targets: Array, boundaries: bool = False) -> None:
        self.network, self.targets, self.batch = network, targets, len(x)
        run = network.at(len(x))
        self.layers, self.criterion = run.layers, run.loss
        self.tensors: dict[str, Array] = {**network.views(network.parameters), DATA: x}
        self.inputs = [x]  # of every layer, and after the last the output
        for layer in self.layers:
            self.inputs.append(np.ascontiguousarray(replay(layer, self.inputs[-1], 1)))
        if boundaries:  # what passes from layer to layer, too: "3.x" enters layer 3, one past the last the loss
            self.tensors |= {f"{k}.{INPUT}": self.inputs[k] for k in range(1, len(self.inputs))}
        if boundaries:  # what passes from layer to layer, too: "3.x" enters layer 3, one past the last the loss
            self.tensors |= {f"{k}.{INPUT}": self.inputs[k] for k in range(1, len(self.inputs))}
        self.losses = self.criterion.per_sample(self.inputs[-1], targets)  # (B,)
        self.loss = float(self.losses.mean().real)
        self.rowwise = [all(layer.rowwise for layer in self.layers[k:]) for k in range(len(self.layers) + 1)]

    def behind(self, address: str) -> int:
        """The first layer that a move of this tensor reaches through its input."""
        if address == DATA:
            return 0
        layer, _, role = address.partition(".")
        return int(layer) + (role != INPUT)

    def owner(self, address: str) -> int:
        """The layer whose backward computes this tensor's gradient; one past the last: the loss."""
        return 0 if address == DATA else int(address.partition(".")[0])

    def widest(self, address: str) -> int:
        """The largest number of features a row has from this tensor on."""
        return max(prod(values.shape[1:]) for values in self.inputs[self.behind(address) :])

    def chunk(self, address: str) -> int:
        """How many entries of a tensor to take at once, both their signs together."""
        none = np.zeros(0, np.intp)
        blind = self._columns(address, none, none) is None
        rows = 2 if address == DATA and not blind else 2 * self.batch
        return max(1, min(TALL // (rows * self.widest(address)), BLIND if blind else TALL))

    def reach(self, address: str) -> float:
        """How far a step may go to escape rounding: a tenth of what the layer's parameters (or x) are in size.

        Farther out the loss is another one, and a slope found there says nothing of the slope here.
        """
        layer = address.partition(".")[0] + "."
        values = np.concatenate([value.reshape(-1) for name, value in self.tensors.items() if name.startswith(layer)])
        return 0.1 * float(np.sqrt(np.mean(values * values)))

    # --- differences ------------------------------------------------------------------------------

    def steps(self, address: str, entries: Array, scale: float = 1.0) -> tuple[Array, Array]:
        """How far each entry moves up and down: ±scale·cbrt(eps)·max(1, |θ|), as rounding lets it arrive."""
        at = self.tensors[address].reshape(-1)[entries]
        h = scale * STEP * np.maximum(1.0, np.abs(at))
        return (at + h) - at, (at - h) - at

    @np.errstate(all="ignore")
    def central(self, address: str, entries: Array, scale: float = 1.0) -> Array:
        """(L(θ + h) − L(θ − h)) / 2h for each of the entries (P,), flat indices into the tensor."""
        up, down = self.steps(address, entries, scale)
        moved = self.changes(address, np.concatenate([entries, entries]), np.concatenate([up, down]))
        return np.asarray((moved[: len(entries)] - moved[len(entries) :]) / (up - down))

    @np.errstate(all="ignore")
    def changes(self, address: str, entries: Array, deltas: Array) -> Array:
        """L(one entry moved by its delta) − L, (P,), by the shortest way the layers know."""
        first = self.behind(address)
        found = self._columns(address, entries, deltas)
        if found is None:
            rows = self._moved(address, entries, deltas)
            return self._losses(rows, first, *self._whole(np.arange(len(entries))), len(entries))
        columns, values, samples = found
        k = first
        while k < len(self.layers):
            passed = self.layers[k].pass_column(values, columns[:, None])
            if passed is None:
                break
            values, k = passed, k + 1
        moves = values - flat_rows(self.inputs[k])[samples, columns[:, None]]
        reached = moves != 0  # a row that did not move has the loss it had: a ReLU that is off stops half of them
        if self.rowwise[k]:
            owners, place = np.nonzero(reached)
            samples = np.broadcast_to(samples, reached.shape)[owners, place]
        else:
            owners, samples = self._whole(np.flatnonzero(reached.any(axis=1)))
            place = samples
        if not len(owners):
            return np.zeros(len(entries))
        rows = self._enter(k, samples, columns[owners], moves[owners, place], values[owners, place])
        return self._losses(rows, k + 1, owners, samples, len(entries))

    def _whole(self, owners: Array) -> tuple[Array, Array]:
        """Owner and sample of each row where every owner has a whole mini-batch of rows."""
        return np.repeat(owners, self.batch), np.tile(np.arange(self.batch), len(owners))

    def _columns(self, address: str, entries: Array, deltas: Array) -> tuple[Array, Array, Array] | None:
        """The one column each entry moves: (P,), its new values (P, m), whose they are: samples (1, B) or (P, 1)."""
        if address == DATA:
            if not self.rowwise[0]:
                return None
            x = self.tensors[DATA]
            owners, columns = np.divmod(entries, x.size // len(x))
            return columns, (x.reshape(-1)[entries] + deltas)[:, None], owners[:, None]
        index = self.behind(address)
        reaction = self.layers[index - 1].react(address.partition(".")[2], entries, deltas, self.inputs[index - 1])
        if reaction is None:
            return None
        columns, moves = reaction
        return columns, flat_rows(self.inputs[index]).T.take(columns, axis=0) + moves, np.arange(self.batch)[None]

    def _enter(self, k: int, samples: Array, columns: Array, moves: Array, values: Array) -> Array:
        """Rows behind layer k, (R, *out), when in row r the input's entry at columns[r] has moved to values[r]."""
        if k < len(self.layers):
            gain = self.layers[k].spread(columns, moves)
            if gain is not None:
                base = self.inputs[k + 1]
                return np.add(gain, base if self.batch == 1 else base.take(samples, axis=0), out=gain)
        rows = self.inputs[k][samples]
        flat_rows(rows)[np.arange(len(rows)), columns] = values
        return replay(self.layers[k], rows, len(rows) // self.batch) if k < len(self.layers) else rows

    def _losses(self, rows: Array, k: int, owners: Array, samples: Array, count: int) -> Array:
        """Send rows through layer k and all behind it: the change of the mean loss for each of `count` owners."""
        for layer in self.layers[k:]:
            rows = replay(layer, rows, len(rows) // self.batch)
        change = self.criterion.per_sample(rows, self.targets[samples]) - self.losses[samples]
        return np.bincount(owners, self._part(change), count) / self.batch

    def _part(self, change: Array) -> Array:
        """What of the losses' changes is wanted."""
        return change

    # --- the same without short cuts, with the decisions taken on the way --------------------------

    @np.errstate(all="ignore")
    def probe(self, address: str, entries: Array, deltas: Array) -> tuple[Array, Array]:
        """As `changes`; and for each entry how many decisions of the layers behind differ from those at the point."""
        return self._walk(self._moved(address, entries, deltas), self.behind(address), len(entries))

    @np.errstate(all="ignore")
    def probe_along(self, address: str, direction: Array, scales: Array) -> tuple[Array, Array]:
        """As `probe`, for moves of the whole tensor by scales[p]·direction."""
        return self._walk(self._shifted(address, direction, scales), self.behind(address), len(scales))

    @np.errstate(all="ignore")
    def changes_along(self, address: str, direction: Array, scales: Array) -> Array:
        """As `probe_along`, without the decisions."""
        owners, samples = self._whole(np.arange(len(scales)))
        rows = self._shifted(address, direction, scales)
        return self._losses(rows, self.behind(address), owners, samples, len(scales))

    def _shifted(self, address: str, direction: Array, scales: Array) -> Array:
        """What layer `behind(address)` gets, (P·B, *in), when the whole tensor moves by scales[p]·direction."""
        tensor = self.tensors[address]
        if address.endswith(f".{INPUT}"):
            return np.concatenate([tensor + scale * direction for scale in scales])
        at = tensor.copy()
        return self._with_parameters(address, (at + scale * direction for scale in scales))

    @np.errstate(all="ignore")
    def probe_line(self, lines: dict[str, Array], scales: Array) -> tuple[Array, Array]:
        """As `probe`, for moves of many tensors together by scales[p]·lines[address], one forward for each."""
        before = self.network.parameters.copy()
        changes, flipped = np.zeros(len(scales)), np.zeros(len(scales), np.intp)
        try:
            for p, scale in enumerate(scales.tolist()):
                x = self.inputs[0] + scale * lines[DATA] if DATA in lines else self.inputs[0]
                for address in lines.keys() - {DATA}:
                    self.tensors[address][...] += scale * lines[address]
                (changes[p],), (flipped[p],) = self._walk(x, 0, 1)
                self.network.parameters[...] = before
        finally:
            self.network.parameters[...] = before
        return changes, flipped

    def _moved(self, address: str, entries: Array, deltas: Array) -> Array:
        """What layer `behind(address)` gets, (P·B, *in), one mini-batch for each moved entry."""
        index, count = self.behind(address), len(entries)
        shape = (count * self.batch, *self.inputs[index].shape[1:])
        if address == DATA:
            rows = np.tile(self.tensors[DATA].reshape(1, -1), (count, 1))
            rows[np.arange(count), entries] += deltas
            return rows.reshape(shape)
        role, layer = address.partition(".")[2], self.layers[index - 1]
        reaction = layer.react(role, entries, deltas, self.inputs[index - 1])
        if reaction is not None:
            rows = np.tile(flat_rows(self.inputs[index]), (count, 1, 1))
            rows[np.arange(count), :, reaction[0]] += reaction[1]
            return rows.reshape(shape)
        return self._with_parameters(address, _each_moved(self.tensors[address].copy(), entries, deltas))

    def _with_parameters(self, address: str, values: Iterable[Array]) -> Array:
        """The layer's outputs with its parameter set to each of the values, (P·B, *out); it is put back."""
        index, tensor = self.behind(address) - 1, self.tensors[address]
        before = tensor.copy()
        try:
            outputs = []
            for value in values:
                tensor[...] = value
                outputs.append(replay(self.layers[index], self.inputs[index], 1).copy())
        finally:
            tensor[...] = before
        return np.concatenate(outputs)

    def _walk(self, rows: Array, k: int, count: int) -> tuple[Array, Array]:
        """The changed losses of `count` whole mini-batches that enter layer k, and how many decisions differ."""
        flipped = np.zeros(count, np.intp)
        for layer, here in zip(self.layers[k:], self.inputs[k:], strict=False):
            sides, base = layer.decisions(rows), layer.decisions(here)
            if sides is not None and base is not None:
                flipped += np.count_nonzero(sides.reshape(count, -1) != base.reshape(1, -1), axis=1)
            rows = replay(layer, rows, count)
        sides = self.criterion.decisions(rows, self.targets[np.tile(np.arange(self.batch), count)])
        base = self.criterion.decisions(self.inputs[-1], self.targets)
        if sides is not None and base is not None:
            flipped += np.count_nonzero(sides.reshape(count, -1) != base.reshape(1, -1), axis=1)
        return self._losses(rows, len(self.layers), *self._whole(np.arange(count)), count), flipped

    # --- rounding noise ---------------------------------------------------------------------------

    @property
    def coarseness(self) -> float:
        """eps·mean|loss|: what rounding the loss itself costs, the least that the noise can be."""
        return EPS * float(np.abs(self.losses).mean())

    @cached_property
    @np.errstate(all="ignore")
    def noise(self) -> float:
        """How far rounding throws the loss off, at least eps·mean|loss|: that of the whole pass, or of the loss alone.

        The loss alone needs a measurement of its own, with more points: a confident cross-entropy is much coarser than
        eps·|L|, since log(1 + 1e-12) moves in steps of 1e-16.
        """
        rng = np.random.Generator(np.random.PCG64(1))
        moving = [a for a in self.tensors if a == DATA or not a.endswith(f".{INPUT}")]
        lines = [{a: rng.standard_normal(self.tensors[a].shape) for a in moving} for _ in range(LINES)]
        outputs = rng.standard_normal((LINES, *self.inputs[-1].shape))
        whole = line_noise(np.stack([self._line(line, spacing) for line in lines]) for spacing in SPACINGS)
        alone = line_noise(np.stack([self._line_of_outputs(y, spacing) for y in outputs]) for spacing in SPACINGS)
        return max(whole, alone, self.coarseness)

    def _line_of_outputs(self, line: Array, spacing: float) -> Array:
        """The change of the loss at 64 points y + k·spacing·line."""
        moves = spacing * np.arange(64.0).reshape(-1, 1, 1) * line
        rows = flat_rows(self.inputs[-1]) + moves
        owners, samples = self._whole(np.arange(64))
        return self._losses(rows.reshape(-1, line.shape[1]), len(self.layers), owners, samples, 64)

    def _line(self, lines: dict[str, Array], spacing: float) -> Array:
        """The change of the loss at eight points θ + k·spacing·line/√size."""
        size = np.sqrt(sum(line.size for line in lines.values()))
        return self.probe_line(lines, np.arange(8.0) * spacing / size)[0]
