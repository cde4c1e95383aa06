"""How long `nablascope check` takes from the shell on a file of about a hundred lines, all of it."""

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import report

ROOT = Path(__file__).parents[2]
FILE = ROOT / "tests" / "own_code" / "e_flattened_bias_mean.py"
ROUNDS = 7


def check() -> None:
    """One run of the command; a wrong gradient is found in it."""
    command = [sys.executable, "-m", "app", "check", str(FILE)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, stdout=subprocess.DEVNULL)
    assert done.returncode == 1


def measure() -> Iterator[report.Figure]:
    """The median over some runs."""
    check()
    seconds = statistics.median(report.seconds(check) for _ in range(ROUNDS))
    lines = len(FILE.read_text().splitlines())
    yield report.figure(f"a file of {lines} lines", "check from the shell", seconds, "s", 2.0, at_least=False)


if __name__ == "__main__":
    sys.exit(report.main("check_file", measure))
