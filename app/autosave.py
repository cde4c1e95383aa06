"""Autosave: what has not been saved is written outside the user's files, and offered after a crash."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_state_path
from PySide6.QtCore import QLockFile, QObject, QTimer

from app.session import Session
from app.session_files import SessionFiles
from engine import protocol
from engine.files import remove_parts
from engine.session_file import SUFFIX

EVERY = 28.0  # seconds between two, at most: with the writing, no more than half a minute is lost
LEAST = 5.0  # seconds between two, at least, however often one pauses
SHARE = 50  # an autosave may take 1/50 of the time, unless more would be lost then


def autosave_folder() -> Path | None:
    """Where autosaves lie; None where nothing can be written."""
    try:
        folder = Path(user_state_path("nablascope", appauthor=False)) / "autosave"
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder


@dataclass
class Orphan:
    """An autosave whose process is gone. While its lock is held no other window offers it."""

    path: Path
    lock: QLockFile

    @property
    def age(self) -> float:
        """Seconds since it was written."""
        return max(time.time() - self.path.stat().st_mtime, 0.0)

    def drop(self) -> None:
        """Remove it."""
        with suppress(OSError):
            self.path.unlink()
        self.lock.unlock()


def orphans(folder: Path) -> Iterator[Orphan]:
    """The autosaves whose processes are gone, the newest first."""
    remove_parts(folder)
    found = []
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(OSError):
            found.append((path.stat().st_mtime, path))
    for _, path in sorted(found, reverse=True):
        lock = _lock(path)
        if lock.tryLock(0):
            if path.exists():  # another window may have dropped it
                yield Orphan(path, lock)
            else:
                lock.unlock()
    for path in folder.glob("*.lock"):  # of a process that ended before its first autosave
        if not path.with_suffix("").exists():
            stale = QLockFile(str(path))
            stale.setStaleLockTime(0)
            if stale.tryLock(0):
                stale.unlock()


def _lock(path: Path) -> QLockFile:
    """The lock of an autosave; it ends with its process, not by time."""
    lock = QLockFile(f"{path}.lock")
    lock.setStaleLockTime(0)
    return lock


class Autosave(QObject):
    """Every half a minute and at each pause, while something is not saved; `close` leaves nothing behind."""

    def __init__(self, session: Session, files: SessionFiles, folder: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._files = session, files
        self.path = folder / f"{os.getpid()}-{time.time_ns() & 0xFFFFFF:06x}{SUFFIX}"
        self._lock = _lock(self.path)
        self._lock.tryLock(0)
        self._pending = self._dirty = self._troubled = self._closed = False
        self._at, self._cost = 0.0, 0.0
        self._replaced: Orphan | None = None  # the one gone on with, until there is one of this process
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self._save)
        session.shown.connect(self._on_changed)
        session.recipe_changed.connect(self._on_changed)
        session.breaks_changed.connect(self._on_changed)
        session.playing_changed.connect(self._on_playing)
        session.file_saved.connect(self._on_saved)
        session.file_opened.connect(self._on_opened)

    def _on_changed(self, _: object = None) -> None:
        self._dirty = True
        if not self._timer.isActive() and self._files.modified:
            self._timer.start(self._wait(EVERY if self._session.playing else LEAST))

    def _on_playing(self, playing: bool) -> None:
        """At each pause."""
        if not playing and self._files.modified:
            self._timer.start(self._wait(0.0))

    def _wait(self, seconds: float) -> int:
        """Milliseconds until the next may be, in so many seconds at the soonest."""
        least = min(max(LEAST, SHARE * self._cost), EVERY) if self._at else 0.0
        return int(1000 * max(seconds, self._at + least - time.monotonic(), 0.0))

    def _save(self) -> None:
        if self._pending or self._closed or not (self._dirty and self._files.modified):
            return
        self._pending, self._dirty, self._at = True, False, time.monotonic()
        own = str(self._files.path or "")
        self._session.save_file(str(self.path), layout=self._files.layout(), own_file=own, auto=True)

    def _on_saved(self, event: protocol.SessionSaved) -> None:
        if not event.auto:
            if not event.sentence and not self._files.modified:
                self._remove()  # the user's file has it all
            return
        self._pending, self._cost = False, event.seconds
        if event.sentence and not self._troubled:
            self._session.said.emit(f"nothing is saved of its own accord: {event.sentence}", True)
        self._troubled = bool(event.sentence)
        if self._closed:
            self._remove()
            return
        if not event.sentence and self._replaced is not None:
            self._replaced.drop()
            self._replaced = None
        self._dirty = self._dirty or bool(event.sentence)
        if self._dirty and not self._timer.isActive():  # changed meanwhile, or it went wrong
            self._timer.start(self._wait(EVERY))

    def _on_opened(self, _: protocol.SessionOpened) -> None:
        """What was here before was saved, or given up."""
        self._remove()

    def replaces(self, orphan: Orphan) -> None:
        """An orphan was gone on with: it stays until there is an autosave of this process, or a file of the user's."""
        self._replaced = orphan
        self._dirty = True
        self._timer.start(0)

    def _remove(self) -> None:
        with suppress(OSError):
            self.path.unlink()

    def close(self) -> None:
        """The window closes, and all is saved or given up."""
        self._closed = True
        self._timer.stop()
        self._remove()
        if self._replaced is not None:
            self._replaced.drop()
        self._lock.unlock()
