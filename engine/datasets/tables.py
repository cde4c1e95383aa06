"""Tables of one's own: CSV files with a column of labels or values, and NumPy's NPZ files."""

from __future__ import annotations

import csv
import math
import zipfile
import zlib
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from engine.datasets.base import DataSpec
from engine.datasets.pictures import MOST_CLASSES, class_numbers, numbered
from engine.datasets.samples import Array, Samples
from engine.spec import RecipeError

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "space": " "}
NPZ_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, TypeError, AttributeError, RuntimeError)
Rows = list[tuple[int, list[str]]]  # each row with the number of its line
NO_NUMBER = "mend it, make it the label, or name the column in one_hot if it holds categories"
CATEGORY = {"label": "label", "one_hot": "value"}  # what a cell of a column of categories is called
MANY = {"label": "choose another column, or predict values", "one_hot": "take it out of one_hot"}


class Csv(DataSpec, frozen=True, kw_only=True):
    """A table in a text file: a row a sample, one column to predict, numbers in all others."""

    path: Annotated[str, Meta(min_length=1, title="file", description="Path of the CSV file")]
    header: Annotated[bool, Meta(title="header", description="The first line names the columns")] = True
    separator: Annotated[
        Literal["comma", "semicolon", "tab", "space"], Meta(title="separator", description="What stands between cells")
    ] = "comma"
    label: Annotated[
        str,
        Meta(max_length=200, title="label", description="The column to predict: name, or number from 1; empty: last"),
    ] = ""
    predict: Annotated[
        Literal["classes", "values"], Meta(title="predict", description="Whether it holds classes or numbers")
    ] = "classes"
    one_hot: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...],
        Meta(
            max_length=1000,
            title="one-hot",
            description="Columns of categories, by name or by number from 1: each of their values becomes a column of "
            "0 and 1",
        ),
    ] = ()

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return "CSV"

    def read(self, rng: np.random.Generator) -> Samples:
        """x (N, K), K without the column to predict, with labels (N,), or with values (N, 1)."""
        names, rows = self._rows()
        at = self._column(names, "label", self.label) if self.label else len(names) - 1
        x, columns = self._inputs(names, rows, at)
        predicted = [(line, [row[at]]) for line, row in rows]
        if self.predict == "values":
            values = self._numbers(predicted, [names[at]], "mend it, or predict classes")
            return Samples(x, None, (), values=values, columns=columns)
        labels, classes = self._classes(predicted, names[at], "label")
        return Samples(x, labels, classes, columns=columns)

    def _inputs(self, names: list[str], rows: Rows, label: int) -> tuple[Array, tuple[str, ...]]:
        """x (N, K) and its columns' names: numbers as they are, categories as a column of 0 and 1 for each value."""
        hot = [self._column(names, "one_hot", name) for name in self.one_hot]
        if label in hot:
            raise RecipeError(f"data.one_hot: column {names[label]!r} is the one to predict; take it out of one_hot")
        given = [i for i in range(len(names)) if i != label]
        plain = [i for i in given if i not in hot]
        numbers = self._numbers([(line, [row[i] for i in plain]) for line, row in rows], [names[i] for i in plain])
        if not hot:
            return numbers, tuple(names[i] for i in plain)
        parts, columns = [], []
        for i in given:
            if i in hot:
                labels, values = self._classes([(line, [row[i]]) for line, row in rows], names[i], "one_hot")
                parts.append(np.eye(len(values))[labels])
                columns += [f"{names[i]}={value}" for value in values]
            else:
                parts.append(numbers[:, [plain.index(i)]])
                columns.append(names[i])
        return np.hstack(parts), tuple(columns)

    def _rows(self) -> tuple[list[str], Rows]:
        """The columns' names and the rows, all of one length."""
        rows: Rows = []
        try:
            with Path(self.path).open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file, delimiter=SEPARATORS[self.separator], skipinitialspace=True)
                for row in reader:
                    cells = [cell.strip() for cell in row]
                    if any(cells):
                        rows.append((reader.line_num, cells))
        except IsADirectoryError:
            raise RecipeError(f"data.path: {self.path} is a folder; choose a CSV file in it") from None
        except (UnicodeDecodeError, csv.Error):
            raise RecipeError(f"data.path: {self.path} is not a text file in UTF-8; choose a CSV file") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RecipeError(f"data.path: cannot read {self.path} ({reason}); check the path") from None
        if not rows:
            raise RecipeError(f"data.path: {self.path} is empty; choose another file")
        first, width = rows[0][0], len(rows[0][1])
        for line, cells in rows:
            if len(cells) != width:
                raise RecipeError(
                    f"data.path: line {line} of {self.path} has {len(cells)} cells where line {first} has {width}; "
                    "mend that line"
                )
        names = rows.pop(0)[1] if self.header else [str(number + 1) for number in range(width)]
        if not rows:
            raise RecipeError(f"data.path: {self.path} has a header but no sample; choose another file")
        if width < 2:
            raise RecipeError(
                f"data.path: {self.path} has one column; give one of numbers and one to predict, "
                "or choose the right separator"
            )
        return names, rows

    def _column(self, names: list[str], field: str, wanted: str) -> int:
        """The index of the column that a field names."""
        if wanted in names:
            return names.index(wanted)
        if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
            return int(wanted) - 1
        shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
        raise RecipeError(
            f"data.{field}: {self.path} has no column {wanted!r}; use one of {shown}, "
            f"or a number from 1 to {len(names)}"
        )

    def _numbers(self, rows: Rows, names: list[str], cure: str = NO_NUMBER) -> Array:
        """The cells as numbers, (N, columns); `cure` is what to do about text."""
        try:
            numbers = np.array([row for _, row in rows], np.float64)
            if np.isfinite(numbers).all():
                return numbers
        except ValueError:
            pass
        for line, row in rows:
            for name, cell in zip(names, row, strict=True):
                self._check_number(cell, line, name, cure)
        raise AssertionError("a table is refused whose cells are all numbers")

    def _check_number(self, cell: str, line: int, name: str, cure: str) -> None:
        """Raise RecipeError where a cell is no finite number."""
        where = f"data.path: line {line} of {self.path}, column {name!r}"
        if not cell:
            raise RecipeError(f"{where}: the cell is empty; fill it in, or leave that line out")
        try:
            number = float(cell)
        except ValueError:
            raise RecipeError(f"{where}: {cell[:40]!r} is not a number; {cure}") from None
        if not math.isfinite(number):
            raise RecipeError(f"{where}: {cell!r} is not a finite number; mend it, or leave that line out")

    def _classes(self, rows: Rows, name: str, field: str) -> tuple[Array, tuple[str, ...]]:
        """Labels (N,) and the classes' names: in numeric order where all are numbers, else in alphabetical order."""
        for line, (cell,) in rows:
            if cell.lower() in ("", "nan"):
                raise RecipeError(
                    f"data.path: line {line} of {self.path} has no {CATEGORY[field]} in column {name!r}; fill it in, "
                    "or leave that line out"
                )
        cells = [cell for _, (cell,) in rows]
        found = set(cells)
        if len(found) > MOST_CLASSES:
            raise RecipeError(
                f"data.{field}: column {name!r} of {self.path} has {len(found):,} different {CATEGORY[field]}s, more "
                f"than {MOST_CLASSES:,}; {MANY[field]}"
            )
        try:
            classes = sorted(found, key=float)
        except ValueError:
            classes = sorted(found)
        number = {cell: index for index, cell in enumerate(classes)}
        return np.array([number[cell] for cell in cells], np.intp), tuple(classes)


