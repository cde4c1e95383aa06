"""Verdict sentences: the classroom's ill networks are told what ails them, and healthy ones are left in peace."""

from __future__ import annotations

from importlib import resources

import msgspec
import numpy as np
import pytest

from engine import Recipe, Run
from engine.health import dead
from engine.health_verdicts import DEAD, LATELY, Verdict, verdicts

STEPS = 60
HEALTHY = ("digits", "spirals", "moons", "tanh_scale_right", "vanishing_cured", "residual_with")
ILL = {  # recipe: the first sentence holds these words, and leads to this tensor
    "zero_init": ("eats the whole gradient", "weights Wᵀ", "4.grad_x"),
    "dead_relu_bias": ("eats the whole gradient", "slope f′", "3.grad_x"),
    "deep_sigmoid": ("dies bit by bit", "slopes f′", "0.grad_y"),
    "residual_without": ("dies bit by bit", "weights Wᵀ", "0.grad_y"),
    "exploding_init": ("loss is NaN from step", "learning rate", "0.W"),
    "tanh_scale_large": ("blows the gradient up", "weights Wᵀ", "4.grad_x"),
    "wrong_neuron_squared": ("eats the gradient", "saturated", "1.grad_x"),
    "bug_bench_transposed": ("units are dead", "Layer 3", "3.y"),
}


def told(name: str) -> tuple[Run, list[Verdict]]:
    """What is said of a shipped recipe after some steps."""
    recipe = Recipe.from_json(resources.files("resources").joinpath(f"recipes/{name}.json").read_text("utf-8"))
    run = Run(recipe, health=True)
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            run.step()
    titles = [spec.kind() for spec in recipe.layers]
    return run, verdicts(run.history, STEPS, recipe, titles, len(run.trainer.samples.classes))


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_network_is_told_of_nothing_bad(name: str) -> None:
    _, found = told(name)
    assert [verdict.sentence for verdict in found if verdict.severity == "bad"] == []
    assert found


@pytest.mark.parametrize("name", ILL)
def test_the_worst_of_an_ill_network_comes_first_with_its_place(name: str) -> None:
    run, found = told(name)
    *words, tensor = ILL[name]
    assert found[0].severity == "bad"
    for word in words:
        assert word in found[0].sentence
    assert found[0].tensor == tensor
    assert run.trainer.tensor(tensor) is not None
    assert 1 <= found[0].step <= STEPS


def test_a_verdict_tells_since_when_it_has_been_so() -> None:
    run, found = told("dead_relu_lr")
    told_of = next(v for v in found if v.sentence.startswith("Layer 1") and "dead" in v.sentence)
    assert all(dead(run.history, 1, step) >= DEAD for step in range(told_of.step, STEPS + 1))
    assert dead(run.history, 1, told_of.step - 1) < DEAD


def test_nothing_is_said_of_the_direction_of_a_gradient_that_has_none() -> None:
    given = {"kind": "given", "x": [[1.0, 2.0], [2.0, 1.0]], "labels": [0, 1], "values": []}
    fields = {"name": "No parameters", "data": given, "layers": [{"kind": "relu"}], "batch_size": 2}
    recipe = msgspec.convert(fields, Recipe)
    run = Run(recipe, health=True)
    for _ in range(2 * LATELY):
        run.step()
    found = verdicts(run.history, 2 * LATELY, recipe, ["relu"], 2)
    assert not any("turn back" in verdict.sentence for verdict in found)


def test_nothing_is_said_of_a_step_that_was_not_made() -> None:
    run, _ = told("moons")
    recipe = run.trainer.recipe
    assert verdicts(run.history, 0, recipe, []) == []
    assert verdicts(run.history, STEPS + 1, recipe, []) == []
