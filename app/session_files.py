"""The session as a document: opened, saved, its name and mark in the title, and the question before it is lost."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

from PySide6.QtCore import QByteArray, QObject, QSettings, Signal
from PySide6.QtWidgets import QMainWindow, QMessageBox, QWidget

from app.session import Session
from app.widgets.question import confirmed
from engine import protocol
from engine.files import remove_parts
from engine.session_file import SUFFIX

RECENT = "files/recent"
MOST_RECENT = 8
STATE_VERSION = 2  # of the docks' layout

Answer: TypeAlias = Literal["save", "discard", "cancel"]


class SessionFiles(QObject):
    """Which file the session is of, and whether it has changed since; opens and saves it.

    `ask_to_save` and `ask_to_overwrite` put questions, with the file's name; without them nothing is asked.
    """

    changed = Signal()  # the file's name, whether it is modified, or the recent files

    def __init__(self, session: Session, window: QMainWindow, settings: QSettings | None = None) -> None:
        super().__init__(window)
        self._session, self._window, self._settings = session, window, settings
        self.path: Path | None = None
        self.modified = False
        self.ask_to_save: Callable[[str], Answer] | None = None
        self.ask_to_overwrite: Callable[[str], bool] | None = None
        self.choose_name: Callable[[], str] | None = None
        self._saving: str | None = None
        self._then: Callable[[], None] | None = None  # once it is saved
        self._kept: object = None  # what the file holds, in short
        self._kept_soon: object = None  # what it will hold once it is saved
        self._on_disk: tuple[int, ...] = ()
        self._awaited: Literal["built", "shown"] | None = "built"
        if session.frame is not None:
            self._awaited, self._kept = None, self._in_short()
        session.built.connect(self._on_built)
        session.shown.connect(self._on_shown)
        for signal in (session.recipe_changed, session.paths_changed, session.breaks_changed):
            signal.connect(self._look)
        session.file_saved.connect(self._on_saved)
        session.file_opened.connect(self._on_opened)
        for folder in {file.parent for file in self.recent}:
            remove_parts(folder)

    @property
    def name(self) -> str:
        """The file's name, or the recipe's where there is no file."""
        return self.path.name if self.path is not None else self._session.recipe.name

    @property
    def recent(self) -> list[Path]:
        """The files used last, the last one first."""
        found = self._settings.value(RECENT, [], type=list) if self._settings is not None else []
        return [Path(str(entry)) for entry in found] if isinstance(found, list) else []

    def _used(self, path: Path) -> None:
        if self._settings is not None:
            files = [path, *(file for file in self.recent if file != path)]
            self._settings.setValue(RECENT, [str(file) for file in files[:MOST_RECENT]])

    def layout(self) -> str:
        """Where the docks stand, as text."""
        return b64encode(self._window.saveState(STATE_VERSION).data()).decode()

    # --- whether it has changed ---------------------------------------------------------------

    def _in_short(self) -> object:
        """What a session is, but for where one stands in it."""
        session = self._session
        forks = session.paths.forks if session.paths is not None else ()
        paths = tuple((f.number, f.name, session.tip if f.number == session.fork else f.tip, f.changes) for f in forks)
        return session.recipe, paths, tuple((b.condition, b.enabled) for b in session.breaks)

    def _look(self, _: object = None) -> None:
        if self._awaited is None and not self.modified and self._in_short() != self._kept:
            self._mark(True)

    def _on_built(self, _: object) -> None:
        if self._awaited == "built":
            self._awaited = "shown"

    def _on_shown(self, _: object) -> None:
        """The first picture of what was opened is what there is to compare with."""
        if self._awaited == "shown":
            self._awaited, self._kept = None, self._in_short()
        self._look()

    def _mark(self, modified: bool) -> None:
        self.modified = modified
        self.changed.emit()

    # --- saving -------------------------------------------------------------------------------

    def save(self, path: str = "", then: Callable[[], None] | None = None) -> None:
        """Save to this file, or to the one there is; where there is none, ask for a name. Then call `then`."""
        chosen = Path(path) if path else self.path
        if chosen is None:
            asked = self.choose_name() if self.choose_name is not None else ""
            if not asked:
                return
            chosen = Path(asked)
        if chosen.suffix.lower() != SUFFIX:
            chosen = chosen.with_name(chosen.name + SUFFIX)
        if chosen == self.path and self._was_changed_by_others() and not self._may_overwrite(chosen.name):
            return
        self._saving, self._then, self._kept_soon = str(chosen), then, self._in_short()
        self._session.save_file(str(chosen), layout=self.layout())
        self._session.said.emit(f"saving {chosen.name} …", False)

    def _was_changed_by_others(self) -> bool:
        return bool(self._on_disk) and state_of(self.path) not in ((), self._on_disk)

    def _may_overwrite(self, name: str) -> bool:
        return self.ask_to_overwrite is None or self.ask_to_overwrite(name)

    def _on_saved(self, event: protocol.SessionSaved) -> None:
        if event.auto or event.path != self._saving:
            return
        then, self._then, self._saving = self._then, None, None
        if event.sentence:
            self._session.said.emit(event.sentence, True)
            return
        self._take(Path(event.path))
        self._kept = self._kept_soon
        self._mark(self._in_short() != self._kept)
        self._session.said.emit(f"saved {Path(event.path).name}", False)
        if then is not None:
            then()

    # --- opening ------------------------------------------------------------------------------

    def open(self, path: str) -> None:
        """Open a session's file, once what there is has been saved or may be lost."""
        self.when_settled(lambda: self._session.open_file(str(Path(path).absolute())))

    def _on_opened(self, event: protocol.SessionOpened) -> None:
        own = event.view.file
        if event.view.auto:
            self.path, self._on_disk = (Path(own), ()) if own else (None, ())
            self._mark(True)
        else:
            self._take(Path(event.path))
            self._mark(False)
        self._awaited = "built"
        if event.view.layout:
            self._window.restoreState(QByteArray(b64decode(event.view.layout, validate=False)), STATE_VERSION)

    def _take(self, path: Path) -> None:
        """The session is of this file from now on."""
        self.path, self._on_disk = path, state_of(path)
        self._used(path)

    # --- the question -------------------------------------------------------------------------

    def when_settled(self, go_on: Callable[[], None]) -> None:
        """Go on at once, or once changes are saved, or not at all: as the user says."""
        answer: Answer = "discard"
        if self.modified and self.ask_to_save is not None:
            answer = self.ask_to_save(self.name)
        if answer == "save":
            self.save(then=go_on)
        elif answer == "discard":
            go_on()


def state_of(path: Path | None) -> tuple[int, ...]:
    """What tells that a file was written again; empty where there is none."""
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return ()
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found is not None else ()


def ask_to_save(parent: QWidget, name: str) -> Answer:
    """Whether changes are to be saved first."""
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("Nablascope")
    box.setText(f"Save the changes to {name}?")
    box.setInformativeText("Without that, the run, its forks and its timeline are lost.")
    buttons = QMessageBox.StandardButton
    box.setStandardButtons(buttons.Save | buttons.Discard | buttons.Cancel)
    box.setDefaultButton(buttons.Save)
    pressed = box.exec()
    box.deleteLater()
    answers: dict[int, Answer] = {buttons.Save.value: "save", buttons.Discard.value: "discard"}
    return answers.get(pressed, "cancel")


def ask_to_overwrite(parent: QWidget, name: str) -> bool:
    """Whether a file that another program has changed is to be replaced."""
    text = f"{name} was changed by another window or program since it was opened here."
    return confirmed(parent, "Nablascope", text, "Replace it by what is here?", "Replace it", "Keep it")
