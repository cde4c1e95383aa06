"""A process of its own for a user's file: limits on time and memory, no input, no output, its end noticed and told.

The request goes in through the child's stdin, answers come out of what was its stdout, one line of JSON each and each
holding all that is known so far; by the time the user's code runs, all three standard streams lead nowhere.
"""

from __future__ import annotations

import faulthandler
import os
import re
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import msgspec

from engine.filecheck import BUNDLED_CHILD
from engine.filecheck.check import FileAnswer, Request, check_source
from engine.owncode.fences import limit_memory

START = 15.0  # seconds that a process may take to start on a busy machine, beside the time for its code
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
COMMAND = "from engine.filecheck.child import main; main()"


class _Order(msgspec.Struct, frozen=True):
    """What the child is sent: the request, and the file into which it writes where it was when it was ended."""

    request: Request
    trace: str


# --- the parent's side ----------------------------------------------------------------------------


def check_file(request: Request) -> FileAnswer:
    """Check a file in a child process. Whatever becomes of that process is told as a sentence in the answer."""
    with tempfile.TemporaryDirectory(prefix="nablascope-") as folder:
        trace = Path(folder) / "trace.txt"
        order = msgspec.json.encode(_Order(request, str(trace)))
        lines, code = _run(order, request.seconds + START)
        answer = msgspec.json.decode(lines[-1], type=FileAnswer) if lines else FileAnswer(request.file)
        if code == 0 and lines:
            return answer
        left = trace.read_text(errors="replace") if trace.exists() else ""
    why = _ended(request, left, code)
    return msgspec.structs.replace(answer, problems=(*answer.problems, why))


def _run(order: bytes, seconds: float) -> tuple[list[bytes], int | None]:
    """The child's lines and its exit code; None where it had to be killed."""
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path, "MPLBACKEND": "Agg", **dict.fromkeys(ONE_THREAD, "1")}
    process = subprocess.Popen(
        _command(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    code: int | None
    try:
        told, _ = process.communicate(order, timeout=seconds)
        code = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        told, _ = process.communicate()
        code = None
    finally:
        process.kill()
        process.wait()
    return [line for line in told.split(b"\n")[:-1] if line], code


def _command() -> list[str]:
    """What starts the child; in a bundle the program itself is all the Python there is."""
    if getattr(sys, "frozen", False):
        return [sys.executable, BUNDLED_CHILD]
    return [sys.executable, "-P", "-c", COMMAND]


def _ended(request: Request, trace: str, code: int | None) -> str:
    """Why the process ended before it was done, and in which line of the file it was."""
    path = Path(request.file).resolve()
    frames = re.findall(r'File "(.+?)", line (\d+) in', trace)
    line = next((number for file, number in frames if file == str(path)), None)
    where = f"{path.name}, line {line}" if line else path.name
    if code is None or "Timeout" in trace:
        return f"{where}: still running after {request.seconds:g} s; if that is no endless loop, give it more time"
    if code < 0:
        name = signal.Signals(-code).name if -code in {s.value for s in signal.Signals} else f"signal {-code}"
        killed = "was killed by the system, most likely for its memory" if name == "SIGKILL" else "crashed"
        return f"{where}: the Python interpreter {killed} ({name})"
    if "Fatal Python error" in trace or "Windows fatal exception" in trace:
        return f"{where}: the Python interpreter crashed (exit code {code})"
    return f"{where}: the code ended the Python interpreter (exit code {code}), with os._exit perhaps"


# --- the child's side -----------------------------------------------------------------------------


def main() -> None:
    """Check one file as the parent orders."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=_Order)
    out = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    warnings.simplefilter("ignore")  # of the user's code; what matters of them is found by the check
    limit_memory(int(order.request.gigabytes * 2**30))
    trace = open(order.trace, "w")  # noqa: SIM115  (faulthandler writes into it until the process ends)
    faulthandler.enable(trace)
    faulthandler.dump_traceback_later(order.request.seconds, exit=True, file=trace)
    sys.argv = [order.request.file]

    def tell(answer: FileAnswer) -> None:
        out.write(msgspec.json.encode(answer) + b"\n")
        out.flush()

    check_source(order.request, tell)
    out.close()
    os._exit(0)  # threads and exit handlers of the user's code have no say any more
