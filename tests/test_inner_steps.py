"""The inner steps of norms and softmax layers: each can be stopped at, looked into, and gone back to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine import Recipe, Run

EPS = 1e-5
KINDS = {
    "batch_norm": ("mean", "var", "normal", "y"),
    "layer_norm": ("mean", "var", "normal", "y"),
    "softmax": ("exp", "sum", "y"),
    "log_softmax": ("exp", "sum", "y"),
}


def run_with(kind: str) -> Run:
    """A run whose layer 1 is of this kind, some steps on, so that its parameters are no longer the first ones."""
    raw: dict[str, Any] = {
        "seed": 5,
        "dtype": "float64",
        "data": {"kind": "blobs"},
        "layers": [{"kind": "dense", "units": 4}, {"kind": kind}, {"kind": "dense", "units": 3}],
        "batch_size": 16,
    }
    run = Run(Recipe.from_builtins(raw))
    for _ in range(3):
        run.step()
    return run


def tensor(run: Run, address: str) -> np.ndarray:
    """A copy of a tensor as it is now."""
    found = run.trainer.tensor(address)
    assert found is not None, address
    return np.array(found)


def expected(kind: str, run: Run) -> dict[str, np.ndarray]:
    """What each inner step is by its formula, from the layer's input alone."""
    x = tensor(run, "1.x")
    if kind.endswith("softmax"):
        exp = np.exp(x - x.max(axis=1, keepdims=True))
        total = exp.sum(axis=1)
        y = exp / total[:, None] if kind == "softmax" else x - x.max(axis=1, keepdims=True) - np.log(total)[:, None]
        return {"exp": exp, "sum": total, "y": y}
    axis = 0 if kind == "batch_norm" else 1
    mean, var = x.mean(axis), x.var(axis)
    normal = (x - np.expand_dims(mean, axis)) / np.sqrt(np.expand_dims(var, axis) + EPS)
    return {"mean": mean, "var": var, "normal": normal, "y": tensor(run, "1.gamma") * normal + tensor(run, "1.beta")}


@pytest.mark.parametrize("kind", KINDS)
def test_inner_steps_come_in_order_and_each_has_its_number_when_it_is_reached(kind: str) -> None:
    run, seen = run_with(kind), []
    while run.step_part().phase is not None and len(seen) < len(KINDS[kind]):
        phase = run.trainer.phase
        if phase is not None and phase.kind == "forward" and phase.layer == 1:
            seen.append(phase.part)
            wanted = expected(kind, run)[str(phase.part)]
            got = tensor(run, f"1.{phase.part}").reshape(wanted.shape)
            np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-13)
    assert tuple(seen) == KINDS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_mini_batch_part_by_part_is_the_whole_one_bit_for_bit(kind: str) -> None:
    whole, parts = run_with(kind), run_with(kind)
    whole.step()
    parts.step_part()
    while str(parts.trainer.phase) != "update":
        parts.step_part()
    assert parts.position == whole.position
    for address, value in whole.trainer.parameters.items():
        assert value.tobytes() == parts.trainer.parameters[address].tobytes(), address
    assert whole.history["loss"][-1] == parts.history["loss"][-1]


@pytest.mark.parametrize("kind", KINDS)
def test_one_goes_back_through_inner_steps_to_the_same_bits(kind: str) -> None:
    run = run_with(kind)
    first, *_, last = KINDS[kind]
    seen = {}
    while seen.keys() != set(KINDS[kind]):
        run.step_part()
        phase = run.trainer.phase
        if phase is not None and phase.kind == "forward" and phase.layer == 1:
            seen[phase.part] = run.position, tensor(run, f"1.{phase.part}").tobytes()
    for part in reversed(KINDS[kind][:-1]):
        run.step_back("part")
        position, value = seen[part]
        assert run.position == position
        assert tensor(run, f"1.{part}").tobytes() == value
    assert first != last


def test_stepping_over_does_not_stop_inside_a_norm() -> None:
    run, parts = run_with("batch_norm"), []
    run.step_phase()
    while str(run.step_phase().phase) != "update":
        phase = run.trainer.phase
        if phase is not None and phase.kind == "forward" and phase.layer == 1:
            parts.append(phase.part)
    assert parts == ["y"]
