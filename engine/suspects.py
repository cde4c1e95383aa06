"""The bugs of a whole network: every layer, and the loss, examined alone at what it gets in one mini-batch."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from engine.bugs import Bug
from engine.builtin import LayerSubject, LossSubject
from engine.diagnosis import examine
from engine.layers.base import Array
from engine.network import Network
from engine.subject import Subject, SubjectError

LOSS = "loss"  # what a bug of the loss names as its tensor


def named(network: Network, x: Array, targets: Array) -> Iterator[tuple[Bug, ...]]:
    """The bugs of one layer after the other, and of the loss, by the tensors' addresses; for a float64 network."""
    planted = {bug.layer: bug.slug for bug in network.recipe.bugs}
    run, y = network.at(len(x)), x
    for index, layer in enumerate(run.layers):
        given = y.copy()
        with np.errstate(all="ignore"):
            y = layer.forward(y.copy()).copy()
        at = network.shapes[index], planted.get(index), layer.parameters
        stream = (layer.stream_key, network.drawn_for)
        yield _addressed(index, _bugs([LayerSubject(layer.spec, *at, given, stream), LayerSubject(layer.spec, *at)]))
    loss = network.recipe.loss
    at_loss = network.shapes[-1][0], planted.get(-1)
    found = _bugs([LossSubject(loss, *at_loss, y, targets), LossSubject(loss, *at_loss)])
    yield tuple(msgspec.structs.replace(bug, tensor=LOSS) for bug in found)


def _bugs(subjects: list[Subject]) -> tuple[Bug, ...]:
    """The bugs of the first of these subjects, the same thing at other inputs, that shows any; unknown ones last."""
    unknown: tuple[Bug, ...] = ()
    for subject in subjects:
        try:
            bugs = examine(subject).bugs
        except SubjectError:
            continue
        if bugs and bugs[0].slug != "unknown":
            return bugs
        unknown = unknown or bugs
    return unknown


def _addressed(index: int, bugs: tuple[Bug, ...]) -> tuple[Bug, ...]:
    """The bugs of a layer with addresses instead of roles."""
    found = []
    for bug in bugs:
        evidence = dict(bug.evidence)
        if "tensors" in evidence:
            evidence["tensors"] = [f"{index}.{role}" for role in evidence["tensors"]]
        tensor = f"{index}.{bug.tensor}" if bug.tensor else str(index)
        found.append(msgspec.structs.replace(bug, tensor=tensor, evidence=evidence))
    return tuple(found)
