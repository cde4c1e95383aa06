"""Breakpoints: stepping stops by itself, on the phase and the tensor that are the cause."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine import Phase, Recipe, Run, RunError
from engine.conditions import AtPhase, CheckFails, DeadUnits, GradientNorm, LossRise, NonFinite, UpdateRatio

TINY = {
    "seed": 3,
    "dtype": "float64",
    "data": {"kind": "blobs", "samples": 60, "classes": 3},
    "layers": [{"kind": "dense", "units": 5}, {"kind": "relu"}, {"kind": "dense", "units": 3}],
    "optimizer": {"kind": "sgd", "lr": 0.2},
    "batch_size": 10,
}


def made(health: bool = False, **changes: object) -> Run:
    """A small run."""
    return Run(Recipe.from_json(json.dumps({**TINY, **changes})), health=health)


def until_hit(run: Run, most: int = 200) -> str:
    """Step until a breakpoint stops; the address of the tensor that is the cause."""
    for _ in range(most):
        run.step()
        if run.hit:
            return run.hit.tensor
    raise AssertionError("no breakpoint stopped")


def test_a_breakpoint_on_a_phase_stops_there_counts_and_can_be_switched_off() -> None:
    run, straight = made(), made()
    at = run.breakpoints.add(AtPhase(kind="backward", layer=2, part="grad_b"))
    for count in (1, 2):
        run.step()
        assert run.hit is not None
        assert (run.trainer.phase, run.position.step, at.hits) == (Phase("backward", 2, "grad_b"), count, count)
        run.step()  # on to the end
        assert run.trainer.phase == Phase("update")
    run.breakpoints.enable(at, False)
    assert run.step().phase == Phase("update")
    for _ in range(3):
        straight.step()
    np.testing.assert_array_equal(run.trainer.network.parameters, straight.trainer.network.parameters)


def test_the_first_number_that_is_none_is_found_in_the_phase_and_tensor_where_it_arose() -> None:
    run = made(optimizer={"kind": "sgd", "lr": 1e6}, loss={"kind": "mean_squared_error", "convention": "sum"})
    run.breakpoints.add(NonFinite())
    assert until_hit(run) == "loss"
    assert run.trainer.phase == Phase("loss")
    assert not np.isfinite(run.trainer.loss)
    infos = run.trainer.tensor_infos.items()
    before = [run.trainer.tensor(address) for address, info in infos if info.made_by < run.position.phase]
    assert all(np.isfinite(array).all() for array in before if array is not None)


def test_a_gradient_below_a_bound_stops_where_it_was_computed() -> None:
    run = made()
    run.breakpoints.add(GradientNorm(layer=0, below=0.05))
    tensor = until_hit(run)
    assert tensor in ("0.grad_W", "0.grad_b")
    assert run.trainer.phase == Phase("backward", 0, tensor.removeprefix("0."))
    assert np.linalg.norm(run.trainer.tensor(tensor)) < 0.05  # type: ignore[arg-type]
    assert "has the norm" in run.hit.sentence  # type: ignore[union-attr]


def test_an_update_outside_its_band_and_a_rising_loss_stop() -> None:
    run = made()
    run.breakpoints.add(UpdateRatio(below=None, above=1e-9))
    assert until_hit(run).split(".")[1].startswith("update_")
    run = made(optimizer={"kind": "sgd", "lr": 30.0})
    run.breakpoints.add(LossRise(by=0.5))
    assert until_hit(run) == "loss"
    assert run.trainer.phase == Phase("loss")


def test_dead_units_stop_at_their_layer_where_health_is_recorded() -> None:
    dead = {"kind": "dense", "units": 5, "bias_init": {"kind": "constant", "value": -50.0}}
    run = made(health=True, layers=[dead, *TINY["layers"][1:]])  # type: ignore[misc]
    run.breakpoints.add(DeadUnits(above=0.9))
    assert until_hit(run) == "1.y"
    assert run.trainer.phase == Phase("forward", 1)
    with pytest.raises(RunError, match="health=True"):
        made().breakpoints.add(DeadUnits())


def test_a_live_check_that_fails_stops_at_the_gradient_it_names() -> None:
    run = made()
    run.live_check = lambda trainer: "2.grad_W" if trainer.step_count >= 3 else ""
    run.breakpoints.add(CheckFails())
    assert until_hit(run) == "2.grad_W"
    assert run.position.step == 3
    assert run.trainer.phase == Phase("backward", 2, "grad_W")


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (GradientNorm(layer=9, below=1.0), "layer 9 is no more; remove it or set it elsewhere"),
        (AtPhase(kind="backward", layer=1, part="grad_W"), "there is no such phase; choose one such as forward 0"),
    ],
)
def test_a_breakpoint_that_cannot_be_set_is_refused_in_one_sentence(condition: GradientNorm, words: str) -> None:
    run = made()
    with pytest.raises(RunError, match=words) as refused:
        run.breakpoints.add(condition)
    assert "\n" not in str(refused.value)
    assert len(run.breakpoints) == 0
