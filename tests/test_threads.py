"""Threads of the matrix products: by the network's size, and put back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from layer_examples import trainer_of
from threadpoolctl import threadpool_info, threadpool_limits

from engine import threads
from engine.layers.activations import ReLU
from engine.layers.dense import Dense
from engine.trainer import Trainer

WIDE = (Dense(units=1500), ReLU(), Dense(units=1500), ReLU(), Dense(units=3))


def now() -> int:
    """How many threads BLAS would use now."""
    return int(next(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"))


@pytest.fixture(autouse=True)
def three_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine of three cores on which somebody has set two threads."""
    monkeypatch.setattr(threads, "cores", lambda: 3)
    with threadpool_limits(2, user_api="blas"):
        yield


def seen_inside(trainer: Trainer) -> int:
    """The number of threads while a mini-batch is computed."""
    with trainer.computing():
        return now()


def test_small_networks_get_one_thread_and_large_ones_every_core() -> None:
    assert seen_inside(trainer_of((Dense(units=3),), (2,))) == 1
    assert seen_inside(trainer_of(WIDE, (5,), batch=16, count=16)) == 3


@pytest.mark.parametrize("stack", [(Dense(units=3),), WIDE])
def test_a_step_leaves_the_number_of_threads_as_it_was(stack: tuple[Dense, ...]) -> None:
    trainer = trainer_of(stack, (5,), batch=12)
    trainer.step()
    trainer.predict(np.zeros((1, 5)))
    trainer.evaluate("training")
    assert now() == 2


def test_it_is_put_back_after_an_error_too() -> None:
    trainer = trainer_of((Dense(units=3),), (2,))
    with pytest.raises(ZeroDivisionError), trainer.computing():
        raise ZeroDivisionError
    assert now() == 2


def test_bits_do_not_hang_on_the_threads_that_were_set_before() -> None:
    bits = set()
    for before in (1, 2):
        trainer = trainer_of(WIDE, (5,), batch=12, dtype="float32")
        with threadpool_limits(before, user_api="blas"):
            for _ in range(2):
                trainer.step()
        bits.add(trainer.network.parameters.tobytes())
    assert len(bits) == 1
