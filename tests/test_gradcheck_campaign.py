"""Ten thousand checks of correct networks accuse none: every kind, both dtypes, any scale, planted kinks and ties."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layer_examples import LOSSES, network_around, placed, specs, trainer_of

from engine import layers, losses
from engine.differences import DIFFERENCES
from engine.gradcheck import MODES, check
from engine.layers.activations import Activation, Sigmoid
from engine.layers.base import LayerSpec
from engine.layers.custom import Custom
from engine.layers.dense import Dense
from engine.layers.dropout import Dropout
from engine.layers.norm import BatchNorm, LayerNorm
from engine.layers.smooth import GELU
from engine.layers.softmax import LogSoftmax, Softmax
from engine.livecheck import LiveCheck
from engine.trainer import Trainer

SHORT = os.environ.get("NABLASCOPE_SLICE") == "1"
PLANTED = ("nothing", "zeros in x", "whole numbers in x", "x all the same", "zeros and whole numbers in parameters")
ON_VECTORS = [k for k in layers.KINDS if issubclass(k, Activation)]
ON_VECTORS += [Dense, Dropout, BatchNorm, LayerNorm, Softmax, LogSoftmax]
every = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def many(count: int) -> Any:
    """That many examples, or a hundredth of them."""
    return settings(max_examples=count // (100 if SHORT else 1), deadline=None, suppress_health_check=every)


@dataclass(frozen=True)
class Case:
    """A correct network and its mini-batch."""

    layer: LayerSpec
    shape: tuple[int, ...]
    behind: tuple[LayerSpec, ...]  # before the last dense layer
    deep: bool
    loss: losses.LossSpec
    batch: int
    seed: int
    dtype: str
    scale: float
    planted: str

    def trainer(self) -> Trainer:
        """The trainer, its ties and kinks planted."""
        *front, last = network_around(self.layer, self.shape, self.deep)
        stack = [*front, *self.behind, last]
        if self.loss.takes == "probabilities":
            stack.append(Softmax() if self.loss.needs_classes else Sigmoid())
        trainer = trainer_of(tuple(stack), self.shape, self.batch, self.loss, self.dtype, self.seed, scale=self.scale)
        self._plant(trainer)
        return trainer

    def _plant(self, trainer: Trainer) -> None:
        rng, x = np.random.default_rng(self.seed), trainer.x
        if self.planted == "zeros in x":
            x[rng.random(x.shape) < 0.5] = 0
        elif self.planted == "whole numbers in x":
            np.round(x, out=x)
        elif self.planted == "x all the same":
            x[...] = x.flat[0]
        elif self.planted == "zeros and whole numbers in parameters":
            parameters = trainer.parameters
            for value in parameters.values():
                lot = rng.random(value.shape)
                value[...] = np.where(lot < 0.5, 0, np.where(lot < 0.75, np.round(value), value))
            trainer.set_parameters(parameters)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any layer in a network of any loss, with up to two more layers behind it."""
    layer, shape = draw(placed(draw(st.sampled_from(layers.KINDS))))
    behind: list[LayerSpec] = []
    for kind in draw(st.lists(st.sampled_from(ON_VECTORS), max_size=2)):
        behind += [draw(specs(kind)), Dense(units=draw(st.integers(1, 6)))]
    return Case(
        layer,
        shape,
        tuple(behind),
        draw(st.booleans()),
        draw(st.sampled_from(LOSSES))(),
        draw(st.sampled_from([1, 1, 2, 3, 5])),
        draw(st.integers(0, 10**6)),
        draw(st.sampled_from(["float32", "float64"])),
        10.0 ** draw(st.floats(-3, 3)),
        draw(st.sampled_from(PLANTED)),
    )


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@many(10_000)
@given(case=cases(), mode=st.sampled_from(MODES), difference=st.sampled_from([*DIFFERENCES]))
def test_no_correct_network_is_accused(case: Case, mode: Any, difference: Any) -> None:
    if difference == "complex" and any(isinstance(spec, (GELU, Custom)) for spec in case.trainer().recipe.layers):
        difference = "central"
    report = check(case.trainer(), mode=mode, difference=difference)
    assert report.contracts == ()
    assert {address: tensor.note for address, tensor in report.tensors.items() if tensor.verdict == "fail"} == {}


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@many(3_000)
@given(case=cases())
def test_no_step_of_a_correct_network_is_accused_while_it_trains(case: Case) -> None:
    trainer, live = case.trainer(), LiveCheck()
    for _ in range(6):
        trainer.step()
        found = live.check(trainer)
        assert found.verdict != "fail", found
        if not np.isfinite(trainer.loss):
            break
