"""Frozen parameters: computed and shown like all others, moved by nothing."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from layer_examples import trainer_of

from engine import check
from engine.clipping import ClipByNorm
from engine.layers import LayerSpec
from engine.layers.activations import Tanh
from engine.layers.dense import Dense
from engine.layers.residual import Residual
from engine.optimizers import SGD, AdamW, OptimizerSpec
from engine.trainer import Trainer


def trained(
    stack: tuple[LayerSpec, ...], optimizer: OptimizerSpec, clip: ClipByNorm | None = None, steps: int = 5
) -> tuple[Trainer, dict[str, np.ndarray]]:
    """A trainer after some steps, and the parameters it began with."""
    plain = trainer_of(stack, (3,))
    recipe = msgspec.structs.replace(plain.recipe, optimizer=optimizer)
    trainer = Trainer(recipe if clip is None else msgspec.structs.replace(recipe, clip=clip))
    trainer.set_parameters(plain.parameters)
    for _ in range(steps):
        trainer.step()
    return trainer, plain.parameters


@pytest.mark.parametrize("optimizer", [SGD(lr=0.1, momentum=0.9, weight_decay=0.1), AdamW(lr=0.1, weight_decay=0.3)])
@pytest.mark.parametrize(
    ("frozen", "still"), [("nothing", ()), ("weights", ("0.W",)), ("biases", ("0.b",)), ("all", ("0.W", "0.b"))]
)
def test_what_is_frozen_stays_and_all_else_moves(frozen: str, still: tuple[str, ...], optimizer: OptimizerSpec) -> None:
    stack = (Dense(units=3, frozen=frozen, l2=0.1), Tanh(), Dense(units=3))  # type: ignore[arg-type]
    trainer, before = trained(stack, optimizer)
    for address, value in trainer.parameters.items():
        assert np.array_equal(value, before[address]) == (address in still), address
        assert trainer.gradients[address].any(), "the gradient is computed and shown all the same"
        assert (trainer.frame().scalars[f"update.{address}"] == 0) == (address in still)


def test_a_layer_inside_a_block_can_be_frozen() -> None:
    block = Residual(layers=(Dense(units=3, frozen="all"), Tanh()))
    trainer, before = trained((block, Dense(units=3)), SGD(lr=0.1))
    assert {a for a, v in trainer.parameters.items() if np.array_equal(v, before[a])} == {"0.0.W", "0.0.b"}


def test_frozen_gradients_do_not_count_when_gradients_are_clipped_by_their_norm() -> None:
    stack = (Dense(units=3, frozen="all"), Tanh(), Dense(units=3))
    trainer, _ = trained(stack, SGD(lr=1.0), ClipByNorm(max_norm=1e-3), steps=1)
    moved = np.concatenate([trainer.tensor(f"2.update_{role}").reshape(-1) for role in "Wb"])  # type: ignore[union-attr]
    assert np.linalg.norm(moved) == pytest.approx(1e-3, rel=1e-2)


def test_freezing_and_thawing_need_no_new_start() -> None:
    stack = (Dense(units=3), Tanh(), Dense(units=3))
    trainer, _ = trained(stack, SGD(lr=0.1))
    before = trainer.parameters["0.W"]
    layers = (Dense(units=3, frozen="weights"), *stack[1:])
    assert trainer.adopt(msgspec.structs.replace(trainer.recipe, layers=layers))
    trainer.step()
    assert trainer.step_count == 6
    np.testing.assert_array_equal(trainer.parameters["0.W"], before)
    assert trainer.adopt(msgspec.structs.replace(trainer.recipe, layers=stack))
    trainer.step()
    assert not np.array_equal(trainer.parameters["0.W"], before)


def test_the_gradient_check_sees_frozen_parameters_too() -> None:
    trainer, _ = trained((Dense(units=3, frozen="all"), Tanh(), Dense(units=3)), SGD(lr=0.1))
    assert check(trainer).tensors["0.W"].verdict == "pass"
