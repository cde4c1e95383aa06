"""Data in files: read as they are meant, and refused in one sentence that names the file, the place and the cure."""

from __future__ import annotations

import gzip
import io
import os
import re
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from engine import Recipe, Trainer
from engine.datasets import Csv, DataSpec, Idx, Mnist, Npz, PictureFolder, Samples, read_idx
from engine.layers.dense import Dense
from engine.spec import RecipeError


def load(spec: DataSpec) -> Samples:
    """The samples of a spec."""
    return spec.load(np.random.default_rng(5))


@contextmanager
def closed(path: Path) -> Iterator[None]:
    """A file or folder that may not be read. Nothing is closed to root, who is somebody else for that time."""
    if sys.platform == "win32":
        pytest.skip("Windows has other permissions")
    root, modes = os.geteuid() == 0, {path: path.stat().st_mode}
    path.chmod(0)
    if root:
        modes |= {folder: folder.stat().st_mode for folder in path.parents if not folder.stat().st_mode & 0o001}
        for folder in list(modes)[1:]:
            folder.chmod(modes[folder] | 0o055)  # so that somebody else comes as far as that
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for changed, mode in modes.items():
            changed.chmod(mode)


def refusal(spec: DataSpec) -> str:
    """Why the spec cannot be loaded: one sentence of one line, with a cure."""
    with pytest.raises(RecipeError) as refused:
        load(spec)
    sentence = str(refused.value)
    assert sentence.startswith("data")
    assert "\n" not in sentence
    assert "; " in sentence, "no cure"
    return sentence


# --- IDX ----------------------------------------------------------------------------------------------


def write_idx(path: Path, array: np.ndarray, code: int = 8) -> Path:
    """An IDX file of bytes."""
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(header + array.tobytes())
    return path


def idx(folder: Path, images: np.ndarray, labels: np.ndarray, code: int = 8) -> Idx:
    """A pair of IDX files."""
    pictures = write_idx(folder / "images", images)
    return Idx(images=str(pictures), labels=str(write_idx(folder / "labels", labels, code)))


