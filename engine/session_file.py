"""The session file: a zip of two texts and plain arrays, written whole or not at all, and read with suspicion.

`recipe.json` is the recipe that the run began with, `session.json` everything else that is text (see `Manifest`);
`first.npy`, `here.npy`, `keyframes/N.npy` and `scalars/N.npy` are arrays as `numpy.save` writes them. Arrays are
stored, not compressed: none can be larger than the file.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct

from engine.breakpoints import Breakpoint
from engine.frames import Array
from engine.recipe import MAX_FILE, Recipe
from engine.spec import RecipeError

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger("nablascope.engine")

FORMAT = 1
SUFFIX = ".nabla"
PART = ".part-"  # in the name of a file that is being written, before a number
CHUNK = 1 << 20  # bytes written at once: long enough to let go of the interpreter, short enough to be given up
MOST_MEMBERS = 10_000
MOST_TEXT = 64_000_000  # bytes of session.json
DAMAGED = "the file is damaged; open another copy of it"

Count = Annotated[int, Meta(ge=0, le=2**53)]
Digest = Annotated[str, Meta(max_length=64)]


class SessionFileError(ValueError):
    """A session file that cannot be read or written; the message is one sentence."""


# --- what session.json holds --------------------------------------------------------------------


class View(Struct, frozen=True):
    """The app's part of a session: undo is a list of recipes with a cursor; the docks' layout in base64."""

    recipes: tuple[Recipe, ...] = ()
    cursor: Count = 0
    layout: str = ""
    auto: bool = False  # saved by the app of its own accord
    file: str = ""  # and then: the user's own file of this session, if there is one


class KeyframeRecord(Struct, frozen=True):
    """A row of an array of states: after how many steps, with how many changes of its path, by which recipe."""

    step: Count
    changes: Count = 0
    recipe: Count = 0


class ChangeRecord(Struct, frozen=True, omit_defaults=True):
    """A change in mid-run: another recipe by its number, or a cell typed over; `value` is text, since it may be NaN."""

    step: Count
    phase: Annotated[int, Meta(ge=-1)]
    recipe: Count | None = None
    address: str = ""
    index: tuple[Count, ...] = ()
    value: str = ""
    sample: Count | None = None


class ForkRecord(Struct, frozen=True):
    """One path through time; `past` is the number of the one it leaves, `length` counts steps from the run's first."""

    name: Annotated[str, Meta(max_length=1000)]
    past: Count | None
    start: tuple[Count, Annotated[int, Meta(ge=-1)]]
    tip: tuple[Count, Annotated[int, Meta(ge=-1)]]
    shared: Count
    length: Count
    changes: tuple[ChangeRecord, ...] = ()
    keyframes: tuple[KeyframeRecord, ...] = ()
    doubtful_from: Count | None = None


class Manifest(Struct, frozen=True, kw_only=True):
    """What session.json holds. Recipes are counted from 0, which is recipe.json; fields added later have defaults."""

    format: Literal[1] = 1
    run: Annotated[str, Meta(max_length=1000)]
    dtype: Literal["float32", "float64"]
    shape: tuple[Count, ...]  # of one sample
    size: Count  # entries of a state: parameters, the optimizer's slots, buffers
    columns: tuple[str, ...]
    recipes: tuple[Recipe, ...] = ()  # from number 1 on
    forks: Annotated[tuple[ForkRecord, ...], Meta(min_length=1, max_length=MOST_MEMBERS // 3)]
    path: Count  # the fork one is on
    position: tuple[Count, Annotated[int, Meta(ge=-1)]]
    here: KeyframeRecord | None = None  # what here.npy holds, where there is one
    data: Digest = ""  # a digest of the samples
    own_code: dict[str, str] = {}  # files with code of the user's own, and SHA-256 of each
    breakpoints: tuple[Breakpoint, ...] = ()
    view: View = View()


# --- writing ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Member:
    """An array to be written: its parts one below the other give an array of this shape."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    parts: Callable[[], Iterable[Array]]


class AbandonedError(Exception):
    """The writing was given up."""


def write(
    path: Path, recipe: Recipe, manifest: Manifest, members: Iterable[Member], abandoned: Callable[[], bool]
) -> None:
    """Write a session file, whole or not at all. Raises SessionFileError; AbandonedError once `abandoned()`."""
    with _replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        now = time.localtime()[:6]
        texts = {"recipe.json": recipe, "session.json": manifest}
        for name, value in texts.items():
            text = msgspec.json.format(msgspec.json.encode(value), indent=1)
            archive.writestr(zipfile.ZipInfo(name, now), text)
        for member in members:
            with archive.open(zipfile.ZipInfo(member.name, now), "w", force_zip64=True) as stream:
                for piece in _pieces(member):
                    if abandoned():
                        raise AbandonedError
                    stream.write(piece)


def _pieces(member: Member) -> Iterator[memoryview | bytes]:
    """The bytes of a .npy file, a chunk at a time."""
    from io import BytesIO

    head = BytesIO()
    described = {"descr": np.lib.format.dtype_to_descr(member.dtype), "fortran_order": False, "shape": member.shape}
    np.lib.format.write_array_header_1_0(head, described)
    yield head.getvalue()
    for part in member.parts():
        data = np.ascontiguousarray(part, member.dtype).reshape(-1).view(np.uint8).data
        for first in range(0, len(data), CHUNK):
            yield data[first : first + CHUNK]


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file beside the one of this name that takes its place once all is on disk. Raises SessionFileError."""
    part: Path | None = None
    try:
        path = path.resolve()  # a link stays a link
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(13, "it is read-only")
        remove_parts(path.parent)
        part = path.with_name(f".{path.name[:80]}{PART}{os.getpid()}")
        with part.open("wb") as file:
            _hold(file)  # until it has its name, so that others do not take it for a dead process's
            yield file
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, part)
        os.replace(part, path)
        _sync_folder(path.parent)
    except BaseException as error:
        if part is not None:
            with suppress(OSError):
                part.unlink()
        if isinstance(error, OSError | ValueError):
            reason = getattr(error, "strerror", None) or str(error)
            raise SessionFileError(
                f"{path.name} cannot be saved ({reason.lower()}); what was there before is unchanged: "
                "choose another place or make room"
            ) from None
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
                    if _hold(left):
                        file.unlink()


def _hold(file: IO[bytes]) -> bool:
    """Lock a file for as long as it is open; whether nobody else does. Windows lets nobody remove an open file."""
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


# --- reading ------------------------------------------------------------------------------------


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
