"""Session files in the engine: written by a thread while training goes on, read before anything is touched."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from engine import protocol
from engine.keyframes import Keyframes
from engine.layers.custom import own_files
from engine.recipe import Recipe
from engine.run import Run
from engine.saved_run import Snapshot, snapshot
from engine.session_file import AbandonedError, SessionFileError, write
from engine.spec import RecipeError
from engine.timeline import BLOCK, Timeline

log = logging.getLogger("nablascope.engine")

AUTOSAVED = 32_000_000  # bytes of keyframes in an autosave: enough to go on, and written in a moment


@dataclass(frozen=True)
class _Task:
    command: protocol.SaveSession
    shot: Snapshot
    lender: Keyframes
    started: float


class Saver:
    """Writes one session file after the other in a thread of its own; `close` gives up what is being written."""

    def __init__(self, send: Callable[[protocol.Event], None]) -> None:
        self._send = send
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lending = threading.Lock()
        self._closing = False

    def save(self, run: Run, command: protocol.SaveSession) -> None:
        """Have the run written as it stands now."""
        started = time.perf_counter()
        lender = run.recorder.keyframes
        with self._lending:
            lender.lent += 1
        try:
            shot = snapshot(run, command.view, AUTOSAVED if command.auto else inf)
        except Exception as error:
            self._end(command, lender, started, _why_not(command, error))
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="saver", daemon=True)
            self._thread.start()
        self._tasks.put(_Task(command, shot, lender, started))

    def _end(self, command: protocol.SaveSession, lender: Keyframes, started: float, sentence: str) -> None:
        """Whatever came of it, tell it."""
        with self._lending:
            lender.lent -= 1
        taken = time.perf_counter() - started
        self._send(protocol.SessionSaved(command.path, sentence, auto=command.auto, seconds=taken))

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            sentence = ""
            try:
                self._write(task)
            except Exception as error:
                sentence = _why_not(task.command, error)
            self._end(task.command, task.lender, task.started, sentence)

    def _write(self, task: _Task) -> None:
        shot = task.shot
        write(Path(task.command.path), shot.recipe, shot.manifest, shot.members, lambda: self._closing)

    def close(self, *, now: bool) -> None:
        """End the thread once all is written; `now`: what is being written is given up, the old file stays."""
        self._closing = now
        if self._thread is not None:
            self._tasks.put(None)
            self._thread.join()


def _why_not(command: protocol.SaveSession, error: Exception) -> str:
    """Why a session was not saved, in a sentence."""
    name = Path(command.path).name
    if isinstance(error, SessionFileError):
        return str(error)
    if isinstance(error, AbandonedError):
        return f"could not save {name}, since the engine was stopped"
    log.error("a session could not be saved", exc_info=error)
    return f"cannot save {name} ({type(error).__name__}); what was there before is unchanged: try another place"


def unallowed(recipe: Recipe) -> tuple[str, ...]:
    """The files with code of the user's own that the recipe would run and that were not allowed as they are now."""
    files = own_files(recipe.layers)
    if not files:
        return ()
    from engine.owncode.trust import check_allowed  # only where there is own code

    found = []
    for file in files:
        try:
            check_allowed(file)
        except RecipeError:
            found.append(str(file))
    return tuple(found)


def send_rows(
    send: Callable[[protocol.Event], None], fork: int, parent: int, history: Timeline, columns: tuple[str, ...]
) -> None:
    """Tell the rows of a path's own, a few thousand at a time."""
    at_once = 4 * BLOCK
    for first in range(history.shared, max(len(history), history.shared + 1), at_once):
        rows = history.rows(first, first + at_once)
        send(protocol.Rows(fork, parent, history.shared, columns, np.ascontiguousarray(rows).tobytes()))
