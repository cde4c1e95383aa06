"""What the cards of the network say of a recipe, and of the network built from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QPolygonF

from app.recipe_edit import matched
from app.widgets.card_model import Card
from engine.layers import LayerSpec, shape_text
from engine.layers.off import Off
from engine.layers.residual import Residual
from engine.protocol import BrokenChain, Built, LayerInfo
from engine.recipe import Recipe

import pyqtgraph as pg  # isort: skip  (after PySide6, or it may choose another Qt)

TRACE_STEPS = 64  # of the gradient norm, shown on a card


def cards_of(
    recipe: Recipe, network: Built | None, *, dimmed: bool = False, broken: BrokenChain | None = None
) -> list[Card]:
    """The cards of a recipe; sizes come from the network that stands, as far as it has the same layers.

    Of a chain that is broken they come from the engine, as far as it holds.
    """
    known: list[LayerInfo | None] = [None] * len(recipe.layers)
    if broken is not None and broken.recipe == recipe:
        known[: len(broken.layers)] = broken.layers
    elif network is not None:
        was = matched(network.recipe.layers, recipe.layers)
        known = [None if j is None else network.layers[j] for j in was]
    layers = [_layer_card(i, spec, known[i], dimmed) for i, spec in enumerate(recipe.layers)]
    if broken is not None and broken.recipe == recipe:
        layers[broken.at] = replace(layers[broken.at], broken=True, caption="⚠ does not fit")
    return [_data_card(recipe, network, dimmed), *layers, _loss_card(recipe), _training_card(recipe)]


def trace(norms: NDArray[np.float64]) -> QPolygonF:
    """A curve of log norms in a unit square, new steps at the right; a decade at least fills its height."""
    x = np.linspace(1 - (len(norms) - 1) / (TRACE_STEPS - 1), 1, len(norms))
    good = np.isfinite(norms)
    logs = np.log10(np.maximum(norms[good], 1e-30))
    low, high = float(logs.min()), float(logs.max())
    spare = max(0.0, 1.0 - (high - low)) / 2
    y = 1 - (logs - low + spare) / (high - low + 2 * spare)
    polygon: QPolygonF = pg.functions.arrayToQPolygonF(x[good], y)
    return polygon


def _layer_card(index: int, spec: LayerSpec, info: LayerInfo | None, dimmed: bool) -> Card:
    title, what = spec.label(), (spec.__doc__ or "").partition("\n")[0]
    look = {"off": isinstance(spec, Off), "block": isinstance(spec, Residual)}
    if info is None:
        return Card("layer", index, spec, title, "…", None, dimmed, what, **look)
    sizes = f"{shape_text(info.in_shape)} → {shape_text(info.out_shape)}"
    caption = info.caption.removeprefix(info.title).strip().replace("→", " → ") or shape_text(info.out_shape)
    parameters = ", ".join(f"{role} {shape_text(shape)}" for role, shape in info.parameters.items())
    has = f"{info.parameter_count:,} parameters: {parameters}" if parameters else ""
    costs = f"{info.multiply_adds:,} multiply-adds a sample" if info.multiply_adds else ""
    tip = "\n".join(line for line in (what, sizes, has, costs) if line)
    return Card("layer", index, spec, title, caption, info.parameter_count, dimmed, tip, info.multiply_adds, **look)


def _data_card(recipe: Recipe, network: Built | None, dimmed: bool) -> Card:
    kind = recipe.data.title()
    what = (recipe.data.__doc__ or "").partition("\n")[0]
    if network is None:
        return Card("data", -1, "data", "Data", kind, tip=what)
    data = network.data
    picture = f" {shape_text(data.image_shape)} →" if data.image_shape else " →"
    tip = f"{what}\n{data.training:,} samples to train on, {data.validation:,} for validation"
    return Card("data", -1, "data", "Data", f"{kind}{picture} {shape_text(data.shape)}", None, dimmed, tip)


def _loss_card(recipe: Recipe) -> Card:
    tip = (recipe.loss.__doc__ or "").partition("\n")[0]
    return Card("loss", -1, "loss", "Loss", recipe.loss.title(), tip=tip)


def _training_card(recipe: Recipe) -> Card:
    optimizer = recipe.optimizer
    caption = f"{optimizer.title()} · lr {optimizer.lr:g} · batch {recipe.batch_size:,}"
    return Card(
        "training", -1, "training", "Training", caption, tip="Optimizer, mini-batch, seed, number type and name"
    )
