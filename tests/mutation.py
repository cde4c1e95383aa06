"""The mutation suite: every bug in every place it can live, and right code that nobody may accuse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated, Any, get_args, get_origin

import msgspec
import numpy as np
from layer_examples import CHOICES, GENTLE, SHAPES, accepts

from engine.builtin import LayerSubject, LossSubject
from engine.diagnosis import BATCH, examine
from engine.layers import KINDS, LayerSpec
from engine.layers.conv import Conv2D
from engine.losses import LossSpec
from engine.plants import plants_for
from engine.spec import members
from engine.subject import Array, Subject, SubjectError, SubjectReport

from mutants import MATERIALS, own, variants

LAYERS = tuple(kind for kind in KINDS if kind.kind() != "custom")
LOSSES = members(LossSpec)
PICTURES = ((2, 5, 3), (1, 4, 4), (3, 3, 2))
VECTORS = ((2,), (3,), (7,), (11,))
SCALES = (1e-3, 1e-2, 0.1, 1.0, 1.0, 10.0, 100.0, 1e3)


@dataclass
class Tally:
    """How often one bug in one kind was seen, and called by its name."""

    runs: int = 0
    detected: int = 0
    named: int = 0
    called: Counter[str] = field(default_factory=Counter)  # what it was called instead

    def add(self, slug: str, report: SubjectReport) -> None:
        """Count one run."""
        names = [bug.slug for bug in report.bugs]
        self.runs += 1
        self.detected += report.verdict == "fail" or bool(names)
        self.named += slug in names
        if slug not in names:
            self.called[", ".join(names) or report.verdict] += 1

    def join(self, other: Tally) -> None:
        """Count what another has counted too."""
        self.runs, self.detected, self.named = (
            self.runs + other.runs,
            self.detected + other.detected,
            self.named + other.named,
        )
        self.called += other.called


def drawn_spec(kind: type[LayerSpec], rng: np.random.Generator) -> LayerSpec:
    """A spec of this kind: required fields and plain booleans drawn, all others as they are by default."""
    values: dict[str, Any] = dict(GENTLE.get(kind.kind(), {}))
    for item in msgspec.structs.fields(kind):
        plain = get_args(item.type)[0] if get_origin(item.type) is Annotated else item.type
        if (kind.kind(), item.name) in CHOICES:
            choices = CHOICES[kind.kind(), item.name]
            values[item.name] = choices[int(rng.integers(len(choices)))]
        elif plain is bool:
            values[item.name] = bool(rng.random() < 0.5)
        elif item.required:
            values[item.name] = int(rng.choice((2, 3, 7, 11)))
    if kind is Conv2D:
        values["kernel"] = int(rng.integers(1, 3))
    return kind(**values)


def drawn_layer(kind: type[LayerSpec], rng: np.random.Generator) -> tuple[LayerSpec, tuple[int, ...]]:
    """A spec and the shape of what it takes."""
    while True:
        spec = drawn_spec(kind, rng)
        shapes = [shape for shape in (*VECTORS, *PICTURES, *SHAPES) if accepts(spec, shape)]
        if shapes:
            return spec, shapes[int(rng.integers(len(shapes)))]


def planted(seed: int) -> Iterator[tuple[str, str, Subject]]:
    """Kind, slug and subject of every bug in every kind of layer and loss, shapes and parameters drawn."""
    rng = np.random.default_rng(seed)
    for kind in LAYERS:
        for slug in every_slug(kind):
            for _ in range(20):
                spec, shape = drawn_layer(kind, rng)
                if slug in plants_for(spec, shape):
                    yield kind.kind(), slug, LayerSubject(spec, shape, slug, seed=seed)
                    break
    for loss in LOSSES:
        outputs = int(rng.choice((3, 7))) if loss.needs_classes else int(rng.choice((1, 3, 7)))
        for slug in plants_for(loss(), (outputs,)):
            yield loss.kind(), slug, LossSubject(loss(), outputs, slug)


def every_slug(kind: type[LayerSpec]) -> tuple[str, ...]:
    """All slugs that some layer of this kind can have."""
    rng = np.random.default_rng(0)
    places = [drawn_layer(kind, rng) for _ in range(30)]
    return tuple(dict.fromkeys(slug for spec, shape in places for slug in plants_for(spec, shape)))


def written(seed: int) -> Iterator[tuple[str, str, Subject]]:
    """Kind, slug and subject of every bug in own-style NumPy code."""
    for kind, slug, variant in variants():
        yield f"own {kind}", slug, own(kind, variant, seed)


def tallies(seeds: range, every: int = 1) -> dict[tuple[str, str], Tally]:
    """Every mutant under every seed, by kind and slug; or only one of `every`."""
    found: dict[tuple[str, str], Tally] = {}
    for seed in seeds:
        for source in (planted(seed), written(seed)):
            for kind, slug, subject in islice(source, None, None, every):
                found.setdefault((kind, slug), Tally()).add(slug, examine(subject, seed))
    return found


# --- right code -----------------------------------------------------------------------------------


class Bent(Subject):
    """A right subject at inputs of another scale, on ties or on kinks."""

    def __init__(self, inner: Subject, scale: float, grid: float) -> None:
        self.inner, self.scale, self.grid = inner, scale, grid
        self.name, self.family, self.form, self.kind = inner.name, inner.family, inner.form, inner.kind

    def copy(self) -> Any:
        """The inner one's."""
        return self.inner.copy()

    def draw(self, rng: np.random.Generator, batch: int) -> tuple[Array, Array | None]:
        """The inner one's inputs, rounded to a grid (ties, exact zeros) and scaled."""
        x, targets = self.inner.draw(rng, batch)
        if self.grid:
            x = np.round(x / self.grid) * self.grid
        return x * self.scale, targets


