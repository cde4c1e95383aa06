"""Own-style NumPy code as subjects, right and with one bug at a time: the material of the mutation suite.

`MATERIALS` tells for every class which variants there are, and which slug of the catalogue each one is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from mutant_layers import (
    PLACES,
    Own,
    OwnBatchNorm,
    OwnDense,
    OwnDropout,
    OwnLayerNorm,
    OwnLeaky,
    OwnRelu,
    OwnResidual,
    OwnSigmoid,
    OwnSoftmax,
    OwnTanh,
)
from mutant_losses import OwnCrossEntropy, OwnCurvedNetwork, OwnNetwork, OwnSquaredError

from engine.subject import Array, Copy, Subject, SubjectError


class OwnSubject(Subject):
    """An object of one of the classes below, seen from outside."""

    def __init__(self, make: Callable[[], Any], name: str, family: str, draw: Callable[..., Any]) -> None:
        self.name, self.family, self.form = name, family, 1  # type: ignore[assignment]
        self.original, self._draw = make(), draw

    def copy(self) -> Copy:
        """A deep copy of the object, as if just made."""
        return OwnCopy(copy.deepcopy(self.original), self.family)

    def draw(self, rng: np.random.Generator, batch: int) -> tuple[Array, Array | None]:
        """What the class takes."""
        return self._draw(rng, batch)  # type: ignore[no-any-return]


class OwnCopy(Copy):
    def __init__(self, own: Any, family: str) -> None:
        self.own, self.family = own, family
        self.parameters = own.parameters

    def forward(self, x: Array, targets: Array | None = None) -> Array:
        """y, or the loss."""
        try:
            return np.asarray(self.own.forward(x) if self.family == "layer" else self.own.forward(x, targets))
        except (ValueError, IndexError) as error:
            raise SubjectError(str(error)) from None

    def backward(self, grad_y: Array) -> dict[str, Array]:
        """All gradients."""
        try:
            found = self.own.backward(grad_y) if self.family == "layer" else self.own.backward()
        except (ValueError, IndexError) as error:
            raise SubjectError(str(error)) from None
        return {role: np.asarray(value) for role, value in found.items()}


def vectors(shape: tuple[int, ...]) -> Callable[..., Any]:
    return lambda rng, batch: (rng.standard_normal((batch, *shape)), None)


def values(shape: tuple[int, ...]) -> Callable[..., Any]:
    return lambda rng, batch: (rng.standard_normal((batch, *shape)), rng.standard_normal((batch, *shape)))


def classes(count: int) -> Callable[[tuple[int, ...]], Callable[..., Any]]:
    def of(shape: tuple[int, ...]) -> Callable[..., Any]:
        return lambda rng, batch: (
            rng.standard_normal((batch, *shape)),
            rng.permutation(np.arange(batch) % (count or shape[0])),
        )

    return of


@dataclass(frozen=True)
class Material:
    """One class: what it takes, which shapes, and its variants by slug."""

    make: type[Own]
    family: str
    draw: Callable[[tuple[int, ...]], Callable[..., Any]]
    variants: dict[str, tuple[str, ...]]  # by slug
    right: tuple[str, ...] = ("",)
    sizes: tuple[int, ...] = PLACES["in"]


_RELU = {
    "relu-mask-missing": ("no mask", "mask of g"),
    "relu-mask-inverted": ("inverted",),
    "upstream-ignored": ("without g",),
    "constant-factor": ("doubled",),
    "sign-flipped": ("negative",),
    "mutates-input": ("in place",),
    "stale-cache": ("keeps the first x",),
}
_CURVED = {
    "local-derivative-missing": ("no derivative", "1 − y alone"),
    "extra-derivative": ("twice", "of the output", "of the input"),
    "upstream-ignored": ("without g",),
    "constant-factor": ("quartered",),
    "sign-flipped": ("negative",),
}
_NORM = {
    "batchnorm-mean-path": ("no mean", "neither"),
    "batchnorm-variance-path": ("no variance", "variance halved"),
    "bias-not-summed": ("dbeta whole",),
    "bias-summed-over-all": ("dbeta one number",),
    "extra-batch-mean": ("averaged",),
}
_MODEL = {
    "missing-batch-mean": ("no mean",),
    "sign-flipped": ("negative",),
    "extra-batch-mean": ("db1 averaged",),
    "bias-summed-over-all": ("db1 one number",),
    "bias-not-summed": ("db2 whole",),
    "transposed": ("dW1 transposed",),
    "constant-factor": ("dW2 doubled",),
    "labels-ignored": ("target 0",),
    "l2-mismatch": ("decay in the loss alone", "decay in the gradient alone"),
}
MATERIALS: dict[str, Material] = {
    "dense": Material(
        OwnDense,
        "layer",
        vectors,
        {
            "constant-factor": ("dW doubled", "db halved", "dx tripled"),
            "sign-flipped": ("dW negative", "dx negative"),
            "extra-batch-mean": ("dW averaged", "db averaged", "both averaged"),
            "transposed": ("dW transposed", "square dW transposed", "square dx by W"),
            "bias-not-summed": ("db whole", "db over outputs", "db of one sample"),
            "bias-summed-over-all": ("db one number", "db the sum everywhere"),
            "upstream-ignored": ("dW without g", "dx without g"),
            "accumulates-across-calls": ("piles up",),
            "mutates-input": ("centres x in place", "changes W"),
            "stale-cache": ("keeps the first x",),
            "l2-mismatch": ("decay in dW alone", "decay of the wrong sign"),
            "integer-dtype": ("integer W", "integer dW", "integer dx"),
            "batch-of-one": ("squeezes x", "squeezes g", "one sample as outputs"),
        },
        ("", "square"),
    ),
    "relu": Material(OwnRelu, "layer", vectors, _RELU),
    "leaky": Material(OwnLeaky, "layer", vectors, _RELU | {"relu-mask-missing": ("no mask", "mask of g", "leak lost")}),
    "sigmoid": Material(
        OwnSigmoid,
        "layer",
        vectors,
        _CURVED | {"local-derivative-missing": ("no derivative", "1 − y alone", "y alone")},
    ),
    "tanh": Material(OwnTanh, "layer", vectors, _CURVED),
    "softmax": Material(
        OwnSoftmax,
        "layer",
        vectors,
        {
            "softmax-diagonal-only": ("diagonal", "dot term dropped"),
            "softmax-wrong-axis": ("dot over the batch", "dot over all", "forward too"),
            "local-derivative-missing": ("no derivative",),
            "sign-flipped": ("negative",),
            "overflow": ("naive",),
        },
        sizes=(3, 7, 11),
    ),
    "batch norm": Material(OwnBatchNorm, "layer", vectors, _NORM),
    "layer norm": Material(OwnLayerNorm, "layer", vectors, _NORM, sizes=(4, 7, 11)),
    "dropout": Material(
        OwnDropout,
        "layer",
        vectors,
        {
            "dropout-scale": ("no scale", "scaled twice"),
            "dropout-mask-redrawn": ("redrawn",),
            "local-derivative-missing": ("no mask",),
        },
        sizes=(7, 11),
    ),
    "residual": Material(
        OwnResidual,
        "layer",
        vectors,
        {
            "skip-dropped": ("skip dropped",),
            "branch-overwritten": ("block overwritten", "shared, first use lost", "shared, last use lost"),
        },
        ("", "shared"),
    ),
    "squared error": Material(
        OwnSquaredError,
        "loss",
        values,
        {
            "constant-factor": ("no 2",),
            "missing-batch-mean": ("no mean",),
            "extra-batch-mean": ("mean twice",),
            "sign-flipped": ("negative",),
            "labels-ignored": ("no target",),
            "labels-from-elsewhere": ("keeps the first targets",),
            "integer-dtype": ("integer",),
            "batch-of-one": ("squeezed",),
        },
    ),
    "squared error, one output": Material(
        OwnSquaredError,
        "loss",
        values,
        {"broadcast": ("compares all with all",), "constant-factor": ("no 2",)},
        ("",),
        (1,),
    ),
    "cross-entropy": Material(
        OwnCrossEntropy,
        "loss",
        classes(0),
        {
            "missing-batch-mean": ("no mean",),
            "extra-batch-mean": ("mean twice",),
            "sign-flipped": ("negative",),
            "extra-derivative": ("softmax again",),
            "softmax-wrong-axis": ("softmax over the batch",),
            "labels-ignored": ("no target",),
            "labels-from-elsewhere": ("target 0", "keeps the first targets"),
            "batch-of-one": ("squeezed",),
            "overflow": ("naive",),
        },
    ),
    "network": Material(
        OwnNetwork,
        "model",
        classes(3),
        _MODEL | {"relu-mask-missing": ("no derivative",), "relu-mask-inverted": ("inverted",)},
        ("", "decay in both"),
    ),
    "curved network": Material(
        OwnCurvedNetwork,
        "model",
        classes(3),
        _MODEL | {"local-derivative-missing": ("no derivative",), "extra-derivative": ("twice", "of the output")},
        ("", "decay in both"),
    ),
}


def own(kind: str, bug: str, seed: int) -> OwnSubject:
    """One variant of a class, its sizes and parameters drawn."""
    material = MATERIALS[kind]
    rng = np.random.default_rng(seed)
    shape = (int(rng.choice(material.sizes)),)
    state = int(rng.integers(2**32))
    return OwnSubject(
        lambda: material.make(np.random.default_rng(state), shape, bug), kind, material.family, material.draw(shape)
    )


def variants() -> Iterator[tuple[str, str, str]]:
    """Kind, slug and variant of every mutant."""
    for kind, material in MATERIALS.items():
        for slug, names in material.variants.items():
            yield from ((kind, slug, name) for name in names)
