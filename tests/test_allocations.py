"""A step of training makes no large array, whatever the layers, loss, optimizer and clipping are."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgspec
import numpy as np
import pytest
from layer_examples import LOSSES, Drawn

from engine import clipping, layers, optimizers
from engine.layers.activations import ReLU, Tanh
from engine.layers.conv import Conv2D
from engine.layers.custom import Custom
from engine.layers.dense import Dense
from engine.layers.dropout import Dropout
from engine.layers.norm import BatchNorm
from engine.layers.reshape import Flatten, Reshape
from engine.layers.residual import Residual
from engine.layers.smooth import GELU
from engine.layers.softmax import Softmax
from engine.losses import LossSpec, SoftmaxCrossEntropy
from engine.recipe import Recipe
from engine.spec import members
from engine.trainer import Trainer

# One activation is 64 · 6000 float64 = 3 MB, W of the first layer 3 MB too; numpy's own casting buffers are 66 kB.
BATCH, INPUTS, WIDTH = 64, 64, 6000
CHANNELS, SIDE = 4, 20
LIMIT = 600_000  # erf works in chunks of half as much

VECTORS: dict[str, tuple[layers.LayerSpec, ...]] = {
    "residual": (Residual(layers=(Dense(units=WIDTH // 60), Dropout(), Dense(units=WIDTH), BatchNorm(), ReLU())),),
    "reshape": (Reshape(shape=(4, WIDTH // 4)), Flatten()),
    "dense": (Dense(units=WIDTH // 60, l1=0.1, l2=0.1), Dense(units=WIDTH)),
    "gelu_tanh": (GELU(approximate="tanh"),),
}
PICTURES: dict[str, tuple[layers.LayerSpec, ...]] = {
    "conv2d": (Conv2D(filters=5, padding=1), Conv2D(filters=4, stride=2, dilation=2, padding=1)),
}


def stack_around(kind: type[layers.LayerSpec] | str) -> tuple[layers.LayerSpec, ...]:
    """A network whose arrays at this kind of layer are large."""
    name = kind if isinstance(kind, str) else kind.kind()
    wide = (Dense(units=WIDTH), Tanh())
    if name in VECTORS:
        return (*wide, *VECTORS[name], Dense(units=3))
    picture = (*wide, Reshape(shape=(CHANNELS, SIDE, WIDTH // CHANNELS // SIDE)))
    if name in PICTURES:
        return (*picture, *PICTURES[name], Flatten(), Dense(units=3))
    assert not isinstance(kind, str)
    spec = kind()
    try:
        spec.output_shape((WIDTH,))
    except layers.ShapeError:
        return (*picture, spec, Flatten(), Dense(units=3))
    return (*wide, spec, Flatten(), Dense(units=3))


def extra_memory(stack: tuple[layers.LayerSpec, ...], loss: LossSpec | None = None, **changes: Any) -> int:
    """Bytes that steps of training take beyond what the network holds, at the most."""
    recipe = Recipe(
        dtype="float64",
        data=Drawn((INPUTS,), count=2 * BATCH),  # type: ignore[arg-type]
        layers=stack,
        loss=loss or SoftmaxCrossEntropy(),
        batch_size=BATCH,
    )
    trainer = Trainer(msgspec.structs.replace(recipe, **changes))
    for _ in range(3):  # into the second epoch, whose order is drawn anew
        trainer.step()
    tracemalloc.start()
    try:
        for _ in range(2):
            trainer.step()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", [*(k for k in layers.KINDS if k is not Custom), "gelu_tanh"])
def test_no_layer_makes_a_large_array_in_a_step(kind: type[layers.LayerSpec] | str) -> None:
    assert extra_memory(stack_around(kind)) < LIMIT


@pytest.mark.parametrize("kind", LOSSES)
def test_no_loss_makes_a_large_array_in_a_step(kind: type[LossSpec]) -> None:
    end = (Dense(units=WIDTH), Softmax()) if kind().takes == "probabilities" else (Dense(units=WIDTH),)
    extra = extra_memory((Dense(units=8), *end), kind(), data=Drawn((INPUTS,), classes=WIDTH, count=2 * BATCH))
    assert extra < LIMIT


@pytest.mark.parametrize("kind", members(optimizers.OptimizerSpec))
def test_no_optimizer_makes_a_large_array_in_a_step(kind: type[optimizers.OptimizerSpec]) -> None:
    fields = {"weight_decay": 0.1} | ({"momentum": 0.5} if hasattr(kind(), "momentum") else {})
    stack = (Dense(units=WIDTH, frozen="biases"), Tanh(), Dense(units=3))
    assert extra_memory(stack, optimizer=kind(**fields)) < LIMIT


@pytest.mark.parametrize("kind", members(clipping.Clipping))
def test_no_clipping_makes_a_large_array_in_a_step(kind: type[clipping.Clipping]) -> None:
    assert extra_memory((Dense(units=WIDTH), Tanh(), Dense(units=3)), clip=kind()) < LIMIT


def test_the_limit_would_notice_an_array_of_a_quarter_of_an_activation(monkeypatch: pytest.MonkeyPatch) -> None:
    def wasteful(self: Any, x: Any, out: Any = None) -> Any:
        np.zeros(BATCH * WIDTH // 4)
        return np.tanh(x, out=out)

    monkeypatch.setattr(Tanh.layer, "apply", wasteful)
    assert extra_memory((Dense(units=WIDTH), Tanh(), Dense(units=3))) > LIMIT
