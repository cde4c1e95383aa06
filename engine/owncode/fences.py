"""What keeps somebody's own code from harming the process it runs in: bounds on memory and output, no windows."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

MEMORY = 6 << 30  # bytes that the code may ask for, beyond what the process holds
OUTPUT = 1 << 16  # characters of what it prints that are shown


class BoundedOutput(io.TextIOBase):
    """Hands text on until there is too much of it; the rest is counted and dropped."""

    def __init__(self, target: TextIO | None, most: int = OUTPUT) -> None:
        self._target, self._left = target, most

    def writable(self) -> bool:
        """It is there to be written."""
        return True

    def write(self, text: str) -> int:
        """Write what there is still room for."""
        shown = text[: self._left]
        if shown and self._target is not None:
            with suppress(OSError, ValueError, UnicodeError):
                self._target.write(shown)
                self._target.flush()
                if self._left <= len(text):
                    self._target.write("\n… further output of own code is left out\n")
        self._left -= len(shown)
        return len(text)


def put_up() -> None:
    """Put the fences up around this process; once is enough, twice does no harm."""
    if isinstance(sys.stdout, BoundedOutput):
        return
    os.environ.setdefault("MPLBACKEND", "Agg")  # matplotlib then draws into the air
    sys.stdout, sys.stderr = BoundedOutput(sys.stdout), BoundedOutput(sys.stderr)
    limit_memory(MEMORY)


def limit_memory(more: int) -> None:
    """Let this process take so many bytes more than now, where the system can be told: then a MemoryError, no crash."""
    try:
        import resource  # not on every system
    except ImportError:
        return
    with suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (_in_use() + more, hard))


def _in_use() -> int:
    """Bytes of address space that the process has now; 0 where the system does not tell."""
    with suppress(OSError, ValueError, IndexError), open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return 0
