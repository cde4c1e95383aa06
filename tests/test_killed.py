"""Killed at any moment, app, engine or both: the user's file is whole, what was not saved comes back, nothing stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from threading import Thread

import pytest

from app.autosave import orphans
from engine.files import PART, remove_parts
from engine.keyframes import DEFAULT_BUDGET
from engine.opened_run import restore
from engine.session_archive import Archive

from waiting import shared_blocks_of

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals"),
    pytest.mark.campaign,
    pytest.mark.timeout(7200),
]
TIMES = 6 if os.environ.get("NABLASCOPE_SLICE") == "1" else 200
PATIENCE = 60.0  # seconds
ROOT = Path(__file__).parents[1]


class Victim:
    """An app in a process of its own, and the lines it tells."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.file = folder, folder / "mine.nabla"
        environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
        command = [sys.executable, str(ROOT / "tests" / "killed_app.py"), str(self.file), str(folder), str(seed)]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=quiet, env=environment, text=True)
        self.lines: list[list[str]] = []
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(line.split() for line in iter(self.process.stdout.readline, ""))

    def _all(self, word: str) -> list[list[str]]:
        return [line for line in tuple(self.lines) if line[0] == word]

    def count(self, word: str) -> int:
        """How many lines begin with a word."""
        return len(self._all(word))

    def engines(self) -> list[tuple[int, str]]:
        """The process number and the shared memory of each engine that there was."""
        return [(int(line[1]), line[2]) for line in self._all("ready")]

    def wait_for(self, word: str, more: int = 1) -> None:
        """Wait for so many more lines that begin with a word."""
        goal, end = self.count(word) + more, time.monotonic() + PATIENCE
        while self.count(word) < goal:
            assert time.monotonic() < end, f"no {word!r} came: {self.lines[-5:]}"
            time.sleep(0.005)

    def kill(self) -> None:
        """The app, at once."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


def is_gone(process: int) -> bool:
    """Whether a process has ended."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def opens(path: Path) -> int:
    """Open a file and go on; the step it stands at."""
    with Archive(path) as archive:
        run = restore(archive, DEFAULT_BUDGET)
    step = run.position.step
    run.step()
    assert not run.trouble
    return step


def strike(victim: Victim, whom: str) -> None:
    """End the app, the engine, or both."""
    if whom != "app":
        os.kill(victim.engines()[-1][0], signal.SIGKILL)
    if whom == "engine":
        victim.wait_for("ready")  # another one, and all goes on
        victim.wait_for("saved")
    victim.kill()


def check_what_is_left(victim: Victim) -> None:
    """No process, memory or half file; what was said to be on disk opens."""
    end = time.monotonic() + PATIENCE
    while not all(is_gone(process) for process, _ in victim.engines()):
        assert time.monotonic() < end, "an engine lives on"
        time.sleep(0.02)
    assert not any(shared_blocks_of(name) for _, name in victim.engines())
    remove_parts(victim.folder)
    found = list(orphans(victim.folder / "auto"))
    for left in found:
        opens(left.path)
        left.drop()
    assert found or not victim.lines or victim.count("auto") == 0 or victim.count("saved"), "an autosave is gone"
    if victim.count("saved"):
        opens(victim.file)
    assert [p.name for p in victim.folder.rglob("*") if PART in p.name] == []


@pytest.mark.parametrize("number", range(TIMES))
def test_whenever_it_is_killed_files_are_whole_and_nothing_stays(number: int, tmp_path: Path) -> None:
    rng = Random(number)
    victim = Victim(tmp_path, number)
    try:
        victim.wait_for("ready")
        victim.wait_for("saved", rng.randrange(2))
        time.sleep(1.5 * rng.random())
        strike(victim, ("app", "engine", "both")[number % 3])
        check_what_is_left(victim)
    finally:
        victim.kill()
