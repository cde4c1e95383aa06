"""`nablascope check FILE.py` as a user has it: exit codes, the table, the JSON, and code that misbehaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from commands import run_here

ROOT = Path(__file__).parents[1]
OWN_CODE = Path(__file__).parent / "own_code"
LAYER = """class Layer:
    def forward(self, x):
        self.x = x
        return x * 2.0

    def backward(self, grad):
        {deed}
        return grad * 2.0
"""


def check(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the command; never a traceback."""
    command = [sys.executable, "-W", "error", "-m", "app", "check", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def written(folder: Path, code: str) -> Path:
    """A user's file."""
    file = folder / "homework.py"
    file.write_text(code)
    return file


def test_right_code_is_said_to_be_right_with_exit_code_0() -> None:
    done = check(str(OWN_CODE / "e_flattened.py"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("All gradients are right.\n")
    assert "grad_weights: pass" in done.stdout
    assert "epoch" not in done.stdout, "what the file prints is not the check's word"


def test_a_bug_is_named_with_its_evidence_and_formula_and_exit_code_1() -> None:
    done = check(str(OWN_CODE / "e_flattened_bias_mean.py"))
    assert (done.returncode, done.stderr) == (1, "")
    assert "Dense, grad_biases: extra-batch-mean" in done.stdout
    assert "evidence: factor 0.2, batch 5" in done.stdout
    assert "should be: " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_json_is_one_line_of_the_documented_form() -> None:
    done = check(str(OWN_CODE / "c_columns_no_dot.py"), "--json")
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    told = json.loads(done.stdout)
    assert set(told) == {"file", "checks"}
    assert [check["name"] for check in told["checks"]] == ["Affine", "Softmax", "cross_entropy"]
    for one in told["checks"]:
        assert set(one) == {"name", "form", "verdict", "tensors", "bugs"}
        assert all(set(tensor) == {"verdict", "error"} for tensor in one["tensors"].values())
    (bug,) = told["checks"][1]["bugs"]
    assert set(bug) == {"slug", "tensor", "sentence", "confidence", "evidence"}
    assert bug["slug"] == "softmax-diagonal-only"


def test_one_class_can_be_chosen_and_its_arguments_given(tmp_path: Path) -> None:
    code = (OWN_CODE / "layers_for_examples.py").read_text()
    done = check(str(written(tmp_path, code)), "--class", "Affine", "--args", "units_in=4,units_out=2", "--json")
    assert done.returncode == 0
    assert [check["name"] for check in json.loads(done.stdout)["checks"]] == ["Affine"]


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        ("while True: pass", "homework.py, line 7: still running after"),
        ("import sys; sys.exit(0)", "homework.py, line 7: Layer.backward: calls sys.exit"),
        ("import os; os._exit(0)", "the code ended the Python interpreter"),
        ("import ctypes; ctypes.string_at(0)", "homework.py, line 7: the Python interpreter crashed"),
        ("import numpy; numpy.ones((10, 2**30))", "homework.py, line 7: Layer.backward: asks for more memory"),
        ("input('your name? ')", "homework.py, line 7: Layer.backward: asks for input"),
        ("raise ValueError('not today')", "homework.py, line 7: Layer.backward: ValueError: not today"),
    ],
)
def test_code_that_misbehaves_is_answered_by_one_sentence_and_exit_code_2(
    deed: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run_here(capsys, "check", str(written(tmp_path, LAYER.format(deed=deed))), "--timeout", "2")
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("deed", ["print('x' * 5_000_000)", "import matplotlib.pyplot as plt; plt.show()"])
def test_code_that_prints_or_plots_is_checked_all_the_same(deed: str, tmp_path: Path) -> None:
    plots = tmp_path / "matplotlib"
    plots.mkdir()
    (plots / "__init__.py").write_text("")
    (plots / "pyplot.py").write_text("import os\ndef show():\n    assert os.environ['MPLBACKEND'] == 'Agg'\n")
    done = check(str(written(tmp_path, LAYER.format(deed=deed))))
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout) < 1000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.py"], "nowhere.py does not exist; name a Python file"),
        ([str(OWN_CODE)], "is a folder; name a Python file"),
        ([str(OWN_CODE / "d_dense.py"), "--class", "Conv"], "Conv"),
        ([str(OWN_CODE / "d_dense.py"), "--args", "units"], "is not NAME=VALUE"),
        ([str(OWN_CODE / "d_dense.py"), "--timeout", "soon"], "must be a number of seconds"),
    ],
)
def test_what_the_command_cannot_use_is_said_in_one_sentence(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run_here(capsys, "check", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stdout == ""
