"""The engine process: takes commands, steps the run, sends frames when the app has taken the last."""

from __future__ import annotations

import faulthandler
import gc
import logging
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engine import protocol
from engine.chain import refusal
from engine.checks import Checks
from engine.datasets.background import BackgroundFetch
from engine.describe import describe, describe_live
from engine.exports import Exports
from engine.frames import Array, Phase, as_matrix
from engine.kept_runs import KeptRuns
from engine.keyframes import DEFAULT_BUDGET
from engine.opened_run import notice, restore
from engine.pacing import Pacing
from engine.protocol import WatchItem
from engine.recipe import Recipe, only_live_fields_differ, validated
from engine.run import Run
from engine.saving import Saver, send_rows, unallowed
from engine.session_archive import Archive
from engine.session_file import SessionFileError
from engine.shared import FrameSlots, Packer, shown_tensor
from engine.spec import RecipeError
from engine.subject import SubjectError
from engine.timeline import RunError
from engine.trainer import State
from engine.travel import Travel

log = logging.getLogger("nablascope.engine")

SLICE = 0.002  # seconds of stepping between two looks at the inbox
SAVE_EVERY = 2.0  # seconds between two states sent while playing
BUILD_WITHIN = 60.0  # seconds that loading the data and drawing the weights may take
QUIT_WITHIN = 0.2  # seconds that a download may take to stop at the end
IDLE_WAIT = 0.2  # seconds the main loop sleeps at most, so that its beat goes on
TELL_EVERY = 0.5  # seconds between two accounts of the timeline while playing
BACK_WITHIN = 600  # frames that playing backwards through a whole run takes at full speed


