"""Whose code may run: files that the user said yes to, each in the state it had then.

Trust is the process's, not a recipe's: a recipe comes from anywhere, and whatever opens it must not run a file that
only the recipe names. The engine of the window is told by the app which files the user allowed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from engine.spec import RecipeError

_allowed: set[tuple[str, str]] = set()  # path and fingerprint


def fingerprint(path: Path) -> str:
    """SHA-256 of a file's content. Raises RecipeError where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RecipeError(f"{path} cannot be read ({reason}); check the path of the own layer") from None


def allow(path: Path, state: str | None = None) -> None:
    """Let a file run in this process, in its present state or in one with the given fingerprint."""
    path = path.resolve()
    _allowed.add((str(path), state or fingerprint(path)))


def allowed_files() -> frozenset[str]:
    """The paths of the files that may run in some state."""
    return frozenset(path for path, _ in _allowed)


def check_allowed(path: Path) -> str:
    """The fingerprint of a file that may run. Raises RecipeError where the user has not said yes to it as it is."""
    path = path.resolve()
    state = fingerprint(path)
    if (str(path), state) not in _allowed:
        raise RecipeError(
            f"{path.name} holds code of its own, and nobody has said yes to running it as it is now; "
            "open the recipe in the window and allow it, or name the file with --trust"
        )
    return state
