"""Every layer kind, one subject a file: spec, forward and backward side by side."""

from typing import TYPE_CHECKING, Union

from engine.layers.base import Layer, LayerSpec, Parameter, ShapeError, shape_text
from engine.spec import import_all, members

import_all(__name__, __path__)

KINDS: tuple[type[LayerSpec], ...] = members(LayerSpec)

if TYPE_CHECKING:
    AnyLayer = LayerSpec
else:
    AnyLayer = Union[KINDS]

__all__ = ["KINDS", "AnyLayer", "Layer", "LayerSpec", "Parameter", "ShapeError", "shape_text"]
