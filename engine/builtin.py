"""Layers and losses of the engine as subjects: seen from outside, like anyone's own code."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engine.contracts import backward
from engine.layers.base import Layer, LayerSpec, Shape
from engine.losses import Loss, LossSpec
from engine.plants import plant
from engine.subject import INPUT, Array, Copy, Subject, SubjectError


class LayerSubject(Subject):
    """One layer of the engine in float64, with given or drawn parameters; `slug` plants a bug into it."""

    family = "layer"

    def __init__(
        self,
        spec: LayerSpec,
        shape: Shape,
        slug: str | None = None,
        parameters: Mapping[str, Array] | None = None,
        x: Array | None = None,
        stream: tuple[tuple[int, ...], int] = ((0, 0), 1),
        seed: int = 0,
    ) -> None:
        self.name, self.kind = spec.title(), spec.kind()
        self.spec, self.shape, self.slug, self.x = spec, shape, slug, x
        self.stream = stream
        rng = np.random.Generator(np.random.PCG64(seed))
        given = parameters or {}
        self.parameters = {
            role: np.array(given[role], np.float64) if role in given else _drawn(role, parameter.shape, rng)
            for role, parameter in spec.parameters(shape).items()
        }

    def copy(self) -> Copy:
        """A layer of its own, built when the first input tells its batch."""
        return _LayerCopy(self)

    def draw(self, rng: np.random.Generator, batch: int) -> tuple[Array, Array | None]:
        """Rows of the real input where there is one, else normal numbers."""
        x = rng.standard_normal((batch, *self.shape))
        if self.x is not None:
            rows = rng.permutation(len(self.x))[:batch]
            x[: len(rows)] = self.x[rows]
        return x, None

    def build(self, batch: int) -> Layer:
        """The layer for `batch` samples, its tensors as they would be in a network, the bug in it."""
        layer = self.spec.build(self.shape, batch, np.float64)
        layer.stream_key, step = self.stream
        parameters = {role: value.copy() for role, value in self.parameters.items()}
        layer.attach(parameters, {role: np.zeros_like(value) for role, value in parameters.items()})
        buffers = self.spec.buffers(self.shape)
        layer.attach_buffers({role: np.full(p.shape, float(role.endswith("var"))) for role, p in buffers.items()})
        if layer.draws:
            layer.prepare(step)
        return layer if self.slug is None else plant(layer, self.slug)


def _drawn(role: str, shape: Shape, rng: np.random.Generator) -> Array:
    """Normal numbers; scales and slopes around their usual values."""
    values = rng.standard_normal(shape)
    last = role.rpartition(".")[2]
    return 1 + 0.3 * values if last == "gamma" else 0.25 + 0.1 * values if last == "slope" else values


class _LayerCopy(Copy):
    def __init__(self, subject: LayerSubject) -> None:
        self.subject = subject
        self.parameters = {role: value.copy() for role, value in subject.parameters.items()}
        self.layers: dict[int, Layer] = {}
        self.layer: Layer | None = None

    def forward(self, x: Array, targets: Array | None = None) -> Array:
        layer = self.layers.get(len(x))
        if layer is None:
            layer = self.layers[len(x)] = self.subject.build(len(x))
            gradients = layer.gradients
            layer.attach(self.parameters, gradients)
        self.layer = layer
        return np.array(layer.forward(x))

    def backward(self, grad_y: Array) -> dict[str, Array]:
        if self.layer is None:
            raise SubjectError("backward runs before forward")
        return backward(self.layer, grad_y)


class LossSubject(Subject):
    """One loss of the engine in float64; `slug` plants a bug into its backward."""

    family = "loss"

    def __init__(
        self,
        spec: LossSpec,
        outputs: int,
        slug: str | None = None,
        x: Array | None = None,
        targets: Array | None = None,
    ) -> None:
        self.name, self.kind = spec.title(), spec.kind()
        self.spec, self.outputs, self.slug, self.x, self.given = spec, outputs, slug, x, targets

    def copy(self) -> Copy:
        """A loss of its own."""
        return _LossCopy(self)

    def draw(self, rng: np.random.Generator, batch: int) -> tuple[Array, Array | None]:
        """Rows of the real outputs and targets where there are some, else drawn ones that the loss takes."""
        if self.x is not None and self.given is not None:
            rows = rng.permutation(np.arange(max(batch, len(self.x))) % len(self.x))[:batch]
            return np.array(self.x[rows], np.float64), np.array(self.given[rows])
        x = rng.standard_normal((batch, self.outputs))
        if self.spec.takes == "probabilities":
            x = np.exp(x) / (1 + np.exp(x)) if not self.spec.needs_classes else np.exp(x) / np.exp(x).sum(1)[:, None]
        labels = rng.permutation(np.arange(batch) % max(2, self.outputs))
        try:
            return x, self.spec.targets(labels, None, self.outputs, np.float64)
        except ValueError as error:
            raise SubjectError(str(error)) from None

    def build(self, batch: int) -> Loss:
        """The loss for `batch` samples, the bug in it."""
        loss = self.spec.build(self.outputs, batch, np.float64)
        return loss if self.slug is None else plant(loss, self.slug)


class _LossCopy(Copy):
    def __init__(self, subject: LossSubject) -> None:
        self.subject, self.parameters = subject, {}
        self.losses: dict[int, Loss] = {}
        self.loss: Loss | None = None

    def forward(self, x: Array, targets: Array | None = None) -> Array:
        if targets is None:
            raise SubjectError("a loss needs targets")
        if len(x) not in self.losses:
            self.losses[len(x)] = self.subject.build(len(x))
        self.loss = self.losses[len(x)]
        return np.asarray(self.loss.forward(x, targets))

    def backward(self, grad_y: Array) -> dict[str, Array]:
        if self.loss is None:
            raise SubjectError("backward runs before forward")
        return {INPUT: self.loss.backward() * float(grad_y)}
