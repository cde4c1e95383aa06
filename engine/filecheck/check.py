"""The check of a whole file, and its answer as plain structs that cross from one process to another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engine.diagnosis import examine
from engine.filecheck.epsilons import epsilon, explained
from engine.owncode.discover import Found, discover
from engine.owncode.layers import OwnLayer
from engine.owncode.load import load
from engine.subject import Subject, SubjectError, SubjectReport
from engine.verdicts import VERDICTS

SHARE = 0.25  # of the time for a file: what its top level may take, and then the first runs of each thing in it


class TensorAnswer(msgspec.Struct, frozen=True):
    """What is said of one gradient."""

    verdict: str
    error: float | None  # relative; None where there is nothing to compare
    note: str = ""


class BugAnswer(msgspec.Struct, frozen=True):
    """One bug by its name."""

    slug: str
    tensor: str
    sentence: str
    confidence: float
    evidence: dict[str, Any]
    formula: str = ""


class CheckAnswer(msgspec.Struct, frozen=True):
    """What is said of one class, model, function or loss."""

    name: str
    form: int
    verdict: str
    tensors: dict[str, TensorAnswer]
    bugs: tuple[BugAnswer, ...] = ()
    note: str = ""


class FileAnswer(msgspec.Struct, frozen=True):
    """What is said of a file: its checks, and one sentence for each thing in it that cannot be checked."""

    file: str
    checks: tuple[CheckAnswer, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def wrong(self) -> bool:
        """Whether a gradient is wrong."""
        return any(check.verdict == "fail" for check in self.checks)


class Request(msgspec.Struct, frozen=True):
    """What to check, and how long and how large its code may get."""

    file: str
    only: str = ""
    arguments: dict[str, Any] = {}
    seconds: float = 20.0
    gigabytes: float = 4.0


def check_source(request: Request, tell: Callable[[FileAnswer], None]) -> None:
    """Run a file and check all in it, in this process; `tell` gets all that is known after each check and at the end.

    Whatever the file's code does wrong is a sentence in the answer.
    """
    path = Path(request.file).resolve()
    checks: list[CheckAnswer] = []
    problems: list[str] = []
    try:
        source = load(path, request.seconds * SHARE)
        problems += [source.problem] if source.problem else []
        found = discover(source, dict(request.arguments), request.only, request.seconds * SHARE)
        problems += [text for text in found.problems if not (source.problem and "NameError" in text)]
        for subject in found.subjects:
            with blamed_problem(problems):
                check = answer(examine(subject), found, epsilon(source))
                if check.verdict == "unresolvable" and isinstance(subject, OwnLayer) and subject.refusal:
                    raise SubjectError(subject.refusal)  # one sample tells nothing here: it was meant for a mini-batch
                checks.append(check)
                problems += _nothing_seen(check, source.at(subject.name))
            tell(FileAnswer(request.file, tuple(checks), tuple(problems)))
    except SubjectError as error:
        problems += [] if problems else [str(error)]  # what the top of the file lacks follows from why it failed
    tell(FileAnswer(request.file, tuple(checks), tuple(dict.fromkeys(problems))))


def _nothing_seen(check: CheckAnswer, at: str) -> list[str]:
    """A sentence where no gradient at all could be told from rounding: such a check says nothing."""
    if any(tensor.verdict != "unresolvable" for tensor in check.tensors.values()) or check.bugs:
        return []
    why = next((tensor.note for tensor in check.tensors.values() if tensor.note), "there is nothing to compare")
    return [f"{at} cannot be judged: {why}"]


@contextmanager
def blamed_problem(problems: list[str]) -> Iterator[None]:
    """Note a SubjectError among the problems and go on."""
    try:
        yield
    except SubjectError as error:
        problems.append(str(error))


def answer(report: SubjectReport, found: Found, constant: float = 0.0) -> CheckAnswer:
    """A report without its arrays; `constant`: the file's small one, whose effect is no error."""
    subject: Subject = report.subject
    notes = {role: explained(tensor, constant) for role, tensor in report.tensors.items()}
    tensors = {
        role: TensorAnswer("pass" if notes[role] else _said(t.verdict), _number(t.error), notes[role] or t.note)
        for role, t in report.tensors.items()
    }
    bugs = tuple(
        BugAnswer(bug.slug, bug.tensor, bug.sentence, bug.confidence, _plain(bug.evidence), bug.formula)
        for bug in report.bugs
        if not notes.get(bug.tensor)
    )
    worst = max((t.verdict for t in tensors.values()), key=VERDICTS.index, default=_said(report.verdict))
    note = found.notes.get(subject.name, "") or next(filter(None, notes.values()), "")
    return CheckAnswer(subject.name, subject.form, "fail" if bugs else worst, tensors, bugs, note)


def _said(verdict: str) -> str:
    return "unresolvable" if verdict == "not checked" else verdict


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _plain(value: Any) -> Any:
    """Evidence as JSON has it: NumPy's numbers and arrays become numbers and lists, what is not finite None."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    return _number(value) if isinstance(value, float) else value
