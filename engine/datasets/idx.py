"""Pictures and labels in IDX files: MNIST, Fashion-MNIST, and files of one's own."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from engine.datasets import fetch
from engine.datasets.base import Validation
from engine.datasets.fetch import Progress
from engine.datasets.pictures import PictureSpec, class_numbers
from engine.datasets.samples import Array, Samples
from engine.spec import RecipeError

IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
WHITE = 255.0


def read_idx(path: Path) -> Array:
    """The array in an IDX file, gzip or plain. Raises RecipeError with one sentence.

    Format: two zero bytes, type, number of dimensions, one big-endian 32-bit size each, then the values.
    """
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except IsADirectoryError:
        raise RecipeError(f"data: {path} is a folder; choose an IDX file in it") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise RecipeError(f"data: {path} is a damaged gzip file; delete it and fetch it again") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecipeError(f"data: cannot read {path} ({reason}); check the path") from None
    if not data:
        raise RecipeError(f"data: {path} is empty; fetch it again")
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in IDX_TYPES:
        raise RecipeError(f"data: {path} is not an IDX file; choose one such as train-images-idx3-ubyte.gz")
    dimensions = data[3]
    if len(data) < 4 + 4 * dimensions:
        raise RecipeError(f"data: {path} is cut off; fetch it again")
    shape = struct.unpack(f">{dimensions}I", data[4 : 4 + 4 * dimensions])
    kind = np.dtype(IDX_TYPES[data[2]])
    body = data[4 + 4 * dimensions :]
    if len(body) != prod(shape) * kind.itemsize or not prod(shape):
        raise RecipeError(f"data: {path} holds {len(body)} bytes where its header tells of {shape}; fetch it again")
    return np.frombuffer(body, kind).reshape(shape)


class IdxSpec(PictureSpec, frozen=True, kw_only=True):
    """Pictures and labels in two IDX files."""

    def read_files(self, images_path: Path, labels_path: Path, classes: tuple[str, ...] = ()) -> Samples:
        """x (N, rows·columns), or (N, rows, columns) unflattened; `classes` are all that labels may name."""
        images, labels = read_idx(images_path), read_idx(labels_path)
        if images.ndim != 3:
            raise RecipeError(
                f"data.images: {images_path} holds {images.ndim}-D data, not pictures; choose another file"
            )
        if labels.ndim != 1:
            raise RecipeError(
                f"data.labels: {labels_path} holds {labels.ndim}-D data, not one label a picture; choose another file"
            )
        if len(labels) != len(images):
            raise RecipeError(
                f"data.labels: {labels_path} holds {len(labels)} labels for {len(images)} pictures; "
                "choose the two files that belong together"
            )
        if not np.isfinite(images).all():
            raise RecipeError(f"data.images: {images_path} holds NaN or infinity; clean it first")
        numbers = class_numbers(labels, f"data.labels: {labels_path}", len(classes) or None)
        return self.samples_of(images, numbers, WHITE, classes)


class Idx(IdxSpec, frozen=True, kw_only=True):
    """Pictures and labels in IDX files (MNIST's format), gzip or plain, scaled to 0–1."""

    images: Annotated[str, Meta(min_length=1, title="images", description="Path of the file with the pictures")]
    labels: Annotated[str, Meta(min_length=1, title="labels", description="Path of the file with the labels")]
    validation: Validation = 0.2

    def read(self, rng: np.random.Generator) -> Samples:
        """x (N, rows·columns), or (N, rows, columns) unflattened."""
        return self.read_files(Path(self.images), Path(self.labels))


class PublishedSpec(IdxSpec, frozen=True, kw_only=True):
    """A published set in four IDX files: found in a folder, or in the cache, or fetched if that is wanted."""

    part: Annotated[
        Literal["train", "test"], Meta(title="part", description="The 60,000 pictures to train, or the 10,000 to test")
    ] = "train"
    folder: Annotated[str, Meta(title="folder", description="Where the files are; empty looks in the cache")] = ""
    download: Annotated[
        bool, Meta(title="download", description="Fetch the files from the internet if they are not there")
    ] = False

    source: ClassVar[fetch.Source]
    names: ClassVar[tuple[str, ...]]

    def must_fetch(self) -> bool:
        """Whether they are wanted from the internet and in none of the folders."""
        return self.download and self._found() is None

    def fetch_files(self, progress: Progress | None = None, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Fetch the two files into the cache."""
        fetch.fetch(self.source, self.part, progress=progress, cancelled=cancelled)

    def read(self, rng: np.random.Generator) -> Samples:
        """x (60000 or 10000, 784), or (…, 28, 28) unflattened."""
        if self.must_fetch():
            self.fetch_files()
        found = self._found()
        if found is None:
            images, labels = fetch.file_names(self.part)
            raise RecipeError(
                f"data.folder: {images} and {labels} of {self.source.title} are not in "
                f"{' or '.join(map(str, self._folders()))}; name the folder that holds them, or turn on download"
            )
        return self.read_files(*found, self.names)

    def _folders(self) -> list[Path]:
        cache = fetch.cache_folder(self.source)
        return [Path(self.folder), cache] if self.folder else [cache]

    def _found(self) -> tuple[Path, Path] | None:
        """Pictures and labels of the part, where a folder has both."""
        try:
            return fetch.find(self.part, self._folders())
        except OSError as error:
            raise RecipeError(f"data.folder: cannot read {error.filename} ({error.strerror}); check the path") from None


class Mnist(PublishedSpec, frozen=True, kw_only=True):
    """Handwritten digits of 28×28 pixels, scaled to 0–1 (LeCun, Cortes and Burges 1998)."""

    source: ClassVar[fetch.Source] = fetch.MNIST
    names: ClassVar[tuple[str, ...]] = tuple("0123456789")

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return cls.source.title


class FashionMnist(PublishedSpec, frozen=True, kw_only=True):
    """Clothes in pictures of 28×28 pixels, scaled to 0–1 (Xiao, Rasul and Vollgraf 2017)."""

    source: ClassVar[fetch.Source] = fetch.FASHION_MNIST
    names: ClassVar[tuple[str, ...]] = (
        *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    )

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return cls.source.title
