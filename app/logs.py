"""Where errors go that no user should have to read: log files in the system's place for them."""

from __future__ import annotations

import faulthandler
import logging
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import IO

from platformdirs import user_log_path

log = logging.getLogger("nablascope")
QUIET = ("propagateSizeHints",)  # messages of Qt's offscreen platform that mean nothing
_crash_file: list[IO[str]] = []  # faulthandler needs the file to stay open


def log_file(name: str) -> str | None:
    """The path of a log file; None where none can be written."""
    try:
        folder = Path(user_log_path("nablascope", appauthor=False, ensure_exists=True))
        with (folder / name).open("a", encoding="utf-8"):
            return str(folder / name)
    except OSError:
        return None


def watch_for_crashes() -> None:
    """Errors of Python and messages of Qt go to the log; a crash leaves its trace there."""
    from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler

    from app.overrides import guard_overrides

    guard_overrides()
    logging.basicConfig(filename=log_file("app.log"), level=logging.WARNING)
    crash = log_file("crash.log")
    if crash and not _crash_file:
        _crash_file.append(open(crash, "a", encoding="utf-8"))  # noqa: SIM115 (open until the end)
        faulthandler.enable(_crash_file[0])

    def note(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.exit(130)
        log.error("unexpected error", exc_info=(kind, error, trace))

    def note_qt(kind: QtMsgType, _: QMessageLogContext, text: str | None) -> None:
        if kind != QtMsgType.QtDebugMsg and text and not any(q in text for q in QUIET):
            log.warning("Qt: %s", text)

    sys.excepthook = note
    threading.excepthook = lambda args: log.error("unexpected error in a thread", exc_info=args.exc_value)
    qInstallMessageHandler(note_qt)
