"""What went wrong in a user's code, as one sentence with file and line."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.subject import SubjectError

LONGEST = 240  # characters of a foreign message that a sentence quotes


class TooLong(BaseException):
    """Code at the top of a file ran longer than it may; no `except Exception` of its author catches it."""


@contextmanager
def blamed(path: Path, what: str = "") -> Iterator[None]:
    """Turn whatever a user's code raises into a SubjectError; `what` names the code, such as "Dense.backward"."""
    try:
        yield
    except (SubjectError, TooLong, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit too: a file may call sys.exit anywhere
        raise SubjectError(sentence(error, path, what)) from error


def sentence(error: BaseException, path: Path, what: str = "") -> str:
    """One sentence: file, line, what was running, what happened, and what to do where that is known."""
    if isinstance(error, SyntaxError):
        where = f"{Path(error.filename or path).name}, line {error.lineno}" if error.lineno else path.name
        return f"{where}: does not parse: {error.msg}"
    within = f"{what}: " if what else ""
    return f"{place(error, path)}: {within}{_happened(error, path)}"


def place(error: BaseException, path: Path) -> str:
    """Where in the user's code an error arose: the innermost frame in the file, or in one beside it."""
    frames = traceback.extract_tb(error.__traceback__)
    beside = [frame for frame in frames if Path(frame.filename).parent == path.parent]
    own = [frame for frame in frames if frame.filename == str(path)]
    if not own:
        return path.name
    inner = beside[-1] if beside else own[-1]
    return f"{Path(inner.filename).name}, line {inner.lineno}"


def quoted(text: object) -> str:
    """A foreign text on one line, cut where it is long."""
    line = " ".join(str(text).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _happened(error: BaseException, path: Path) -> str:
    if isinstance(error, EOFError):
        return "asks for input, which a check cannot give; pass the value as an argument instead"
    if isinstance(error, MemoryError):
        return f"asks for more memory than a check may use ({quoted(error) or 'MemoryError'})"
    if isinstance(error, SystemExit):
        return "calls sys.exit; a check needs code that returns"
    if isinstance(error, ModuleNotFoundError):
        return (
            f"imports {error.name}, which is not installed here; install it into the environment of Nablascope, "
            "or leave the import out"
        )
    if isinstance(error, NotImplementedError):
        return "is not written yet (NotImplementedError)"
    if isinstance(error, RecursionError):
        return "calls itself without end (RecursionError)"
    return f"{type(error).__name__}: {quoted(re.sub(r'^<.*> ', '', str(error)))}".removesuffix(": ")
