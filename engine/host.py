"""The engine process: takes commands, steps the run, sends frames when the app has taken the last."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from engine import gradcheck, protocol
from engine.boundary import extent, is_plane
from engine.protocol import DataInfo, LayerInfo, WatchItem
from engine.recipe import validated
from engine.run import Run
from engine.shared import FrameSlots, Packer, find_tensor
from engine.spec import RecipeError

log = logging.getLogger("nablascope.engine")

SLICE = 0.002  # seconds of stepping between two looks at the inbox
SAVE_EVERY = 2.0  # seconds between two states sent while playing
BUILD_WITHIN = 60.0  # seconds that loading the data and drawing the weights may take
IDLE_WAIT = 0.2  # seconds the main loop sleeps at most, so that its beat goes on


class Inbox:
    """Commands, received by a thread so that the main loop learns of them at once; answers pings itself."""

    def __init__(self, connection: Connection, beat: Callable[[], int]) -> None:
        self._connection = connection
        self._beat = beat
        self._commands: deque[protocol.Command] = deque()
        self._arrived = threading.Event()
        self._sending = threading.Lock()
        threading.Thread(target=self._receive, name="inbox", daemon=True).start()

    def _receive(self) -> None:
        while True:
            try:
                command = protocol.decode_command(self._connection.recv_bytes())
            except (EOFError, OSError):  # the app is gone
                self._put(protocol.Quit())
                time.sleep(1.0)
                os._exit(0)  # the main loop is stuck in somebody's code
            if isinstance(command, protocol.Ping):
                self.send(protocol.Pong(self._beat()))
            else:
                self._put(command)

    def _put(self, command: protocol.Command) -> None:
        self._commands.append(command)
        self._arrived.set()

    def __bool__(self) -> bool:
        return bool(self._commands)

    def take(self) -> protocol.Command | None:
        """The oldest command not taken yet."""
        return self._commands.popleft() if self._commands else None

    def wait(self, seconds: float) -> None:
        """Sleep until a command arrives, `seconds` at most."""
        if not self._commands:
            self._arrived.wait(seconds)
        self._arrived.clear()

    def send(self, event: protocol.Event) -> None:
        """Send an event; quietly nowhere when the app is gone."""
        with suppress(OSError), self._sending:
            self._connection.send_bytes(protocol.encode(event))


class Host:
    """Holds one run and does with it what the app says."""

    def __init__(self, connection: Connection, slots: FrameSlots) -> None:
        self._beat = 0
        self._inbox = Inbox(connection, lambda: self._beat)
        self._send = self._inbox.send
        self._slots = slots
        self._packer = Packer(slots)
        self._run: Run | None = None
        self._watch: tuple[WatchItem, ...] = ()
        self._credit = True  # the app has taken the last frame
        self._changed = False  # there is something to show that was not sent
        self._unsaved = False
        self._saved_at, self._save_cost = 0.0, 0.0
        self._playing = False
        self._rate: float | None = None
        self._due = 0.0
        self._goal: int | None = None  # the step at which playing ends by itself
        self._check: Iterator[Any] | None = None
        self._report: gradcheck.Report | None = None
        self._quit = False

    def serve(self) -> None:
        """The main loop, until Quit."""
        self._send(protocol.Ready())
        while not self._quit:
            self._beat += 1
            while (command := self._inbox.take()) is not None:
                self._obey(command)
            if self._run is None:
                self._inbox.wait(IDLE_WAIT)
                continue
            if self._playing:
                self._guarded(self._play_slice)
            elif self._check is not None:
                self._guarded(self._check_slice)
            else:
                self._rest()
            if self._changed and self._credit:
                self._send_frame()

    def _obey(self, command: protocol.Command) -> None:
        """Carry one command out; whatever goes wrong in it becomes one sentence."""
        handler = getattr(self, "_on_" + type(command).__name__.lower())
        if self._run is None and not isinstance(
            command, protocol.Use | protocol.Quit | protocol.Watch | protocol.Taken
        ):
            return
        self._guarded(lambda: handler(command))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except RecipeError as error:
            self._send(protocol.Refused(str(error)))
        except MemoryError:
            self._fail("there is not enough memory for this network; make it or the mini-batch smaller")
        except Exception as error:
            log.exception("a command failed")
            self._fail(f"the engine stopped at an error ({type(error).__name__}: {error}); restart the run")

    def _fail(self, sentence: str) -> None:
        self._check = None
        self._set_playing(False)
        self._send(protocol.Failed(sentence))

    # --- commands -----------------------------------------------------------------------------

    def _on_quit(self, _: protocol.Quit) -> None:
        self._quit = True

    def _on_use(self, command: protocol.Use) -> None:
        recipe = validated(command.recipe)
        if self._run is not None and command.state is None and self._run.trainer.adopt(recipe):
            self._send(protocol.Adopted(recipe))
            return
        self._send(protocol.Busy(BUILD_WITHIN))
        run = Run(recipe, command.state)
        self._drop_check()
        self._set_playing(False)
        self._run, self._report = run, None
        run.trainer.needs_input_gradient = True
        self._packer.history_sent = len(run.history)
        self._unsaved = True
        self._send(describe(run))
        self._changed = True

    def _on_step(self, command: protocol.Step) -> None:
        assert self._run is not None
        self._drop_check()
        self._set_playing(False)
        self._run.trainer.needs_input_gradient = True
        if command.what == "batch":
            self._step_once(for_picture=True)
        elif command.what == "phase":
            self._run.step_phase()
        else:
            self._run.step_part()
        self._moved()

    def _on_play(self, command: protocol.Play) -> None:
        assert self._run is not None
        self._drop_check()
        self._rate, self._due = command.rate, 0.0
        self._goal = None if command.steps is None else self._run.trainer.step_count + command.steps
        self._set_playing(True)

    def _on_pause(self, _: protocol.Pause) -> None:
        assert self._run is not None
        if self._playing and not self._run.trainer.has_input_gradient:
            self._step_once(True)  # so that the picture one looks at now is whole
        self._set_playing(False)

    def _on_restart(self, _: protocol.Restart) -> None:
        assert self._run is not None
        self._drop_check()
        self._set_playing(False)
        self._run.restart()
        self._report = None
        self._packer.history_sent = 0
        self._moved()

    def _on_watch(self, command: protocol.Watch) -> None:
        self._watch = command.items
        self._changed = self._run is not None

    def _on_taken(self, _: protocol.Taken) -> None:
        self._credit = True

    def _on_askcell(self, command: protocol.AskCell) -> None:
        assert self._run is not None
        array = find_tensor(self._run, self._report, WatchItem(command.address))
        inside = array is not None and len(command.index) == array.ndim
        if inside and all(0 <= i < n for i, n in zip(command.index, array.shape, strict=True)):  # type: ignore[union-attr]
            self._send(protocol.Cell(command.address, command.index, float(array[command.index])))  # type: ignore[index]

    def _on_check(self, command: protocol.Check) -> None:
        assert self._run is not None
        self._set_playing(False)
        self._check = gradcheck.steps(self._run.trainer, None, command.mode)

    def _on_cancelcheck(self, _: protocol.CancelCheck) -> None:
        self._drop_check()

    # --- stepping -----------------------------------------------------------------------------

    def _set_playing(self, playing: bool) -> None:
        if playing != self._playing:
            self._playing = playing
            self._changed = self._unsaved = True
            self._send(protocol.Playing(playing))

    def _step_once(self, for_picture: bool) -> None:
        """One mini-batch; `for_picture`: back to the data itself, which only the screen wants."""
        assert self._run is not None
        self._run.trainer.needs_input_gradient = for_picture
        with self._run.trainer.computing():
            for _ in self._run.advance():
                self._beat += 1

    def _play_slice(self) -> None:
        """Step for a moment; the step whose picture is about to be sent goes back to the data itself."""
        if self._rate is not None:
            wait = self._due - time.perf_counter()
            if wait > 0:
                self._inbox.wait(min(wait, IDLE_WAIT))
                return
            self._due = max(self._due, time.perf_counter() - 0.1) + 1.0 / self._rate
        if self._credit or self._rate is not None or self._left_to_go() <= 1:
            self._step_once(True)
        else:
            until = time.perf_counter() + SLICE
            while not self._inbox and time.perf_counter() < until and self._left_to_go() > 1:
                self._step_once(False)
        self._moved()
        if self._left_to_go() <= 0:
            self._set_playing(False)
        if time.perf_counter() - self._saved_at > max(SAVE_EVERY, 100 * self._save_cost):
            self._save()

    def _left_to_go(self) -> float:
        """How many steps are left until playing ends by itself."""
        assert self._run is not None
        return math.inf if self._goal is None else self._goal - self._run.trainer.step_count

    def _moved(self) -> None:
        self._changed = self._unsaved = True

    def _rest(self) -> None:
        """Nothing to do: save what is unsaved, then sleep until a command arrives."""
        if self._changed and self._credit:
            return
        self._inbox.wait(0.1 if self._unsaved else IDLE_WAIT)
        if self._unsaved and not self._inbox:
            self._save()

    def _save(self) -> None:
        """Send the state to go on from, should this process die."""
        assert self._run is not None
        start = time.perf_counter()
        self._send(protocol.Saved(self._run.trainer.state()))
        self._unsaved = False
        self._saved_at = time.perf_counter()
        self._save_cost = self._saved_at - start

    def _send_frame(self) -> None:
        assert self._run is not None
        event = self._packer.pack(self._run, self._report, self._watch, self._playing)
        self._credit = False
        self._changed = self._packer.history_sent < len(self._run.history)
        self._send(event)

    # --- the gradient check -------------------------------------------------------------------

    def _check_slice(self) -> None:
        """A slice of the running check."""
        assert self._check is not None
        assert self._run is not None
        item = next(self._check)
        if isinstance(item, gradcheck.Report):
            self._check, self._report = None, item
            self._changed = True
            self._send(describe_report(item, self._run.trainer.step_count))
        else:
            self._send(protocol.CheckProgress(item.done, item.total))

    def _drop_check(self) -> None:
        """Give a running check up."""
        if self._check is not None:
            self._check = None
            self._send(protocol.Checked("", 0, (), (), "cancelled", cancelled=True))


def describe_report(report: gradcheck.Report, step: int) -> protocol.Checked:
    """The event that tells of a finished check."""
    tensors = tuple(
        protocol.Judged(address, t.verdict, float(t.error), t.note) for address, t in report.tensors.items()
    )
    return protocol.Checked(report.mode, step, tensors, tuple(report.contracts), report.dtype_note)


def describe(run: Run) -> protocol.Built:
    """The event that tells of a network that stands."""
    trainer, recipe = run.trainer, run.trainer.recipe
    network, samples = trainer.network, trainer.samples
    layers = []
    for i, spec in enumerate(recipe.layers):
        parameters = {slot.role: slot.parameter.shape for slot in network.slots_of(i)}
        count = sum(slot.parameter.size for slot in network.slots_of(i))
        title, caption = spec.title(), spec.caption(network.shapes[i])
        into, out = network.shapes[i], network.shapes[i + 1]
        layers.append(LayerInfo(spec.kind(), title, caption, into, out, parameters, count, spec.formulas, spec.multiply_adds(into)))
    data = DataInfo(
        training=len(trainer.x),
        validation=len(trainer.x_validation),
        shape=network.shapes[0],
        classes=samples.classes,
        image_shape=samples.image_shape,
        extent=extent(trainer) if is_plane(trainer) else None,
    )
    return protocol.Built(
        recipe=recipe,
        layers=tuple(layers),
        data=data,
        phases=tuple(trainer.all_phases),
        tensors=trainer.tensor_infos,
        columns=run.history.columns,
        loss_title=recipe.loss.title(),
        loss_convention=recipe.loss.averaging,
        loss_formulas=recipe.loss.formulas,
        update_formula=recipe.optimizer.formulas.get("update", ""),
        batches=trainer.batches,
        step=trainer.step_count,
    )


def main(connection: Connection, slots_name: str, log_file: str | None) -> None:
    """The engine process: attach to the frames' shared memory and serve until told to quit."""
    logging.basicConfig(filename=log_file, level=logging.WARNING)
    np.seterr(all="ignore")
    slots = FrameSlots(slots_name)
    try:
        Host(connection, slots).serve()
    finally:
        slots.close()
