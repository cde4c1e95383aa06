"""A run as a script: it runs with NumPy alone, gives our losses, and whatever cannot be written is said."""

import errno
import json
import os
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from test_golden_trajectories import NAMES, trainer_of

from app.__main__ import main
from engine import Recipe, Run
from engine.clipping import Clipping
from engine.export import numpy_code, numpy_layers, torch_code
from engine.export.moment import moment_of
from engine.export.script import export
from engine.export.writing import SCHEDULES
from engine.files import FileError
from engine.layers import KINDS
from engine.layers.custom import Custom
from engine.losses import LossSpec
from engine.optimizers import OptimizerSpec
from engine.schedules import Schedule
from engine.spec import RecipeError, members
from engine.trainer import Trainer

from replays import prints

XOR = {"data": {"kind": "xor"}, "layers": [{"kind": "dense", "units": 2}], "batch_size": 4}


def trained(trainer: Trainer, steps: int) -> Trainer:
    """The trainer after some steps."""
    for _ in range(steps):
        trainer.step()
    return trainer


def xor(**parts: Any) -> Trainer:
    """A trainer of a small network."""
    return Trainer(Recipe.from_builtins(XOR | parts))


def kinds(family: type[Any]) -> set[str]:
    return {kind.kind() for kind in members(family)}


def test_every_kind_has_its_code_for_both_libraries() -> None:
    layers = {kind.kind() for kind in KINDS} - {"custom"}
    assert numpy_layers.LAYERS.keys() == layers
    assert torch_code.LAYERS.keys() | torch_code.CLASSES.keys() == layers
    for code in (numpy_code, torch_code):
        assert code.LOSSES.keys() == kinds(LossSpec)
        assert code.OPTIMIZERS.keys() == kinds(OptimizerSpec)
        assert code.CLIPS.keys() | {"none"} == kinds(Clipping)
    assert SCHEDULES.keys() | {"constant"} == kinds(Schedule)


