"""Which bug can live in which layer or loss."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine import losses as loss_kinds
from engine.layers.activations import Activation, LeakyReLU, PReLU, ReLU
from engine.layers.base import LayerSpec, Shape
from engine.layers.conv import Conv2D
from engine.layers.dense import Dense
from engine.layers.dropout import Dropout
from engine.layers.norm import BatchNorm, LayerNorm
from engine.layers.reshape import Flatten, Reshape
from engine.layers.residual import Residual
from engine.layers.softmax import LogSoftmax, OverClasses, Softmax
from engine.losses import LossSpec
from engine.plants.in_layers import ANYWHERE, REMEMBERED, bias_role

_CURVED_IN_TARGETS = loss_kinds.CrossEntropy | loss_kinds.BinaryCrossEntropyOnProbabilities | loss_kinds.AbsoluteError


def plants_for(spec: LayerSpec | LossSpec, shape: Shape) -> tuple[str, ...]:
    """The slugs that can be planted into this layer or loss, which takes samples of `shape`."""
    return _into_loss(spec) if isinstance(spec, LossSpec) else tuple(dict.fromkeys(_into_layer(spec, shape)))


def _into_loss(spec: LossSpec) -> tuple[str, ...]:
    slugs = ["constant-factor", "sign-flipped", "extra-batch-mean"]
    if getattr(spec, "convention", "") != "sum":
        slugs.append("missing-batch-mean")
    if not isinstance(spec, _CURVED_IN_TARGETS):
        slugs.append("labels-from-elsewhere")
    if isinstance(spec, loss_kinds.MeanSquaredError | loss_kinds.SoftmaxCrossEntropy | loss_kinds.BinaryCrossEntropy):
        slugs.append("labels-ignored")
    if isinstance(spec, loss_kinds.SoftmaxCrossEntropy):
        slugs += ["extra-derivative", "softmax-wrong-axis"]
    return tuple(slugs)


def _into_layer(spec: LayerSpec, shape: Shape) -> Iterator[str]:
    """By what the layer is and has."""
    if isinstance(spec, OverClasses) and shape == (1,):
        return  # its gradient is always 0
    for slug in ANYWHERE:
        twin = isinstance(spec, Dropout) and slug == "constant-factor"  # there, that is dropout-scale
        view = isinstance(spec, Flatten | Reshape) and slug == "mutates-input"  # x is y there
        if not twin and not view:
            yield slug
    parameters = spec.parameters(shape)
    if parameters:
        yield from ("extra-batch-mean", "accumulates-across-calls", "integer-dtype")
        mixes = any(isinstance(held, BatchNorm) for _, held in spec.inside())
        if not mixes and max(parameter.size for parameter in parameters.values()) > 1:
            yield "batch-of-one"
    if parameters or isinstance(spec, Activation | OverClasses):
        yield from REMEMBERED
    if isinstance(spec, Dense | Conv2D):
        yield "l2-mismatch"
        rows, columns = parameters["W"].shape[-2:]
        if rows == columns > 1:
            yield "transposed"
    if isinstance(spec, Dense | Conv2D | BatchNorm | LayerNorm):
        bias = parameters.get(bias_role(parameters))
        if bias is not None:
            yield "bias-not-summed"
            if bias.size > 1:
                yield "bias-summed-over-all"
    yield from _by_kind(spec, shape)


def _by_kind(spec: LayerSpec, shape: Shape) -> Iterator[str]:
    """The bugs that belong to one kind of layer."""
    size = int(np.prod(shape))
    if isinstance(spec, ReLU | LeakyReLU | PReLU):
        yield from ("relu-mask-missing", "relu-mask-inverted")
    elif isinstance(spec, Activation):
        yield from ("local-derivative-missing", "extra-derivative")
    elif isinstance(spec, Softmax | LogSoftmax) and size > 1:
        yield from ("softmax-diagonal-only", "softmax-wrong-axis")
        if isinstance(spec, Softmax):  # of the logarithm, that is the dot term dropped
            yield "local-derivative-missing"
    elif isinstance(spec, BatchNorm) or (isinstance(spec, LayerNorm) and size > 2):
        yield from ("batchnorm-mean-path", "batchnorm-variance-path")
    elif isinstance(spec, Residual):
        yield from ("skip-dropped", "branch-overwritten")
    elif isinstance(spec, Dropout) and spec.rate > 0:
        yield from ("dropout-scale", "dropout-mask-redrawn")
