"""The point at which a check was made, kept: one entry of a tensor, and the error against h, can be asked for later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine.gradcheck import ErrorCurve, sweeping
from engine.network import Network
from engine.numeric import Landscape
from engine.tensorcheck import TensorReport
from engine.trainer import Trainer
from engine.verdicts import VERDICTS, Verdict


@dataclass(frozen=True)
class EntryReport:
    """What the check made of one entry, and the losses that its numerical value comes from at the usual h."""

    value: float
    analytic: float
    numeric: float  # NaN where it was not looked at
    verdict: Verdict
    loss: float
    loss_up: float  # L(θ + h)
    loss_down: float  # L(θ − h)
    h: float
    flips: int | None  # decisions (masks, argmax, sides) that differ on either side; None where none are taken


class CloseUp:
    """Parameters and mini-batch of a trainer as they are now; the float64 copy is made when first needed."""

    def __init__(self, trainer: Trainer) -> None:
        network = trainer.network
        self._recipe, self._shape = trainer.recipe, network.shapes[0]
        self._parameters, self._buffers = network.parameters.copy(), network.buffers.copy()
        self._drawn_for = trainer.step_count + (trainer.phase is None)
        x, targets = trainer.minibatch()
        self._x = np.array(x, np.float64)
        self._targets = np.array(targets, np.float64 if targets.dtype.kind == "f" else targets.dtype)

    @cached_property
    def land(self) -> Landscape:
        """The loss around the point."""
        network = Network(self._recipe, self._shape, "float64")
        network.parameters[...], network.buffers[...] = self._parameters, self._buffers
        network.drawn_for = self._drawn_for
        return Landscape(network, self._x, self._targets)

    def entry(self, report: TensorReport, index: tuple[int, ...]) -> EntryReport:
        """One entry of a tensor that was checked. Raises IndexError where it has no such entry."""
        land, address = self.land, report.address
        tensor = land.tensors[address]
        inside = len(index) == tensor.ndim and all(0 <= i < n for i, n in zip(index, tensor.shape, strict=True))
        if not inside or report.analytic.shape != tensor.shape:
            raise IndexError(f"{address} has no entry {index}")
        flat = np.array([np.ravel_multi_index(index, tensor.shape)])
        up, down = land.steps(address, flat)
        changes, flips = land.probe(address, np.repeat(flat, 2), np.concatenate([up, down]))
        return EntryReport(
            float(tensor[index]),
            float(report.analytic[index]),
            float(report.numeric[index]),
            VERDICTS[int(report.status[index])],
            land.loss,
            land.loss + float(changes[0]),
            land.loss + float(changes[1]),
            float(up[0]),
            int(flips.sum()) if self._decides(address) else None,
        )

    def _decides(self, address: str) -> bool:
        """Whether any layer behind a tensor, or the loss, takes decisions."""
        land = self.land
        behind = zip(land.layers[land.behind(address) :], land.inputs[land.behind(address) :], strict=False)
        if any(layer.decisions(x) is not None for layer, x in behind):
            return True
        return land.criterion.decisions(land.inputs[-1], land.targets) is not None

    def sweep(self, report: TensorReport) -> Iterator[ErrorCurve | None]:
        """The error of a tensor that was checked against h, in slices: None, and at last the curve."""
        return sweeping(self.land, report.address, report.analytic)
