"""Health: the quantities people read a training by are what the tensors say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine import Recipe, Run
from engine.gradient_path import passages, stages, worst
from engine.health import cancellation, dead, pull, update_ratio, variance

DEEP = {
    "seed": 3,
    "dtype": "float64",
    "data": {"kind": "circles", "samples": 200},
    "layers": [
        {"kind": "dense", "units": 6},
        {"kind": "sigmoid"},
        {"kind": "dense", "units": 6},
        {"kind": "relu"},
        {"kind": "dense", "units": 1},
    ],
    "loss": {"kind": "binary_cross_entropy"},
    "batch_size": 20,
}


@pytest.fixture
def run() -> Run:
    """A run after some steps, its health recorded."""
    made = Run(Recipe.from_json(json.dumps(DEEP)), health=True)
    for _ in range(5):
        made.step()
    return made


def tensor(run: Run, address: str) -> np.ndarray:
    """A tensor of the last mini-batch."""
    found = run.trainer.tensor(address)
    assert found is not None
    return found


def test_what_is_recorded_is_what_the_tensors_say(run: Run) -> None:
    history, last = run.history, len(run.history)
    for layer in range(5):
        assert history[f"delta.{layer}"][-1] == pytest.approx(np.linalg.norm(tensor(run, f"{layer}.grad_y")))
    y = tensor(run, "3.y")
    assert history["active.3"][-1] == pytest.approx((y > 0).mean())
    assert dead(history, 3, last) == pytest.approx((y <= 0).all(axis=0).mean())
    sigmoid = tensor(run, "1.y")
    assert history["saturated.1"][-1] == pytest.approx(((sigmoid < 0.03) | (sigmoid > 0.97)).mean())
    assert variance(history, 4, last) == pytest.approx(tensor(run, "4.y").var())
    assert history["mean_gradient.0.W"][-1] == pytest.approx(np.abs(tensor(run, "0.grad_W")).mean())
    ratio = np.linalg.norm(tensor(run, "2.update_W")) / np.linalg.norm(tensor(run, "2.W"))
    assert update_ratio(history, "2.W", last) == pytest.approx(ratio)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_and_means_are_kept_as_exactly_as_the_network_computes(dtype: str) -> None:
    made = Run(Recipe.from_json(json.dumps(DEEP | {"dtype": dtype})), health=True)
    for _ in range(5):
        made.step()
    names = [n for n in made.history.columns if n.startswith(("mean_gradient.", "delta.", "rms.", "mean."))]
    kept = np.array([made.history[name] for name in names])
    single = kept == kept.astype(np.float32)
    assert single[np.isfinite(kept)].all() == (dtype == "float32")


def test_the_cosine_is_that_of_two_gradients_in_a_row(run: Run) -> None:
    before = run.trainer.network.gradients.copy()
    run.step()
    now = run.trainer.network.gradients
    assert run.history["cosine"][-1] == pytest.approx(before @ now / np.linalg.norm(before) / np.linalg.norm(now))


def test_who_ate_the_gradient_is_told_by_factors_whose_product_is_the_whole_way(run: Run) -> None:
    found = passages(run.history, len(run.history), run.trainer.recipe.layers)
    whole = np.linalg.norm(tensor(run, "0.grad_y")) / np.linalg.norm(tensor(run, "4.grad_y"))
    assert np.prod([passage.factor for passage in found]) == pytest.approx(whole)
    assert [passage.part for passage in found] == ["Wᵀ", "f′", "Wᵀ", "f′"]
    assert np.prod([stage.factor for stage in stages(found)]) == pytest.approx(whole)
    eater = worst(found)
    assert eater is not None
    assert abs(np.log(eater.factor)) == max(abs(np.log(passage.factor)) for passage in found)


def test_the_pull_of_all_samples_adds_up_to_the_cell(run: Run) -> None:
    layer = run.trainer.current.layers[2]
    gradient = tensor(run, "2.grad_W")
    row, column = (int(i) for i in np.unravel_index(np.abs(gradient).argmax(), gradient.shape))
    pulls = pull(layer, "W", (row, column))
    assert pulls.shape == (20,)
    assert pulls.sum() == pytest.approx(gradient[row, column], rel=1e-12)
    assert cancellation(pulls) == pytest.approx(abs(pulls.mean()) / np.abs(pulls).mean())
    assert pull(layer, "b", (column,)).sum() == pytest.approx(tensor(run, "2.grad_b")[column], rel=1e-12)
    with pytest.raises(ValueError, match="only the W and b of a dense layer"):
        pull(run.trainer.current.layers[1], "W", (0, 0))


def test_recording_health_changes_no_bit_of_training(run: Run) -> None:
    plain = Run(Recipe.from_json(json.dumps(DEEP)))
    for _ in range(5):
        plain.step()
    np.testing.assert_array_equal(plain.trainer.network.parameters, run.trainer.network.parameters)
