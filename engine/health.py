"""Health: a few numbers of every step that tell how training fares, beside the norms that the trainer records.

Column (one each for tensor "0.W", layer 0, or the step) and what it is:

mean_gradient.0.W   mean |g| of the gradient that the optimizer got
delta.0             ‖grad_y‖ of layer 0: the gradient of what it gives
rms.0, mean.0       of what the layer gives, y, over the mini-batch; not of one whose y goes into an activation
active.0, alive.0   of a ReLU: share of the entries of y above 0; share of the units above 0 for some sample
saturated.0         share of the entries with |tanh| > 0.97, of a sigmoid outside 0.03 to 0.97
cosine              between the gradients of this step and the last
noise_scale         trΣ/‖g‖² over the dense layers' gradients of single samples
loss_drop           loss of the mini-batch before the update less that after it

The last two cost a product and a forward: they are NaN but for every 64th step. Others follow from columns there are:
`variance`, `dead`, `update_ratio`. Where a mini-batch is small, a step is mostly the overhead of calls; so each number
takes one call, and scales and roots are taken of all at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np

from engine.frames import Array
from engine.gradient_stats import GradientStats
from engine.layers.activations import Activation, ReLULayer, SigmoidLayer, TanhLayer
from engine.layers.base import Layer
from engine.layers.dense import DenseLayer
from engine.layers.reshape import ReshapeLayer
from engine.network import Pass
from engine.timeline import Timeline
from engine.trainer import Trainer

MOST_PASSES = 4  # as many as a network keeps
SELDOM = 64  # steps between two measurements of what is dear
SATURATED = {TanhLayer: (0.0, 0.97), SigmoidLayer: (0.5, 0.47)}  # middle of the range, and how far from it


@dataclass(frozen=True)
class Rectified:
    """A ReLU's y (B, values); a unit is one value of a sample, of images a channel with all its pixels."""

    y: Array
    mask: Array  # room
    sums: Array  # over the batch, room
    units: Array  # the sums as (units, pixels)
    pixels: Array  # as many ones as a unit has values

    def alive(self, ones: Array) -> int:
        """How many units are above 0 for some sample; NaN counts as alive. `ones` is (B,)."""
        ones.dot(self.y, self.sums)
        return int(np.count_nonzero(self.sums if len(self.pixels) == 1 else self.units.dot(self.pixels)))


@dataclass(frozen=True)
class Views:
    """What is looked at in one pass: flat views, and room for what is computed of them."""

    run: Pass
    deltas: list[Array]  # grad_y of every layer
    outputs: list[tuple[Array, Array]]  # y, and as many ones
    rectified: list[Rectified]
    saturable: list[tuple[Array, float, float, Array, Array]]  # y, middle, reach; room for distances and for a mask
    ones: Array  # (B,)
    scale: Array  # what each number is multiplied by


class Health:
    """Measures a trainer's last step. `columns` names the numbers in the order `measure` writes them."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._gradients = GradientStats(trainer)
        specs, layers = trainer.recipe.layers, trainer.current.layers
        slots = trainer.network.slots
        self._tensors = len(slots)
        self._given = [i for i in range(len(specs)) if not isinstance((*specs, None)[i + 1], Activation)]
        self._rectified = [i for i, layer in enumerate(layers) if isinstance(layer, ReLULayer)]
        self._saturable = [i for i, layer in enumerate(layers) if isinstance(layer, tuple(SATURATED))]
        self.columns = [f"mean_gradient.{slot.address}" for slot in slots]
        self.columns += [f"delta.{i}" for i in range(len(layers))]
        self.columns += [f"{kind}.{i}" for kind in ("rms", "mean") for i in self._given]
        self.columns += [f"{kind}.{i}" for kind in ("active", "alive") for i in self._rectified]
        self.columns += [f"saturated.{i}" for i in self._saturable]
        self.columns += ["cosine", "noise_scale", "loss_drop"]
        self._roots = len(layers) + len(self._given)  # of how many numbers the root is taken
        means = self._tensors + self._roots + len(self._given)  # sums and their means: no more exact than the network
        single = trainer.network.dtype == np.float32
        self._single = np.empty(means, np.float32) if single else None
        self._views: dict[int, Views] = {}

    def forget(self) -> None:
        """The last gradient is not known."""
        self._gradients.forget()

    def remember(self) -> None:
        """Keep the gradient of a step that is not measured, for the next one's cosine."""
        self._gradients.remember()

    def measure(self, row: Array) -> None:
        """Write the numbers of the step just completed, one a column."""
        run, tensors = self._trainer.current, self._tensors
        views = self._views.get(id(run))
        if views is None or views.run is not run:
            if len(self._views) >= MOST_PASSES:
                self._views.clear()
            views = self._views[id(run)] = self._look(run)
        row[-3] = self._gradients.measure(row[:tensors])
        self._activations(views, row[tensors:-3])
        seldom = self._trainer.step_count % SELDOM == 0
        row[-2] = noise_scale(run) if seldom else nan
        row[-1] = loss_drop(self._trainer) if seldom else nan
        if self._single is not None:
            exact = row[: len(self._single)]
            np.copyto(self._single, exact, casting="same_kind")
            exact[:] = self._single  # which takes half the room, see `Block`

    def _activations(self, views: Views, out: Array) -> None:
        """deltas, rms, means, active, alive, saturated."""
        count = np.count_nonzero
        numbers = [delta.dot(delta) for delta in views.deltas]
        numbers += [y.dot(y) for y, _ in views.outputs]
        numbers += [y.dot(ones) for y, ones in views.outputs]
        numbers += [count(np.greater(relu.y, 0, relu.mask)) for relu in views.rectified]
        numbers += [relu.alive(views.ones) for relu in views.rectified]
        for y, middle, reach, away, mask in views.saturable:
            np.abs(np.subtract(y, middle, out=away), out=away)
            numbers.append(count(np.greater(away, reach, out=mask)))
        np.multiply(numbers, views.scale, out=out)
        roots = out[: self._roots]
        np.sqrt(roots, out=roots)

    def _look(self, run: Pass) -> Views:
        """The views of a pass."""
        batch, dtype = len(run.x), run.x.dtype
        outputs = _outputs(run)
        ones = np.ones(max(map(len, outputs)), dtype)
        rectified = [_rectified(run.layers[i].y) for i in self._rectified]
        saturable = []
        for i in self._saturable:
            middle, reach = next(v for kind, v in SATURATED.items() if isinstance(run.layers[i], kind))
            saturable.append((outputs[i], middle, reach, np.zeros_like(outputs[i]), np.zeros(len(outputs[i]), bool)))
        given = [(outputs[i], ones[: len(outputs[i])]) for i in self._given]
        scale = [1.0] * len(outputs) + [1 / len(y) for y, _ in given] * 2
        scale += [1 / relu.y.size for relu in rectified] + [1 / len(relu.units) for relu in rectified]
        scale += [1 / len(y) for y, *_ in saturable]
        return Views(run, _deltas(run), given, rectified, saturable, ones[:batch], np.array(scale))