def right(seed: int) -> tuple[str, Subject, int]:
    """Some right subject: what it is, the subject, and how many samples it is to be examined with."""
    rng = np.random.default_rng(seed)
    batch = int(rng.choice((1, 2, BATCH, BATCH, 8)))
    scale, grid = float(rng.choice(SCALES)), float(rng.choice((0.0, 0.0, 0.5, 1.0)))
    which = rng.random()
    if which < 0.6:
        spec, shape = drawn_layer(LAYERS[seed % len(LAYERS)], rng)
        inner: Subject = LayerSubject(spec, shape, seed=seed)
        _rescaled(inner, rng)
    elif which < 0.8:
        loss = LOSSES[seed % len(LOSSES)]
        outputs = int(rng.choice((2, 3, 7) if loss.needs_classes else (1, 3, 7)))
        inner = LossSubject(loss(), outputs)
        if loss.takes == "probabilities":
            scale, grid = 1.0, 0.0
    else:
        kind = list(MATERIALS)[seed % len(MATERIALS)]
        material = MATERIALS[kind]
        inner = own(kind, material.right[seed % len(material.right)], seed)
        if material.family != "layer" or kind == "sigmoid":
            scale = min(scale, 10.0)  # naive code of this kind overflows farther out, which is a bug with a name
    text = f"{inner.name} at scale {scale:g}, grid {grid:g}, batch {batch}, seed {seed}"
    return text, Bent(inner, scale, grid), batch


def _rescaled(subject: LayerSubject, rng: np.random.Generator) -> None:
    """Parameters of another scale, half of the time as float32 keeps them."""
    scale = float(rng.choice((0.01, 1.0, 1.0, 30.0)))
    for role, value in subject.parameters.items():
        value *= scale
        if rng.random() < 0.5:
            subject.parameters[role] = value.astype(np.float32).astype(np.float64)


def accusations(seeds: range) -> list[str]:
    """What right subjects are accused of, one line for each."""
    found = []
    for seed in seeds:
        text, subject, batch = right(seed)
        try:
            report = examine(subject, seed, batch)
        except SubjectError as error:
            found.append(f"{text}: {error}")
            continue
        if report.bugs or report.verdict == "fail":
            found.append(f"{text}: {report.verdict}, {[(bug.slug, bug.tensor, bug.evidence) for bug in report.bugs]}")
    return found
