"""Killed at any moment, app, engine or both: the user's file is whole, what was not saved comes back, nothing stays.

Most blows are aimed into a save; `-rP` shows how many fell into one.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from app.autosave import orphans
from engine.files import PART
from engine.keyframes import DEFAULT_BUDGET
from engine.opened_run import restore
from engine.session_archive import Archive

from killed_app import FASTER, PER_SECOND, tell
from waiting import shared_blocks_of

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals"),
    pytest.mark.campaign,
    pytest.mark.timeout(7200),
]
FOLDERS, KILLS = (2, 3) if os.environ.get("NABLASCOPE_SLICE") == "1" else (40, 5)
MOMENTS = ("saving", "late", "autosaving", "any", "saving", "start", "saving")
WHOM = ("app", "engine", "both")  # as many as have no divisor in common with the moments: each meets each
PATIENCE = 60.0  # seconds
MOST_LOST = 30 * PER_SECOND // FASTER + 10  # ticks: half a minute, and until the first picture after a save
BEGUN = ("saving", "autosaving")
ENDED = ("", "Z")  # what the system says of a process that is no more, or only waits to be counted
ROOT = Path(__file__).parents[1]


class Victim:
    """An app in a process of its own, and the lines it told."""

    def __init__(self, folder: Path, seed: int, habit: str, tick: int) -> None:
        self.folder, self.file, self.first_tick = folder, folder / "mine.nabla", tick
        environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
        words = (ROOT / "tests" / "killed_app.py", self.file, folder, habit, seed, tick)
        self.told = folder / "told.txt"  # a pipe would not end before an engine that lives on
        with self.told.open("wb") as told:
            self.process = subprocess.Popen(
                [sys.executable, *map(str, words)],
                stdout=told,
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )

    @property
    def lines(self) -> list[list[str]]:
        """All whole lines so far, in words."""
        return [line.split() for line in self.told.read_text().rpartition("\n")[0].splitlines()]

    def all(self, *words: str) -> list[list[str]]:
        """The lines that begin with one of the words."""
        return [line for line in self.lines if line[0] in words]

    def ticks(self, *words: str) -> list[int]:
        """The ticks in those lines."""
        return [int(line[1]) for line in self.all(*words)]

    @property
    def tick(self) -> int:
        """The clock."""
        return max(self.ticks("tick"), default=self.first_tick)

    def wait_for(self, word: str, more: int = 1) -> None:
        """Wait for so many more lines that begin with a word."""
        self.wait_until(word, len(self.all(word)) + more)

    def wait_until(self, word: str, total: int = 1) -> None:
        """Wait until so many lines begin with a word."""
        end = time.monotonic() + PATIENCE
        while len(self.all(word)) < total:
            assert time.monotonic() < end, f"no {word!r} came: {self.lines[-5:]}"
            time.sleep(0.005)

    def under_way(self) -> list[int]:
        """The ticks of the saves that the present engine has begun and not ended."""
        lines = self.lines
        ready = max((place for place, line in enumerate(lines) if line[0] == "ready"), default=0)
        begun = {word: int(tick) for word, tick in (line[:2] for line in lines[ready + 1 :] if line[0] in BEGUN)}
        return [tick for word, tick in begun.items() if tick not in self.ticks(done(word))]

    def kill(self) -> None:
        """The app, at once."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """All that it started, however the test went."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.kill()


def done(word: str) -> str:
    """The word that tells the end of what another one tells the beginning of."""
    return word.replace("ing", "ed")


# --- the blow -----------------------------------------------------------------------------------


