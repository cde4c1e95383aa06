"""Losses: the number that training lowers, and its gradient with respect to the network's output."""

from typing import TYPE_CHECKING, Union

from engine.losses.base import Loss, LossSpec
from engine.losses.cross_entropy import SoftmaxCrossEntropy, SoftmaxCrossEntropyLoss
from engine.losses.hinge import Hinge, HingeLoss
from engine.losses.likelihood import (
    BinaryCrossEntropy,
    BinaryCrossEntropyLoss,
    BinaryCrossEntropyOnProbabilities,
    BinaryCrossEntropyOnProbabilitiesLoss,
    CrossEntropy,
    CrossEntropyLoss,
)
from engine.losses.values import (
    AbsoluteError,
    AbsoluteErrorLoss,
    Huber,
    HuberLoss,
    MeanSquaredError,
    MeanSquaredErrorLoss,
)
from engine.spec import import_all, members

import_all(__name__, __path__)

if TYPE_CHECKING:
    AnyLoss = LossSpec
else:
    AnyLoss = Union[members(LossSpec)]

__all__ = [
    "AbsoluteError",
    "AbsoluteErrorLoss",
    "AnyLoss",
    "BinaryCrossEntropy",
    "BinaryCrossEntropyLoss",
    "BinaryCrossEntropyOnProbabilities",
    "BinaryCrossEntropyOnProbabilitiesLoss",
    "CrossEntropy",
    "CrossEntropyLoss",
    "Hinge",
    "HingeLoss",
    "Huber",
    "HuberLoss",
    "Loss",
    "LossSpec",
    "MeanSquaredError",
    "MeanSquaredErrorLoss",
    "SoftmaxCrossEntropy",
    "SoftmaxCrossEntropyLoss",
]
