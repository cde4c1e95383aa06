"""Thousands of damaged session files: each opens right or is refused with a sentence, soon and in little memory."""

import multiprocessing
import os
import resource
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from engine import Run
from engine.keyframes import DEFAULT_BUDGET
from engine.opened_run import restore
from engine.recipe import Recipe
from engine.saved_run import snapshot
from engine.session_archive import Archive
from engine.session_file import SessionFileError, View, write

from damage import damaged
from replays import with_rate

FILES = 200 if os.environ.get("NABLASCOPE_SLICE") == "1" else 10_000
MOST_SECONDS, MOST_MEMORY = 2.0, 500_000_000
RECIPE: dict[str, Any] = {
    "seed": 3,
    "data": {"kind": "blobs", "samples": 61, "classes": 3},
    "layers": [
        {"kind": "dense", "units": 8},
        {"kind": "batch_norm"},
        {"kind": "dropout", "rate": 0.2},
        {"kind": "dense", "units": 3},
    ],
    "optimizer": {"kind": "adam", "lr": 0.01},
    "batch_size": 7,
}


def good_file(path: Path) -> bytes:
    """A session with forks, changes and breakpoints."""
    run = Run(Recipe.from_builtins(RECIPE), health=True)
    for _ in range(12):
        run.step()
    run.adopt(with_rate(run.trainer.recipe, 0.05))
    run.seek(6)
    run.edit("0.W", (1, 2), 3.5)
    for _ in range(5):
        run.step()
    run.step_part()
    run.edit("data.x", (2, 1), -4.0)
    shot = snapshot(run, View(recipes=(run.trainer.recipe,)))
    write(path, shot.recipe, shot.manifest, shot.members, lambda: False)
    return path.read_bytes()


def what_comes_of(path: Path) -> str:
    """ "opened", "refused", or what went wrong."""
    try:
        with Archive(path) as archive:
            run = restore(archive, DEFAULT_BUDGET)
        run.step()
        return "opened"
    except SessionFileError as error:
        sentence = str(error)
        return "refused" if sentence.startswith(path.name) and "\n" not in sentence else f"said {sentence!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def open_many(folder: Path, good: bytes, first: int, last: int, answers: Connection) -> None:
    """In a process of its own, whose memory is looked at: every file of these numbers."""
    tally: dict[str, int] = {}
    path = folder / "a.nabla"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in range(first, last):
        path.write_bytes(damaged(good, seed))
        start = time.process_time()
        found = what_comes_of(path)
        if time.process_time() - start > MOST_SECONDS:
            found = f"{found} after {time.process_time() - start:.1f} s"
        if found not in ("opened", "refused"):
            found = f"{seed}: {found}"
        tally[found] = tally.get(found, 0) + 1
    used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    answers.send((tally, used))


def open_all(folder: Path, count: int) -> tuple[dict[str, int], int]:
    """The tally of what came of so many files, and bytes of memory on top."""
    good = good_file(folder / "good.nabla")
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=open_many, args=(folder, good, 0, count, theirs))
    process.start()
    theirs.close()
    try:
        found: tuple[dict[str, int], int] = ours.recv()
    finally:
        process.join()
        process.close()
        ours.close()
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="measures memory as POSIX tells it")
@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_each_damaged_file_opens_right_or_is_refused_with_a_sentence(tmp_path: Path) -> None:
    tally, used = open_all(tmp_path, FILES)
    wrong = {what: count for what, count in tally.items() if what not in ("opened", "refused")}
    assert wrong == {}
    assert tally["refused"] > FILES / 2
    assert used < MOST_MEMORY
