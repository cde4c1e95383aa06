"""Numbers as files that other programs read: curves and tensors as .csv or .npz."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from engine.files import FileError, as_npz, write_whole
from engine.layers.base import Array
from engine.timeline import Timeline

AT_ONCE = 512  # rows between two signs of life


def save_curves(path: Path, history: Timeline, first: int, pulse: Callable[[], None] = lambda: None) -> None:
    """Write every scalar of every step from the one after `first` on: a column "step", then one for each quantity.

    Raises FileError; then nothing has changed.
    """

    def rows() -> Iterator[Array]:
        for start in range(first, len(history), AT_ONCE):
            yield history.rows(start, min(start + AT_ONCE, len(history)))
            pulse()

    if _is_csv(path):
        write_whole({path: lambda file: _write_csv(file, rows(), ("step", *history.columns), first + 1)})
        return
    table = np.concatenate(list(rows())) if len(history) > first else np.empty((0, len(history.columns)))
    columns = {"step": np.arange(first + 1, first + 1 + len(table))}
    columns |= dict(zip(history.columns, table.T, strict=True))
    write_whole({path: as_npz(columns)})


def save_tensor(path: Path, address: str, array: Array) -> None:
    """Write a tensor: to .npz by its address, to .csv a line for each row, further axes one after the other in it.

    Raises FileError; then nothing has changed.
    """
    if _is_csv(path):
        matrix = array.reshape(1, -1) if array.ndim < 2 else array.reshape(array.shape[0], -1)
        write_whole({path: lambda file: _write_csv(file, iter([matrix]))})
    else:
        write_whole({path: as_npz({address: array})})


def _write_csv(file: BinaryIO, blocks: Iterator[Array], head: tuple[str, ...] = (), number: int | None = None) -> None:
    """Lines with as many digits as bring back each number; with a `number` each line begins with the next one."""
    if head:
        file.write((",".join(head) + "\n").encode())
    for block in blocks:
        lines = [",".join(row) + "\n" for row in block.astype("U32").tolist()]
        if number is not None:
            lines = [f"{number + place},{line}" for place, line in enumerate(lines)]
            number += len(lines)
        file.write("".join(lines).encode())


def _is_csv(path: Path) -> bool:
    """Whether it is CSV that the file's ending asks for, and not .npz. Raises FileError for any other."""
    if path.suffix not in (".csv", ".npz"):
        raise FileError(f"{path} must end in .csv or .npz; choose another name")
    return path.suffix == ".csv"
