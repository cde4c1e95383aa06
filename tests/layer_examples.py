"""Examples of every layer kind and loss in the registry, so that a new kind is tested without touching a test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import msgspec
import numpy as np
from hypothesis import strategies as st

from engine import layers, losses, spec
from engine.datasets import Samples
from engine.layers.activations import ReLU, Tanh
from engine.layers.conv import Conv2D
from engine.layers.dense import Dense
from engine.layers.dropout import Dropout
from engine.layers.norm import BatchNorm
from engine.layers.pool import MaxPool2D
from engine.layers.reshape import Flatten
from engine.layers.residual import Residual
from engine.network import Network
from engine.owncode import trust
from engine.recipe import Recipe
from engine.trainer import Trainer

LOSSES = spec.members(losses.LossSpec)
OWN_CODE = Path(__file__).parent / "own_code" / "layers_for_examples.py"
SHAPES: tuple[tuple[int, ...], ...] = ((1,), (3,), (5,), (4, 4), (5, 6), (4, 4, 2), (2, 6, 6), (3, 5, 7))

# Fields other than by default: two samples close to each other bend a norm with a small eps more than a central
# difference can follow.
GENTLE: dict[str, dict[str, Any]] = {"batch_norm": {"eps": 0.1}, "layer_norm": {"eps": 0.1}}


@dataclass(frozen=True)
class Drawn:
    """Data for tests: normal samples of any shape, kept away from 0, and labels. Not a kind anyone can choose."""

    shape: tuple[int, ...]
    classes: int = 3
    scale: float = 1.0
    count: int = 12
    validation: float = 0.0
    shuffle: bool = True
    drop_last: bool = False

    def load(self, rng: np.random.Generator) -> Samples:
        """x (count, *shape), labels (count,)."""
        x = away_from_zero(rng, (self.count, *self.shape)) * self.scale
        return Samples(x, rng.integers(0, self.classes, self.count), tuple(map(str, range(self.classes))))


def away_from_zero(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Normal numbers pushed 0.01 away from 0, where the kinks of most layers are."""
    x = rng.standard_normal(shape)
    return x + 0.01 * np.where(x < 0, -1.0, 1.0)


# Fields that are neither numbers nor booleans: values of which each fits one of SHAPES.
CHOICES: dict[tuple[str, str], list[Any]] = {
    ("reshape", "shape"): [(1, 4, 4), (5, 3, 2), (32,), (2, 36), (7, 5, 3)],
    ("residual", "layers"): [
        (Dense(units=3), Tanh()),
        (Dense(units=2), ReLU(), Dense(units=5)),
        (Conv2D(filters=2, padding=1), ReLU()),
        (MaxPool2D(kernel=3, stride=1, padding=1), Residual(layers=(Tanh(),)), BatchNorm(eps=0.1)),
        (ReLU(), Dropout()),
    ],
    ("custom", "file"): [str(OWN_CODE)],
    ("custom", "class_name"): ["Affine", "Squash"],
}
trust.allow(OWN_CODE)


@st.composite
def specs(draw: st.DrawFn, kind: type[layers.LayerSpec]) -> layers.LayerSpec:
    """A spec of this kind: required fields and plain booleans drawn, all others as they are by default."""
    values: dict[str, Any] = dict(GENTLE.get(kind.kind(), {}))
    for field in msgspec.structs.fields(kind):
        plain, limits = field.type, None
        if get_origin(plain) is Annotated:
            plain, limits = get_args(plain)
        if (kind.kind(), field.name) in CHOICES:
            values[field.name] = draw(st.sampled_from(CHOICES[kind.kind(), field.name]))
        elif plain is bool:
            values[field.name] = draw(st.booleans())
        elif field.required:
            assert plain is int, f"{kind.__name__}.{field.name} is required; teach layer_examples how to draw it"
            low = max(getattr(limits, "ge", None) or 1, 1)
            values[field.name] = draw(st.integers(low, low + 3))
    return kind(**values)


def accepts(layer: layers.LayerSpec, shape: tuple[int, ...]) -> bool:
    """Whether a layer takes samples of this shape."""
    try:
        layer.output_shape(shape)
    except (layers.ShapeError, spec.RecipeError):  # the latter is an own layer's word
        return False
    return True


@st.composite
def placed(draw: st.DrawFn, kind: type[layers.LayerSpec]) -> tuple[layers.LayerSpec, tuple[int, ...]]:
    """A spec of this kind and a shape it takes."""
    layer = draw(specs(kind))
    return layer, draw(st.sampled_from([shape for shape in SHAPES if accepts(layer, shape)]))


def trainer_of(
    stack: tuple[layers.LayerSpec, ...],
    shape: tuple[int, ...],
    batch: int = 4,
    loss: losses.LossSpec | None = None,
    dtype: str = "float64",
    seed: int = 0,
    **data: Any,
) -> Trainer:
    """A trainer on drawn data whose parameters, biases too, are drawn."""
    recipe = Recipe(
        seed=seed,
        dtype=dtype,  # type: ignore[arg-type]
        data=Drawn(shape, **data),  # type: ignore[arg-type]
        layers=stack,
        loss=loss or losses.SoftmaxCrossEntropy(),
        batch_size=batch,
    )
    trainer = Trainer(recipe)
    rng = np.random.default_rng(seed)
    trainer.set_parameters(
        {address: value + 0.1 * rng.standard_normal(value.shape) for address, value in trainer.parameters.items()}
    )
    return trainer


def network_around(layer: layers.LayerSpec, shape: tuple[int, ...], deep: bool) -> tuple[layers.LayerSpec, ...]:
    """The layer in a network: first of all, or where the shape allows behind another; then on to three classes."""
    front: tuple[layers.LayerSpec, ...] = (Dense(units=shape[0]), Tanh()) if deep and len(shape) == 1 else ()
    flat = () if len(layer.output_shape(shape)) == 1 else (Flatten(),)
    return (*front, layer, *flat, Dense(units=4), Tanh(), Dense(units=3))


def built(layer: layers.LayerSpec, shape: tuple[int, ...], batch: int, seed: int) -> layers.Layer:
    """One layer alone, float64, its parameters normal."""
    network = Network(Recipe(layers=(layer, Flatten())), shape, "float64")
    network.parameters[...] = np.random.default_rng(seed).standard_normal(network.parameters.shape)
    return network.at(batch).layers[0]
