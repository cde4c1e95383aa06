"""Builds dist/nablascope, a folder that runs without Python, and tries it: `python packaging/bundle.py [FOLDER]`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
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


def run(program: Path, *arguments: str) -> str:
    """What the bundle prints; with no Python or source of this environment in reach, and no screen."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(
            [program, *arguments],
            cwd=elsewhere,
            env=kept,
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
    shown: dict[str, float] = json.loads(
        run(program, "digits", "--steps", str(STEPS), "--screenshot", str(picture)).splitlines()[-1]
    )
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
