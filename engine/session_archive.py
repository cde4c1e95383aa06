"""A session file read with suspicion: anything may have written it, so sizes are looked at before memory is taken."""

from __future__ import annotations

import logging
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np

from engine.frames import Array
from engine.recipe import MAX_FILE, Recipe
from engine.session_file import CHUNK, FORMAT, MOST_MEMBERS, Manifest, SessionFileError
from engine.spec import RecipeError

log = logging.getLogger("nablascope.engine")

MOST_TEXT = 64_000_000  # bytes of session.json
DAMAGED = "the file is damaged; open another copy of it"


class Archive:
    """A session file that is open: its texts read, its arrays described but not read yet. A context.

    Raises SessionFileError: one sentence that names the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.explained():
            self._file = path.open("rb")
        try:
            with self.explained():
                self._zip = zipfile.ZipFile(self._file)
                self._members = self._listed()
                self.recipe, self.manifest = self._texts()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()
        self._file.close()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Whatever goes wrong in reading becomes a sentence that names the file."""
        try:
            yield
        except (SessionFileError, RecipeError) as error:
            raise SessionFileError(f"{self.path.name} cannot be opened: {error}") from None
        except FileNotFoundError:
            raise SessionFileError(f"{self.path} does not exist; check the path") from None
        except IsADirectoryError:
            raise SessionFileError(f"{self.path} is a folder; choose a session's file in it") from None
        except MemoryError:
            raise SessionFileError(f"{self.path.name} cannot be opened: there is not enough memory for it") from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise SessionFileError(f"{self.path.name} cannot be read ({reason}); choose another file") from None
        except Exception as error:  # of zipfile, numpy and msgspec on bytes that anything may have written
            log.warning("%s: %s: %.200s", self.path, type(error).__name__, error)
            no_zip = isinstance(error, zipfile.BadZipFile) and "not a zip" in str(error).lower()
            what = "it is no session file, or its end is missing; choose another" if no_zip else DAMAGED
            raise SessionFileError(f"{self.path.name} cannot be opened: {what}") from None

    def _listed(self) -> dict[str, zipfile.ZipInfo]:
        """The members by name. What cannot be what it says is refused before a byte of it is read."""
        infos = self._zip.infolist()
        found = {info.filename: info for info in infos}
        room = os.fstat(self._file.fileno()).st_size
        if len(infos) > MOST_MEMBERS or len(found) != len(infos):
            raise SessionFileError(DAMAGED)
        for info in infos:
            is_text = info.filename.endswith(".json") and info.file_size <= MOST_TEXT
            stored = info.compress_type == zipfile.ZIP_STORED and info.file_size == info.compress_size
            if not (stored or is_text) or info.flag_bits & 0x1:
                raise SessionFileError(DAMAGED)
            room -= info.compress_size
        if room < 0:  # members that lie over each other
            raise SessionFileError(DAMAGED)
        return found

    def _texts(self) -> tuple[Recipe, Manifest]:
        raw = msgspec.json.decode(self._text("session.json", MOST_TEXT))
        version = raw.get("format") if isinstance(raw, dict) else None
        if isinstance(version, int) and version > FORMAT:
            raise SessionFileError(f"it has format {version}, made by a newer Nablascope; update to open it")
        try:
            manifest = msgspec.convert(raw, Manifest)
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at ")
            raise SessionFileError(f"session.json is wrong at {where or 'its start'} ({what}); {DAMAGED}") from None
        return Recipe.from_json(self._text("recipe.json", MAX_FILE)), manifest

    def _text(self, name: str, most: int) -> bytes:
        if name not in self._members:
            raise SessionFileError(f"{name} is missing in it; choose a session's file")
        with self._zip.open(self._members[name]) as stream:
            text = stream.read(most + 1)
        if len(text) > most:
            raise SessionFileError(f"{name} is too large; {DAMAGED}")
        return text

    def check(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        """Raise SessionFileError where a member is not an array of this type and shape; nothing is allocated."""
        with self._array(name, dtype, shape):
            pass

    def rows(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], at_once: int = 1) -> Iterator[Array]:
        """An array's rows as arrays of their own, `at_once` of them at a time. Raises SessionFileError."""
        with self._array(name, dtype, shape) as stream:
            for first in range(0, shape[0], at_once):
                part = np.empty((min(at_once, shape[0] - first), *shape[1:]), dtype)
                into, filled = part.reshape(-1).view(np.uint8).data, 0
                while filled < len(into):
                    piece = stream.read(min(len(into) - filled, CHUNK))
                    if not piece:
                        raise SessionFileError(DAMAGED)
                    into[filled : filled + len(piece)] = piece
                    filled += len(piece)
                yield part
            if stream.read(1):  # and so the checksum is looked at
                raise SessionFileError(DAMAGED)

    @contextmanager
    def _array(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Iterator[IO[bytes]]:
        """A member opened behind its header."""
        info = self._members.get(name)
        if info is None:
            raise SessionFileError(f"{name} is missing in it; {DAMAGED}")
        with self._zip.open(info) as stream:
            version = np.lib.format.read_magic(stream)
            if version != (1, 0):
                raise SessionFileError(f"{name} is of another kind than it should be; {DAMAGED}")
            found = np.lib.format.read_array_header_1_0(stream)
            if found != (shape, False, dtype):
                raise SessionFileError(f"{name} holds {found[0]} of {found[2]}, not {shape} of {dtype}; {DAMAGED}")
            if info.file_size != stream.tell() + prod(shape) * dtype.itemsize:
                raise SessionFileError(f"{name} is cut off; {DAMAGED}")
            yield stream
