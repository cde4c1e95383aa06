"""Start-up: from process start to a window that shows the first frame, against a bare script with an empty plot."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import report

ROUNDS = 7
BAR = 1.5
ROOT = Path(__file__).resolve().parents[2]

# The least that any program with these three libraries must do before it has painted a window.
BARE_SCRIPT = """
import numpy
from PySide6 import QtCore, QtWidgets
import pyqtgraph

class Plot(pyqtgraph.PlotWidget):
    def paintEvent(self, event):
        super().paintEvent(event)
        QtCore.QTimer.singleShot(0, first_frame)

def first_frame():
    print("first frame", flush=True)
    app.quit()

app = QtWidgets.QApplication([])
plot = Plot()
plot.resize(1280, 800)
plot.show()
app.exec()
"""


def until_first_frame(*command: str) -> float:
    """Seconds from starting a process to the line in which it says that its first frame is painted."""
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "NABLASCOPE_STARTUP_PROBE": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # bytecode is there after the first run, as where it is installed
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    taken = time.perf_counter() - start
    _, errors = process.communicate(timeout=60)
    if process.returncode or line.strip() != b"first frame":
        raise SystemExit(f"{' '.join(command[:4])} said {line!r}, exit {process.returncode}:\n{errors.decode()}")
    return taken


def ours() -> float:
    """The app, told to leave once its first frame is on screen."""
    return until_first_frame(sys.executable, "-m", "app", "--probe-start")


def bare() -> float:
    """The empty plot window."""
    return until_first_frame(sys.executable, "-c", BARE_SCRIPT)


def call(run: Callable[[], float]) -> float:
    """Both rivals time themselves."""
    return run()


def measure() -> Iterator[report.Figure]:
    """Start both in turn and compare the medians."""
    ratio = report.ratio_of_medians(ours, bare, ROUNDS, timer=call)
    yield report.figure(
        "default recipe", "start to first frame, against an empty plot", ratio, "×", BAR, at_least=False
    )


if __name__ == "__main__":
    sys.exit(report.main("startup", measure))
