"""Files fetched by a thread of their own, so that whoever wants them stays awake and may give up at any moment."""

from __future__ import annotations

import threading
import time

from engine.datasets.base import DataSpec

TELL_EVERY = 0.1  # seconds between two pieces of news
Progress = tuple[str, int, int]  # the file's name, bytes there are, bytes in all (0 where not known)


class BackgroundFetch:
    """Fetches what a dataset must fetch; begins at once.

    A thread that is cancelled is not waited for: it may hang on a server that says nothing, but it writes no more.
    """

    def __init__(self, data: DataSpec) -> None:
        self.data = data
        self._progress: Progress = ("", 0, 0)  # before the first byte
        self._told: Progress | None = None
        self._told_at = 0.0
        self._error: Exception | None = None
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._fetch, name="fetch", daemon=True)
        self._thread.start()

    def _fetch(self) -> None:
        try:
            self.data.fetch_files(self._note, self._cancelled.is_set)
        except Exception as error:  # for `finish` to raise where it is waited for
            self._error = error

    def _note(self, name: str, done: int, total: int) -> None:
        self._progress = (name, done, total)

    @property
    def running(self) -> bool:
        """Whether it is still at work."""
        return self._thread.is_alive()

    def news(self) -> Progress | None:
        """How far it is; None where that is known already, or was told just now."""
        progress, now = self._progress, time.perf_counter()
        if progress == self._told or now - self._told_at < TELL_EVERY:
            return None
        self._told, self._told_at = progress, now
        return progress

    def cancel(self, wait: float = 0.0) -> None:
        """Give it up; what has come is kept. `wait`: seconds its thread may take to end."""
        self._cancelled.set()
        self._thread.join(wait)

    def finish(self) -> None:
        """Wait for its end. Raises what went wrong: RecipeError with one sentence, or CancelledError."""
        self._thread.join()
        if self._error is not None:
            raise self._error