def wait_for_moment(victim: Victim, moment: str, whom: str, rng: Random) -> None:
    """Until shortly after a save was begun, or for so long that an autosave must be there, or for no reason."""
    if moment == "start":
        victim.wait_until("engine")
        time.sleep(rng.random())
        return
    victim.wait_until("ready")
    assert dead_parts(victim.folder) == [], "the start has left half a file"
    if moment == "late":  # of an engine's end it is what comes after
        least = 1 if whom == "engine" else MOST_LOST
        victim.wait_for("tick", rng.randrange(least, least + MOST_LOST))
    elif moment == "any":
        time.sleep(2.5 * rng.random())
    else:
        victim.wait_for("tick", PER_SECOND // 2)  # until there is something to save
        victim.wait_for(done(moment))
        victim.wait_for(moment)
        time.sleep(1.1 * rng.random() * float(victim.all(done(moment))[-1][2]))


def strike(victim: Victim, whom: str, moment: str, rng: Random) -> bool:
    """End the app, the engine, or both; whether it fell into a save."""
    readies = len(victim.all("ready"))
    if whom != "app":
        with suppress(ProcessLookupError):
            os.kill(int(victim.all("engine")[-1][1]), signal.SIGKILL)
    if whom == "both":
        victim.kill()
    hit = bool(victim.under_way())
    if whom == "engine":  # another one, and all goes on
        if victim.file.exists():
            opens(victim.file)
        victim.wait_until("ready", readies + 1)
        if moment == "late":
            victim.wait_for("tick", rng.randrange(MOST_LOST, 2 * MOST_LOST))
        else:
            victim.wait_for("saved", 2)
            assert dead_parts(victim.folder) == [], "a save has left half of the file before"
    victim.kill()
    return hit or bool(victim.under_way())


# --- what is left -------------------------------------------------------------------------------


def is_gone(process: int) -> bool:
    """Whether a process has ended."""
    return state_of(process)[0] in ENDED


def state_of(process: int | str) -> tuple[str, int]:
    """Its letter, and the session it belongs to; "" where it has ended."""
    try:
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", 0
    return words[0], int(words[3])


def living(victim: Victim) -> list[str]:
    """The processes that it started and that have not ended."""
    states = {p.name: state_of(p.name) for p in Path("/proc").glob("[0-9]*")}
    return [name for name, (letter, session) in states.items() if session == victim.process.pid and letter not in ENDED]


def dead_parts(folder: Path) -> list[str]:
    """Half files in a folder whose processes are gone."""
    return [p.name for p in folder.glob(f".*{PART}*") if is_gone(int(p.name.rpartition("-")[2]))]


def opens(path: Path) -> int:
    """Open a file and go on; the tick at which it was asked for."""
    with Archive(path) as archive:
        run = restore(archive, DEFAULT_BUDGET)
        tick = int(archive.manifest.view.layout)
    run.step()
    assert not run.trouble
    return tick


def wait_until_all_is_gone(victim: Victim) -> None:
    """Processes and shared memory."""
    end = time.monotonic() + PATIENCE
    while (alive := living(victim)) or any(shared_blocks_of(line[2]) for line in victim.all("engine")):
        assert time.monotonic() < end, f"{alive or 'shared memory'} lives on"
        time.sleep(0.02)


def check_what_is_left(victim: Victim) -> None:
    """No process, memory or half file; what was said to be on disk opens; what is lost is less than half a minute."""
    wait_until_all_is_gone(victim)
    auto, newest = victim.folder / "auto", victim.first_tick
    if victim.file.exists():
        newest = max(newest, kept := opens(victim.file))
        assert kept >= max(victim.ticks("saved"), default=0), "the file is older than what was said to be saved"
    for left in orphans(auto) if auto.exists() else ():
        newest = max(newest, opens(left.path))
        left.drop()
    assert newest >= max(victim.ticks("saved", "autosaved"), default=0), "an autosave is gone"
    assert min([victim.tick, *victim.under_way()]) - newest <= MOST_LOST, "more than half a minute is lost"
    assert [p.name for p in auto.glob("*")] == []


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where it all happens; large files do not stay for the next runs."""
    yield tmp_path
    for path in tmp_path.rglob("*.nabla*"):
        path.unlink()


@pytest.mark.parametrize("number", range(FOLDERS))
def test_whenever_it_is_killed_files_are_whole_and_nothing_stays(number: int, folder: Path) -> None:
    tick = 0
    for kill in range(number * KILLS, (number + 1) * KILLS):
        rng, moment, whom = Random(kill), MOMENTS[kill % len(MOMENTS)], WHOM[kill % len(WHOM)]
        victim = Victim(folder, kill, "plays" if moment == "late" else "saves", tick)
        try:
            wait_for_moment(victim, moment, whom, rng)
            hit = strike(victim, whom, moment, rng)
            tell("kill", kill, whom, moment, "in a save" if hit else "")
            check_what_is_left(victim)
            tick = victim.tick
        finally:
            victim.end()
