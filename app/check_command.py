"""`nablascope check FILE.py`: the gradients of a user's own code, as a short table or as JSON. Needs no window."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.filecheck.check import BugAnswer, CheckAnswer, FileAnswer, Request
from engine.filecheck.child import check_file
from engine.owncode.construct import parse_arguments

RIGHT, WRONG, IMPOSSIBLE = 0, 1, 2  # exit codes
SECONDS = 20.0
WIDTH = 100
FORMS = {
    1: "layer, backward(grad_y)",
    2: "layer, backward(input, grad_output)",
    3: "layer, backward(grad_output, learning_rate)",
    4: "model with its loss",
    5: "functions",
    6: "loss and its gradient",
}


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    made = argparse.ArgumentParser(
        prog="nablascope check",
        description="Check the gradients of your own layers, models and losses. The file is run, in its own process.",
        epilog="Exit code: 0 all right, 1 a gradient is wrong, 2 something cannot be checked.",
    )
    made.add_argument("file", metavar="FILE.py", help="the file; everything in it of a known form is checked")
    made.add_argument("--class", dest="only", default="", metavar="NAME", help="check this class or function alone")
    made.add_argument(
        "--args", type=_given, default={}, metavar="NAME=VALUE,…",
        help="arguments of constructors, such as units_in=5,units_out=3",
    )  # fmt: skip
    made.add_argument(
        "--timeout", type=_seconds, default=SECONDS, metavar="S", help=f"time for the file's code, {SECONDS:g} seconds"
    )
    made.add_argument("--json", action="store_true", help="one line of JSON instead of the table")
    made.set_defaults(command="check")
    return made


def _given(text: str) -> dict[str, Any]:
    try:
        return parse_arguments(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"must be a number of seconds from 0.1 on, not {text!r}")
    return seconds


def check(arguments: argparse.Namespace) -> int:
    """Check a file, print what was found, and tell what could not be checked on stderr; the exit code."""
    path = Path(arguments.file)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        print(f"nablascope: {path} {what}; name a Python file", file=sys.stderr)
        return IMPOSSIBLE
    request = Request(arguments.file, arguments.only, _sendable(arguments.args), arguments.timeout)
    try:
        answer = check_file(request)
    except KeyboardInterrupt:
        print("nablascope: stopped", file=sys.stderr)
        return 130
    if arguments.json:
        print(as_json(answer))
    elif answer.checks:
        print(as_text(answer))
    for problem in answer.problems:
        print(f"nablascope: {problem}", file=sys.stderr)
    return WRONG if answer.wrong else IMPOSSIBLE if answer.problems or not answer.checks else RIGHT


def _sendable(given: dict[str, Any]) -> dict[str, Any]:
    """Arguments as JSON carries them; a set or complex number is no size of a layer and goes as its text."""
    return {
        k: v if isinstance(v, int | float | str | bool | list | tuple | dict | None) else str(v)
        for k, v in given.items()
    }


# --- JSON -----------------------------------------------------------------------------------------


def as_json(answer: FileAnswer) -> str:
    """The answer as one line; an error that cannot be told is null."""
    return json.dumps({"file": answer.file, "checks": [_check_json(check) for check in answer.checks]})


def _check_json(check: CheckAnswer) -> dict[str, Any]:
    return {
        "name": check.name,
        "form": check.form,
        "verdict": check.verdict,
        "tensors": {role: {"verdict": t.verdict, "error": t.error} for role, t in check.tensors.items()},
        "bugs": [
            {
                "slug": bug.slug,
                "tensor": bug.tensor,
                "sentence": bug.sentence,
                "confidence": bug.confidence,
                "evidence": bug.evidence,
            }
            for bug in check.bugs
        ],
    }


# --- text -----------------------------------------------------------------------------------------


def as_text(answer: FileAnswer) -> str:
    """The answer as a student reads it: a table of verdicts, and below it each bug by its name."""
    rows = [row for check in answer.checks for row in _rows(check)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    bugs = [line for check in answer.checks for bug in check.bugs for line in _bug_lines(check.name, bug)]
    return "\n".join([*lines, *bugs, "", _summary(answer)])


def _rows(check: CheckAnswer) -> Iterator[tuple[str, str, str, str]]:
    """One row for each tensor; the name and the form stand in the first."""
    head = (check.name, FORMS.get(check.form, ""))
    for role, tensor in check.tensors.items():
        verdict = f"grad_{role}: {tensor.verdict}"
        told = "" if tensor.error is None else f"error {tensor.error:.1e}"
        if tensor.verdict in ("kink", "unresolvable"):
            told = tensor.note or told
        yield (*head, verdict, told)
        head = ("", "")
    if not check.tensors:
        yield (*head, check.verdict, "")
    if check.note:
        yield ("", "", "note", check.note)


def _bug_lines(name: str, bug: BugAnswer) -> Iterator[str]:
    where = f"{name}, grad_{bug.tensor}" if bug.tensor else name
    yield ""
    yield f"{where}: {bug.slug} ({bug.confidence:.0%} sure)"
    yield from textwrap.wrap(bug.sentence, WIDTH, initial_indent="    ", subsequent_indent="    ")
    if bug.evidence:
        told = ", ".join(f"{name} {_number(value)}" for name, value in bug.evidence.items())
        yield from textwrap.wrap(f"evidence: {told}", WIDTH, initial_indent="    ", subsequent_indent="    ")
    for line in bug.formula.splitlines():
        yield f"    should be: {line}" if line == bug.formula.splitlines()[0] else f"               {line}"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _summary(answer: FileAnswer) -> str:
    wrong = [check.name for check in answer.checks if check.verdict == "fail"]
    if wrong:
        return f"{', '.join(wrong)}: wrong. {len(answer.checks) - len(wrong)} of {len(answer.checks)} are right."
    doubtful = [check.name for check in answer.checks if check.verdict == "unresolvable"]
    if doubtful:
        return f"{', '.join(doubtful)}: too small to tell from rounding. Nothing is wrong that can be told."
    return "All gradients are right." if not answer.problems else "All gradients that could be checked are right."
