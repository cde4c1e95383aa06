"""Who takes the mean over the mini-batch: the loss, as here, or each layer, as in dW = 1/m · dZ·Aᵀ.

A file in which the layers average and the gradient of the loss does not is right as a whole, though each part by itself
is off by the number of samples. Such a file is taken as it is meant, with a note; where both average, or neither, the
check says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.generators import seed_globals
from engine.owncode.layers import OwnLayer
from engine.owncode.losses import OwnLoss
from engine.owncode.models import OwnModel
from engine.owncode.slopes import agreement, ratio
from engine.subject import Subject, SubjectError

BATCHES = (5, 8)


def settle_averages(subjects: Sequence[Subject]) -> dict[str, str]:
    """Mark the layers and losses of a file that averages in its layers; a note by name for each of them."""
    layers = [s for s in subjects if isinstance(s, OwnLayer) and _averages(s)]
    if not layers:
        return {}
    losses = [s for s in subjects if isinstance(s, OwnLoss)]
    summing = [loss for loss in losses if _sums(loss)]
    whole = [s for s in subjects if isinstance(s, OwnLoss | OwnModel)]
    if not whole or len(summing) < len(losses):
        return {}  # nothing says that the mean is left to the layers, or a loss takes it
    for layer in layers:
        layer.averages = True
    for loss in summing:
        loss.sums = True
    notes = {layer.name: "its parameter gradients are means over the mini-batch" for layer in layers}
    return notes | {loss.name: "its gradient is that of the sum; the layers take the mean" for loss in summing}


def _averages(layer: OwnLayer) -> bool:
    """Whether every parameter's gradient is the right one over the number of samples, and the input's is right."""
    try:
        seed_globals()
        roles = list(layer.copy().parameters)
        if not roles or layer.setting.only or agreement(layer, BATCHES[0]) != "same":
            return False
        found = [(ratio(layer, batch, role), batch) for role in roles for batch in BATCHES]
    except SubjectError:
        return False
    return all(np.isclose(value * batch, 1.0, rtol=1e-3) for value, batch in found)


def _sums(loss: OwnLoss) -> bool:
    """Whether the gradient is that of the sum over the samples, while the loss is their mean; or both are sums."""
    try:
        found = [ratio(loss, batch, "x") / batch for batch in BATCHES]
        return bool(np.allclose(found, 1.0, rtol=1e-3))
    except SubjectError:
        return False
