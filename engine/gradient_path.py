"""Who ate my gradient: by what factor each layer passes the gradient on, and whether its weights or its slope do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, log, nan
from typing import Literal

from engine.layers import LayerSpec
from engine.timeline import Timeline

Part = Literal["Wᵀ", "f′", "own"]
PARTS: dict[str, Part] = {"Linear": "Wᵀ", "Convolution": "Wᵀ", "Activation": "f′"}  # by a layer's family


@dataclass(frozen=True)
class Passage:
    """What one layer makes of the gradient on its way left: ‖grad_x‖/‖grad_y‖."""

    layer: int
    kind: str
    part: Part  # Wᵀ: the product with weights; f′: an activation's slope; own: what is neither, such as a norm
    factor: float


@dataclass(frozen=True)
class Stage:
    """The way from one layer with weights to the next: ‖δ_l‖/‖δ_{l+1}‖, as the product of its two parts."""

    layer: int  # the one with the weights: its Wᵀ comes first, then the slopes of the layers below it
    weights: float
    slopes: float

    @property
    def factor(self) -> float:
        """‖δ_l‖/‖δ_{l+1}‖."""
        return self.weights * self.slopes


def passages(history: Timeline, step: int, layers: Sequence[LayerSpec]) -> list[Passage]:
    """Every layer's factor in one step, from the last layer to the second; the first passes nothing on."""
    found = []
    for index in range(len(layers) - 1, 0, -1):
        given, passed = (history.value(f"delta.{i}", step) for i in (index, index - 1))
        factor = passed / given if given else nan
        found.append(Passage(index, layers[index].kind(), _part(layers[index]), factor))
    return found


def _part(spec: LayerSpec) -> Part:
    return PARTS.get(spec.family, "own")


def stages(found: Sequence[Passage]) -> list[Stage]:
    """The passages gathered at the layers with weights; what lies above the last of those is left out."""
    gathered: list[Stage] = []
    for passage in found:
        if passage.part == "Wᵀ":
            gathered.append(Stage(passage.layer, passage.factor, 1.0))
        elif gathered:
            last = gathered[-1]
            gathered[-1] = Stage(last.layer, last.weights, last.slopes * passage.factor)
    return gathered


def worst(found: Sequence[Passage]) -> Passage | None:
    """The layer that changes the size of the gradient most, to less or to more; None where there is none."""
    known = [p for p in found if p.factor > 0 and isfinite(p.factor)]
    eaters = [p for p in found if p.factor == 0]
    return eaters[0] if eaters else max(known, key=lambda p: abs(log(p.factor)), default=None)
