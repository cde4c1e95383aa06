"""A server on this computer in place of the internet: of two small IDX files, and as well behaved as a test wants."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.datasets import Mnist, fetch
from engine.datasets.fetch import TEST_IMAGES, TEST_LABELS, Source

PICTURES = np.random.default_rng(0).integers(0, 256, (300, 28, 28), dtype=np.uint8)
LABELS = np.arange(300, dtype=np.uint8) % 10
ADDRESS, CACHE = "NABLASCOPE_TEST_ADDRESS", "NABLASCOPE_TEST_CACHE"  # how an engine process is told of them


def packed(array: np.ndarray) -> bytes:
    """A gzipped IDX file of bytes."""
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.tobytes(), mtime=0)


FILES = {TEST_IMAGES: packed(PICTURES), TEST_LABELS: packed(LABELS)}


def source_at(address: str) -> Source:
    """The files as a published set."""
    hashes = {name: hashlib.sha256(body).hexdigest() for name, body in FILES.items()}
    return Source("mnist", "MNIST", (address,), hashes)


@dataclass
class FileServer:
    """A server of the two files. It notes what is asked for, and misbehaves as told."""

    source: Source
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # path and Range of each request
    ranges: bool = True  # whether it can begin in the middle
    break_after: int | None = None  # bytes after which it closes the connection
    hold_after: int | None = None  # bytes after which it says nothing more until `go_on` is set
    go_on: threading.Event = field(default_factory=threading.Event)
    status: int = 200
    content: dict[str, bytes] = field(default_factory=lambda: dict(FILES))


@contextmanager
def serving() -> Iterator[FileServer]:
    """A server that listens until the end of the block."""
    handled: list[FileServer] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            mine = handled[0]
            wanted = self.headers.get("Range")
            mine.asked.append((self.path, wanted))
            body = mine.content.get(self.path.rpartition("/")[2])
            if body is None or mine.status != 200:
                self.send_error(404 if body is None else mine.status)
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and mine.ranges else 0
            if start >= len(body):
                self.send_error(416)
                return
            self.send_response(206 if wanted and mine.ranges else 200)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            self.send(body[start:], mine)

        def send(self, body: bytes, mine: FileServer) -> None:
            if mine.break_after is not None:
                body = body[: mine.break_after]
            first = len(body) if mine.hold_after is None else mine.hold_after
            try:
                self.wfile.write(body[:first])
                if first < len(body):
                    mine.go_on.wait(30)
                    self.wfile.write(body[first:])
            except OSError:
                pass  # who asked is gone

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = False
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        handled.append(FileServer(source_at(f"http://127.0.0.1:{listening.server_port}/")))
        try:
            yield handled[0]
        finally:
            handled[0].go_on.set()
            listening.shutdown()
            thread.join()


def engine_main(*arguments: Any) -> None:
    """An engine process whose MNIST comes from that server and whose cache is a test's folder."""
    from engine import host

    cache = Path(os.environ[CACHE])
    Mnist.source = source_at(os.environ[ADDRESS])
    fetch.cache_folder = lambda source: cache / source.name  # type: ignore[assignment]
    host.main(*arguments)
