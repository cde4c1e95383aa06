"""Whose code may run: asks once for each file in each state, and remembers a yes by the file's hash."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from engine.owncode.trust import fingerprint

if TYPE_CHECKING:
    from PySide6.QtCore import QSettings

KEY = "own-code/allowed"
MOST_REMEMBERED = 500


class Consent:
    """The user's word on files with code of their own. `ask` puts the question; without it the answer is no."""

    def __init__(self, settings: QSettings | None = None, ask: Callable[[Path, bool], bool] | None = None) -> None:
        self._settings, self.ask, self._asking = settings, ask, False
        known = settings.value(KEY, [], type=list) if settings is not None else []
        self._allowed: list[str] = [str(entry) for entry in known] if isinstance(known, list) else []

    def grant(self, files: Iterable[Path]) -> dict[str, str] | None:
        """Path and fingerprint of each file once all may run; None where the user says no to one.

        Raises RecipeError for a file that cannot be read.
        """
        if self._asking:
            return None
        states = {str(file.resolve()): fingerprint(file) for file in files}
        for path, state in states.items():
            if f"{state} {path}" not in self._allowed and not self._asked(path, state):
                return None
        return states

    def allow_files(self, files: Iterable[Path]) -> None:
        """Files that the user named on the command line may run, this once, as they are."""
        self._allowed += [f"{fingerprint(file)} {file.resolve()}" for file in files]

    def _asked(self, path: str, state: str) -> bool:
        changed = any(entry.endswith(f" {path}") for entry in self._allowed)
        self._asking = True  # the question's own loop may bring the next one: one at a time
        try:
            if self.ask is None or not self.ask(Path(path), changed):
                return False
        finally:
            self._asking = False
        self._allowed = [*self._allowed, f"{state} {path}"][-MOST_REMEMBERED:]
        if self._settings is not None:
            self._settings.setValue(KEY, self._allowed)
        return True
