"""One engine process with its pipe and its shared memory. No Qt, so that it can start before Qt is imported."""

from __future__ import annotations

import multiprocessing
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

from engine import host, protocol
from engine.host import crash_file
from engine.recipe import Recipe
from engine.shared import FrameSlots

THREAD_SETTINGS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """The child inherits one BLAS thread: the other core belongs to the window."""
    before = {name: os.environ.get(name) for name in THREAD_SETTINGS}
    os.environ.update({name: "1" for name in THREAD_SETTINGS if before[name] is None})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)


class EngineProcess:
    """Starts at construction, with a recipe to build at once if one is given; `close` ends it and frees all it held."""

    def __init__(self, log_file: str | None = None, recipe: Recipe | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self.slots = FrameSlots()
        self.connection: Connection
        self.connection, theirs = context.Pipe()
        arguments = (theirs, self.slots.name, log_file)
        self.process = context.Process(target=host.main, args=arguments, name="engine", daemon=True)
        with _one_blas_thread():
            self.process.start()
        theirs.close()
        self._crash_file = crash_file(log_file)
        self._own_files: set[str] = set()
        self.recipe = recipe
        if recipe is not None:
            self.send(protocol.Use(recipe))

    def send(self, command: protocol.Command) -> None:
        """Send a command; quietly nowhere when the process is gone (its end is noticed elsewhere)."""
        if isinstance(command, protocol.Trust):
            self._own_files |= command.files.keys()
        with suppress(OSError):
            self.connection.send_bytes(protocol.encode(command))

    def last_line_of_own_code(self) -> str:
        """The line of a user's file in which the interpreter crashed, such as "homework.py, line 12"; "" if in none."""
        if self._crash_file is None or not self._own_files:
            return ""
        with suppress(OSError):
            for path, line in re.findall(r'File "(.+)", line (\d+)', self._crash_file.read_text(errors="replace")):
                if path in self._own_files:
                    return f"{Path(path).name}, line {line}"
        return ""

    def kill(self) -> None:
        """End the process at once; a thread that reads from it sees the end of the pipe."""
        self.process.kill()
        self.process.join()

    def close(self) -> None:
        """End the process, politely for a second and then at once, and free pipe and memory."""
        self.send(protocol.Quit())
        self.process.join(1.0)
        self.kill()
        self.process.close()
        self.connection.close()
        self.slots.close()
