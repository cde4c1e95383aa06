"""Asks for the name of a file to write: with the ending of its kind, and never over another file unasked."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QWidget

from app.saving import file_name
from app.widgets.question import confirmed

_last_folder = [""]  # where the last file was written, so that the next is proposed there; "": the present folder


def ask_where(parent: QWidget, title: str, name: str, kinds: tuple[str, ...], folder: str | Path = "") -> str:
    """The path of a file to write, with the ending of its kind; "" for none. Asks before one is overwritten.

    `name` is what is proposed, any words without an ending; a kind is such as "GIF film (*.gif)".
    """
    dialog = QFileDialog(parent, title, str(folder or _last_folder[0]), ";;".join(kinds))
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)

    def follow(kind: str) -> None:
        dialog.setDefaultSuffix(_endings(kind)[0])

    follow(kinds[0])
    dialog.selectFile(file_name(name, dialog.defaultSuffix()))
    dialog.filterSelected.connect(follow)
    found = ""
    while not found and dialog.exec():
        chosen = dialog.selectedFiles()[0]
        path = with_ending(chosen, dialog.selectedNameFilter(), kinds)
        if path == chosen or not Path(path).exists() or _may_replace(dialog, path):
            found = path
    dialog.deleteLater()
    if found:
        _last_folder[0] = str(Path(found).parent)
    return found


def _may_replace(parent: QWidget, path: str) -> bool:
    """The dialog asks of names as they were typed, not of those that only got their ending."""
    return confirmed(
        parent, parent.windowTitle(), f"{Path(path).name} is there already.", "Replace it?", "Replace it", "Keep it"
    )


def with_ending(path: str, kind: str, kinds: tuple[str, ...]) -> str:
    """A path with the first ending of the kind chosen, unless it has that of any kind: "net v1.2" → "net v1.2.gif"."""
    known = [ending for each in kinds for ending in _endings(each)]
    return path if Path(path).suffix[1:].lower() in known else f"{path}.{_endings(kind)[0]}"


def _endings(kind: str) -> list[str]:
    """Those of a kind: "Weights (*.npz *.safetensors)" → npz, safetensors."""
    inside = kind.rpartition("(")[2].rstrip(")")
    return [pattern.removeprefix("*.") for pattern in inside.split()]
