"""Every layer kind, one subject a file: spec, forward and backward side by side."""

from engine.layers.base import Layer, LayerSpec, Parameter, ShapeError, shape_text
from engine.spec import import_all, members

import_all(__name__, __path__)

KINDS: tuple[type[LayerSpec], ...] = members(LayerSpec)

__all__ = ["KINDS", "Layer", "LayerSpec", "Parameter", "ShapeError", "shape_text"]