def test_idx_files_are_read_plain_and_compressed(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    plain = write_idx(tmp_path / "plain", array)
    np.testing.assert_array_equal(read_idx(plain), array)
    packed = tmp_path / "packed.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    np.testing.assert_array_equal(read_idx(packed), array)


def test_idx_files_of_other_numbers_are_read_too(tmp_path: Path) -> None:
    for code, kind in {9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}.items():
        array = np.arange(-3, 3).astype(kind).reshape(2, 3)
        np.testing.assert_array_equal(read_idx(write_idx(tmp_path / "file", array, code)), array)


def test_the_mnist_files_are_read(mnist: Path) -> None:
    files = {"images": str(mnist / "t10k-images-idx3-ubyte.gz"), "labels": str(mnist / "t10k-labels-idx1-ubyte.gz")}
    data = load(Idx(**files))
    assert data.x.shape == (10_000, 784)
    assert data.image_shape == (28, 28)
    assert len(data.classes) == 10


def test_damaged_and_foreign_idx_files_get_one_sentence(tmp_path: Path) -> None:
    good = write_idx(tmp_path / "good", np.zeros((3, 2, 2), np.uint8)).read_bytes()
    packed = gzip.compress(good * 50)
    cases = {
        "is a folder": None,
        "is empty": b"",
        "is not an IDX file": b"\x00\x00\x07\x03" + good[4:],  # a magic number of no known type
        "is not an IDX file; choose": b"\x89PNG....",
        "is cut off": good[:6],
        "holds 7 bytes where": good[:-5],
        "holds 0 bytes where": good[:4] + bytes(4) + good[8:16],  # no picture at all
        "damaged gzip": packed[: len(packed) // 2],
        "a damaged gzip file": packed[:-8] + bytes(8),
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
    pictures = np.zeros((3, 2, 2), np.uint8)
    assert "4 labels for 3 pictures" in refusal(idx(tmp_path, pictures, np.zeros(4, np.uint8)))
    assert "2-D data, not pictures" in refusal(idx(tmp_path, pictures[0], np.zeros(2, np.uint8)))


def test_a_file_of_labels_that_are_no_list_is_refused(tmp_path: Path) -> None:
    pictures = np.zeros((3, 2, 2), np.uint8)
    assert "holds 2-D data, not one label a picture" in refusal(idx(tmp_path, pictures, np.zeros((3, 1), np.uint8)))
    assert "holds 0-D data, not one label a picture" in refusal(idx(tmp_path, pictures, np.array(1, np.uint8)))
    assert "holds 3-D data, not one label a picture" in refusal(idx(tmp_path, pictures, pictures)), "files swapped"


def test_pictures_with_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    files = idx(tmp_path, np.zeros((3, 2, 2), np.uint8), np.array([0, 1, 0], np.uint8))
    for value in (np.nan, np.inf):
        write_idx(tmp_path / "images", np.array([0, 0, value, 0] * 3, ">f4").reshape(3, 2, 2), 13)
        assert "images holds NaN or infinity; clean it first" in refusal(files)


def test_idx_files_that_may_not_be_read_are_refused(tmp_path: Path) -> None:
    files = idx(tmp_path, np.zeros((3, 2, 2), np.uint8), np.array([0, 1, 0], np.uint8))
    with closed(tmp_path / "images"):
        assert "cannot read" in (sentence := refusal(files))
        assert "(Permission denied); check the path" in sentence
    load(files)


def test_a_folder_of_mnist_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "mnist"
    folder.mkdir()
    with closed(folder):
        sentence = refusal(Mnist(folder=str(folder), part="test"))
    assert sentence.startswith(f"data.folder: cannot read {folder}")
    assert sentence.endswith("(Permission denied); check the path")
    assert "data.folder: cannot read" in refusal(Mnist(folder="x" * 5000)), "a name too long for the system"


def test_labels_outside_the_classes_are_refused(tmp_path: Path) -> None:
    pictures = np.zeros((3, 2, 2), np.uint8)
    below = refusal(idx(tmp_path, pictures, np.array([0, 1, -1], ">i2"), code=11))
    assert "label 3 is -1, outside the classes 0 to 999" in below
    assert "label 2 is 5000" in refusal(idx(tmp_path, pictures, np.array([0, 5000, 1], ">i2"), code=11))
    assert "label 1 is 0.5, not a whole number" in refusal(idx(tmp_path, pictures, np.array([0.5, 0, 1], ">f4"), 13))
    write_idx(tmp_path / "t10k-images-idx3-ubyte", pictures)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", np.array([0, 10, 1], np.uint8))
    assert "label 2 is 10, outside the classes 0 to 9" in refusal(Mnist(folder=str(tmp_path), part="test"))


def test_pictures_of_one_class_only_are_refused(tmp_path: Path) -> None:
    same = idx(tmp_path, np.zeros((3, 2, 2), np.uint8), np.array([4, 4, 4], np.uint8))
    assert "all 3 samples are of class '4', so there is nothing to tell apart" in refusal(same)


# --- CSV ----------------------------------------------------------------------------------------------

IRIS = "length,width,kind\n5.1,3.5,setosa\n7.0, 3.2 ,versicolor\n\n4.9,3.0,setosa\n"


def csv(folder: Path, text: str | bytes, **fields: Any) -> Csv:
    """A CSV file."""
    path = folder / "table.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return Csv(path=str(path), **fields)


def test_a_table_is_read_with_its_header_and_its_categories(tmp_path: Path) -> None:
    table = load(csv(tmp_path, IRIS))
    assert table.x.tolist() == [[5.1, 3.5], [7.0, 3.2], [4.9, 3.0]]
    assert table.labels.tolist() == [0, 1, 0]  # type: ignore[union-attr]
    assert table.classes == ("setosa", "versicolor")
    assert table.columns == ("length", "width")


@pytest.mark.parametrize("label", ["kind", "3", ""])
def test_the_label_column_is_known_by_name_or_number_or_is_the_last(tmp_path: Path, label: str) -> None:
    assert load(csv(tmp_path, IRIS, label=label)).classes == ("setosa", "versicolor")


def test_a_table_without_a_header_counts_its_columns(tmp_path: Path) -> None:
    table = load(
        csv(tmp_path, "10;1,5\n9;2,5\n10;3,5\n".replace(",", "."), header=False, separator="semicolon", label="1")
    )
    assert table.classes == ("9", "10"), "numeric labels stand in numeric order"
    assert table.columns == ("2",)
    assert table.x.tolist() == [[1.5], [2.5], [3.5]]


def test_a_column_of_numbers_can_be_predicted_as_values(tmp_path: Path) -> None:
    table = load(csv(tmp_path, "a,b\n1,10\n2,20.5\n", predict="values"))
    assert table.labels is None
    assert table.values.tolist() == [[10.0], [20.5]]  # type: ignore[union-attr]


def test_a_table_may_be_written_by_a_spreadsheet(tmp_path: Path) -> None:
    table = load(csv(tmp_path, '\ufeffa\tkind\r\n1\t"x, y"\r\n2\tz\r\n', separator="tab"))
    assert table.columns == ("a",)
    assert table.classes == ("x, y", "z")


@pytest.mark.parametrize(
    ("text", "fields", "words"),
    [
        (IRIS.replace("3.0,", ""), {}, "line 5 of .* has 2 cells where line 1 has 3; mend that line"),
        (IRIS.replace("7.0", "long"), {}, "line 3 of .*, column 'length': 'long' is not a number; mend it.* one_hot"),
        (IRIS.replace("7.0", "nan"), {}, "line 3 of .*, column 'length': 'nan' is not a finite number"),
        (IRIS.replace("7.0", "inf"), {}, "line 3 of .*, column 'length': 'inf' is not a finite number"),
        (IRIS.replace("7.0", ""), {}, "line 3 of .*, column 'length': the cell is empty; fill it in"),
        (IRIS.replace("versicolor", ""), {}, "line 3 of .* has no label in column 'kind'"),
        (IRIS.replace("versicolor", "NaN"), {}, "line 3 of .* has no label in column 'kind'"),
        (IRIS.replace("versicolor", "setosa"), {}, "all 3 samples are of class 'setosa'"),
        (IRIS, {"predict": "values"}, "line 2 of .*, column 'kind': 'setosa' is not a number; mend it, or predict cl"),
        (IRIS, {"label": "color"}, "has no column 'color'; use one of length, width, kind, or a number from 1 to 3"),
        (IRIS, {"label": "4"}, "has no column '4'"),
        (IRIS, {"separator": "tab"}, "has one column; .* or choose the right separator"),
        ("", {}, "is empty"),
        ("\n \n", {}, "is empty"),
        ("a,b\n", {}, "has a header but no sample"),
        (b"\xff\xfe\x00a\x00,", {}, "is not a text file in UTF-8"),
        ("a,b\n" + "".join(f"1,{i}\n" for i in range(1001)), {}, "has 1,001 different labels, more than 1,000; choose"),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value)[:12],
)
def test_a_bad_table_is_refused_with_its_line(tmp_path: Path, text: Any, fields: dict[str, Any], words: str) -> None:
    sentence = refusal(csv(tmp_path, text, **fields))
    assert re.search(words, sentence), sentence


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "cannot read" in refusal(Csv(path=str(tmp_path / "gone.csv")))
    assert "is a folder; choose a CSV file" in refusal(Csv(path=str(tmp_path)))
    assert "cannot read" in refusal(Csv(path="\0"))
    table = csv(tmp_path, IRIS)
    with closed(Path(table.path)):
        assert "cannot read" in (sentence := refusal(table))
        assert "(Permission denied)" in sentence


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that Linux opens and then does not read")
def test_a_file_that_breaks_off_while_it_is_read_is_refused() -> None:
    broken = "/proc/self/mem"
    for spec in (Csv(path=broken), Npz(path=broken), Idx(images=broken, labels=broken)):
        assert f"cannot read {broken} (Input/output error); check the path" in refusal(spec)


# --- categories -----------------------------------------------------------------------------------------

SHIRTS = "size,color,weight,kind\n38,red,1.5,a\n40,blue,2,b\n10,red,3,a\n"


def test_a_column_of_text_is_refused_with_one_hot_as_the_cure_and_that_cures_it(tmp_path: Path) -> None:
    assert "column 'color': 'red' is not a number" in (sentence := refusal(csv(tmp_path, SHIRTS)))
    assert sentence.endswith("or name the column in one_hot if it holds categories")
    table = load(csv(tmp_path, SHIRTS, one_hot=("color",)))
    assert table.columns == ("size", "color=blue", "color=red", "weight")
    assert table.x.tolist() == [[38, 0, 1, 1.5], [40, 1, 0, 2], [10, 0, 1, 3]]
    assert table.labels.tolist() == [0, 1, 0]  # type: ignore[union-attr]


@pytest.mark.parametrize("color", ["color", "2"])
def test_several_columns_of_categories_are_known_by_name_or_number(tmp_path: Path, color: str) -> None:
    table = load(csv(tmp_path, SHIRTS, one_hot=("kind", color, "size"), label="weight", predict="values"))
    assert table.columns == (
        *("size=10", "size=38", "size=40"),  # numbers stand in numeric order
        *("color=blue", "color=red", "kind=a", "kind=b"),
    )
    assert table.x.sum(axis=1).tolist() == [3, 3, 3]
    assert table.x[2].tolist() == [1, 0, 0, 0, 1, 1, 0]


@pytest.mark.parametrize(
    ("text", "fields", "words"),
    [
        (SHIRTS, {"one_hot": ("colour",)}, "data.one_hot: .* has no column 'colour'; use one of size, color, weight"),
        (SHIRTS, {"one_hot": ("0",)}, "data.one_hot: .* has no column '0'"),
        (SHIRTS, {"one_hot": ("color", "kind")}, "data.one_hot: column 'kind' is the one to predict; take it out"),
        (SHIRTS.replace("blue", ""), {"one_hot": ("color",)}, "line 3 of .* has no value in column 'color'; fill it"),
        (SHIRTS.replace("blue", "NaN"), {"one_hot": ("color",)}, "line 3 of .* has no value in column 'color'"),
        (SHIRTS.replace("2,b", "x,b"), {"one_hot": ("color",)}, "line 3 of .*, column 'weight': 'x' is not a number"),
        (
            "a,b\n" + "".join(f"{i},{i % 2}\n" for i in range(1001)),
            {"one_hot": ("a",)},
            "data.one_hot: column 'a' of .* has 1,001 different values, more than 1,000; take it out of one_hot",
        ),
    ],
)
def test_categories_that_cannot_be_are_refused(tmp_path: Path, text: str, fields: dict[str, Any], words: str) -> None:
    sentence = refusal(csv(tmp_path, text, **fields))
    assert re.search(words, sentence), sentence


def test_categories_are_trained_on_and_a_single_one_cannot_be_standardized(tmp_path: Path) -> None:
    data = csv(tmp_path, SHIRTS, one_hot=("color",), validation=0.0)
    recipe = Recipe(data=data, layers=(Dense(units=2),), batch_size=3)
    trainer = Trainer(recipe)
    trainer.step()
    assert trainer.parameters["0.W"].shape == (4, 2)
    one = csv(tmp_path, SHIRTS.replace("blue", "red"), one_hot=("color",), validation=0.0, scale="standardize")
    with pytest.raises(RecipeError, match=r"data\.scale: column 'color=red' is 1 in every training sample"):
        Trainer(msgspec.structs.replace(recipe, data=one))


# --- NPZ ----------------------------------------------------------------------------------------------

X = np.arange(12.0).reshape(4, 3)


def npz(folder: Path, **arrays: Any) -> Npz:
    """An NPZ file."""
    np.savez(folder / "data.npz", **arrays)
    return Npz(path=str(folder / "data.npz"))


def test_arrays_are_read_by_name(tmp_path: Path) -> None:
    npz(tmp_path, pictures=np.ones((4, 2, 3), np.uint8), digits=np.array([0, 2, 1, 2]))
    data = load(Npz(path=str(tmp_path / "data.npz"), x="pictures", y="digits"))
    assert data.x.shape == (4, 2, 3)
    assert data.image_shape == (2, 3)
    assert data.classes == ("0", "1", "2")


def test_what_y_holds_says_whether_it_is_classes_or_values(tmp_path: Path) -> None:
    assert load(npz(tmp_path, x=X, y=np.array(["b", "a", "b", "b"]))).classes == ("a", "b")
    assert load(npz(tmp_path, x=X, y=np.array([True, False, True, True]))).labels.tolist() == [1, 0, 1, 1]  # type: ignore[union-attr]
    assert load(npz(tmp_path, x=X, y=X[:, 0])).values.shape == (4, 1)  # type: ignore[union-attr]
    assert load(npz(tmp_path, x=X[:, 0], y=X)).values.shape == (4, 3)  # type: ignore[union-attr]
    assert load(npz(tmp_path, x=X[:, 0], y=X)).x.shape == (4, 1)


NAN = np.where(X == 7, np.nan, X)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": X}, "data.y: .* has no array 'y'; there are x"),
        ({"x": X, "y": np.arange(5)}, r"'y' in .* has shape \(5,\) for 4 samples; give one entry a sample"),
        ({"x": NAN, "y": np.arange(4)}, "'x' in .* holds NaN or infinity in row 3; clean it first"),
        ({"x": X, "y": NAN}, "'y' in .* holds NaN or infinity in row 3"),
        ({"x": X, "y": np.array([0, 1, -1, 2])}, "label 3 is -1, outside the classes"),
        ({"x": X, "y": np.zeros(4, int)}, "all 4 samples are of class '0'"),
        ({"x": X.astype(str), "y": np.arange(4)}, "'x' in .* entries, not numbers"),
        ({"x": X[:0], "y": np.arange(0)}, "'x' in .* is empty"),
        ({"x": np.float64(3), "y": np.arange(1)}, "is empty|for"),
        ({"x": X, "y": np.array([None, 1, 2, 3])}, "is not an NPZ file of plain arrays; write it with numpy.savez"),
        ({"x": np.array([{}] * 4), "y": np.arange(4)}, "is not an NPZ file of plain arrays"),
        ({"x": X + 1j, "y": np.arange(4)}, "'x' in .* holds complex128 entries, not numbers"),
        ({"y": np.arange(4)}, "data.x: .* has no array 'x'; there are y"),
        ({"x": np.zeros((1001, 1)), "y": np.arange(1001).astype(str)}, "data.y: .* has 1,001 different names, more"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(tmp_path: Path, arrays: dict[str, Any], words: str) -> None:
    sentence = refusal(npz(tmp_path, **arrays))
    assert re.search(words, sentence), sentence


def test_files_that_are_no_npz_are_refused(tmp_path: Path) -> None:
    good = Path(npz(tmp_path, x=X, y=np.arange(4)).path).read_bytes()
    np.save(tmp_path / "one.npy", X)
    for name, content in {"empty": b"", "cut": good[: len(good) // 2], "text": b"a,b\n1,2\n"}.items():
        (tmp_path / name).write_bytes(content)
    for name in ("empty", "cut", "text", "one.npy"):
        assert "is not an NPZ file of plain arrays" in refusal(Npz(path=str(tmp_path / name)))
    assert "cannot read" in refusal(Npz(path=str(tmp_path / "gone.npz")))
    assert "is a folder" in refusal(Npz(path=str(tmp_path)))
    file = tmp_path / "data.npz"
    with closed(file):
        assert "(Permission denied); check the path" in refusal(Npz(path=str(file)))
    coded = bytearray(good)
    coded[coded.index(b"PK\x01\x02") + 8] |= 1  # says that it is encrypted
    file.write_bytes(coded)
    assert "is not an NPZ file of plain arrays" in refusal(Npz(path=str(file)))


def test_an_array_too_large_for_memory_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**14,)})
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as file:
        file.writestr("x.npy", header.getvalue())
        file.writestr("y.npy", header.getvalue())
    assert "does not fit into memory; store fewer samples" in refusal(Npz(path=str(tmp_path / "huge.npz")))


# --- folders of pictures ------------------------------------------------------------------------------


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Path]:
    """A function that puts a picture into a class's folder."""

    def write(name: str, size: tuple[int, int] = (4, 3), grey: int = 255, mode: str = "L") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size[::-1], grey if mode == "L" else (grey,) * 3).save(path)
        return path

    return write


def test_a_folder_of_pictures_has_a_class_for_each_folder(tmp_path: Path, picture: Callable[..., Path]) -> None:
    for name, grey in {"cat/2.png": 102, "cat/1.PNG": 51, "dog/a.bmp": 255}.items():
        picture(name, grey=grey)
    picture("dog/b.jpg", grey=0, mode="RGB")
    (tmp_path / "cat" / "notes.txt").write_text("not a picture")
    (tmp_path / ".git").mkdir()
    data = load(PictureFolder(path=str(tmp_path)))
    assert data.classes == ("cat", "dog")
    assert data.labels.tolist() == [0, 0, 1, 1]  # type: ignore[union-attr]
    assert data.image_shape == (4, 3)
    np.testing.assert_allclose(data.x[:, 0], [0.2, 0.4, 1.0, 0.0], atol=0.01)
    assert load(PictureFolder(path=str(tmp_path), flatten=False, raw=True)).x[1, 0, 0] == 102


def test_pictures_of_mixed_size_are_refused_or_resized(tmp_path: Path, picture: Callable[..., Path]) -> None:
    small, large = picture("a/1.png"), picture("b/1.png", size=(6, 8))
    sentence = refusal(PictureFolder(path=str(tmp_path)))
    assert f"{small} has 4×3 pixels, but {large} has 6×8; give a size" in sentence
    assert load(PictureFolder(path=str(tmp_path), size=(5, 7))).image_shape == (5, 7)


def test_folders_without_usable_pictures_are_refused(tmp_path: Path, picture: Callable[..., Path]) -> None:
    assert "no folders with pictures" in refusal(PictureFolder(path=str(tmp_path)))
    assert "cannot read" in refusal(PictureFolder(path=str(tmp_path / "gone")))
    first = picture("a/1.png")
    assert "is a file; choose the folder" in refusal(PictureFolder(path=str(first)))
    assert "nothing to tell apart" in refusal(PictureFolder(path=str(picture("a/2.png").parent.parent)))
    for content in (b"", b"no picture", first.read_bytes()[:40]):
        (tmp_path / "a" / "3.png").write_bytes(content)
        assert "3.png is not a picture that can be read; mend or remove it" in refusal(
            PictureFolder(path=str(tmp_path))
        )
    (tmp_path / "a" / "3.png").unlink()
    (tmp_path / "a" / "3.png").mkdir()
    assert "3.png is not a picture that can be read" in refusal(PictureFolder(path=str(tmp_path)))


def test_pictures_that_may_not_be_read_are_refused_by_their_name(tmp_path: Path, picture: Callable[..., Path]) -> None:
    first, second = picture("all/a/1.png"), picture("all/b/1.png")
    data = PictureFolder(path=str(tmp_path / "all"))
    load(data)  # Pillow has been imported then
    with closed(second):
        assert f"cannot read {second} (Permission denied); check its permissions" in refusal(data)
    with closed(first.parent):
        assert f"cannot read {first.parent} (Permission denied); check the path" in refusal(data)


def test_a_picture_with_a_damaged_header_is_refused_without_noise(tmp_path: Path, picture: Callable[..., Path]) -> None:
    good, bad = picture("a/1.tif"), picture("b/1.tif")
    bad.write_bytes(good.read_bytes()[:-20])  # Pillow warns of it, and a warning fails a test
    assert "b/1.tif is not a picture that can be read" in refusal(PictureFolder(path=str(tmp_path)))
