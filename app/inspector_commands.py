"""What can be done with the inspected tensor: copy a value or all of them, save it, and compare with a fork."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

from app.cell_reading import CellReading, Shown
from app.exporting import save_tensor
from app.session import Session
from app.widgets.copying import MOST, REFUSED, csv_text, numpy_text
from app.widgets.inspector_tools import InspectorTools
from app.widgets.numbers import count
from app.widgets.tensor_text import shape_text
from engine.protocol import Whole

FORMATS: dict[str, Callable[[np.ndarray[Any, Any]], str]] = {"CSV": csv_text, "NumPy": numpy_text}
POINT_FIRST = "point at a cell first, then copy its value"
NOTHING = "there is nothing to copy before the tensor is computed; step on until it is"


class InspectorCommands(QObject):
    """Carries out the actions of the Inspector's menu, which is the context menu of `view` too."""

    def __init__(self, session: Session, controls: InspectorTools, reading: CellReading, view: QWidget) -> None:
        super().__init__(view)
        self._session, self._controls, self._reading, self._view = session, controls, reading, view
        self._wanted: tuple[str, str] | None = None  # address and format of what the engine was asked for
        self.shown: Shown | None = None  # what would be copied
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        view.customContextMenuRequested.connect(self._open_menu)
        controls.menu.aboutToShow.connect(self._offer_forks)
        controls.copy_value.triggered.connect(self._copy_value)
        controls.copy_csv.triggered.connect(partial(self._copy_all, "CSV"))
        controls.copy_numpy.triggered.connect(partial(self._copy_all, "NumPy"))
        controls.save.triggered.connect(self._save)
        session.whole_told.connect(self._on_whole)

    def _open_menu(self, where: QPoint) -> None:
        self._controls.menu.popup(self._view.mapToGlobal(where))

    # --- copying ------------------------------------------------------------------------------

    def _copy_value(self) -> None:
        value = self._reading.value
        if value:
            QGuiApplication.clipboard().setText(value.replace("−", "-").replace("∞", "inf"))
            self._session.said.emit(f"{value} is copied", False)
        else:
            self._session.said.emit(POINT_FIRST, True)

    def _copy_all(self, kind: str, _: bool = False) -> None:
        """Ask the engine for every entry; or say why not."""
        shown, said = self.shown, self._session.said
        if shown is None:
            said.emit(NOTHING, True)
        elif prod(shown.picture.shape) > MOST:
            said.emit(REFUSED, True)
        else:
            self._wanted = shown.address, kind
            self._session.ask_whole(shown.address)

    def _on_whole(self, event: Whole) -> None:
        if self._wanted is None or self._wanted[0] != event.address:
            return
        (_, kind), self._wanted = self._wanted, None
        array = np.frombuffer(event.data, event.dtype).reshape(event.shape)
        QGuiApplication.clipboard().setText(FORMATS[kind](array))
        what = f"{event.address} {shape_text(event.shape)} of step {count(event.step)}"
        self._session.said.emit(f"{what} is copied as {kind}", False)

    def _save(self) -> None:
        """All of it to a file, however large."""
        if self.shown is None:
            self._session.said.emit(NOTHING.replace("copy", "save"), True)
        else:
            save_tensor(self._session, self._view, self.shown.address)

    # --- comparing ----------------------------------------------------------------------------

    def _offer_forks(self) -> None:
        session = self._session
        forks = session.paths.forks if session.paths is not None else ()
        run = session.network.run if session.network is not None else -1
        others = tuple((fork.number, fork.name) for fork in forks if fork.run == run and fork.number != session.fork)
        self._controls.offer_forks(others, session.compared, self._compare)

    def _compare(self, fork: int) -> None:
        self._session.compare(None if self._session.compared == fork else fork)
