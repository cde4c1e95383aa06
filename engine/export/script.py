"""A script or a notebook, and the file of arrays beside it, written whole or not at all."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

from engine.export import Target, numpy_code, torch_code
from engine.export.moment import MARK, Moment
from engine.export.writing import FILE, WIDTH, Section, one_line
from engine.files import FileError, as_npz, shortened, write_whole

SECTIONS = {"torch": torch_code.sections, "numpy": numpy_code.sections}
LIBRARY = {"torch": "PyTorch", "numpy": "NumPy alone"}


def export(moment: Moment, path: Path, target: Target) -> tuple[Path, Path]:
    """Write the script, or where `path` ends in .ipynb the notebook, and the arrays beside it; the two paths.

    Raises FileError, one sentence, and then nothing has changed; RecipeError where the network cannot be written.
    """
    if path.suffix not in (".py", ".ipynb"):
        path = path.with_name(path.name + ".py")
    arrays = path.with_suffix(".npz")
    _refuse_to_overwrite(arrays)
    sections = SECTIONS[target](moment)
    if path.suffix == ".ipynb":
        text = notebook(sections, introduction(moment, target, arrays.name), arrays.name)
    else:
        text = script(sections, introduction(moment, target, arrays.name))
    write_whole(
        {
            arrays: as_npz(moment.arrays),
            path: lambda file: file.write(text.encode()),
        }
    )
    return path, arrays


def _refuse_to_overwrite(arrays: Path) -> None:
    """Raise FileError where there is another file by this name, such as weights, that nobody said to overwrite."""
    if not os.path.lexists(arrays):  # which a name too long for any file is not, as writing will tell
        return
    try:
        with arrays.open("rb") as opened:
            found = np.load(opened, allow_pickle=False)
            ours = not isinstance(found, np.ndarray) and MARK in found
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        ours = False
    if not ours:
        raise FileError(
            f"{shortened(arrays)} would be overwritten, and it is no exported script's data; choose another name"
        )


def introduction(moment: Moment, target: Target, arrays: str) -> list[str]:
    """What the file is, in a few lines."""
    recipe, steps = moment.recipe, len(moment.arrays["losses"])
    layers = ", ".join(spec.caption(shape) for spec, shape in zip(recipe.layers, moment.shapes, strict=False))
    return [
        f"{one_line(recipe.name)}: a network from Nablascope, with {LIBRARY[target]}.",
        f"{layers}; {recipe.loss.title()}; {recipe.optimizer.title()}.",
        f"Goes on after mini-batch {moment.done} for {steps} more, and holds every loss against Nablascope's.",
        f"Weights, the optimizer's state and the mini-batches in their order are in {one_line(arrays)}, beside it.",
    ]


def script(sections: Sequence[Section], told: Sequence[str]) -> str:
    """A Python file."""
    head, *rest = sections
    lines = [line for text in told[1:] for line in wrap(text, WIDTH)]
    pieces = ['"""' + told[0] + "\n\n" + "\n".join(lines) + '\n"""', head.code]
    for section in rest:
        title = f"# --- {section.title} "
        pieces.append(f"{title:-<100}\n\n{section.code}")
    here = "Path(__file__).with_suffix('.npz')".replace("'", '"')
    return "\n\n\n".join(pieces).replace(FILE, here).replace('"""\n\n\n', '"""\n\n', 1) + "\n"


def notebook(sections: Sequence[Section], told: Sequence[str], arrays: str) -> str:
    """A Jupyter notebook (format 4.5): a cell of text and one of code for each section."""
    cells = [_cell("markdown", "\n\n".join([f"# {told[0]}", *told[1:]]), 0)]
    for section in sections:
        cells.append(_cell("markdown", f"## {section.title[:1].upper()}{section.title[1:]}", len(cells)))
        cells.append(_cell("code", section.code.replace(FILE, f"Path({arrays!r})"), len(cells)))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _cell(kind: str, text: str, number: int) -> dict[str, Any]:
    made: dict[str, Any] = {
        "cell_type": kind,
        "id": f"cell-{number}",
        "metadata": {},
        "source": text.splitlines(keepends=True),
    }
    return made | ({"execution_count": None, "outputs": []} if kind == "code" else {})
