"""File → Export and File → Import: asks where, and lets the engine write or read."""

from __future__ import annotations

from PySide6.QtWidgets import QFileDialog, QWidget

from app.choose_file import ask_where
from app.session import Session
from app.widgets.question import confirmed
from engine import protocol
from engine.export import Target

SCRIPTS = ("Python script (*.py)", "Jupyter notebook (*.ipynb)")
WEIGHTS = ("NumPy (*.npz)", "Safetensors (*.safetensors)")
TABLES = ("Comma-separated values (*.csv)", "NumPy (*.npz)")
ALL_WEIGHTS = "Weights (*.npz *.safetensors)"


def export_script(session: Session, parent: QWidget, target: Target) -> None:
    """A script or a notebook that goes on from here."""
    library = {"torch": "PyTorch", "numpy": "NumPy"}[target]
    path = ask_where(parent, f"Export as {library}", name_of_run(session), SCRIPTS)
    if path:
        session.exchange(protocol.ExportScript(path, target))


def name_of_run(session: Session) -> str:
    """The name of what is exported: of the network that stands, while a draft in the builder has another."""
    return session.network.recipe.name if session.network is not None else session.recipe.name


def save_weights(session: Session, parent: QWidget) -> None:
    """Parameters and running statistics as they are here."""
    path = ask_where(parent, "Save weights", f"{name_of_run(session)} weights", WEIGHTS)
    if path:
        session.exchange(protocol.SaveWeights(path))


def save_curves(session: Session, parent: QWidget) -> None:
    """The numbers of every step of the present path."""
    path = ask_where(parent, "Save curves", f"{name_of_run(session)} curves", TABLES)
    if path:
        session.exchange(protocol.SaveCurves(path))


def save_tensor(session: Session, parent: QWidget, address: str = "") -> None:
    """Every entry of a tensor, or of the selected one."""
    address = address or (session.selection.address if session.selection is not None else "")
    if not address:
        session.said.emit("select a tensor first, such as a weight", True)
        return
    path = ask_where(parent, f"Save {address}", f"{name_of_run(session)} {address}", TABLES)
    if path:
        session.exchange(protocol.SaveTensor(address, path))


def load_weights(session: Session, parent: QWidget) -> None:
    """Go on with the weights in a file."""
    path, _ = QFileDialog.getOpenFileName(parent, "Load weights", "", ALL_WEIGHTS)
    if path:
        session.exchange(protocol.LoadWeights(path))


def load_what_fits(session: Session, parent: QWidget, event: protocol.FitsPartly) -> None:
    """Not everything in a file fits: ask whether the rest is to be loaded; no unless the user says yes."""
    if ask_for_the_rest(parent, event):
        session.exchange(protocol.LoadWeights(event.path, partly=True))
    else:
        session.said.emit(f"{event.sentence}; nothing was loaded", True)


def ask_for_the_rest(parent: QWidget, event: protocol.FitsPartly) -> bool:
    """Ask whether to load the tensors that fit."""
    many = "tensors that fit" if event.fitting > 1 else "tensor that fits"
    details = f"Load the {event.fitting} {many}? All others stay as they are."
    return confirmed(parent, "Load weights", f"{event.sentence}.", details, "Load what fits", "Load nothing")
