"""Files written whole or not at all; what goes wrong is one sentence."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from engine.spec import RecipeError

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
    drafts: dict[Path, Path] = {}
    try:
        for path, write in files.items():
            with _told(path, "written"):
                drafts[path] = path.with_name(f".{path.name[:80]}.{os.getpid()}.part")
                with drafts[path].open("wb") as file:
                    write(file)
        for path, draft in drafts.items():
            with _told(path, "written"):
                os.replace(draft, path)
    finally:
        for draft in drafts.values():
            with suppress(OSError):
                draft.unlink(missing_ok=True)


def as_npz(arrays: Mapping[str, NDArray[Any]]) -> Callable[[BinaryIO], object]:
    """A function that writes arrays by name to a file."""
    return lambda file: np.savez(file, **arrays)  # type: ignore[arg-type]  # no name is that of its arguments


@contextmanager
def _told(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, MemoryError) as error:
        raise FileError(f"{shortened(path)} cannot be {done} ({reason_of(error)}); choose another place") from None
