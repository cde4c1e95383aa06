"""`nablascope` with arguments, without a process of its own: half a second less where the process is not the matter."""

from __future__ import annotations

import subprocess

import pytest

from app.__main__ import main


def run_here(capsys: pytest.CaptureFixture[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a shell would see of it; an exception fails the test."""
    capsys.readouterr()
    try:
        code = main(arguments)
    except SystemExit as left:  # argparse's
        code = left.code if isinstance(left.code, int) else 1
    written = capsys.readouterr()
    return subprocess.CompletedProcess(arguments, code, written.out, written.err)
