"""What the gradient check and the diagnosis see of the thing they check: a layer, a loss or a model, from outside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from engine.bugs import WARNINGS, Bug
from engine.verdicts import VERDICTS, Verdict

if TYPE_CHECKING:
    from engine.tensorcheck import TensorReport

Array = NDArray[Any]
INPUT = "x"  # the role of the gradient with respect to the input


class Copy(ABC):
    """One fresh copy of a subject at work: its methods are calls of the code under check, in the caller's order.

    `parameters` are this copy's own, by role; writing into them in place moves the copy.
    """

    parameters: dict[str, Array]

    @abstractmethod
    def forward(self, x: Array, targets: Array | None = None) -> Array:
        """y (B, *out) of a layer; the loss, shape (), of a loss or a model. Raises SubjectError."""

    @abstractmethod
    def backward(self, grad_y: Array) -> dict[str, Array]:
        """Gradients of the last forward by role, and "x" where the code gives one. Raises SubjectError.

        `grad_y` has the shape of y; that of a loss or a model is 1.
        """


class Subject(ABC):
    """Something with a forward and a backward. It is never changed: all work is done on copies."""

    name: str  # as its author calls it, such as "Dense"
    family: Literal["layer", "loss", "model"] = "layer"
    form: int = 0  # which form of own code it has, 1 to 6; 0: a layer or loss of the engine
    kind: str = ""  # the kind of the engine it is known to compute, such as "dense"; "" where only its behaviour tells
    batch_axis: ClassVar[int] = 0  # x, y and grad_y are always handed over with samples as rows

    @abstractmethod
    def copy(self) -> Copy:
        """A fresh copy, as if just constructed, with this subject's parameters."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, batch: int) -> tuple[Array, Array | None]:
        """An input x (B, *in) that the subject takes, and the targets of a loss or a model."""


class SubjectError(Exception):
    """Code under check that cannot be run; one sentence: what, in which file and line, what to do."""


@dataclass(frozen=True)
class SubjectReport:
    """What is known of a subject: a verdict for each tensor, and the bugs by name, the surest first."""

    subject: Subject
    tensors: dict[str, TensorReport] = field(default_factory=dict)
    bugs: tuple[Bug, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of all; fail where a bug was found that makes a gradient wrong."""
        if any(bug.slug not in WARNINGS for bug in self.bugs):
            return "fail"
        return max((tensor.verdict for tensor in self.tensors.values()), key=VERDICTS.index, default="unresolvable")