@pytest.mark.parametrize("name", NAMES)  # together they hold every kind of everything
def test_a_numpy_script_gives_the_next_ten_losses_to_1e_12(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moment = moment_of(trained(trainer_of(name), 7))
    script, _ = export(moment, tmp_path / "net.py", "numpy")
    runpy.run_path(str(script))
    told = capsys.readouterr().out
    assert told.count("Nablascope") == 10
    assert "mini-batch 17: " in told
    assert told.endswith("all losses agree to 1e-12\n")


def test_a_float32_run_goes_on_over_the_end_of_an_epoch_whatever_it_and_its_folder_are_called(
    digits: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "∇ mit Abstand ’"
    folder.mkdir()
    recipe = msgspec.structs.replace(digits, name='A """name""" \\ of {many} \n kinds ∇')
    trainer = trained(Trainer(recipe), 40)
    script, arrays = export(moment_of(trainer), folder / "net work", "numpy")
    assert (script.name, arrays.name) == ("net work.py", "net work.npz")
    runpy.run_path(str(script))
    assert "all losses agree to 1e-12" in capsys.readouterr().out
    sizes = (np.load(arrays)["order"] >= 0).sum(axis=1)
    assert len(set(sizes.tolist())) == 2  # the last mini-batch of the epoch is shorter


def test_a_script_fails_where_a_weight_is_another_one(tmp_path: Path) -> None:
    script, arrays = export(moment_of(xor()), tmp_path / "net.py", "numpy")
    with np.load(arrays) as file:
        saved = dict(file)
    saved["0.W"][0, 0] += 1e-5
    np.savez(arrays, **saved)
    with pytest.raises(AssertionError, match="the losses differ"):
        runpy.run_path(str(script))


def test_the_tolerance_is_wider_where_roundings_part_the_losses_sooner(tmp_path: Path) -> None:
    moment = replace(moment_of(xor()), blur=3e-9)
    script, _ = export(moment, tmp_path / "net.py", "numpy")
    assert "rtol=1e-08" in script.read_text()
    assert moment_of(xor()).blur < 1e-13


@pytest.mark.parametrize("target", ["numpy", "torch"])
def test_a_notebook_is_whole_and_its_cells_are_the_script(
    target: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = export(moment_of(xor()), tmp_path / "a 'net'.ipynb", target)
    notebook = json.loads(path.read_text("utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    codes = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for code in codes:
        compiled = compile(code, "cell", "exec")
        if target == "numpy":
            exec(compiled, names)
    assert target == "torch" or "all losses agree" in capsys.readouterr().out


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "bug": ({"bugs": [{"layer": 0, "slug": "transposed"}]}, "'transposed' is planted into layers[0] (dense)"),
    "hidden": ({"bugs": [{"layer": 0, "slug": "transposed", "hidden": True}]}, "a hidden bug is planted"),
    "loss": ({"bugs": [{"layer": -1, "slug": "sign-flipped"}]}, "is planted into the loss"),
    "frozen": ({"layers": [{"kind": "dense", "units": 2, "frozen": "all"}]}, "no parameter to train"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_script_can_do_is_refused_in_one_sentence(case: str) -> None:
    parts, sentence = REFUSED[case]
    with pytest.raises(RecipeError) as refused:
        moment_of(xor(**parts))
    assert sentence in str(refused.value)
    assert case != "hidden" or "transposed" not in str(refused.value)


def test_a_layer_that_is_off_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layers = [{"kind": "dense", "units": 3}, {"kind": "off", "layer": {"kind": "dense", "units": 5}}]
    script, _ = export(moment_of(xor(layers=[*layers, *XOR["layers"]])), tmp_path / "net.py", "numpy")  # type: ignore[misc]
    runpy.run_path(str(script))
    assert capsys.readouterr().out.endswith("all losses agree to 1e-12\n")


def test_a_layer_of_ones_own_is_refused_by_its_name() -> None:
    own = Custom(file=str(Path(__file__).parent / "own_code" / "layers_for_examples.py"), class_name="Squash")
    trainer = xor()
    trainer.recipe = msgspec.structs.replace(trainer.recipe, layers=(own,))
    with pytest.raises(RecipeError, match=r"layers\[0\] is a layer of your own \(Squash\)"):
        moment_of(trainer)


@pytest.mark.parametrize("parts", [0, 5])
def test_exporting_leaves_the_run_where_it_was_to_the_bit(parts: int) -> None:
    run = Run(Recipe.from_builtins(XOR | {"optimizer": {"kind": "adam"}}))
    for _ in range(4):
        run.step()
    for _ in range(parts):
        run.step_part()
    before, here, tip, rows = prints(run), run.position, run.recorder.tip, run.history.rows().copy()
    with run.aside() as trainer:
        moment_of(trainer)
    assert (prints(run), run.position, run.recorder.tip) == (before, here, tip)
    np.testing.assert_array_equal(run.history.rows(), rows)
    run.step()
    assert len(run.history) == 4 + 1


def no_room(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_only(*_: Any, **__: Any) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


@pytest.mark.parametrize(("where", "trouble"), [("numpy.savez", no_room), ("os.replace", read_only)])
def test_a_full_disk_or_a_read_only_folder_is_one_sentence_and_nothing_is_lost(
    where: str, trouble: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = moment_of(xor())
    script, arrays = export(moment, tmp_path / "net.py", "numpy")
    before = script.read_bytes(), arrays.read_bytes()
    monkeypatch.setattr(where, trouble)
    with pytest.raises(FileError, match=r"net\.npz cannot be written \((No space|Read-only).*\); choose another place"):
        export(moment, tmp_path / "net.py", "torch")
    assert (script.read_bytes(), arrays.read_bytes()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.npz", "net.py"]


def test_weights_of_the_same_name_are_not_overwritten_by_a_scripts_data(tmp_path: Path) -> None:
    np.savez(tmp_path / "net.npz", W=np.ones(3))
    with pytest.raises(FileError, match=r"net\.npz would be overwritten"):
        export(moment_of(xor()), tmp_path / "net.py", "numpy")
    with np.load(tmp_path / "net.npz") as file:
        assert file["W"].sum() == 3


def test_a_name_too_long_for_a_file_is_told_of_in_a_short_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"….* cannot be written") as told:
        export(moment_of(xor()), tmp_path / ("x" * 300 + ".py"), "numpy")
    assert len(str(told.value)) < 250
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_writes_a_script_that_runs_or_says_why_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "xor", "--numpy", str(tmp_path / "net.py"), "--steps", "3"]) == 0
    runpy.run_path(str(tmp_path / "net.py"))
    assert "mini-batch 4: " in capsys.readouterr().out
    assert main(["export", "xor", "--torch", str(tmp_path / "nowhere" / "net.py")]) == 2
    assert main(["export", "bug_bench_transposed", "--torch", str(tmp_path / "bug.py")]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert "No such file or directory" in told[0]
    assert "is planted into" in told[1]
