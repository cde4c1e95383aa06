"""Engine processes that begin with everything imported: starting one costs a fork, not half a second of imports.

A server process imports the engine once and forks. Each engine still has a process, a pipe and memory of its own, and
inherits what it would from the test: the environment, the folder, where modules are looked for.
"""

from __future__ import annotations

import gc
import importlib.readers  # noqa: F401  # for the data that is shipped
import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing import forkserver
from typing import Any

import numpy.random  # noqa: F401  # which numpy imports when it is first used

from app import engine_process

SAME_MODULES = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}  # as in the test


def begin(environment: dict[str, str], main: Callable[..., None], *arguments: Any) -> None:
    """In the new process: the test's environment, then its own work."""
    gc.freeze()  # looking through what was imported would copy it
    os.environ.clear()
    os.environ.update(environment)
    main(*arguments)


class Warm:
    """Stands where the module multiprocessing does, for one who asks it for a context."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["engine.host", __name__])
        self.Pipe = self._context.Pipe

    def get_context(self, _: str) -> Warm:
        """This one, whichever was asked for."""
        return self

    def Process(self, target: Callable[..., None], args: tuple[Any, ...], **how: Any) -> Any:
        """A process that is forked from the server once it is started."""
        self._serve()
        return self._context.Process(target=begin, args=(dict(os.environ), target, *args), **how)

    def _serve(self) -> None:
        """Start the server where it does not run yet."""
        before = dict(os.environ)
        os.environ.update(SAME_MODULES)
        with engine_process._one_blas_thread():
            forkserver.ensure_running()
        os.environ.clear()
        os.environ.update(before)


def start_warm() -> None:
    """From now on engines of this process are forked, where the system can."""
    if "forkserver" in multiprocessing.get_all_start_methods():
        engine_process.multiprocessing = Warm()  # type: ignore[assignment]
