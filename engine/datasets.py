"""Data to learn from: the digits in the box, point sets made on the spot, and IDX files such as MNIST's."""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from importlib import resources
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Union

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from engine.spec import KindSpec, RecipeError, members

Array = NDArray[Any]
Count = Annotated[int, Meta(ge=2, le=1_000_000, title="samples", description="How many samples to make")]
Noise = Annotated[float, Meta(ge=0.0, le=10.0, title="noise", description="Standard deviation of the scatter")]


@dataclass(frozen=True)
class Samples:
    """A loaded dataset. x (N, *shape) float64; labels (N,) integers or None; values (N, K) or None."""

    x: Array
    labels: Array | None
    classes: tuple[str, ...]
    values: Array | None = None
    image_shape: tuple[int, int] | None = None  # where a sample is a picture, its rows and columns


class DataSpec(KindSpec, frozen=True, kw_only=True):
    """The description of a dataset. The last `validation` share of the (shuffled) samples is kept for validation."""

    validation: Annotated[
        float, Meta(ge=0.0, le=0.9, title="validation share", description="Share of samples never trained on")
    ] = 0.2
    shuffle: Annotated[bool, Meta(title="shuffle", description="A new random order every epoch")] = True

    family: ClassVar[str] = "Data"

    def load(self, rng: np.random.Generator) -> Samples:
        """The samples; `rng` draws what is made on the spot. Raises RecipeError with one sentence."""
        raise NotImplementedError


class Digits(DataSpec, frozen=True, kw_only=True):
    """1,797 handwritten digits of 8×8 pixels, scaled to 0–1 (UCI; Alpaydin and Kaynak 1998)."""

    flatten: Annotated[bool, Meta(title="flatten", description="Hand each picture over as one row of pixels")] = True

    def load(self, rng: np.random.Generator) -> Samples:
        """x (1797, 64), or (1797, 8, 8) unflattened."""
        with resources.files("resources").joinpath("data/digits.npz").open("rb") as file, np.load(file) as stored:
            images, labels = stored["images"] / 16.0, stored["labels"].astype(np.intp)
        return _pictures(images, labels, self.flatten)


class Idx(DataSpec, frozen=True, kw_only=True):
    """Pictures and labels in IDX files (MNIST's format), gzip or plain, scaled to 0–1."""

    images: Annotated[str, Meta(min_length=1, title="images", description="Path of the file with the pictures")]
    labels: Annotated[str, Meta(min_length=1, title="labels", description="Path of the file with the labels")]
    flatten: Annotated[bool, Meta(title="flatten", description="Hand each picture over as one row of pixels")] = True
    validation: Annotated[
        float, Meta(ge=0.0, le=0.9, title="validation share", description="Share of samples never trained on")
    ] = 0.2

    def load(self, rng: np.random.Generator) -> Samples:
        """x (N, rows·columns), or (N, rows, columns) unflattened."""
        images, labels = read_idx(Path(self.images)), read_idx(Path(self.labels))
        if images.ndim != 3:
            raise RecipeError(
                f"data.images: {self.images} holds {images.ndim}-D data, not pictures; choose another file"
            )
        if labels.shape != images.shape[:1]:
            raise RecipeError(
                f"data.labels: {self.labels} holds {len(labels)} labels for {len(images)} pictures; "
                "choose the two files that belong together"
            )
        return _pictures(images / 255.0, labels.astype(np.intp), self.flatten)


def _pictures(images: Array, labels: Array, flatten: bool) -> Samples:
    """Samples of pictures (N, rows, columns)."""
    shape = (images.shape[1], images.shape[2])
    x = images.reshape(len(images), -1) if flatten else images
    classes = tuple(map(str, range(int(labels.max()) + 1)))
    return Samples(x, labels, classes, image_shape=shape)


IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


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
        raise RecipeError(f"data: {path} is a damaged gzip file; fetch it again") from None
    except OSError as error:
        raise RecipeError(f"data: cannot read {path} ({error.strerror}); check the path") from None
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


class PointSpec(DataSpec, frozen=True, kw_only=True):
    """Points in the plane in classes, made on the spot from the recipe's seed."""

    samples: Count = 400
    noise: Noise = 0.1

    def points(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """x (N, 2) and labels (N,), without the noise."""
        raise NotImplementedError

    def load(self, rng: np.random.Generator) -> Samples:
        """x (N, 2) with noise, in random order."""
        x, labels = self.points(rng)
        x = x + rng.normal(0.0, 1.0, x.shape) * self.noise
        order = rng.permutation(len(x))
        return Samples(x[order], labels[order], tuple(map(str, range(int(labels.max()) + 1))))


class Xor(PointSpec, frozen=True, kw_only=True):
    """Four corners of a square; the class is whether the signs of the two coordinates differ."""

    def points(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Corners (±1, ±1) in turn."""
        corner = np.arange(self.samples) % 4
        x = np.stack([corner % 2, corner // 2], axis=1) * 2.0 - 1.0
        return x, (corner % 2) ^ (corner // 2)


class Circles(PointSpec, frozen=True, kw_only=True):
    """A disc of radius 0.5 inside a ring from 0.7 to 1."""

    noise: Noise = 0.0

    def points(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Uniform in radius and angle."""
        labels = np.arange(self.samples) % 2
        radius = np.where(labels == 0, rng.uniform(0.0, 0.5, self.samples), rng.uniform(0.7, 1.0, self.samples))
        angle = rng.uniform(0.0, 2 * np.pi, self.samples)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), labels


class Moons(PointSpec, frozen=True, kw_only=True):
    """Two interleaved half circles."""

    def points(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Half circles of radius 1 around (−½, −¼) and (½, ¼)."""
        labels = np.arange(self.samples) % 2
        angle = rng.uniform(0.0, np.pi, self.samples)
        upper = np.stack([np.cos(angle) - 0.5, np.sin(angle) - 0.25], axis=1)
        return np.where(labels[:, None] == 0, upper, -upper), labels


class Spirals(PointSpec, frozen=True, kw_only=True):
    """Arms of a spiral, one a class."""

    classes: Annotated[int, Meta(ge=2, le=10, title="arms", description="Number of classes")] = 3
    turns: Annotated[float, Meta(ge=0.1, le=4.0, title="turns", description="How far each arm winds")] = 0.65
    samples: Count = 450
    noise: Noise = 0.03

    def points(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Radius grows with the angle."""
        labels = np.arange(self.samples) % self.classes
        along = rng.uniform(0.05, 1.0, self.samples)
        angle = 2 * np.pi * (self.turns * along + labels / self.classes)
        return np.stack([along * np.cos(angle), along * np.sin(angle)], axis=1), labels


class Blobs(PointSpec, frozen=True, kw_only=True):
    """Round clouds, one a class, on a circle."""

    classes: Annotated[int, Meta(ge=2, le=10, title="clouds", description="Number of classes")] = 3
    noise: Noise = 0.25

    def points(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Each class's centre on the unit circle."""
        labels = np.arange(self.samples) % self.classes
        angle = 2 * np.pi * labels / self.classes
        return np.stack([np.cos(angle), np.sin(angle)], axis=1), labels


if TYPE_CHECKING:
    AnyData = DataSpec
else:
    AnyData = Union[members(DataSpec)]
