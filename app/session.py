"""Session: the state of the app. Every change goes through its methods; panels hear of it by its signals."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.consent import Consent
from app.edit_history import Edited, EditHistory
from app.link import EngineLink
from app.live_history import LiveHistory
from app.widgets.throttle import Throttle
from engine import protocol
from engine.conditions import AnyCondition, AtPhase
from engine.differences import Difference
from engine.frames import Frame, Phase, Position
from engine.gradcheck import Mode
from engine.keyframes import DEFAULT_BUDGET
from engine.layers.custom import own_files
from engine.protocol import Built, WatchItem
from engine.recipe import Recipe, only_live_fields_differ
from engine.run import Stride
from engine.session_file import View
from engine.shared import read_frame, read_history
from engine.spec import RecipeError
from engine.timeline import Timeline
from engine.trainer import State

FRAME_RATE = 60  # frames a second, at most
MANY_PARAMETERS = 200_000  # beyond it a check of every entry is not what one wants first
CANCELLED = "the download was cancelled; the run before goes on, and what has come is kept for the next time"
CANCELLED_AT_ONCE = "the download was cancelled; what has come is kept, and a restart goes on with it"
STOPPED = "the engine was stopped before the network you asked for stood; this is the last one that did"
DRAFT = "a draft: "  # so begins what is said of one
MOST_LOST = 3  # engines lost in a row before no more is asked of a new one


@dataclass(frozen=True)
class Selection:
    """What is looked at: a tensor by its address, and perhaps one of its entries."""

    address: str
    index: tuple[int, ...] | None = None


class Session(QObject):
    """The recipe and its history, the frame shown, what is selected, whether it plays.

    The only thing that panels and actions talk to, and the only thing that talks to the engine.
    """

    built = Signal(object)  # Built: a network stands; panels lay themselves out anew
    shown = Signal(object)  # Frame: the cursor moved; panels draw
    recipe_changed = Signal(object)  # Recipe: an edit was made, undone, or taken back
    selected = Signal(object)  # Selection
    hinted = Signal(object)  # tuple of Selection: cells to light for as long as something else is pointed at
    pointed_changed = Signal(object)  # the step pointed at in a plot or on the timeline, None for none
    sorting_changed = Signal(bool)  # whether samples are to stand sorted by class
    smoothing_changed = Signal(int)  # over how many steps curves are to be smoothed too, 0 for none
    loss_on_log_changed = Signal(bool)  # whether the loss is to be drawn on a log scale
    playing_changed = Signal(bool)
    said = Signal(str, bool)  # a sentence for the user, and whether something went wrong
    check_progressed = Signal(int, int)  # entries done, of how many
    checked = Signal(object)  # Checked
    cell_told = Signal(object)  # Cell
    whole_told = Signal(object)  # Whole: every entry of a tensor
    fits_partly = Signal(object)  # FitsPartly: some tensors of a file do not fit
    entry_told = Signal(object)  # Entry: what the last check made of it
    swept = Signal(object)  # Sweep: a tensor's error against h
    paths_changed = Signal(object)  # Paths: forks, changes, keyframes
    breaks_changed = Signal(object)  # tuple of BreakInfo
    stopped = Signal(object)  # Stopped: at a breakpoint
    terms_told = Signal(object)  # Terms: what an entry is made of
    tuned = Signal()  # budget, threads, frame rate or the pace of the live check were set
    adopted = Signal(object)  # Built: live fields changed; the same network, told anew
    file_saved = Signal(object)  # SessionSaved, or a sentence in it that says why not
    file_not_opened = Signal(object)  # NotOpened; the sentence was said
    file_opened = Signal(object)  # SessionOpened: what it holds of the app; a network is built next
    broken_changed = Signal(object)  # BrokenChain: the recipe edited now is a draft; None: it is whole
    fetching_changed = Signal(object)  # Fetching: how far the download is; None: nothing is being fetched

    def __init__(self, link: EngineLink, recipe: Recipe, consent: Consent | None = None) -> None:
        super().__init__()
        self._link = link
        self.consent = consent or Consent()
        self._edits = EditHistory(recipe)
        self._playing_back = False
        self.broken: protocol.BrokenChain | None = None  # why the engine does not train by the recipe edited now
        self._lost_in_a_row = 0  # engines that ended before a network stood
        self._state: State | None = None
        self._saves: list[protocol.SaveSession] = []  # that the engine has not answered yet
        self._watched: dict[object, tuple[WatchItem, ...]] = {}
        self._taken_at = self._wanted_from = 0.0
        self.network: Built | None = None
        self.frame: Frame | None = None
        self.histories: dict[int, Timeline] = {0: Timeline(["loss"])}  # the scalars of every fork by its number
        self.fork = 0  # the number of the path that the run is on
        self.paths: protocol.Paths | None = None
        self._runs: dict[int, Built] = {}  # what was told of each run by its number
        self._new_engine = True
        self._opened = ""  # what was said of a file whose run is still to be built
        self.breaks: tuple[protocol.BreakInfo, ...] = ()
        self.budget = DEFAULT_BUDGET  # bytes that the timeline may take
        self.most_threads: int | None = None  # that a large network may take; None: every core
        self.frame_rate = FRAME_RATE
        self.tip = Position(0, -1)  # the last position computed on the present path
        self.comparing: int | None = None  # the fork to compare with
        self.compared: int | None = None  # the one whose tensors were taken off those of the frame shown
        self.selection: Selection | None = None
        self.hints: tuple[Selection, ...] = ()
        self.by_class = False
        self.smoothing = 0
        self.loss_on_log = False
        self.pointed: int | None = None
        self.playing = False
        self.checking = False
        self.last_check: protocol.Checked | None = None
        self.check_mode: Mode = "full"
        self.difference: Difference = "central"
        self.live = LiveHistory()
        self.live_every: int | None = 0  # steps between two live checks; 0: as often as fits; None: no live check
        self._live_alarm: tuple[int | None, str] | None = None  # layer and tensor that the user was told of
        self.fetching: protocol.Fetching | None = None
        self.rate: float | None = None
        self._watch_soon = QTimer(self, singleShot=True, interval=0)
        self._watch_soon.timeout.connect(self._send_watch)
        link.received.connect(self._on_event)
        link.lost.connect(self._on_lost)

    # --- the recipe and its history -----------------------------------------------------------

    @property
    def recipe(self) -> Recipe:
        """The recipe as it is edited now."""
        return self._edits.present.recipe

    def use(self, recipe: Recipe, key: object = None, *, run: int | None = None, fresh: bool = False) -> None:
        """Go on with this recipe; edits in a row with the same `key` (a number being typed) are one for undo.

        Weights that fit go on, but `fresh`: all are drawn from the recipe. `run`: the number of a run to go back to.
        """
        network = self.network
        another = network is not None and ((fresh and network.kept) or run not in (None, network.run))
        if (recipe == self.recipe and not another) or not self._may_run(recipe):
            return
        self._edits.add(Edited(recipe, run, fresh), key)
        self._send_recipe()

    def can_undo(self) -> bool:
        """Whether there is an edit to take back."""
        return self._edits.beside(-1) is not None

    def can_redo(self) -> bool:
        """Whether there is an edit to make again."""
        return self._edits.beside(+1) is not None

    @property
    def undo_name(self) -> str:
        """The edit that undo takes back, such as "remove ReLU 2"; "" where there is none."""
        return self._edits.name_beside(-1)

    @property
    def redo_name(self) -> str:
        """The edit that redo makes again; "" where there is none."""
        return self._edits.name_beside(+1)

    def undo(self) -> None:
        """Take the last edit back."""
        self._move(-1)

    def redo(self) -> None:
        """Make the edit again that was taken back."""
        self._move(+1)

    def _move(self, by: int) -> None:
        to = self._edits.beside(by)
        if to is not None and self._may_run(to.recipe):
            self._edits.move(by)
            self._send_recipe()

    def _send_recipe(self) -> None:
        edited = self._edits.present
        self._link.send(protocol.Use(edited.recipe, run=edited.run, fresh=edited.fresh))
        self.recipe_changed.emit(self.recipe)

    def _may_run(self, recipe: Recipe) -> bool:
        """Whether the files whose code a recipe would run may run, which the engine is then told; else says why not.

        The user may be asked, and meanwhile all goes on: so this comes before any change.
        """
        files = own_files(recipe.layers)
        if not files:
            return True
        try:
            granted = self.consent.grant(files)
        except RecipeError as error:
            sentence = str(error)
        else:
            if granted is not None:
                self._link.send(protocol.Trust(granted))
                return True
            sentence = f"{files[0].name} was not allowed to run; the run before goes on"
        self.said.emit(sentence, True)
        self.recipe_changed.emit(self.recipe)  # what was edited in a form is taken back
        return False

    def reload_own_code(self) -> None:
        """A file with own code changed: once the user says yes to it again, go on with it where the run stands."""
        if self._may_run(self.recipe):
            self._link.send(protocol.Reload())

    # --- stepping -----------------------------------------------------------------------------

    def step(self, what: Stride, *, back: bool = False) -> None:
        """Compute the rest of, or the next: epoch, mini-batch, phase (an operation) or part; or go back to the last."""
        self._link.send(protocol.Step(what, back))

    def step_to_selected(self, *, back: bool = False) -> None:
        """Step to the next time that the phase which computes the selected tensor has been computed, or to the last."""
        phase = self._phase_of_selected()
        if phase is not None:
            self._link.send(protocol.StepTo(phase, back))

    def _phase_of_selected(self) -> Phase | None:
        """The phase that computes the selected tensor: of a parameter, the update. Says why where there is none."""
        network, selection = self.network, self.selection
        info = network.tensors.get(selection.address) if network is not None and selection is not None else None
        if network is None or info is None:
            self.said.emit("select a tensor first, such as a gradient", True)
            return None
        return network.phases[info.made_by]  # −1, which is always there, is the update

    def play(self, *, back: bool = False) -> None:
        """Step on and on, forwards or back."""
        self._playing_back = back
        self._link.send(protocol.Play(self.rate, back=back))

    def train(self, steps: int) -> None:
        """Step so many mini-batches at full speed, then pause."""
        self._link.send(protocol.Play(None, steps))

    def pause(self) -> None:
        """Stop after the mini-batch in work."""
        self._link.send(protocol.Pause())

    def toggle_play(self) -> None:
        """Play or pause."""
        if self.playing:
            self.pause()
        else:
            self.play()

    @property
    def hurried(self) -> bool:
        """Whether a run plays at full speed: then a frame need not be shown whole, the next one comes at once."""
        return self.playing and self.rate is None

    def set_rate(self, rate: float | None) -> None:
        """Mini-batches a second while playing; None: as fast as can be."""
        self.rate = rate
        if self.playing:
            self.play(back=self._playing_back)

    def restart(self) -> None:
        """Back to step 0 with the same first weights; where no network ever stood, another attempt to build it."""
        if self.network is None:
            self._send_recipe()
        else:
            self._link.send(protocol.Restart())

    def restart_with_new_weights(self) -> None:
        """Back to step 0 with weights drawn anew."""
        self.use(msgspec.structs.replace(self.recipe, weights_draw=self.recipe.weights_draw + 1))

    # --- time ---------------------------------------------------------------------------------

    @property
    def history(self) -> Timeline:
        """The scalars of every step of the path that the run is on."""
        return self.histories[self.fork]

    @property
    def cursor(self) -> int | None:
        """The step shown, where it lies in the past of the path; None at its end."""
        step = self.frame.step if self.frame is not None else 0
        return step if 0 < step < len(self.history) else None

    @property
    def path_names(self) -> tuple[tuple[int, str], ...]:
        """Number and name of every path, the present one first."""
        forks = self.paths.forks if self.paths is not None else ()
        return tuple((f.number, f.name) for f in sorted(forks, key=lambda f: f.number != self.fork))

    def other_paths(self, *, and_this: bool = False) -> list[tuple[int, str, Callable[[], int]]]:
        """Number, name and length of every path but the present one; where there are others, `and_this` one too."""
        names = self.path_names if and_this and len(self.path_names) > 1 else self.path_names[1:]
        known = [(number, name) for number, name in names if number in self.histories]
        return [(number, name, partial(self._length_of, number)) for number, name in known]

    def _length_of(self, fork: int) -> int:
        return len(self.histories.get(fork, ()))

    def seek(self, step: int, phase: int | None = None) -> None:
        """Show a mini-batch that has been computed before: whole, or up to the phase of this number."""
        self._link.send(protocol.Seek(step, phase))

    def edit(self, address: str, index: tuple[int, ...], value: float) -> None:
        """Type over a cell of a parameter, of the mini-batch's inputs or labels; in the past, on a fork."""
        self._link.send(protocol.EditCell(address, index, value))

    def make_fork(self, name: str | None = None) -> None:
        """Leave the path here."""
        self._link.send(protocol.MakeFork(name))

    def switch(self, fork: int, step: int | None = None) -> None:
        """Go on with another fork: at the present step, or at `step`. That of another run brings its recipe back."""
        info = next((f for f in self.paths.forks if f.number == fork), None) if self.paths is not None else None
        if info is not None and self.network is not None and info.run != self.network.run:
            self.use(self._runs[info.run].recipe, run=info.run)
        self._link.send(protocol.Switch(fork, step))

    def rename_fork(self, fork: int, name: str) -> None:
        """Give a fork another name."""
        self._link.send(protocol.RenameFork(fork, name))

    def drop_fork(self, fork: int) -> None:
        """Forget a fork."""
        self._link.send(protocol.DropFork(fork))

    def compare(self, fork: int | None) -> None:
        """Show how tensors differ from those of another fork at the same position; None: show them as they are."""
        self.comparing = fork
        self._link.send(protocol.Compare(fork))

    def set_budget(self, budget: int) -> None:
        """Bytes that the timeline may take."""
        self.budget = budget
        self._link.send(protocol.SetBudget(budget))
        self.tuned.emit()

    def set_most_threads(self, most: int | None) -> None:
        """Threads that a large network may take; None: every core. One that has others now goes on as a new run."""
        if most != self.most_threads:
            self.most_threads = most
            self._link.send(protocol.SetThreads(most))
            self.tuned.emit()

    def set_frame_rate(self, rate: int) -> None:
        """Frames a second that are drawn while training plays, at most."""
        if rate != self.frame_rate:
            self.frame_rate = rate
            self.tuned.emit()

    def add_break(self, condition: AnyCondition) -> None:
        """Stop where this comes true."""
        self._link.send(protocol.AddBreak(condition))

    def toggle_break_at_selected(self) -> None:
        """Set a breakpoint at the phase that computes the selected tensor, or take it away."""
        phase = self._phase_of_selected()
        if phase is None:
            return
        wanted = AtPhase(kind=phase.kind, layer=phase.layer, part=phase.part)
        there = next((i for i, info in enumerate(self.breaks) if info.condition == wanted), None)
        if there is None:
            self.add_break(wanted)
            self.said.emit(f"breakpoint set at {phase}", False)
        else:
            self.remove_break(there)
            self.said.emit(f"breakpoint at {phase} removed", False)

    def enable_break(self, number: int, enabled: bool) -> None:
        """Let a breakpoint stop, or not."""
        self._link.send(protocol.EnableBreak(number, enabled))

    def remove_break(self, number: int) -> None:
        """Take a breakpoint away."""
        self._link.send(protocol.RemoveBreak(number))

    def _on_paths(self, event: protocol.Paths) -> None:
        for fork in event.forks:
            if fork.number not in self.histories:
                past = self.histories.get(fork.parent) if fork.shared else None
                self.histories[fork.number] = Timeline(self._runs[fork.run].columns, past, fork.shared)
        for number in self.histories.keys() - {fork.number for fork in event.forks}:
            del self.histories[number]
        before, left = self.paths, self.fork
        self.paths, self.fork = event, event.current
        if left != self.fork:
            info = next(fork for fork in event.forks if fork.number == self.fork)
            self._forget_live(info.shared if info.parent == left else 0)
        self.paths_changed.emit(event)
        for sentence in (event.trouble, event.notice):
            if sentence and (before is None or sentence not in (before.trouble, before.notice)):
                self.said.emit(sentence, True)

    def _on_breaks(self, event: protocol.Breaks) -> None:
        self.breaks = event.items
        self.breaks_changed.emit(event.items)

    def _on_stopped(self, event: protocol.Stopped) -> None:
        """A breakpoint: look at the tensor that is the cause."""
        self.said.emit(event.sentence, False)
        if self.network is not None and event.tensor in self.network.tensors:
            self.select(event.tensor)
        self.stopped.emit(event)

    # --- looking ------------------------------------------------------------------------------

    def select(self, address: str, index: tuple[int, ...] | None = None) -> None:
        """Look at a tensor, and perhaps at one of its entries."""
        selection = Selection(address, index)
        if selection != self.selection:
            self.selection = selection
            self.selected.emit(selection)

    def sort_by_class(self, by_class: bool) -> None:
        """Show the samples of a mini-batch sorted by class, or as they were drawn."""
        self.by_class = by_class
        self.sorting_changed.emit(by_class)
        self.said.emit(
            "samples sorted by class" if by_class else "samples in the order in which they were drawn", False
        )

    def smooth(self, steps: int) -> None:
        """Lay the mean over so many steps over the curves of loss and accuracy; 0: none."""
        if steps != self.smoothing:
            self.smoothing = steps
            self.smoothing_changed.emit(steps)

    def set_loss_on_log(self, log: bool) -> None:
        """Draw the loss on a log scale, or from zero."""
        if log != self.loss_on_log:
            self.loss_on_log = log
            self.loss_on_log_changed.emit(log)

    def point(self, step: int | None) -> None:
        """Tell of this step in every plot, for as long as it is pointed at."""
        if step != self.pointed:
            self.pointed = step
            self.pointed_changed.emit(step)

    def hint(self, cells: tuple[Selection, ...]) -> None:
        """Light these cells, wherever their tensors are drawn; none: an empty tuple."""
        if cells != self.hints:
            self.hints = cells
            self.hinted.emit(cells)

    def watch(self, who: object, items: tuple[WatchItem, ...]) -> None:
        """Say which tensors `who` wants in frames; none: an empty tuple."""
        if self._watched.get(who, ()) != items:
            self._watched[who] = items
            self._watch_soon.start()

    def show_again(self) -> None:
        """Have the engine send the present position once more, after its answers to all that was asked before."""
        self._watch_soon.stop()
        self._send_watch()

    def ask_cell(self, address: str, index: tuple[int, ...]) -> None:
        """Ask for the exact value of one entry; `cell_told` brings it."""
        self._link.send(protocol.AskCell(address, index))

    def ask_whole(self, address: str) -> None:
        """Ask for every entry of a tensor as it is shown; `whole_told` brings it."""
        self._link.send(protocol.AskWhole(address))

    def exchange(self, command: protocol.Exported) -> None:
        """Have the engine write something to a file, or take weights from one; `said` tells how it went."""
        if self.network is None:
            self.said.emit("there is no network yet; build one first", True)
        else:
            self._link.send(command)

    def ask_terms(self, address: str, index: tuple[int, ...]) -> None:
        """Ask what one entry is made of, here; `terms_told` brings it."""
        self._link.send(protocol.AskTerms(address, index))

    def _on_terms(self, event: protocol.Terms) -> None:
        self.terms_told.emit(event)

    def _send_watch(self) -> None:
        """Everything anybody watches, each tensor once, as finely as anybody wants it."""
        merged: dict[str, WatchItem] = {}
        for items in self._watched.values():
            for item in items:
                other = merged.get(item.address, item)
                size = max(item.rows, other.rows), max(item.columns, other.columns)
                merged[item.address] = WatchItem(item.address, *size, item.may_wait and other.may_wait)
        self._link.send(protocol.Watch(tuple(merged.values())))

    # --- the gradient check -------------------------------------------------------------------

    def check(self, mode: Mode | None = None) -> None:
        """Check the gradients of the present mini-batch, as it is set or as `mode` says."""
        self.checking = True
        self._link.send(protocol.Check(mode or self.check_mode, self.difference))
        self.check_progressed.emit(0, 0)

    def cancel_check(self) -> None:
        """Give the running check up."""
        self._link.send(protocol.CancelCheck())

    def ask_entry(self, address: str, index: tuple[int, ...]) -> None:
        """Ask what the last check made of one entry; `entry_told` brings it."""
        self._link.send(protocol.AskEntry(address, index))

    def ask_sweep(self, address: str) -> None:
        """Ask how a tensor's error depends on h; `swept` brings it."""
        self._link.send(protocol.AskSweep(address))

    def set_live(self, every: int | None) -> None:
        """Check every n-th step while training, as often as fits (0), or never (None)."""
        if every != self.live_every:
            self.live_every = every
            self._link.send(protocol.CheckLive(every))
            self.tuned.emit()

    def _note_live(self, rows: tuple[protocol.LiveChecked, ...]) -> None:
        """Keep what the live check found, and tell of a failure once."""
        self.live.extend(rows)
        for row in rows:
            if row.verdict == "fail" and self._live_alarm != (row.layer, row.tensor):
                self._live_alarm = row.layer, row.tensor
                self.said.emit(row.sentence, True)
            elif row.verdict == "pass":
                self._live_alarm = None

    # --- session files ------------------------------------------------------------------------

    def save_file(self, path: str, *, layout: str = "", own_file: str = "", auto: bool = False) -> None:
        """Write the session into a file while all goes on; `file_saved` tells how it went.

        Between two engines it waits for the next one's network.
        """
        if self.network is None:
            nothing = f"cannot save {Path(path).name}, since no network stands yet; wait until one is built"
            self.file_saved.emit(protocol.SessionSaved(path, nothing, auto=auto))
            return
        view = View(self._edits.recipes, self._edits.cursor, layout, auto, own_file)
        self._saves.append(protocol.SaveSession(path, view, auto))
        if not self._new_engine:
            self._link.send(self._saves[-1])

    def open_file(self, path: str) -> None:
        """Go on with the session in a file, if it can be read; else all stays, and a sentence says why."""
        self._link.send(protocol.OpenSession(path))

    def _on_sessionsaved(self, event: protocol.SessionSaved) -> None:
        self._saves = [save for save in self._saves if (save.path, save.auto) != (event.path, event.auto)]
        self.file_saved.emit(event)

    def _on_sessionasks(self, event: protocol.SessionAsks) -> None:
        """Code of the user's own comes with it: once they say yes, it is opened."""
        try:
            granted = self.consent.grant(map(Path, event.files))
        except RecipeError as error:
            self._on_notopened(protocol.NotOpened(event.path, str(error)))
            return
        if granted is None:
            name = Path(event.files[0]).name
            sentence = f"cannot open {Path(event.path).name}, since {name} was not allowed to run"
            self._on_notopened(protocol.NotOpened(event.path, sentence))
            return
        self._link.send(protocol.Trust(granted))
        self.open_file(event.path)

    def _on_notopened(self, event: protocol.NotOpened) -> None:
        self.said.emit(event.sentence, True)
        self.file_not_opened.emit(event)

    def _on_sessionopened(self, event: protocol.SessionOpened) -> None:
        """All is that of the file from now on: its edits to undo, then its paths and its network."""
        self._forget_check()
        view = event.view
        known = view.cursor < len(view.recipes) and view.recipes[view.cursor] == event.recipe
        self._edits.open(*((view.recipes, view.cursor) if known else ((event.recipe,), 0)))
        self._state = None
        self._set_broken(None)
        self.comparing = None
        # until those of the file are told
        self.fork, self.paths, self.histories, self._runs = -1, None, {-1: Timeline(self.history.columns)}, {}
        self._forget_live(0)
        self.file_opened.emit(event)
        self.recipe_changed.emit(self.recipe)
        went_on = "went on with the session that was not closed" if view.auto else f"opened {Path(event.path).name}"
        self._opened = event.notice or went_on
        self.said.emit(self._opened, bool(event.notice))

    def _on_rows(self, event: protocol.Rows) -> None:
        history = self.histories.get(event.fork)
        if history is None:
            history = Timeline(event.columns, self.histories.get(event.parent), event.shared)
            self.histories[event.fork] = history
        history.extend(np.frombuffer(event.data).reshape(-1, len(event.columns)))

    # --- downloads ----------------------------------------------------------------------------

    def cancel_fetch(self) -> None:
        """Give the running download up, and go back to the recipe before; what has come of it is kept."""
        self._link.send(protocol.CancelFetch())

    def _on_fetching(self, event: protocol.Fetching | None) -> None:
        if event != self.fetching:
            self.fetching = event
            self.fetching_changed.emit(event)

    def _on_fetchended(self, event: protocol.FetchEnded) -> None:
        self._on_fetching(None)
        if event.cancelled:
            self._take_back(CANCELLED if self.network is not None else CANCELLED_AT_ONCE, wrong=False)

    # --- what the engine says -----------------------------------------------------------------

    @Slot(object)
    def _on_event(self, event: protocol.Event) -> None:
        handler = getattr(self, "_on_" + type(event).__name__.lower(), None)
        if handler is not None:
            handler(event)

    def _on_ready(self, _: protocol.Ready) -> None:
        """A new engine: tell it everything."""
        self._new_engine = True
        if self.most_threads is not None:
            self._link.send(protocol.SetThreads(self.most_threads))
        self._edits.forget_runs()
        if self._lost_in_a_row > 1:
            self._take_back("the engine ends whenever it builds this network; this is the last one that stood")
        wanted = self._lost_in_a_row <= MOST_LOST and self._link.first_recipe != self.recipe
        if wanted and self._may_run(self.recipe):  # a file may have changed while the engine was gone
            standing = self.network.recipe if self.network is not None and self.broken is not None else self.recipe
            self._link.send(protocol.Use(standing, self._state_to_go_on_from(standing)))
            if standing != self.recipe:  # a draft, which only asks where it breaks
                self._link.send(protocol.Use(self.recipe))
        self._send_watch()
        if self.live_every != 0:
            self._link.send(protocol.CheckLive(self.live_every))
        if self.budget != DEFAULT_BUDGET:
            self._link.send(protocol.SetBudget(self.budget))
        if self.breaks:
            self._link.send(protocol.KeepBreaks(self.breaks))

    def _state_to_go_on_from(self, recipe: Recipe) -> State | None:
        """The state last saved, unless the network was edited since."""
        state = self._state
        return state if state is not None and only_live_fields_differ(state.recipe, recipe) else None

    def _on_built(self, event: Built) -> None:
        self._lost_in_a_row = 0
        self.network = event
        self.frame = None
        self.last_check = None
        if event.step == 0:
            self._state = None  # what was saved belongs to the run before
        if self._new_engine:  # it knows of no path but this one, whose rows are still here
            history = Timeline(event.columns)
            if event.columns == self.history.columns:
                history.begin_as(self.history, event.step)
            self.histories, self.paths, self._runs = {event.fork: history}, None, {}
            for save in self._saves:  # asked for while none stood
                self._link.send(save)
        self._new_engine, self.compared = False, None
        opened, self._opened = self._opened, ""  # which says more of a run than how it began
        if event.kept is not None and event.kept[1] and event.run not in self._runs and not opened:
            self.said.emit(kept_sentence(*event.kept), False)
        self._runs[event.run] = event
        self.fork = event.fork
        self.histories.setdefault(event.fork, Timeline(event.columns))
        self._forget_live(event.step)
        self._accept(event.recipe, event.run)
        self.check_mode = proposed_mode(event, self.check_mode)
        if self.selection is None or self.selection.address not in event.tensors:
            first = next((a for a in event.tensors if a.endswith(".W")), "data.x")
            self.selection = Selection(first)
        elif self.selection.index is not None:
            self.selection = Selection(self.selection.address)
        self.built.emit(event)
        self.selected.emit(self.selection)

    def _on_adopted(self, event: protocol.Adopted) -> None:
        if self.network is not None:
            self._accept(event.recipe, self.network.run)
            live = {name: getattr(event, name) for name in event.__struct_fields__}
            self.network = msgspec.structs.replace(self.network, **live)
            self.adopted.emit(self.network)

    def _accept(self, recipe: Recipe, run: int) -> None:
        """The engine trains by this recipe, in the run of this number."""
        self._edits.accept(recipe, run)
        self._set_broken(None)

    def _set_broken(self, broken: protocol.BrokenChain | None) -> None:
        if broken is not None or self.broken is not None:
            self.broken = broken
            self.broken_changed.emit(broken)

    def _on_refused(self, event: protocol.Refused) -> None:
        """The edit cannot be; one whose layers do not follow each other stays as a draft."""
        if event.broken is None:
            self._take_back(event.sentence)
        elif event.broken.recipe == self.recipe:
            self._edits.keep_draft(event.broken)
            self._set_broken(event.broken)
            started = self.network is not None  # without a network, as from the shell, there is no card to look at
            self.said.emit(draft_sentence(event.sentence, event.broken) if started else event.sentence, True)

    def _take_back(self, sentence: str, *, wrong: bool = True) -> None:
        """Go back to the recipe that the engine last answered, a draft perhaps, and say why."""
        broken = self._edits.take_back()
        self.said.emit(sentence, wrong)
        self._set_broken(broken)
        self.recipe_changed.emit(self.recipe)

    def _on_failed(self, event: protocol.Failed) -> None:
        """Whatever was asked for last did not work out."""
        self._forget_check()
        self.said.emit(event.sentence, True)

    def _on_playing(self, event: protocol.Playing) -> None:
        self.playing = event.playing
        self.playing_changed.emit(event.playing)

    def _on_saved(self, event: protocol.Saved) -> None:
        self._state = event.state

    def _on_written(self, event: protocol.Written) -> None:
        self.said.emit(event.sentence, False)

    def _on_fitspartly(self, event: protocol.FitsPartly) -> None:
        self.fits_partly.emit(event)

    def _on_cell(self, event: protocol.Cell) -> None:
        self.cell_told.emit(event)

    def _on_whole(self, event: protocol.Whole) -> None:
        self.whole_told.emit(event)

    def _on_entry(self, event: protocol.Entry) -> None:
        self.entry_told.emit(event)

    def _on_sweep(self, event: protocol.Sweep) -> None:
        self.swept.emit(event)

    def _on_checkprogress(self, event: protocol.CheckProgress) -> None:
        self.check_progressed.emit(event.done, event.total)

    def _on_checked(self, event: protocol.Checked) -> None:
        self.checking = False
        if not event.cancelled:
            self.last_check = event
        self.checked.emit(event)

    def _on_frameready(self, event: protocol.FrameReady) -> None:
        """Move the cursor, then let the next frame come, `frame_rate` times a second at most."""
        assert self.network is not None
        history = self.histories.get(event.history_fork)
        if history is not None:
            history.skip_to(event.history_first)  # where a new engine goes on, numbers of earlier steps may be lost
            history.extend(read_history(self._link.slots, event, len(history.columns)))
        self.tip, self.compared = event.tip, event.compared if event.compared >= 0 else None
        if self.compared is None and not event.playing:
            self.comparing = None
        self._note_live(event.live)
        shown = self.frame.tensors if self.frame is not None else {}
        self.frame = read_frame(self._link.slots, event, self.network.phases, self.network.batches, shown)
        Throttle.begin_frame()
        self.shown.emit(self.frame)
        self._take()

    def _take(self) -> None:
        """Let the next frame come, `frame_rate` times a second at most; it is made while this one is painted."""
        now = time.perf_counter()
        Throttle.pace(now - self._taken_at if self.playing else 0.0)
        self._taken_at = now
        self._wanted_from = max(now, self._wanted_from + 1 / self.frame_rate if self.playing else 0.0)
        self._link.send(protocol.Taken(self._wanted_from - now))

    def _forget_live(self, step: int) -> None:
        """The run stands at an earlier step again, or is another one."""
        self.live.truncate(step)
        self._live_alarm = None

    def _forget_check(self) -> None:
        """The running check, if there is one, will not end."""
        if self.checking:
            self._on_checked(protocol.Checked("", 0, (), (), "cancelled", cancelled=True))

    def _on_lost(self, sentence: str, by_hand: bool) -> None:
        self._forget_check()
        self._new_engine = True
        self._lost_in_a_row += not by_hand
        self._on_playing(protocol.Playing(False))
        for save in tuple(self._saves):
            name = Path(save.path).name
            lost = f"could not save {name}, since the engine ended; what was there before is unchanged: save again"
            self._on_sessionsaved(protocol.SessionSaved(save.path, lost, auto=save.auto))
        if self.fetching is not None:  # the new engine goes on with what the old one trained, not with its download
            self._on_fetching(None)
            self._take_back(sentence)
        elif by_hand and not self._edits.answered:
            self._take_back(STOPPED)
        else:
            self.said.emit(sentence, True)


def proposed_mode(network: Built, mode: Mode) -> Mode:
    """How to check a network: a sample where every entry would take long."""
    count = sum(layer.parameter_count for layer in network.layers)
    return "sampled" if mode == "full" and count > MANY_PARAMETERS else mode


def kept_sentence(kept: int, of: int) -> str:
    """What is said where a changed network goes on with weights of the one before."""
    return f"kept {kept} of {of} layers; Restart with new weights draws them all anew"


def draft_sentence(sentence: str, broken: protocol.BrokenChain) -> str:
    """The engine's sentence on a draft for the line at the bottom: the layer as its card names it, where the cures are.

    Cures that are not on the card stay in the sentence.
    """
    what, _, cure = broken.sentence.partition("; ")
    layer = f"{broken.at} {broken.recipe.layers[broken.at].label()} " if sentence.startswith("layers[") else ""
    return f"{DRAFT}{layer}{what}" + (f"; {cure}" if cure and not broken.cures else "")
