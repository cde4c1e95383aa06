"""Writing a file whole or not at all: an error or a change of mind leaves what was there before as it was."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QSaveFile

from engine.files import shortened

LONGEST = 200  # bytes of a file's name without its ending; most systems take 255, and a temporary name is longer


class SavingError(Exception):
    """One sentence: what cannot be written, why, and what to do."""


class SavedFile:
    """A file that is being written, into another one beside it until all of it is there.

    As a context it takes the place of the old file at the end, unless an exception came. Raises SavingError.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = QSaveFile(str(path))

    def write(self, data: bytes) -> int:
        """Write on; the number of bytes."""
        written = self._file.write(data)
        if 0 <= written < len(data):  # where a disk is full, only a second attempt tells why
            written += max(self._file.write(data[written:]), 0)
        if written != len(data):
            raise self._error()
        return len(data)

    @property
    def device(self) -> QSaveFile:
        """For what writes by itself; errors come out at the end."""
        return self._file

    def begin(self) -> None:
        """Make the file beside."""
        try:
            self.path.lstat()  # which knows now, not only at the end, of a name that is too long
        except FileNotFoundError:
            pass
        except OSError as error:
            raise self._error(error.strerror) from None
        if not self._file.open(QSaveFile.OpenModeFlag.WriteOnly):
            raise self._error()

    def commit(self) -> None:
        """Take the old file's place."""
        if not self._file.commit():
            raise self._error()

    def give_up(self) -> None:
        """Take the file beside away; the old one stays."""
        self._file.cancelWriting()
        self._file.commit()  # which takes it away

    def __enter__(self) -> SavedFile:
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.give_up()
        else:
            self.commit()

    def _error(self, why: str | None = None) -> SavingError:
        reason = why or self._file.errorString()
        return SavingError(f"{shortened(self.path)} cannot be written ({reason}); choose another place")


def file_name(words: str, ending: str) -> str:
    """Words as the name of a file that every system takes: "a/b: c" → "a-b- c.png"."""
    plain = "".join("-" if c in '<>:"/\\|?*' or ord(c) < 32 else c for c in words).strip(" .")
    short = plain.encode()[:LONGEST].decode(errors="ignore").rstrip()
    return f"{short or 'nablascope'}.{ending}"
