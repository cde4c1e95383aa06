"""The command line as a user has it: exit codes, one line on stdout or one sentence on stderr, never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtGui import QImage

from commands import run_here

ROOT = Path(__file__).parents[1]


def nablascope(*arguments: str, folder: Path = ROOT, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """Run `python -m app` with some variables of the environment set, or removed where None."""
    merged: dict[str, str | None] = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    kept = {name: value for name, value in merged.items() if value is not None}
    command = [sys.executable, "-W", "error", "-m", "app", *arguments]
    return subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, timeout=60)


def test_a_screenshot_trains_saves_the_window_and_tells_of_it_in_json(tmp_path: Path) -> None:
    picture = tmp_path / "window.png"
    done = nablascope("--steps", "60", "--screenshot", str(picture))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["step"] == 60
    assert 0 < told["loss"] < 2.0
    assert 0.3 < told["accuracy"] <= 1
    image = QImage(str(picture))
    assert (image.width(), image.height()) == (1440, 900)
    assert len({image.pixel(x, y) for x in range(0, 1440, 7) for y in range(0, 900, 7)}) > 100


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux runs without a display")
def test_without_a_display_it_says_so_and_makes_a_picture(tmp_path: Path) -> None:
    done = nablascope("circles", folder=tmp_path, DISPLAY=None, WAYLAND_DISPLAY=None, QT_QPA_PLATFORM=None)
    assert done.returncode == 0, done.stderr
    assert "there is no display" in done.stderr
    assert json.loads(done.stdout)["step"] == 300
    assert (tmp_path / "nablascope.png").stat().st_size > 10_000


def test_a_screenshot_without_steps_shows_the_network_before_training(tmp_path: Path) -> None:
    done = nablascope("xor", "--screenshot", str(tmp_path / "w.png"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"step": 0, "loss": None, "accuracy": None}


def test_train_prints_a_line_of_json_an_epoch() -> None:
    done = nablascope("train", "digits", "--epochs", "2", "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["step"] for line in lines] == [45, 90]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert set(lines[0]) == {"step", "epoch", "loss", "train_accuracy", "validation_accuracy"}
    assert lines[1]["loss"] < lines[0]["loss"]
    assert lines[1]["validation_accuracy"] > 0.5
    assert done.stderr == ""


def test_train_by_steps_ends_with_the_last_step_and_reads_well() -> None:
    done = nablascope("train", "digits", "--steps", "50")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].split()[:4] == ["step", "50", "epoch", "2"]


def bad_files(folder: Path) -> dict[str, tuple[list[str], str]]:
    """Arguments that cannot be used, and what must be said."""
    (folder / "cut.json").write_text('{"layers":[{"kind":"de')
    (folder / "shape.json").write_text(
        '{"data":{"kind":"digits","flatten":false},"layers":[{"kind":"dense","units":10}]}'
    )
    (folder / "data.json").write_text(
        '{"data":{"kind":"idx","images":"gone","labels":"gone"},"layers":[{"kind":"dense","units":10}]}'
    )
    (folder / "binary.json").write_bytes(bytes(range(256)) * 10)
    return {
        "missing": (["nope.json"], "nope.json does not exist"),
        "folder": ([str(folder)], "is a folder"),
        "cut off": ([str(folder / "cut.json")], "cut off"),
        "binary": ([str(folder / "binary.json")], "not valid JSON"),
        "shape": ([str(folder / "shape.json")], "insert a Flatten"),
        "data": ([str(folder / "data.json")], "cannot read gone"),
    }


IN_ITS_PROCESS = {("train", "shape"), ("window", "shape"), ("window", "data")}  # the others end before any of it starts


@pytest.mark.parametrize("case", ["missing", "folder", "cut off", "binary", "shape", "data"])
@pytest.mark.parametrize("mode", ["train", "window"])
def test_bad_input_is_one_sentence_on_stderr_and_exit_2(
    case: str, mode: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, words = bad_files(tmp_path)[case]
    if mode == "train":
        arguments = ["train", *arguments, "--steps", "5"]
    else:
        arguments = [*arguments, "--screenshot", str(tmp_path / "w.png")]
    done = nablascope(*arguments) if (mode, case) in IN_ITS_PROCESS else run_here(capsys, *arguments)
    assert done.returncode == 2, done.stdout
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "w.png").exists()


@pytest.mark.parametrize("arguments", [["--steps", "-3"], ["--steps", "many"], ["train", "digits"], ["train"]])
def test_wrong_arguments_exit_2_and_say_what_is_wrong(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    done = run_here(capsys, *arguments)
    assert done.returncode == 2
    assert "error:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_picture_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    done = nablascope("xor", "--screenshot", str(tmp_path / "no" / "folder" / "w.png"))
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
