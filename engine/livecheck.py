"""The live check: while training plays, the gradient of a step is held against two losses along a random direction.

That direction moves all parameters at once. Where it agrees, which is nearly always, no more is done. Where it does
not, its slope is followed over many steps h; and where that does not settle it, every tensor, and the gradient between
any two layers, gets a direction of its own. The layer nearest the output that has a wrong one is where the bug is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from engine.contracts import backward
from engine.gradcheck import analytic_gradients
from engine.joint import RETRIES, JointCheck, JointSlope, Slices
from engine.layers.base import Array, Layer
from engine.numeric import INPUT, STEP, Landscape
from engine.tensorcheck import TensorCheck, TensorReport, settle_along
from engine.trainer import Trainer
from engine.verdicts import FAIL_ERROR, VERDICTS, Verdict

SHARE = 1 / 50  # of the running time
SLICE = 0.004  # seconds after which a check that fits itself in lets training go on
FAR_FROM_OVERFLOW = 1e9  # a loss; a gradient overflows only where losses are beyond any use
NO_LOSS = "the loss is NaN or infinite: there is no slope to compare with"


@dataclass(frozen=True)
class LiveVerdict:
    """What the live check says of one step."""

    step: int
    verdict: Verdict
    error: float  # |a − n| / size along the joint direction; NaN where neither says anything
    layer: int | None = None  # where it failed: the layer with the wrong backward; one past the last: the loss
    tensors: dict[str, TensorReport] = field(default_factory=dict)  # where it failed, by address
    note: str = ""
    float32_error: float = 0.0  # how far the float32 network's own gradient is from that of its float64 copy


class LiveCheck:
    """Runs as often as fits a fiftieth of the running time, or every n-th step; keeps its copy of the network."""

    def __init__(self, every: int | None = None, seed: int = 0) -> None:
        self.every = every  # steps; None: as often as fits
        self._seed, self._joint = seed, None  # type: int, JointCheck | None
        self._waited, self._next = 0, 0.0

    def due(self, now: float) -> bool:
        """Whether to check the step just done; to be asked after every step. `now` is `time.perf_counter()`."""
        self._waited += 1
        return self._waited >= self.every if self.every else now >= self._next

    def check(self, trainer: Trainer) -> LiveVerdict:
        """Check the step just done, before anything else changes its parameters; the trainer is left untouched."""
        *_, found = self.slices(trainer, at_once=True)
        assert found is not None
        return found

    def slices(self, trainer: Trainer, at_once: bool = False) -> Iterator[LiveVerdict | None]:
        """As `check`, in slices: yields None, at last the verdict.

        After the first slice the trainer may go on; the next check must wait for the end of this one. Where every n-th
        step is checked, or `at_once`, it is all one slice unless a closer look is needed.
        """
        work, spent = self._check(trainer), 0.0
        within = np.inf if at_once or self.every else SLICE
        while True:
            started, found = perf_counter(), None
            with trainer.computing(), np.errstate(all="ignore"):
                try:
                    while not next(work) and perf_counter() < started + within:
                        pass
                except StopIteration as end:
                    found = end.value
            ended = perf_counter()
            spent += ended - started
            if found is not None:
                break
            yield None
        self._waited, self._next = 0, ended + spent * (1 / SHARE - 1)
        yield found

    def _check(self, trainer: Trainer) -> Slices[LiveVerdict]:
        joint = self._joint
        if joint is None or joint.source is not trainer.network:
            joint = self._joint = JointCheck(trainer, self._seed)
        joint.load(trainer)
        step, loss = trainer.step_count, trainer.loss
        if not joint.network.slots:
            return LiveVerdict(step, "unresolvable", float("nan"), note="the network has no parameters")
        own, off = joint.own(trainer), 0.0
        if own is not None and trainer.network.dtype == np.float64:
            gradient = own
        else:
            gradient = yield from joint.backward()
            off = 0.0 if own is None else joint.apart(own, gradient)
        if not np.isfinite(gradient).all():
            return _not_a_number(step, loss, joint, gradient if own is None else own)
        slope = yield from joint.slope(gradient)
        for scale in RETRIES[1:]:
            if slope.agrees or not np.isfinite(slope.numeric):
                break
            slope = yield from joint.slope(gradient, scale, again=True)
        if slope.agrees:
            return LiveVerdict(step, "pass", slope.error, float32_error=off)
        return (yield from _closer_look(step, joint, gradient, slope, off))


def _not_a_number(step: int, loss: float, joint: JointCheck, gradient: Array) -> LiveVerdict:
    """A gradient that holds NaN or infinity: an error where the loss of the step was finite, and far from overflow.

    Nothing else can be said: after its update the parameters it belongs to are lost.
    """
    wrong = [slot.layer for slot in joint.network.slots if not np.isfinite(slot.view(gradient)).all()]
    if not wrong or not abs(loss) < FAR_FROM_OVERFLOW:
        return LiveVerdict(step, "unresolvable", float("nan"), note=NO_LOSS)
    note = f"the gradient of layer {max(wrong)} holds NaN or infinity, though the loss is finite"
    return LiveVerdict(step, "fail", float("nan"), max(wrong), note=note)


def _closer_look(step: int, joint: JointCheck, gradient: Array, slope: JointSlope, off: float) -> Slices[LiveVerdict]:
    """Follow the joint slope over many steps h; where that says fail, look at every tensor and every boundary."""
    land = joint.landscape()
    yield True
    land.noise  # noqa: B018  # takes a while where the network is large
    yield True
    lines, views = joint.network.views(joint.direction), joint.network.views(gradient.copy())
    found = settle_along(
        np.array([slope.analytic]), lambda scales: land.probe_line(lines, scales), STEP, joint.reach, land.noise
    )
    verdict = VERDICTS[int(found.status[0])]
    if verdict != "fail":
        return LiveVerdict(step, verdict, slope.error, float32_error=off)
    yield True
    analytic = analytic_gradients(joint.network, joint.x.copy(), joint.targets) | views
    reports = {}
    for address in land.tensors:
        yield True
        reports[address] = _projected(land, address, analytic[address], joint.rng)
    wrong = {land.owner(address) for address, report in reports.items() if report.verdict == "fail"}
    tensors = {address: reports[address] for address in views}
    if not wrong:
        note = "the slope along one direction of all parameters differs, but no tensor's own does"
        return LiveVerdict(step, "unresolvable", slope.error, None, tensors, note, off)
    note = next(r.note for a, r in reports.items() if r.verdict == "fail" and land.owner(a) == max(wrong))
    return LiveVerdict(step, "fail", slope.error, _guilty(joint, reports, max(wrong)), tensors, note, off)


def _guilty(joint: JointCheck, reports: dict[str, TensorReport], nearest: int) -> int:
    """The layer nearest the output that is wrong: that of the nearest gradient that is, or one behind it.

    Where inputs tie, as zeros from a ReLU do in a max-pool's windows, a layer's own grad_x may be unresolvable, and
    what it does wrong is seen only in the gradient one layer on. Such a layer is looked at alone, away from its ties.
    """
    layers = joint.run.layers
    for index in reversed(range(nearest + 1, len(layers))):
        if reports[f"{index}.{INPUT}"].verdict != "pass" and _wrong_alone(layers[index], joint.rng):
            return index
    return nearest


def _wrong_alone(layer: Layer, rng: np.random.Generator) -> bool:
    """Whether a layer's grad_x is not the slope of Σ G⊙y, at a normal x and for a normal G."""
    x, grad_y, direction = (
        rng.standard_normal(shape) for shape in (layer.grad_x.shape, layer.y.shape, layer.grad_x.shape)
    )
    layer.needs_grad_x = True
    layer.forward(x.copy())
    analytic = np.vdot(backward(layer, grad_y.copy())["x"], direction)
    numeric = np.vdot(grad_y, layer.replay(x + STEP * direction, 1) - layer.replay(x - STEP * direction, 1)) / (
        2 * STEP
    )
    size = np.linalg.norm(grad_y) * np.linalg.norm(direction)
    return bool(abs(analytic - numeric) > FAIL_ERROR * size)


def _projected(land: Landscape, address: str, analytic: Array, rng: np.random.Generator) -> TensorReport:
    """The check of one tensor along one random direction."""
    slices = TensorCheck(land, address, analytic, np.zeros(0, np.intp), rng).slices()
    while True:
        try:
            next(slices)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
