"""Bugs of the catalogue planted into layers and losses of the engine: forward as it is, backward bent.

A planted layer is the same object with `backward` (rarely `forward`) of its class overridden: interface, buffers and
formulas stay, and the numerical side of a check, which calls no backward, sees nothing of it.
"""

from __future__ import annotations

from typing import Any, TypeVar

from engine.layers.base import Layer
from engine.losses import Loss
from engine.plants.in_layers import ANYWHERE, BENDS, REMEMBERED, BuggyLayer
from engine.plants.in_losses import LOSS_BENDS, BuggyLoss
from engine.plants.places import plants_for

__all__ = ["plant", "plants_for"]

_Planted = TypeVar("_Planted", Layer, Loss)


def plant(part: _Planted, slug: str) -> _Planted:
    """The same layer or loss with a bug in its backward. Raises KeyError for a slug that is no bug of its kind."""
    base: type[Any] = BuggyLayer if isinstance(part, Layer) else BuggyLoss
    if isinstance(part, Layer) and slug not in (*BENDS, *ANYWHERE, *REMEMBERED):
        raise KeyError(slug)
    if isinstance(part, Loss) and slug not in LOSS_BENDS:
        raise KeyError(slug)
    kind = type(part)
    part.__class__ = type(kind.__name__, (base, kind), {"bug": slug})
    setattr(part, "past", {})  # noqa: B010  # which the new class has
    return part
