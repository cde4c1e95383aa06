"""While training plays, every bug is found by one direction, named by its layer, and no right step is accused."""

from __future__ import annotations

from itertools import chain, repeat
from typing import Any

import numpy as np
import pytest
from layer_examples import trainer_of
from test_gradcheck import BUGS, everything, mlp

from engine.bugs import PlantedBug
from engine.clipping import ClipByNorm
from engine.layers.activations import PReLU, ReLU, Sigmoid, Tanh
from engine.layers.base import LayerSpec
from engine.layers.conv import Conv2D
from engine.layers.dense import Dense, DenseLayer
from engine.layers.dropout import Dropout
from engine.layers.norm import BatchNorm, LayerNorm
from engine.layers.pool import MaxPool2D
from engine.layers.reshape import Flatten
from engine.layers.residual import Residual
from engine.layers.softmax import Softmax
from engine.livecheck import LiveCheck
from engine.optimizers import SGD
from engine.plants import plants_for
from engine.recipe import Recipe
from engine.trainer import Trainer

both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
# of the planted bugs: the layer whose backward is wrong; 5 is the loss
GUILTY = {
    "1/B missing": 5,
    "ReLU mask missing": 3,
    "ReLU mask inverted": 3,
    "tanh derivative of the output": 1,
    "square W transposed": 2,
    "backward through W, not its transpose": 2,
}


def with_recipe(trainer: Trainer, **changes: Any) -> Trainer:
    """A trainer of the recipe with some fields changed."""
    return Trainer(
        Recipe(**{name: getattr(trainer.recipe, name) for name in trainer.recipe.__struct_fields__} | changes)
    )


@both_dtypes
def test_a_right_network_passes_at_every_step(dtype: str) -> None:
    trainer, live = mlp(dtype=dtype), LiveCheck()
    for step in range(1, 30):
        trainer.step()
        found = live.check(trainer)
        assert (found.step, found.verdict, found.layer) == (step, "pass", None)
        assert found.error < 1e-6
        assert found.float32_error < 1e-4


@both_dtypes
@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_at_the_first_step_and_its_layer_named(
    monkeypatch: pytest.MonkeyPatch, bug: str, dtype: str
) -> None:
    owner, name, wrong, address = BUGS[bug]
    monkeypatch.setattr(owner, name, wrong)
    trainer = mlp(dtype=dtype)
    trainer.step()
    found = LiveCheck().check(trainer)
    assert found.verdict == "fail"
    assert found.note
    if bug in GUILTY:
        assert found.layer == GUILTY[bug]
    elif bug != "NaN":  # after whose update there is nothing left to look at
        assert found.tensors[address].verdict == "fail"
        assert found.layer is not None


def test_a_bug_that_begins_in_mid_training_is_found_when_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, live = mlp(), LiveCheck()
    for _ in range(3):
        trainer.step()
        assert live.check(trainer).verdict == "pass"
    owner, name, wrong, _ = BUGS["ReLU mask missing"]
    monkeypatch.setattr(owner, name, wrong)
    trainer.step()
    assert live.check(trainer).layer == 3


def test_what_the_trainers_own_layer_does_wrong_is_found_though_a_copy_does_it_right() -> None:
    trainer, live = mlp(), LiveCheck()
    trainer.step()
    assert live.check(trainer).verdict == "pass"
    layer: Any = trainer.current.layers[2]
    right = layer.backward

    def twice(grad_y: Any) -> Any:
        yield from right(grad_y)
        layer.grad_W *= 2

    layer.backward = twice
    trainer.step()
    found = live.check(trainer)
    assert (found.verdict, found.layer) == ("fail", 2)
    assert found.tensors["2.W"].verdict == "fail"
    assert found.tensors["2.b"].verdict == "pass"


@both_dtypes
def test_penalties_clipping_dropout_and_batch_norm_accuse_nothing(dtype: str) -> None:
    stack = (Dense(units=6, l1=0.01, l2=0.1), BatchNorm(), ReLU(), Dropout(rate=0.3), Dense(units=4), Tanh())
    plain = trainer_of((*stack, Dense(units=3, l2=0.5)), (5,), batch=5, dtype=dtype)  # the last batch of an epoch: two
    for trainer in (plain, with_recipe(plain, clip=ClipByNorm(max_norm=0.01)), with_recipe(plain, optimizer=SGD())):
        live = LiveCheck()
        for _ in range(7):
            trainer.step()
            found = live.check(trainer)
            assert found.verdict == "pass", found


