"""The session file: a zip of two texts and plain arrays, written whole or not at all.

`recipe.json` is the recipe that the run began with, `session.json` everything else that is text (see `Manifest`);
`first.npy`, `here.npy`, `keyframes/N.npy` and `scalars/N.npy` are arrays as `numpy.save` writes them. Arrays are
stored, not compressed: none can be larger than the file.
"""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct

from engine.breakpoints import Breakpoint
from engine.files import reason_of, replacing, shortened
from engine.frames import Array
from engine.recipe import Recipe

FORMAT = 1
SUFFIX = ".nabla"
CHUNK = 1 << 20  # bytes written at once: long enough to let go of the interpreter, short enough to be given up
MOST_MEMBERS = 10_000

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
    """A change in mid-run: another recipe by its number, a cell typed over, or weights out of a file.

    `value` is text, since it may be NaN. Of weights, `loaded` is the number of an array, in which those of all
    `addresses` follow each other, and `address` the name of the file they came from.
    """

    step: Count
    phase: Annotated[int, Meta(ge=-1)]
    recipe: Count | None = None
    address: str = ""
    index: tuple[Count, ...] = ()
    value: str = ""
    sample: Count | None = None
    loaded: Count | None = None
    addresses: tuple[str, ...] = ()


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
    kept: tuple[Count, Count] | None = None  # how many layers began with weights of another network, of how many
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
    try:
        with replacing(path) as file:
            _fill(file, recipe, manifest, members, abandoned)
    except (OSError, ValueError) as error:
        why = reason_of(error).lower()
        raise SessionFileError(
            f"cannot save {shortened(path.name, 20)} ({why}); what was there before is unchanged: "
            "choose another place or make room"
        ) from None


def _fill(
    file: BinaryIO, recipe: Recipe, manifest: Manifest, members: Iterable[Member], abandoned: Callable[[], bool]
) -> None:
    with zipfile.ZipFile(file, "w") as archive:
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
    head = BytesIO()
    described = {"descr": np.lib.format.dtype_to_descr(member.dtype), "fortran_order": False, "shape": member.shape}
    np.lib.format.write_array_header_1_0(head, described)
    yield head.getvalue()
    for part in member.parts():
        data = np.ascontiguousarray(part, member.dtype).reshape(-1).view(np.uint8).data
        for first in range(0, len(data), CHUNK):
            yield data[first : first + CHUNK]
