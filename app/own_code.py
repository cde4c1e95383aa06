"""Own layers in the window: choosing one, the question whether its file may run, a look-out for its changes."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QFileSystemWatcher, QObject, QTimer
from PySide6.QtWidgets import QFileDialog, QInputDialog, QWidget

from app.session import Session
from app.widgets.question import confirmed
from engine.layers.custom import Custom, own_files
from engine.subject import SubjectError

SETTLED = 300  # milliseconds without another change before a file counts as saved


def ask_to_run(parent: QWidget, file: Path, changed: bool) -> bool:
    """Ask whether a file's code may run; no unless the user says yes."""
    text = (
        f"{file.name} has changed since you allowed it. Run it as it is now?"
        if changed
        else f"This network runs the code in {file.name}. Run it?"
    )
    warning = "It can do whatever you can do on this computer. Run it only if you wrote it or have read it."
    return confirmed(parent, "Code of your own", text, f"{file}\n\n{warning}", "Run it", "Do not run it")


class OwnCodeWatcher(QObject):
    """Reloads a network's own layers when their files are saved."""

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._watcher = QFileSystemWatcher(self)
        self._settled = QTimer(self, singleShot=True, interval=SETTLED)
        self._settled.timeout.connect(self._reload)
        self._watcher.fileChanged.connect(lambda _: self._settled.start())
        session.built.connect(lambda _: self._watch())

    def _watch(self) -> None:
        """Look at the files of the network that stands; many editors replace a file, which ends a watch."""
        wanted = {str(file) for file in own_files(self._session.recipe.layers) if file.exists()}
        watched = set(self._watcher.files())
        if watched - wanted:
            self._watcher.removePaths(list(watched - wanted))
        if wanted - watched:
            self._watcher.addPaths(list(wanted - watched))

    def _reload(self) -> None:
        self._watch()
        if own_files(self._session.recipe.layers):
            self._session.reload_own_code()


@dataclass(frozen=True)
class Offered:
    """A class of a file that may be a layer, told by reading the file, not by running it."""

    name: str
    wanted: tuple[str, ...]  # its constructor's arguments that have no default, the number of inputs aside


def offered(file: Path) -> list[Offered]:
    """The classes with a forward and a backward. Raises SubjectError where the file cannot be read or parsed."""
    from engine.owncode.load import parse  # as much to import as a window needs at its start, for few who use it
    from engine.owncode.names import BACKWARD, FORWARD

    found = []
    for node in parse(file).body:
        if isinstance(node, ast.ClassDef):
            methods = {inner.name: inner for inner in node.body if isinstance(inner, ast.FunctionDef)}
            if methods.keys() & set(FORWARD) and methods.keys() & set(BACKWARD):
                found.append(Offered(node.name, _wanted(methods.get("__init__"))))
    return found


def _wanted(constructor: ast.FunctionDef | None) -> tuple[str, ...]:
    from engine.owncode.construct import takes_inputs  # as above

    if constructor is None:
        return ()
    positional = [*constructor.args.posonlyargs, *constructor.args.args][1:]
    names = [argument.arg for argument in positional[: len(positional) - len(constructor.args.defaults)]]
    return tuple(name for name in names if not takes_inputs(name))


def choose_own_layer(parent: QWidget, say: Callable[[str, bool], None]) -> Custom | None:
    """Let the user choose a file, a class in it, and its arguments; None where they do not."""
    path, _ = QFileDialog.getOpenFileName(parent, "A layer of your own", "", "Python files (*.py)")
    if not path:
        return None
    try:
        classes = offered(Path(path))
    except SubjectError as error:
        say(str(error), True)
        return None
    if not classes:
        say(f"{Path(path).name} has no class with a forward and a backward; write one, or choose another file", True)
        return None
    chosen = classes[0]
    if len(classes) > 1:
        names = [one.name for one in classes]
        name, accepted = QInputDialog.getItem(parent, "A layer of your own", "Class", names, 0, False)
        if not accepted:
            return None
        chosen = classes[names.index(name)]
    arguments = ""
    if chosen.wanted:
        first = ", ".join(f"{name}=16" for name in chosen.wanted)
        arguments, accepted = QInputDialog.getText(
            parent, "A layer of your own", f"Arguments of {chosen.name}", text=first
        )
        if not accepted:
            return None
    return Custom(file=path, class_name=chosen.name, args=arguments)
