"""Widths of arrows: the same, whether a step's row tells them or its tensors."""

import pytest

from engine.carried import carried
from engine.recipe import Recipe
from engine.run import Run

RECIPE = Recipe.from_builtins(
    {
        "data": {"kind": "blobs", "samples": 60},
        "layers": [
            {"kind": "dense", "units": 6},
            {"kind": "relu"},
            {"kind": "residual", "layers": [{"kind": "dense", "units": 6}, {"kind": "tanh"}]},
            {"kind": "dense", "units": 3},
        ],
        "batch_size": 20,
    }
)


@pytest.fixture
def runs() -> tuple[Run, Run]:
    """One that writes rows in which arrows stand, and one that does not."""
    return Run(RECIPE, health=True), Run(RECIPE)


def agree(runs: tuple[Run, Run]) -> bool:
    quick, plain = map(carried, runs)
    return quick == pytest.approx(plain, rel=1e-5) and len(plain) > 2


def test_after_a_step_its_row_tells_what_its_tensors_would(
    runs: tuple[Run, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in runs:
        run.step()
    assert agree(runs)
    quick, looked_up = runs[0], []
    monkeypatch.setattr(quick.trainer, "tensor", lambda address: looked_up.append(address))
    carried(quick)
    assert "1.grad_y" not in looked_up, "its row tells ‖grad_y‖ of every layer"
    assert "0.y" in looked_up, "no row tells what goes into an activation"


def test_amid_a_step_only_what_it_has_computed_is_told(runs: tuple[Run, Run]) -> None:
    for run in runs:
        run.step()
    for _ in runs[0].trainer.all_phases:
        for run in runs:
            run.step_part()
        assert agree(runs) or runs[0].position.phase < 2


def test_on_another_fork_at_the_same_step_its_own_is_told(runs: tuple[Run, Run]) -> None:
    for run in runs:
        for _ in range(3):
            run.step()
    before = carried(runs[1])
    for run in runs:
        run.seek(1)
        run.edit("0.W", (0, 0), 5.0)
        run.step()
        run.step()
    assert carried(runs[1])["delta.1"] != pytest.approx(before["delta.1"], rel=1e-3)
    assert agree(runs)
    for run in runs:
        run.switch("main")
    assert runs[0].position.step == 3
    assert agree(runs)
    assert carried(runs[0]) == pytest.approx(before, rel=1e-5)
