"""EngineLink: the app's end of the engine process; notices when it dies or hangs, and starts another."""

from __future__ import annotations

import threading
import time

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.engine_process import EngineProcess
from engine import protocol
from engine.recipe import Recipe
from engine.shared import FrameSlots

PING_EVERY = 250  # milliseconds
HUNG_AFTER = 1.6  # seconds without a beat of the engine's main loop
MOST_STARTS = 3  # engines in a row that may end before they report
START_WITHIN = 30.0  # seconds a new process may take to report


class EngineLink(QObject):
    """Carries commands to the engine and its events to the GUI thread.

    `received` brings each event; `lost` says in one sentence that the engine died, hung, or, where its second value is
    true, was stopped on the user's word; a new one is then starting.
    """

    received = Signal(object)
    lost = Signal(str, bool)
    _arrived = Signal(object, object)  # from the reader's thread: the process and its event, None at its end

    def __init__(self, engine: EngineProcess | None = None, log_file: str | None = None) -> None:
        super().__init__()
        self._log_file = log_file
        self._closing = False
        self._starts = 0  # engines started in a row that never reported
        self._arrived.connect(self._on_arrived)
        self._looked_at = time.monotonic()
        self._watchdog = QTimer(self, interval=PING_EVERY)
        self._watchdog.timeout.connect(self._look_after)
        self._watchdog.start()
        self._adopt(engine or EngineProcess(log_file))

    @property
    def slots(self) -> FrameSlots:
        """The shared memory of the present engine's frames."""
        return self._engine.slots

    @property
    def first_recipe(self) -> Recipe | None:
        """The recipe that the present engine was started with."""
        return self._engine.recipe

    @property
    def process_id(self) -> int | None:
        """The engine's process number."""
        return self._engine.process.pid

    def send(self, command: protocol.Command) -> None:
        """Send a command to the engine."""
        self._engine.send(command)

    def _adopt(self, engine: EngineProcess) -> None:
        """Listen to an engine process that was just started."""
        self._engine = engine
        self._beat, self._where = -1, ""
        self._alive_until = time.monotonic() + START_WITHIN
        self._reader = threading.Thread(target=self._read, args=(engine,), name="engine-reader", daemon=True)
        self._reader.start()

    def _read(self, engine: EngineProcess) -> None:
        while True:
            try:
                event = protocol.decode_event(engine.connection.recv_bytes())
            except (EOFError, OSError):
                event = None
            try:
                self._arrived.emit(engine, event)
            except RuntimeError:  # the app is on its way out
                return
            if event is None:
                return

    @Slot(object, object)
    def _on_arrived(self, engine: EngineProcess, event: protocol.Event | None) -> None:
        if engine is not self._engine or self._closing:
            return
        if event is None:
            line = engine.last_line_of_own_code()
            self._replace(f"the engine crashed in {line}" if line else "the engine ended unexpectedly")
        elif isinstance(event, protocol.Pong):
            self._where = event.where
            if event.beat != self._beat:
                self._beat = event.beat
                self._alive_until = time.monotonic() + HUNG_AFTER
        elif isinstance(event, protocol.Busy):
            self._beat = event.beat
            self._alive_until = time.monotonic() + event.seconds
        else:
            if isinstance(event, protocol.Ready):
                engine.slots.unlink()
                self._starts = 0
                self._alive_until = time.monotonic() + HUNG_AFTER
            self.received.emit(event)

    def _look_after(self) -> None:
        """Ping the engine; give it up when its main loop has not moved for too long.

        Time in which this thread was held up, with the engine's answers waiting for it, is not the engine's.
        """
        now = time.monotonic()
        self._alive_until += max(now - self._looked_at - PING_EVERY / 1000, 0.0)
        self._looked_at = now
        if now > self._alive_until:
            stuck = f"{self._where} does not come to an end: the engine was stopped" if self._where else ""
            self._replace(stuck or "the engine did not answer")
        else:
            self.send(protocol.Ping())

    def _replace(self, what: str, by_hand: bool = False) -> None:
        """Start a new engine in place of one that is dead or hung, or not wanted any more."""
        self._starts += not by_hand
        if self._starts > MOST_STARTS:
            self.close()
            self.lost.emit("the engine cannot be started; close Nablascope and look into its log files", False)
            return
        self._end()
        self._adopt(EngineProcess(self._log_file))
        self.lost.emit(f"{what}; a new one goes on from the last saved step", by_hand)

    def restart(self) -> None:
        """Give the present engine up on the user's word."""
        self._replace("the engine was stopped", by_hand=True)

    def _end(self) -> None:
        """End the process and the thread that reads from it."""
        engine, reader = self._engine, self._reader
        engine.send(protocol.Quit())
        engine.process.join(0.3 if not self._closing else 1.0)
        engine.kill()
        reader.join()
        engine.close()

    def close(self) -> None:
        """End the engine; nothing of it is left."""
        if not self._closing:
            self._closing = True
            self._watchdog.stop()
            self._end()
