"""Builds dist/nablascope, a folder that runs without Python, and tries it: `python packaging/bundle.py [FOLDER]`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SPEC = ROOT / "packaging" / "nablascope.spec"
STEPS = 20
HOMEWORK = """import numpy as np
class Double:
    def forward(self, x):
        return 2 * x
    def backward(self, grad_y):
        return 2 * grad_y
"""
PATIENCE = 300  # seconds for one command of the bundle


def build(folder: Path) -> Path:
    """Build into a folder; the program's path."""
    where = ["--distpath", str(folder / "dist"), "--workpath", str(folder / "build"), "--noconfirm"]
    subprocess.run(
        [sys.executable, "-m", "PyInstaller", "--log-level", "WARN", *where, str(SPEC)], cwd=ROOT, check=True
    )
    return folder / "dist" / "nablascope" / ("nablascope.exe" if sys.platform == "win32" else "nablascope")


@contextmanager
def screen() -> Iterator[dict[str, str]]:
    """The environment for a window that nobody sees: on Xvfb where that is, else on Qt's offscreen platform."""
    if not (shutil.which("Xvfb") and find_library("xcb-cursor")):  # without the latter Qt cannot reach an X server
        yield {"QT_QPA_PLATFORM": "offscreen"}
        return
    told, tells = os.pipe()
    command = ["Xvfb", "-displayfd", str(tells), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[tells], stderr=subprocess.DEVNULL)
    os.close(tells)
    try:
        with os.fdopen(told) as number:
            yield {"QT_QPA_PLATFORM": "xcb", "DISPLAY": f":{number.readline().strip()}"}
    finally:
        server.terminate()
        server.wait()


def run(program: Path, *arguments: str, **environment: str) -> str:
    """What the bundle prints; with no Python or source of this environment in reach."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(
            [program, *arguments],
            cwd=elsewhere,
            env={**kept, **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    if done.returncode:
        raise SystemExit(f"nablascope {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def smoke(program: Path, picture: Path) -> dict[str, float]:
    """Train without a window, train in the window and picture it, check a file; what the window says of itself."""
    trained = json.loads(run(program, "train", "digits", "--steps", str(STEPS), "--json").splitlines()[-1])
    with screen() as environment:
        told = run(program, "digits", "--steps", str(STEPS), "--screenshot", str(picture), **environment)
    shown: dict[str, float] = json.loads(told.splitlines()[-1])
    homework = picture.with_name("homework.py")
    homework.write_text(HOMEWORK)
    run(program, "check", str(homework))  # ends with another code than 0 where a gradient is wrong
    if trained["step"] != STEPS or shown["step"] != STEPS or not picture.stat().st_size:
        raise SystemExit(f"the bundle trains otherwise than it should: {trained}, {shown}")
    return shown


def main() -> None:
    """Build, try, and say where it is."""
    folder = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
    program = build(folder)
    with tempfile.TemporaryDirectory() as pictures:
        smoke(program, Path(pictures) / "window.png")
    size = sum(file.stat().st_size for file in program.parent.rglob("*") if file.is_file() and not file.is_symlink())
    shutil.rmtree(folder / "build")
    sys.stdout.write(f"{program.parent}: {size / 1e6:,.0f} MB, trains and shows its window\n")


if __name__ == "__main__":
    main()
