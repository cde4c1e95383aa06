"""Ready-made stacks of layers, made to fit the data that stands."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt, prod

from engine.layers import LayerSpec
from engine.layers.activations import ReLU, Sigmoid
from engine.layers.conv import Conv2D
from engine.layers.dense import Dense
from engine.layers.pool import MaxPool2D
from engine.layers.reshape import Flatten, Reshape
from engine.layers.residual import Residual
from engine.protocol import Built
from engine.spec import RecipeError

DEEP = 8  # layers of units in the deep stacks
Layers = tuple[LayerSpec, ...]
Stack = Callable[[Built], Layers]


def mlp(network: Built) -> Layers:
    """Three dense layers with ReLU between them."""
    return (*_flat(network), Dense(units=64), ReLU(), Dense(units=32), ReLU(), Dense(units=_outputs(network)))


def deep_sigmoid(network: Built) -> Layers:
    """Eight dense layers with sigmoids: the gradient dies on its way back."""
    return (*_flat(network), *(Dense(units=16), Sigmoid()) * DEEP, Dense(units=_outputs(network)))


def conv_net(network: Built) -> Layers:
    """Two convolutions over pictures, and a dense layer. Raises RecipeError where the data holds no pictures."""
    channels, rows, columns = picture = _picture(network)
    given = () if network.data.shape == picture else (Reshape(shape=(channels, rows, columns)),)
    pool = (MaxPool2D(),) if min(rows, columns) >= 4 else ()
    first = Conv2D(filters=8, kernel=3, padding=1), ReLU(), *pool
    return (*given, *first, Conv2D(filters=16, kernel=3, padding=1), ReLU(), Flatten(), Dense(units=_outputs(network)))


def residual_tower(network: Built) -> Layers:
    """Eight blocks of a dense layer and a ReLU with a skip around each: the gradient finds a way back."""
    block = Residual(layers=(Dense(units=16), ReLU()))
    return (*_flat(network), Dense(units=16), *(block,) * DEEP, Dense(units=_outputs(network)))


STACKS: dict[str, Stack] = {
    "MLP": mlp,
    "Deep sigmoid": deep_sigmoid,
    "Conv net": conv_net,
    "Residual tower": residual_tower,
}


def _flat(network: Built) -> Layers:
    return (Flatten(),) if len(network.data.shape) > 1 else ()


def _outputs(network: Built) -> int:
    """As many as the network that stands has: they fit the loss and the classes."""
    return prod(network.layers[-1].out_shape)


def _picture(network: Built) -> tuple[int, int, int]:
    """A sample as channels, rows, columns. Raises RecipeError where it is no picture."""
    shape = network.data.image_shape or network.data.shape
    size = prod(network.data.shape)
    if len(shape) == 3 and prod(shape) == size:
        return shape[0], shape[1], shape[2]
    if len(shape) == 2 and size % prod(shape) == 0:
        return size // prod(shape), shape[0], shape[1]
    side = isqrt(size)
    if side > 2 and side * side == size:
        return 1, side, side
    raise RecipeError("a conv net wants pictures, which this data does not hold; choose the digits, or another stack")
