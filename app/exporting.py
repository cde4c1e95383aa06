"""File → Export and File → Import: asks where, and lets the engine write or read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QMessageBox

from engine import protocol
from engine.export import Target

if TYPE_CHECKING:
    from app.window import Window

SCRIPTS = ("Python script (*.py)", "Jupyter notebook (*.ipynb)")
WEIGHTS = ("NumPy (*.npz)", "Safetensors (*.safetensors)")
TABLES = ("Comma-separated values (*.csv)", "NumPy (*.npz)")
ALL_WEIGHTS = "Weights (*.npz *.safetensors)"
NOT_IN_NAMES = '/\\:*?"<>|'  # somewhere not allowed in a file's name


def export_script(window: Window, target: Target) -> None:
    """A script or a notebook that goes on from here."""
    library = {"torch": "PyTorch", "numpy": "NumPy"}[target]
    path = ask_where(window, f"Export as {library}", _name(window), SCRIPTS)
    if path:
        window.session.exchange(protocol.ExportScript(path, target))


def save_weights(window: Window) -> None:
    """Parameters and running statistics as they are here."""
    path = ask_where(window, "Save weights", f"{_name(window)} weights", WEIGHTS)
    if path:
        window.session.exchange(protocol.SaveWeights(path))


def save_curves(window: Window) -> None:
    """The numbers of every step of the present path."""
    path = ask_where(window, "Save curves", f"{_name(window)} curves", TABLES)
    if path:
        window.session.exchange(protocol.SaveCurves(path))


def save_tensor(window: Window) -> None:
    """Every entry of the selected tensor."""
    selection = window.session.selection
    if selection is None:
        window.say("select a tensor first, such as a weight", True)
        return
    path = ask_where(window, f"Save {selection.address}", f"{_name(window)} {selection.address}", TABLES)
    if path:
        window.session.exchange(protocol.SaveTensor(selection.address, path))


def load_weights(window: Window) -> None:
    """Go on with the weights in a file."""
    path, _ = QFileDialog.getOpenFileName(window, "Load weights", "", ALL_WEIGHTS)
    if path:
        window.session.exchange(protocol.LoadWeights(path))


def load_what_fits(window: Window, event: protocol.FitsPartly) -> None:
    """Not everything in a file fits: ask whether the rest is to be loaded; no unless the user says yes."""
    if ask_for_the_rest(window, event):
        window.session.exchange(protocol.LoadWeights(event.path, partly=True))
    else:
        window.say(f"{event.sentence}; nothing was loaded", True)


def ask_for_the_rest(window: Window, event: protocol.FitsPartly) -> bool:
    """Ask whether to load the tensors that fit."""
    box = QMessageBox(window)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("Load weights")
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(f"{event.sentence}.")
    many = "tensors that fit" if event.fitting > 1 else "tensor that fits"
    box.setInformativeText(f"Load the {event.fitting} {many}? All others stay as they are.")
    load = box.addButton("Load what fits", QMessageBox.ButtonRole.AcceptRole)
    cancel = box.addButton("Load nothing", QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(cancel)
    box.setEscapeButton(cancel)
    box.exec()
    answer = box.clickedButton() is load
    box.deleteLater()
    return answer


def ask_where(window: Window, title: str, name: str, kinds: tuple[str, ...]) -> str:
    """The path of a file to write, with the ending of its kind; "" for none. Asks before one is overwritten."""
    dialog = QFileDialog(window, title, "", ";;".join(kinds))
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)

    def follow(kind: str) -> None:
        dialog.setDefaultSuffix(kind.rpartition("*.")[2].rstrip(")"))

    follow(kinds[0])
    dialog.selectFile(f"{name}.{dialog.defaultSuffix()}")
    dialog.filterSelected.connect(follow)
    chosen = dialog.selectedFiles() if dialog.exec() else []
    dialog.deleteLater()
    return chosen[0] if chosen else ""


def _name(window: Window) -> str:
    """The recipe's name as a file may have it."""
    kept = "".join("-" if c in NOT_IN_NAMES or not c.isprintable() else c for c in window.session.recipe.name)
    return Path(kept.strip(". ")[:80] or "network").name
