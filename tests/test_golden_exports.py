"""Exported PyTorch scripts and notebooks give our next ten losses, where PyTorch is installed."""

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from golden_again import needs_torch
from test_golden_trajectories import NAMES, trainer_of

from engine import Recipe
from engine.export.moment import moment_of
from engine.export.script import export
from engine.trainer import Trainer

pytestmark = needs_torch


@pytest.fixture(autouse=True)
def same_default_dtype() -> Iterator[None]:
    """A script sets PyTorch's default type of numbers; other tests go on with theirs."""
    import torch

    before = torch.get_default_dtype()
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize(("name", "steps"), [*((name, 7) for name in NAMES), ("residual", 0), ("batch_norm", 0)])
def test_a_torch_script_gives_the_next_ten_losses_to_1e_6(
    name: str, steps: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = trainer_of(name)
    for _ in range(steps):
        trainer.step()
    script, _ = export(moment_of(trainer), tmp_path / "net.py", "torch")
    runpy.run_path(str(script))
    told = capsys.readouterr().out
    assert told.count("Nablascope") == 10
    assert told.endswith("all losses agree to 1e-06\n")


def test_the_cells_of_a_notebook_do_so_too_for_a_float32_run_over_the_end_of_an_epoch(
    digits: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = Trainer(digits)
    for _ in range(40):
        trainer.step()
    path, _ = export(moment_of(trainer), tmp_path / "net.ipynb", "torch")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert "all losses agree to 1e-06" in capsys.readouterr().out
