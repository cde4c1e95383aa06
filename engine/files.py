"""Files written whole or not at all; what goes wrong is one sentence."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from engine.spec import RecipeError

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

PART = ".part-"  # in the name of a file that is being written, before a number
SHOWN = 60  # characters of each end of a path that is too long to be told


class FileError(RecipeError):
    """A file that cannot be written or read; the message is one sentence: which, why, what to do."""


def shortened(path: Path | str, shown: int = SHOWN) -> str:
    """A path for a sentence: of a very long one the beginning and the end, so that what is said of it is still seen."""
    text = str(path)
    return text if len(text) <= 2 * shown else f"{text[:shown]}…{text[-shown:]}"


def reason_of(error: BaseException) -> str:
    """Why, in a few words."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__).splitlines()[0]


def write_whole(files: dict[Path, Callable[[BinaryIO], object]]) -> None:
    """Write each file by its function, all of them or none: what was there before stays until every one is complete.

    Raises FileError.
    """
    with ExitStack() as all_of_them:
        for path, write in reversed(files.items()):  # so the first one is the first to take its place
            all_of_them.enter_context(_told(path, "written"))
            write(all_of_them.enter_context(replacing(path)))


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file beside the one of this name that takes its place once all is on disk. Raises OSError."""
    path = path.resolve()  # a link stays a link
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(13, "it is read-only")
    remove_parts(path.parent)
    part = path.with_name(f".{path.name.encode()[-80:].decode(errors='ignore')}{PART}{os.getpid()}")
    try:
        with part.open("wb") as file:
            hold(file)  # until it has its name, so that others do not take it for a dead process's
            yield file
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, part)
        os.replace(part, path)
        _sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def _sync_folder(folder: Path) -> None:
    """Have the new name on disk too, where the system can do that."""
    with suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_parts(folder: Path) -> None:
    """Remove what processes that are gone have left half written in a folder."""
    with suppress(OSError):
        for file in folder.glob(f".*{PART}*"):
            if re.fullmatch(rf"\..*{re.escape(PART)}\d+", file.name):
                with suppress(OSError), file.open("rb") as left:
                    if hold(left):
                        file.unlink()


def hold(file: IO[bytes]) -> bool:
    """Lock a file for as long as it is open; whether nobody else does. Windows lets nobody remove an open file."""
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def as_npz(arrays: Mapping[str, NDArray[Any]]) -> Callable[[BinaryIO], object]:
    """A function that writes arrays by name to a file."""
    return lambda file: np.savez(file, **arrays)  # type: ignore[arg-type]  # no name is that of its arguments


@contextmanager
def _told(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except FileError:  # of another file that was to come with this one
        raise
    except (OSError, ValueError, MemoryError) as error:
        raise FileError(f"{shortened(path)} cannot be {done} ({reason_of(error)}); choose another place") from None