def test_a_bug_behind_a_penalty_and_a_clip_is_still_found(monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, wrong, _ = BUGS["bias gradient forgotten"]
    monkeypatch.setattr(owner, name, wrong)
    trainer = with_recipe(mlp(), clip=ClipByNorm(max_norm=0.01))
    trainer.step()
    assert LiveCheck().check(trainer).verdict == "fail"


@both_dtypes
def test_the_trainer_is_untouched_bit_for_bit_also_by_a_check_that_fails(
    monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    trainer, live = mlp(dtype=dtype), LiveCheck()
    trainer.step()
    before = everything(trainer)
    live.check(trainer)
    assert everything(trainer) == before
    owner, name, wrong, _ = BUGS["square W transposed"]
    monkeypatch.setattr(owner, name, wrong)
    trainer.step()
    before = everything(trainer)
    assert live.check(trainer).verdict == "fail"
    assert everything(trainer) == before


def test_a_kink_in_the_way_is_stepped_short_of(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    monkeypatch.setattr("engine.livecheck._closer_look", lambda *_: looked.append(1))
    trainer = trainer_of((Dense(units=4), ReLU(), Dense(units=3)), (5,), batch=1)
    values = trainer.parameters["0.W"]
    values[:, 0] = 0
    trainer.set_parameters({"0.W": values, "0.b": np.array([2e-9, 0.3, -0.3, 0.3])})
    trainer.step()
    assert LiveCheck().check(trainer).verdict == "pass"
    assert not looked


def test_a_step_on_a_kink_is_a_kink() -> None:
    trainer = trainer_of((Dense(units=4), ReLU(), Dense(units=3)), (5,), batch=1, dtype="float64")
    trainer = with_recipe(trainer, optimizer=SGD(lr=1e-300))  # so that the parameters before the update are exact
    values = trainer.parameters["0.W"]
    values[:, 0] = 0
    trainer.set_parameters({"0.W": values, "0.b": np.array([0.0, 0.3, -0.3, 0.3])})
    trainer.step()
    assert LiveCheck().check(trainer).verdict == "kink"


def test_a_loss_that_overflows_is_unresolvable() -> None:
    trainer = mlp()
    trainer.set_parameters({"4.b": np.array([np.nan, 0, 0])})
    trainer.step()
    found = LiveCheck().check(trainer)
    assert (found.verdict, found.layer) == ("unresolvable", None)
    assert "NaN" in found.note


def test_a_network_without_parameters_is_unresolvable() -> None:
    trainer = trainer_of((Tanh(),), (3,))
    trainer.step()
    assert LiveCheck().check(trainer).verdict == "unresolvable"


def test_before_the_first_step_the_next_mini_batch_is_checked() -> None:
    assert LiveCheck().check(mlp()).verdict == "pass"


def test_a_new_network_gets_a_new_copy() -> None:
    live = LiveCheck()
    for trainer in (mlp(), trainer_of((Dense(units=3),), (7,)), mlp(dtype="float32")):
        trainer.step()
        assert live.check(trainer).verdict == "pass"


def test_one_copy_serves_all_checks_of_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, live = mlp(batch=5), LiveCheck()
    for _ in range(3):  # the third batch of an epoch has two samples
        trainer.step()
        live.check(trainer)
    monkeypatch.setattr(DenseLayer, "__init__", None)  # nothing is built any more
    for _ in range(6):
        trainer.step()
        assert live.check(trainer).verdict == "pass"


def test_every_nth_step_is_due() -> None:
    live, trainer = LiveCheck(every=3), mlp()
    due = []
    for _ in range(9):
        trainer.step()
        due.append(live.due(0.0))
        if due[-1]:
            live.check(trainer)
    assert due == [False, False, True] * 3


def test_a_check_is_due_when_forty_nine_times_its_own_length_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    live, trainer = LiveCheck(), mlp()
    trainer.step()
    assert live.due(100.0)
    clock = chain([100.0], repeat(100.5))
    monkeypatch.setattr("engine.livecheck.perf_counter", lambda: next(clock))
    live.check(trainer)
    assert not live.due(124.9)
    assert live.due(125.1)


@both_dtypes
@pytest.mark.parametrize("bug", [None, "ReLU mask missing", "NaN"])
def test_training_may_go_on_between_slices_and_the_verdict_is_that_of_the_step_before(
    monkeypatch: pytest.MonkeyPatch, bug: str | None, dtype: str
) -> None:
    monkeypatch.setattr("engine.livecheck.SLICE", 0.0)  # a slice ends wherever it may
    if bug:
        owner, name, wrong, _ = BUGS[bug]
        monkeypatch.setattr(owner, name, wrong)
    alone, trainer = mlp(dtype=dtype), mlp(dtype=dtype)
    alone.step()
    trainer.step()
    expected = LiveCheck().check(alone)
    found = []
    for verdict in LiveCheck().slices(trainer):
        found.append(verdict)
        trainer.step()
    assert len(found) > 5
    assert found[:-1] == [None] * (len(found) - 1)
    last = found[-1]
    assert last is not None
    assert (last.step, last.verdict, last.layer, last.note) == (1, expected.verdict, expected.layer, expected.note)
    assert last.error == pytest.approx(expected.error, rel=1e-9, nan_ok=True)


def test_a_check_of_every_step_or_at_once_is_one_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.livecheck.SLICE", 0.0)
    trainer = mlp()
    trainer.step()
    assert len(list(LiveCheck(every=1).slices(trainer))) == 1
    assert len(list(LiveCheck().slices(trainer, at_once=True))) == 1


def test_blocks_of_a_large_network_are_cut_and_moved_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.joint.PIECE", 32)
    monkeypatch.setattr("engine.joint.POOL", 64)
    trainer, live = mlp(), LiveCheck()
    for _ in range(3):
        trainer.step()
        assert live.check(trainer).verdict == "pass"
    joint = live._joint
    assert joint is not None
    covered = np.concatenate([np.arange(part.here.start, part.here.stop) for part in joint._parts])
    wanted = np.concatenate([slot.start + np.arange(slot.parameter.size) for slot in joint.network.slots])
    assert (covered == wanted).all()
    assert np.count_nonzero(joint.direction[wanted]) == len(wanted)
    owner, name, wrong, address = BUGS["bias gradient forgotten"]
    monkeypatch.setattr(owner, name, wrong)
    trainer.step()
    assert live.check(trainer).tensors[address].verdict == "fail"


WITHOUT_EFFECT = {"batch-of-one", "mutates-input"}  # on the gradients of a batch of five: the full check sees them
NETWORKS: dict[str, tuple[tuple[LayerSpec, ...], tuple[int, ...]]] = {
    "vectors": ((Dense(units=7), Tanh(), Dense(units=7), ReLU(), Residual(layers=(Dense(units=7), Sigmoid()))), (7,)),
    "norms": ((Dense(units=5), BatchNorm(eps=0.1), Tanh(), LayerNorm(eps=0.1), PReLU()), (4,)),
    "pictures": ((Conv2D(filters=3, padding=1), ReLU(), MaxPool2D(), Flatten(), Dense(units=5), Softmax()), (2, 6, 6)),
}


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        pytest.param(name, dtype, marks=() if (name, dtype) == ("vectors", "float32") else pytest.mark.campaign)
        for name in NETWORKS
        for dtype in ("float32", "float64")
    ],
)
def test_every_bug_that_can_be_planted_is_found_and_its_layer_named(name: str, dtype: str) -> None:
    front, shape = NETWORKS[name]
    base = trainer_of((*front, Dense(units=3)), shape, 5, dtype=dtype, seed=3)
    silent = set()
    for index in range(-1, len(front)):
        spec = base.recipe.layers[index] if index >= 0 else base.recipe.loss
        for slug in plants_for(spec, base.network.shapes[index]):
            trainer = with_recipe(base, bugs=(PlantedBug(layer=index, slug=slug),))
            trainer.set_parameters(base.parameters)
            live, found = LiveCheck(), []
            for _ in range(2):  # a stale cache needs two
                trainer.step()
                found.append(live.check(trainer))
            failed = [verdict for verdict in found if verdict.verdict == "fail"]
            if not failed:
                silent.add((index, slug))
            elif slug not in WITHOUT_EFFECT:
                assert failed[0].layer == index % (len(front) + 2), (slug, index, failed[0])
    assert {slug for _, slug in silent} <= WITHOUT_EFFECT | ({"bias-summed-over-all"} if name == "norms" else set())