def line_of_own_code() -> str:
    """The line of a user's file that the main thread is in, such as "homework.py, line 12"; "" where it is in none."""
    trust = sys.modules.get("engine.owncode.trust")  # not loaded where there is no own code
    files = trust.allowed_files() if trust is not None else ()
    frame = sys._current_frames().get(threading.main_thread().ident or 0) if files else None
    while frame is not None:
        if frame.f_code.co_filename in files:
            return f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"
        frame = frame.f_back
    return ""


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
                self.send(protocol.Pong(self._beat(), line_of_own_code()))
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

    def next_is(self, kind: type[protocol.Command]) -> bool:
        """Whether the oldest command not taken yet is of a kind."""
        return bool(self._commands) and isinstance(self._commands[0], kind)

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
        self._packer.beliefs.pulse = self._pulse
        self._run: Run | None = None
        self._watch: tuple[WatchItem, ...] = ()
        self._pacing = Pacing()
        self._changed = False  # there is something to show that was not sent
        self._unsaved = False
        self._saved_at, self._save_cost = 0.0, 0.0
        self._playing = False
        self._rate: float | None = None
        self._due = 0.0
        self._goal: int | None = None  # the step at which playing ends by itself
        self._back = False  # playing backwards
        self._for_picture = True  # the last step went back to the data itself
        self._budget = DEFAULT_BUDGET
        self._most_threads: int | None = None
        self._told_at = 0.0
        self._runs = KeptRuns()
        self._travel = Travel(self._send, self._runs)
        self._exports = Exports(self._send)
        self._minus: dict[str, Array] | None = None  # what the last frame took off tensors, if it is of this position
        self._checks = Checks(self._send, self._be_busy)
        self._fetch: BackgroundFetch | None = None  # the download that `_waiting` waits for
        self._waiting: protocol.Use | protocol.OpenSession | None = None
        self._saver = Saver(self._send)
        self._quit = False

    def serve(self) -> None:
        """The main loop, until Quit."""
        self._send(protocol.Ready())
        while not self._quit:
            self._beat += 1
            while (command := self._inbox.take()) is not None:
                self._obey(command)
            if self._fetch is not None:
                self._guarded(self._look_at_fetch)
            if self._run is None:
                self._inbox.wait(IDLE_WAIT)
                continue
            if self._playing:
                self._guarded(self._play_slice)
            if self._changed:
                self._send_if_due()  # before a slice of a check, which may take a while
            if self._checks.at_work:
                self._guarded(self._check_slice)
            elif not self._playing and not self._quit:
                self._rest()
        self._saver.close(now=True)

    def _obey(self, command: protocol.Command) -> None:
        """Carry one command out; whatever goes wrong in it becomes one sentence."""
        others = self._on_exported if isinstance(command, protocol.Exported) else self._on_travel
        handler: Callable[[Any], None] = getattr(self, "_on_" + type(command).__name__.lower(), others)
        if self._run is None and not isinstance(
            command,
            protocol.Use
            | protocol.CancelFetch
            | protocol.OpenSession
            | protocol.Trust
            | protocol.Quit
            | protocol.Watch
            | protocol.CheckLive
            | protocol.SetBudget
            | protocol.SetThreads
            | protocol.Taken,
        ):
            return
        self._guarded(lambda: handler(command))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except RecipeError as error:
            self._send(refusal(error))
        except RunError as error:
            self._fail(str(error))
        except SubjectError as error:
            self._fail(f"own layer: {error}")
        except MemoryError:
            self._fail("there is not enough memory for this network; make it or the mini-batch smaller")
        except Exception as error:
            log.exception("a command failed")
            self._fail(f"the engine stopped at an error ({type(error).__name__}: {error}); restart the run")

    def _be_busy(self, seconds: float) -> None:
        """Tell that the main loop will be still for a while."""
        self._send(protocol.Busy(seconds, self._beat))

    def _fail(self, sentence: str) -> None:
        self._checks.fail()
        self._set_playing(False)
        self._send(protocol.Failed(sentence))

    # --- commands -----------------------------------------------------------------------------

    def _on_quit(self, _: protocol.Quit) -> None:
        if self._fetch is not None:
            self._fetch.cancel(wait=QUIT_WITHIN)
        self._quit = True

    def _on_use(self, command: protocol.Use) -> None:
        try:
            recipe = validated(command.recipe)
        except RecipeError:
            self._drop_fetch()  # the app goes back behind the recipe that waits
            raise
        if self._may_adopt(command) and self._run is not None and self._run.adopt(recipe):
            self._drop_fetch()
            self._send(describe_live(self._run))
            self._travel.tell()  # in the past it made a fork
        elif self._fetch is not None and self._fetch.data == recipe.data:
            self._waiting = command  # something else of the recipe changed: the download goes on
        else:
            self._drop_fetch()
            if recipe.data.must_fetch():
                self._fetch, self._waiting = BackgroundFetch(recipe.data), command
            else:
                self._build(recipe, command)

    def _may_adopt(self, command: protocol.Use) -> bool:
        """Whether the present run is the one that is to go on, should the recipe allow it."""
        run = self._run
        if run is None or command.state is not None or (command.fresh and run.kept):
            return False
        wanted = self._runs.by_number.get(-1 if command.run is None else command.run, run)
        return wanted is run or not only_live_fields_differ(wanted.trainer.recipe, command.recipe)

    def _build(self, recipe: Recipe, command: protocol.Use) -> None:
        """A new run in place of the one before, which stays where this cannot be built; or one that was left."""
        self._be_busy(BUILD_WITHIN)
        state = command.state
        left = None if state is not None else self._runs.of(recipe, command.run, drawn=command.fresh)
        if left is not None:
            left.adopt(recipe)
            self._open(left)
            return
        try:
            run = self._make_run(recipe, state, None if command.fresh or state is not None else self._run)
        except MemoryError:
            raise RecipeError(
                "there is not enough memory for this network; make it, its data or the mini-batch smaller"
            ) from None
        self._open(run)

    def _make_run(self, recipe: Recipe, state: State | None = None, after: Run | None = None) -> Run:
        """A run with everything recorded."""
        run = Run(
            recipe,
            state,
            budget=self._budget,
            health=True,
            name=self._runs.next_name(),
            most_threads=self._most_threads,
            after=after,
        )
        self._hear(run)
        return run

    def _hear(self, run: Run) -> None:
        """Have a run call while it computes."""
        run.recorder.pulse = self._pulse
        run.recorder.amid_validation = self._amid_validation

    def _pulse(self) -> None:
        self._beat += 1

    def _amid_validation(self) -> None:
        """The picture of the step just made need not wait for the end of a long validation; its row does.

        Not where the run may stand still after it: then all is told together.
        """
        self._beat += 1
        if self._hurried and self._left_to_go() > 0 and self._run is not None and not self._run.breakpoints:
            self._send_if_due()

    def _open(self, run: Run) -> None:
        """Go on with another run."""
        self._checks.drop()
        self._set_playing(False)
        self._run, self._minus = run, None
        self._checks.forget()
        self._packer.forget_tensors()
        run.trainer.needs_input_gradient = run.trainer.keeps_before = True
        new = run not in self._runs
        self._runs.add(run, self._budget)
        if new:
            self._packer.sent[self._travel.number(run.path)] = len(run.history)
        self._unsaved = True
        numbers = {"run": self._runs.number(run), "fork": self._travel.number(run.path)}
        self._send(msgspec.structs.replace(describe(run), **numbers))
        self._travel.open(run)
        self._changed = True

    def _on_trust(self, command: protocol.Trust) -> None:
        from engine.owncode import fences, trust  # only where there is code of the user's own

        fences.put_up()
        for path, state in command.files.items():
            trust.allow(Path(path), state)

    def _on_reload(self, _: protocol.Reload) -> None:
        assert self._run is not None
        old = self._run.trainer
        self._be_busy(BUILD_WITHIN)
        run = self._make_run(old.recipe)
        if run.trainer.network.same_tensors(old.network):
            run = self._make_run(old.recipe, old.state())
        self._runs.drop(self._run)  # of code that is no more
        self._open(run)

    def _on_step(self, command: protocol.Step) -> None:
        self._stand_still()
        if command.what == "batch" and not command.back:
            self._remember()
        try:
            self._travel.step(command)
        finally:
            self._arrived(checked=not command.back)

    def _on_travel(self, command: protocol.Travelled) -> None:
        """A command that moves the run in time, or changes its past."""
        if isinstance(command, protocol.Seek) and self._inbox.next_is(protocol.Seek):
            return  # the slider has moved on
        self._stand_still()
        try:
            self._travel.obey(command)
        finally:
            self._arrived(checked=False)

    def _on_exported(self, command: protocol.Exported) -> None:
        """Files written, or read, by what the run holds."""
        run = self._run
        assert run is not None
        self._be_busy(BUILD_WITHIN)
        if isinstance(command, protocol.SaveTensor):
            self._exports.save_tensor(command, self._shown(command.address, again=True))
        elif isinstance(command, protocol.SaveWeights | protocol.SaveCurves):  # a run that plays need not stop
            self._exports.obey(command, run)
        else:
            self._stand_still()
            try:
                self._exports.obey(command, run)
            finally:
                self._arrived(checked=False)

    def _remember(self) -> None:
        """Keep what the next mini-batch will change, where its change is watched."""
        self._travel.remember(item.address for item in self._watch)

    def _stand_still(self) -> None:
        assert self._run is not None
        self._travel.forget()
        self._checks.drop()
        self._set_playing(False)
        self._run.trainer.needs_input_gradient = self._run.trainer.keeps_before = True

    def _arrived(self, checked: bool) -> None:
        """The run is somewhere else, or has another past."""
        assert self._run is not None
        if checked and self._run.trainer.phase == Phase("update"):
            self._checks.after_step(self._run.trainer, by_hand=True)
        self._travel.tell_hit()
        self._travel.tell()
        self._moved()

    def _on_setbudget(self, command: protocol.SetBudget) -> None:
        self._budget = command.budget
        if self._run is not None:
            self._travel.obey(command)
            self._travel.tell()

    def _on_setthreads(self, command: protocol.SetThreads) -> None:
        """With other threads sums are rounded otherwise: the run keeps its own, and a new one goes on from here."""
        self._most_threads = command.most
        old = self._run
        if old is None or old.trainer.threads_within(command.most) == old.trainer.threads:
            return
        self._be_busy(BUILD_WITHIN)
        begun = old.trainer.step_count > 0
        run = self._make_run(old.trainer.recipe, old.trainer.state() if begun else None)
        if not begun:
            self._runs.drop(old)  # nothing is lost
        self._open(run)

    def _on_askterms(self, command: protocol.AskTerms) -> None:
        self._travel.terms(command)

    def _on_play(self, command: protocol.Play) -> None:
        assert self._run is not None
        self._checks.drop()
        self._rate, self._due, self._back = command.rate, 0.0, command.back
        self._goal = None if command.steps is None else self._run.recorder.whole_steps + command.steps
        self._set_playing(True)

    def _on_pause(self, _: protocol.Pause) -> None:
        assert self._run is not None
        if self._hurried:
            self._goal = self._run.recorder.whole_steps + 1  # one more, so that the picture one looks at now is whole
            self._step_once(True)
        self._set_playing(False)
        self._travel.tell()

    def _on_restart(self, _: protocol.Restart) -> None:
        assert self._run is not None
        self._checks.drop()
        self._set_playing(False)
        self._travel.forget()
        self._run.restart()
        self._checks.forget_live()
        self._arrived(checked=False)

    def _on_watch(self, command: protocol.Watch) -> None:
        self._watch, self._minus = command.items, None
        self._changed = self._run is not None

    def _on_taken(self, command: protocol.Taken) -> None:
        self._pacing.taken(command.rest)

    def _on_askcell(self, command: protocol.AskCell) -> None:
        assert self._run is not None
        array, index = self._shown(command.address, again=not self._playing), command.index
        if (
            array is None
            or len(index) != array.ndim
            or not all(0 <= i < n for i, n in zip(index, array.shape, strict=True))
        ):
            return
        matrix, row = as_matrix(array), index[0]
        column = int(np.ravel_multi_index(index[1:], array.shape[1:])) if len(index) > 1 else 0
        sums = float(matrix[row].sum(dtype=np.float64)), float(matrix[:, column].sum(dtype=np.float64))
        self._send(protocol.Cell(command.address, index, float(array[index]), *sums))

    def _on_askwhole(self, command: protocol.AskWhole) -> None:
        assert self._run is not None
        array = self._shown(command.address, again=True)
        if array is not None:
            step = self._run.recorder.here.step
            data = np.ascontiguousarray(array).tobytes()
            self._send(protocol.Whole(command.address, array.shape, array.dtype.name, data, step))

    def _shown(self, address: str, *, again: bool) -> Array | None:
        """A tensor as frames show it, less what is taken off it; `again`: even if a step must be computed again."""
        assert self._run is not None
        minus = self._minus if self._minus is not None else self._taken_off((address,), again=again)[0]
        return shown_tensor(self._run, self._checks.report, WatchItem(address), minus)

    def _on_check(self, command: protocol.Check) -> None:
        assert self._run is not None
        self._set_playing(False)
        self._checks.start(self._run.trainer, command)

    def _on_askentry(self, command: protocol.AskEntry) -> None:
        self._checks.tell_entry(command.address, command.index)

    def _on_asksweep(self, command: protocol.AskSweep) -> None:
        self._checks.start_sweep(command.address)

    def _on_checklive(self, command: protocol.CheckLive) -> None:
        self._checks.set_live(command.every)

    def _on_cancelcheck(self, _: protocol.CancelCheck) -> None:
        self._checks.drop()

    # --- session files ------------------------------------------------------------------------

    def _on_savesession(self, command: protocol.SaveSession) -> None:
        assert self._run is not None
        self._saver.save(self._run, command)

    def _on_opensession(self, command: protocol.OpenSession) -> None:
        self._be_busy(BUILD_WITHIN)
        try:
            with Archive(Path(command.path)) as archive:
                self._open_session(command, archive)
        except (SessionFileError, RecipeError, RunError) as error:
            self._send(protocol.NotOpened(command.path, str(error)))

    def _open_session(self, command: protocol.OpenSession, archive: Archive) -> None:
        """Build all before anything of the present run is touched."""
        self._drop_fetch()
        files = unallowed(archive.recipe)
        if files:
            self._send(protocol.SessionAsks(command.path, files))
            return
        if archive.recipe.data.must_fetch():
            self._fetch, self._waiting = BackgroundFetch(archive.recipe.data), command
            return
        run = restore(archive, self._budget, self._most_threads)
        self._hear(run)
        said = notice(archive, run)
        self._send(protocol.SessionOpened(command.path, archive.manifest.view, run.trainer.recipe, said))
        self._runs.clear()
        self._travel.number_anew()
        self._packer.sent.clear()
        for fork in run.forks.values():
            number = self._travel.number(fork)
            parent = -1 if fork.past is None else self._travel.number(fork.past)
            send_rows(self._send, number, parent, fork.history, fork.history.columns)
            self._packer.sent[number] = len(fork.history)
        self._travel.take_breaks(run)
        self._open(run)

    # --- downloads ----------------------------------------------------------------------------

    def _on_cancelfetch(self, _: protocol.CancelFetch) -> None:
        self._drop_fetch(cancelled=True)

    def _look_at_fetch(self) -> None:
        """Tell how far the download is; once all has come, build the recipe that waits for it."""
        assert self._fetch is not None
        assert self._waiting is not None
        news, running = self._fetch.news(), self._fetch.running
        if news is not None:
            self._send(protocol.Fetching(*news))
        if running:
            return
        fetch, command = self._fetch, self._waiting
        self._drop_fetch()
        fetch.finish()
        if isinstance(command, protocol.OpenSession):
            self._on_opensession(command)
            return
        self._build(validated(command.recipe), command)

    def _drop_fetch(self, *, cancelled: bool = False) -> None:
        """Give a running download up."""
        if self._fetch is not None:
            self._fetch.cancel()
            self._fetch = self._waiting = None
            self._send(protocol.FetchEnded(cancelled))

    # --- stepping -----------------------------------------------------------------------------

    def _set_playing(self, playing: bool) -> None:
        if playing != self._playing:
            self._playing = playing
            self._changed = self._unsaved = True
            self._send(protocol.Playing(playing))

    def _step_once(self, for_picture: bool) -> None:
        """The rest of the mini-batch; `for_picture`: back to the data itself, which only the screen wants."""
        assert self._run is not None
        self._for_picture = for_picture
        if for_picture:
            self._remember()
        self._run.trainer.needs_input_gradient = for_picture
        self._run.trainer.keeps_before = not self._hurried or self._left_to_go() <= 1  # else nobody has time to ask
        self._run.compute()
        if self._travel.tell_hit():
            self._set_playing(False)

    def _step_and_check(self, for_picture: bool) -> None:
        """One mini-batch, and the live check where it is due."""
        assert self._run is not None
        self._step_once(for_picture)
        if self._run.hit is None:
            self._checks.after_step(self._run.trainer, by_hand=False)

    def _play_back(self) -> None:
        """One picture further back."""
        assert self._run is not None
        if self._rate is None and not self._pacing.is_wanted():
            self._inbox.wait(SLICE)
            return
        run, first = self._run, self._run.path.first_step
        stride = 1 if self._rate is not None else 1 + len(run.history) // BACK_WITHIN
        self._for_picture = run.trainer.needs_input_gradient = run.trainer.keeps_before = True
        run.seek(max(run.position.step - stride, first))
        if run.position.step <= first:
            self._set_playing(False)
        self._moved()

    def _play_slice(self) -> None:
        """Step for a moment; the step whose picture is about to be sent goes back to the data itself."""
        if self._rate is not None:
            wait = self._due - time.perf_counter()
            if wait > 0:
                self._wait(min(wait, IDLE_WAIT))
                return
            self._due = max(self._due, time.perf_counter() - 0.1) + 1.0 / self._rate
        if self._back:
            self._play_back()
            return
        now = time.perf_counter()
        if self._rate is not None or self._left_to_go() <= 1 or self._pacing.may_begin(SLICE):
            self._step_and_check(True)
            self._pacing.step_cost = time.perf_counter() - now
        else:
            while self._playing and not self._inbox and time.perf_counter() < now + SLICE and self._left_to_go() > 1:
                self._step_and_check(self._ends_epoch())  # of which there may be a picture amid the validation
        self._moved()
        if time.perf_counter() - self._told_at > TELL_EVERY:
            self._travel.tell()
            self._told_at = time.perf_counter()
        if self._left_to_go() <= 0:
            self._set_playing(False)
        if time.perf_counter() - self._saved_at > max(SAVE_EVERY, 100 * self._save_cost):
            self._save()

    def _ends_epoch(self) -> bool:
        """Whether the mini-batch that comes is the last of its epoch."""
        assert self._run is not None
        return (self._run.recorder.whole_steps + 1) % self._run.trainer.batches == 0

    def _left_to_go(self) -> float:
        """How many steps are left until playing ends by itself."""
        assert self._run is not None
        return math.inf if self._goal is None else self._goal - self._run.recorder.whole_steps

    def _moved(self) -> None:
        self._minus = None
        self._changed = self._unsaved = True

    def _rest(self) -> None:
        """Nothing to do: save what is unsaved, then sleep until a command arrives."""
        if self._changed and self._pacing.is_wanted():
            return
        self._wait(0.1 if self._unsaved else IDLE_WAIT)
        if self._unsaved and not self._inbox:
            self._save()

    def _wait(self, seconds: float) -> None:
        """Sleep so long at most, until a command arrives or the app has room for what it has not been shown."""
        self._inbox.wait(min(seconds, max(self._pacing.room_in, 0.0)) if self._changed else seconds)

    def _save(self) -> None:
        """Send the state to go on from, should this process die."""
        assert self._run is not None
        start = time.perf_counter()
        self._send(protocol.Saved(self._run.trainer.state()))
        self._unsaved = False
        self._saved_at = time.perf_counter()
        self._save_cost = self._saved_at - start

    @property
    def _hurried(self) -> bool:
        """Whether it trains at full speed."""
        return self._playing and self._rate is None and not self._back

    def _send_if_due(self) -> None:
        """Send the picture of where we are, if the app is ready for it."""
        if self._inbox.next_is(protocol.Taken) and (taken := self._inbox.take()):
            self._obey(taken)
        due = self._pacing.is_wanted() and (not self._hurried or self._pacing.is_due())
        if due and (self._for_picture or not self._playing):
            self._send_frame()

    def _send_frame(self) -> None:
        assert self._run is not None
        start = time.perf_counter()
        run, travel = self._run, self._travel
        minus: dict[str, Array] = {}
        others = False
        try:
            minus, others = self._taken_off(tuple(item.address for item in self._watch), again=not self._playing)
        except RunError as error:
            self._fail(str(error))
        self._minus = minus
        report, live = self._checks.report, self._checks.take_live()
        event = self._packer.pack(
            run, report, self._watch, self._playing, live, travel.timelines, minus, hurried=self._hurried
        )
        self._changed = self._packer.is_behind(travel.timelines)
        compared = travel.number(travel.compared) if others and travel.compared is not None else -1
        self._send(msgspec.structs.replace(event, fork=travel.number(run.path), compared=compared))
        beliefs = self._packer.beliefs.spent  # which have their own share of the time
        self._pacing.sent(time.perf_counter() - start - beliefs)

    def _taken_off(self, addresses: tuple[str, ...], *, again: bool) -> tuple[dict[str, Array], bool]:
        """What is taken off tensors here: a fork's, or those of the step before; and whether there is a fork."""
        others = {} if self._playing else self._travel.others(addresses)
        return others | self._travel.befores(addresses, again=again), bool(others)

    # --- the gradient check -------------------------------------------------------------------

    def _check_slice(self) -> None:
        """A slice of the running check, or of the answer to a question about the last one."""
        if self._checks.work():
            self._changed = True


def crash_file(log_file: str | None) -> Path | None:
    """Where the last words of a crashed interpreter are written: beside the log."""
    return None if log_file is None else Path(log_file).with_suffix(".crash")


def main(connection: Connection, slots_name: str, log_file: str | None) -> None:
    """The engine process: attach to the frames' shared memory and serve until told to quit."""
    logging.basicConfig(filename=log_file, level=logging.WARNING)
    crashes = crash_file(log_file)
    if crashes is not None:
        faulthandler.enable(crashes.open("w"))  # stays open for as long as the process lives
    np.seterr(all="ignore")
    slots = FrameSlots(slots_name)
    try:
        Host(connection, slots).serve()
    finally:
        slots.close()
        gc.freeze()  # nobody waits for the garbage of a process that ends
