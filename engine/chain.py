"""Where a chain of layers breaks, what stands before the break, and which changes would mend it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isqrt, prod

import msgspec

from engine.describe import layer_info
from engine.layers import LayerSpec
from engine.layers.base import Shape
from engine.layers.custom import Custom
from engine.layers.dense import Dense
from engine.layers.off import Off
from engine.layers.reshape import Flatten, Reshape
from engine.layers.residual import Residual
from engine.network import ChainError, check_outputs, shape_chain
from engine.protocol import BrokenChain, Cure, Refused
from engine.recipe import Recipe, with_layers
from engine.spec import RecipeError

MOST_CURES = 2
Layers = tuple[LayerSpec, ...]


def refusal(error: RecipeError) -> Refused:
    """The event that tells of a recipe that cannot be built."""
    return Refused(str(error), broken(error) if isinstance(error, ChainError) else None)


def broken(error: ChainError) -> BrokenChain:
    """Where the chain breaks, the layers that stand before that, and the cures that get further."""
    recipe, shapes = error.recipe, error.shapes
    infos = [
        layer_info(spec, into, out, spec.parameters(into))
        for spec, into, out in zip(recipe.layers, shapes, shapes[1:], strict=False)
    ]
    return BrokenChain(recipe, error.at, _on_card(str(error)), tuple(infos), tuple(_cures(error))[:MOST_CURES])


def _on_card(sentence: str) -> str:
    """The sentence without the place, which the card is, and other layers by the number on their cards."""
    told = sentence.partition(") ")[2] if sentence.startswith("layers[") else sentence
    return re.sub(r"layers\[(\d+)\] \(\w+\)", r"layer \1", told)


def _cures(error: ChainError) -> Iterator[Cure]:
    """Those that get further than the chain does now; a layer of one's own is not run for it."""
    for title, layers in _candidates(error):
        if not layers or len(layers) > 200 or any(isinstance(spec, Custom) for spec in layers):
            continue
        recipe = with_layers(error.recipe, layers)
        reached = _reach(recipe, error)
        if reached is None or (not error.outputs and reached > error.at + len(layers) - len(error.recipe.layers)):
            yield Cure(title, recipe)


def _reach(recipe: Recipe, error: ChainError) -> int | None:
    """The layer at which the chain breaks; None where it holds to its end, as far as the classes are known."""
    try:
        shapes = shape_chain(recipe, error.shapes[0])
        if error.outputs:
            check_outputs(recipe, shapes, error.classes)
    except (ChainError, ValueError) as still:
        return still.at if isinstance(still, ChainError) else -1
    return None


def _candidates(error: ChainError) -> Iterator[tuple[str, Layers]]:
    """Changes that might do, the likeliest first."""
    layers, at = error.recipe.layers, error.at
    if error.outputs:
        yield from _ends(layers, max(error.classes, 1))
    else:
        yield from _before(layers, at, error.shapes[-1])
    name = layers[at].label()
    yield f"Switch {name} off", (*layers[:at], Off(layer=layers[at]), *layers[at + 1 :]) if _is_on(layers[at]) else ()
    yield f"Remove {name}", (*layers[:at], *layers[at + 1 :])


def _before(layers: Layers, at: int, shape: Shape) -> Iterator[tuple[str, Layers]]:
    """For a layer that cannot take what it gets: layouts of that which it might take."""
    head, layer, tail = layers[:at], layers[at], layers[at + 1 :]
    if len(shape) > 1:
        yield "Insert Flatten", (*head, Flatten(), layer, *tail)
    if len(shape) == 2:
        yield f"Insert Reshape to 1×{shape[0]}×{shape[1]}", (*head, Reshape(shape=(1, *shape)), layer, *tail)
    for channels in (1, 3):
        side = isqrt(prod(shape) // channels)
        if len(shape) == 1 and side > 1 and channels * side * side == shape[0]:
            yield (
                f"Insert Reshape to {channels}×{side}×{side}",
                (*head, Reshape(shape=(channels, side, side)), layer, *tail),
            )
    if isinstance(layer, Residual):
        if not layer.projection:
            yield "Turn projection on", (*head, msgspec.structs.replace(layer, projection=True), *tail)
        if len(shape) == 1 and isinstance(layer.layers[-1], Dense):
            fitting = (*layer.layers[:-1], msgspec.structs.replace(layer.layers[-1], units=shape[0]))
            yield (
                f"Set the block's last units to {shape[0]}",
                (
                    *head,
                    msgspec.structs.replace(layer, layers=fitting),
                    *tail,
                ),
            )
    if isinstance(layer, Reshape):
        yield f"Set shape to {prod(shape)}", (*head, Reshape(shape=(prod(shape),)), *tail)


def _ends(layers: Layers, outputs: int) -> Iterator[tuple[str, Layers]]:
    """For outputs that do not fit: the last dense layer with as many units, or another one behind."""
    for at in range(len(layers) - 1, -1, -1):
        layer = layers[at]
        if isinstance(layer, Dense):
            fitting = msgspec.structs.replace(layer, units=outputs)
            yield f"Set units to {outputs}", (*layers[:at], fitting, *layers[at + 1 :])
            break
    yield f"Add Dense {outputs}", (*layers, Dense(units=outputs))
    yield f"Add Flatten and Dense {outputs}", (*layers, Flatten(), Dense(units=outputs))


def _is_on(layer: LayerSpec) -> bool:
    return not isinstance(layer, Off)