class Npz(DataSpec, frozen=True, kw_only=True):
    """Arrays in a file written by numpy.savez: x (N, …), and y (N,) of class numbers or names, or of values."""

    path: Annotated[str, Meta(min_length=1, title="file", description="Path of the NPZ file")]
    x: Annotated[str, Meta(min_length=1, max_length=200, title="x", description="Name of the samples' array")] = "x"
    y: Annotated[str, Meta(min_length=1, max_length=200, title="y", description="Name of the labels' array")] = "y"

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return "NPZ"

    def read(self, rng: np.random.Generator) -> Samples:
        """x (N, *shape); whole numbers and names in y are classes, other numbers values (N, K)."""
        x, y = self._arrays()
        if not x.ndim or not x.size:
            raise RecipeError(f"data.x: {self.x!r} in {self.path} is empty; choose another array")
        if y.shape[:1] != x.shape[:1]:
            raise RecipeError(
                f"data.y: {self.y!r} in {self.path} has shape {y.shape} for {len(x)} samples; give one entry a sample"
            )
        x = _finite(x, f"data.x: {self.x!r} in {self.path}").reshape(len(x), *(x.shape[1:] or (1,)))
        shape = (x.shape[1], x.shape[2]) if x.ndim == 3 else None
        if y.dtype.kind == "U" and y.ndim == 1:
            names, labels = np.unique(y, return_inverse=True)
            if len(names) > MOST_CLASSES:
                raise RecipeError(
                    f"data.y: {self.y!r} in {self.path} has {len(names):,} different names, more than "
                    f"{MOST_CLASSES:,} classes; choose another array"
                )
            return Samples(x, labels.astype(np.intp), tuple(map(str, names)), image_shape=shape)
        if y.dtype.kind in "biu" and y.ndim == 1:
            labels = class_numbers(y.astype(np.int64), f"data.y: {self.y!r} in {self.path}")
            return Samples(x, labels, numbered(int(labels.max()) + 1), image_shape=shape)
        values = _finite(y, f"data.y: {self.y!r} in {self.path}").reshape(len(y), -1)
        return Samples(x, None, (), values=values, image_shape=shape)

    def _arrays(self) -> tuple[Array, Array]:
        """x and y as they are stored."""
        wrong = f"data.path: {self.path} is not an NPZ file of plain arrays; write it with numpy.savez"
        try:
            with Path(self.path).open("rb") as file, np.load(file, allow_pickle=False) as stored:
                missing = [name for name in (self.x, self.y) if name not in stored]
                if missing:
                    there = ", ".join(stored.files[:10]) or "none"
                    raise RecipeError(
                        f"data.{'x' if missing[0] == self.x else 'y'}: {self.path} has no array {missing[0]!r}; "
                        f"there are {there}"
                    )
                return stored[self.x], stored[self.y]
        except RecipeError:
            raise
        except IsADirectoryError:
            raise RecipeError(f"data.path: {self.path} is a folder; choose an NPZ file in it") from None
        except NPZ_ERRORS:
            raise RecipeError(wrong) from None  # a single .npy array, an array of objects, or no such file at all
        except MemoryError:
            raise RecipeError(f"data.path: {self.path} does not fit into memory; store fewer samples") from None
        except OSError as error:
            reason = error.strerror or error
            raise RecipeError(f"data.path: cannot read {self.path} ({reason}); check the path") from None


def _finite(array: Array, where: str) -> Array:
    """Numbers as float64. Raises RecipeError where there are none, or where one is not finite."""
    if array.dtype.kind not in "biuf":
        raise RecipeError(f"{where} holds {array.dtype} entries, not numbers; store numbers")
    numbers = array.astype(np.float64)
    bad = ~np.isfinite(numbers).reshape(len(numbers), -1).all(axis=1)
    if bad.any():
        raise RecipeError(f"{where} holds NaN or infinity in row {int(bad.argmax()) + 1}; clean it first")
    return numbers
