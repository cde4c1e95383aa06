"""What a mini-batch changed in a tensor: the same whether it was remembered or computed again, at every position."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from engine import Recipe, Run
from engine.protocol import WatchItem
from engine.shared import shown_tensor
from engine.step_before import StepBefore, changing

RECIPE = msgspec.convert(
    {
        "data": {"kind": "digits"},
        "layers": [
            {"kind": "dense", "units": 8},
            {"kind": "batch_norm"},
            {"kind": "relu"},
            {"kind": "dense", "units": 10},
        ],
        "seed": 3,
    },
    Recipe,
)
TENSORS = ("0.W", "0.y", "0.grad_W", "1.running_mean", "3.update_W", "data.x", "loss.p")


@pytest.fixture
def run() -> Run:
    return Run(RECIPE)


def tensors(run: Run) -> dict[str, np.ndarray]:
    return {a: np.array(run.trainer.tensor(a)) for a in TENSORS}


def test_addresses_of_changes_lead_back_to_their_tensor() -> None:
    assert changing("0.change_W") == "0.W"
    assert changing("3.change_grad_W") == "3.grad_W"
    assert changing("0.W") is changing("0.change_") is None


def test_what_is_computed_again_is_what_was_there(run: Run) -> None:
    for _ in range(4):
        run.step()
    before = tensors(run)
    run.step()
    here, now = run.position, tensors(run)
    found = StepBefore().find(run, TENSORS, again=True)
    assert run.position == here
    for address in TENSORS:
        assert np.array_equal(found[address], before[address]), address
        assert np.array_equal(tensors(run)[address], now[address]), address
    run.step()


def test_what_is_remembered_needs_no_computing_and_is_the_same(run: Run) -> None:
    memory = StepBefore()
    for _ in range(3):
        memory.remember(run, TENSORS)
        before = tensors(run)
        run.step()
    found = memory.find(run, TENSORS, again=False)
    assert all(np.array_equal(found[a], before[a]) for a in TENSORS)
    run.step()
    assert memory.find(run, TENSORS, again=False) == {}
    memory.remember(run, TENSORS)
    memory.forget()
    run.step()
    assert memory.find(run, TENSORS, again=False) == {}


def test_inside_a_mini_batch_it_is_the_same_phase_of_the_one_before(run: Run) -> None:
    for _ in range(2):
        run.step()
    run.step_phase()
    run.step_phase()
    then = {a: np.array(run.trainer.tensor(a)) for a in ("0.W", "0.y", "data.x")}
    for _ in range(2):
        run.step()
    here = run.seek(4, run.trainer.all_phases.index(run.trainer.all_phases[1]))
    found = StepBefore().find(run, ("0.W", "0.y", "data.x"), again=True)
    assert run.position == here.position
    for address, array in then.items():
        assert np.array_equal(found[address], array), address


def test_before_the_first_mini_batch_only_parameters_were_there(run: Run) -> None:
    first = np.array(run.trainer.parameters["0.W"])
    assert StepBefore().find(run, TENSORS, again=True) == {}
    run.step()
    found = StepBefore().find(run, TENSORS, again=True)
    assert np.array_equal(found["0.W"], first)
    assert "0.y" not in found
    assert "0.grad_W" not in found


def test_a_number_typed_over_counts_as_changed(run: Run) -> None:
    for _ in range(2):
        run.step()
    run.edit("0.W", (3, 4), 9.0)
    now = run.trainer.parameters["0.W"][3, 4]
    minus = {"0.change_W": StepBefore().find(run, ["0.W"], again=True)["0.W"]}
    change = shown_tensor(run, None, WatchItem("0.change_W"), minus)
    assert change is not None
    assert change[3, 4] == float(now) - float(minus["0.change_W"][3, 4])
    assert abs(change[3, 4]) > 5
    assert shown_tensor(run, None, WatchItem("0.change_b"), minus) is None


def test_a_mini_batch_of_another_size_has_no_change_but_its_parameters_have(run: Run) -> None:
    run.run_to(run.trainer.batches)
    found = StepBefore().find(run, ("0.W", "0.y"), again=True)
    assert found["0.y"].shape != np.shape(run.trainer.tensor("0.y"))
    minus = {"0.change_y": found["0.y"], "0.change_W": found["0.W"]}
    assert shown_tensor(run, None, WatchItem("0.change_y"), minus) is None
    assert shown_tensor(run, None, WatchItem("0.change_W"), minus) is not None
