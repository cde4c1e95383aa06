"""Data: what is shipped, what is made, and files that are refused in one sentence."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from engine.datasets import Digits, Idx, PointSpec, read_idx
from engine.recipe import AnyData
from engine.spec import RecipeError, members


def rng() -> np.random.Generator:
    """A fixed random stream."""
    return np.random.default_rng(5)


def test_the_digits_are_the_1797_of_the_uci_set() -> None:
    digits = Digits().load(rng())
    assert digits.x.shape == (1797, 64)
    assert (digits.x.min(), digits.x.max()) == (0.0, 1.0)
    assert np.bincount(digits.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # type: ignore[arg-type]
    assert Digits(flatten=False).load(rng()).x.shape == (1797, 8, 8)


@pytest.mark.parametrize("kind", members(PointSpec), ids=lambda kind: kind.kind())
def test_points_are_made_from_the_seed_and_hold_every_class(kind: type[PointSpec]) -> None:
    once, again = kind().load(rng()), kind().load(rng())
    np.testing.assert_array_equal(once.x, again.x)
    assert once.x.shape[1] == 2
    assert set(np.unique(once.labels)) == set(range(len(once.classes)))
    assert not np.array_equal(once.x, kind().load(np.random.default_rng(6)).x)


def test_every_kind_of_data_says_what_it_is() -> None:
    for kind in AnyData.__args__:  # type: ignore[attr-defined]
        assert kind.__doc__


def write_idx(path: Path, array: np.ndarray, code: int = 8) -> Path:
    """An IDX file of bytes."""
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(header + array.tobytes())
    return path


def test_idx_files_are_read_plain_and_compressed(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    plain = write_idx(tmp_path / "plain", array)
    np.testing.assert_array_equal(read_idx(plain), array)
    packed = tmp_path / "packed.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    np.testing.assert_array_equal(read_idx(packed), array)


def test_the_mnist_files_are_read(mnist: Path) -> None:
    data = Idx(images=str(mnist / "t10k-images-idx3-ubyte.gz"), labels=str(mnist / "t10k-labels-idx1-ubyte.gz")).load(
        rng()
    )
    assert data.x.shape == (10_000, 784)
    assert data.image_shape == (28, 28)
    assert len(data.classes) == 10


def test_damaged_and_foreign_files_get_one_sentence(tmp_path: Path) -> None:
    good = write_idx(tmp_path / "good", np.zeros((3, 2, 2), np.uint8)).read_bytes()
    packed = gzip.compress(good * 50)
    cases = {
        "is a folder": None,
        "is not an IDX file": b"\x89PNG....",
        "is cut off": good[:6],
        "holds 7 bytes where": good[:-5],
        "damaged gzip": packed[: len(packed) // 2],
    }
    for words, content in cases.items():
        path = tmp_path / "file"
        if content is None:
            path = tmp_path
        else:
            path.write_bytes(content)
        with pytest.raises(RecipeError, match=words):
            read_idx(path)
    with pytest.raises(RecipeError, match="cannot read"):
        read_idx(tmp_path / "gone")


def test_pictures_and_labels_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    images = write_idx(tmp_path / "images", np.zeros((3, 2, 2), np.uint8))
    labels = write_idx(tmp_path / "labels", np.zeros(4, np.uint8))
    with pytest.raises(RecipeError, match="4 labels for 3 pictures"):
        Idx(images=str(images), labels=str(labels)).load(rng())