def _rectified(y: Array) -> Rectified:
    """What is looked at of a ReLU's y, (B, units) or (B, channels, rows, columns)."""
    flat = y.reshape(len(y), -1)
    sums = np.zeros(flat.shape[1], y.dtype)
    units = sums.reshape(y.shape[1], -1)
    return Rectified(flat, np.zeros(flat.shape, bool), sums, units, np.ones(units.shape[1], y.dtype))


def _outputs(run: Pass) -> list[Array]:
    """y of every layer, flat; that of a Reshape, whose own is made anew each time, is its neighbour's."""
    found: list[Array] = []
    for layer in run.layers:
        if isinstance(layer, ReshapeLayer):
            found.append(found[-1] if found else run.x.reshape(-1))
        else:
            found.append(layer.y.reshape(-1))
    return found


def _deltas(run: Pass) -> list[Array]:
    """grad_y of every layer, flat."""
    found = [run.loss.grad_y.reshape(-1)]
    for layer in reversed(run.layers[1:]):
        found.append(found[-1] if isinstance(layer, ReshapeLayer) else layer.grad_x.reshape(-1))
    return found[::-1]


# --- what is dear, or follows from other columns --------------------------------------------------


def noise_scale(run: Pass) -> float:
    """trΣ/‖g‖² over the dense layers (McCandlish et al. 2018), g the mean and Σ the covariance of samples' gradients.

    Sample n adds xₙ·δₙᵀ to grad_W and δₙ to grad_b, so that products of gradients are (xₙ·xₘ + 1)·(δₙ·δₘ).
    """
    batch = len(run.x)
    both, own = 0.0, 0.0  # ‖Σₙ‖², Σₙ‖·‖²
    for layer in run.layers:
        if isinstance(layer, DenseLayer):
            products = layer.x.dot(layer.x.T)
            if layer.b is not None:
                products += 1
            products *= layer.grad_y.dot(layer.grad_y.T)
            both += float(products.sum())
            own += float(np.trace(products))
    if batch < 2 or not both > 0:
        return nan
    return (batch * batch * own - batch * both) / (batch - 1) / both


def loss_drop(trainer: Trainer) -> float:
    """The loss of the mini-batch just done less what it is after the update, by the layers' training form."""
    run = trainer.current
    y = run.x
    for layer in run.layers:
        y = layer.replay(y, 1)
    return trainer.loss - float(run.loss.per_sample(y, run.targets).mean(dtype=np.float64))


def expected_drop(trainer: Trainer) -> float:
    """−g·Δθ: by how much the loss of the mini-batch just done falls if it is as straight as its gradient says."""
    return -float(np.dot(trainer.network.gradients, trainer.network.updates))


def variance(history: Timeline, layer: int, step: int) -> float:
    """Of what a layer gives, over the mini-batch; NaN where its y goes into an activation."""
    rms, mean = history.value(f"rms.{layer}", step), history.value(f"mean.{layer}", step)
    return max(rms * rms - mean * mean, 0.0) if rms == rms else nan


def dead(history: Timeline, layer: int, step: int) -> float:
    """The share of a ReLU's units that is above 0 for no sample; NaN for other layers."""
    return 1.0 - history.value(f"alive.{layer}", step)


def update_ratio(history: Timeline, address: str, step: int) -> float:
    """‖Δθ‖/‖θ‖ of a parameter such as "0.W" in one step; about 0.001 is healthy."""
    size = history.value(f"parameter.{address}", step)
    return history.value(f"update.{address}", step) / size if size else nan


def pull(layer: Layer, role: str, index: tuple[int, ...]) -> Array:
    """What each sample adds to one cell of grad_W or grad_b of a dense layer, (B,). Raises ValueError for others."""
    if not isinstance(layer, DenseLayer) or role not in ("W", "b"):
        raise ValueError("only the W and b of a dense layer tell what each sample adds to their gradients")
    delta = layer.grad_y[:, index[-1]]
    return layer.x[:, index[0]] * delta if role == "W" else delta.copy()


def cancellation(pulls: Array) -> float:
    """|mean| / mean|·|: 1 where all samples pull the same way, near 0 where they cancel each other."""
    size = float(np.abs(pulls).mean())
    return abs(float(pulls.mean())) / size if size else nan
