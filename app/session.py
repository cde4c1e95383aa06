"""Session: the state of the app. Every change goes through its methods; panels hear of it by its signals."""

from __future__ import annotations

import time
from dataclasses import dataclass

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.link import EngineLink
from engine import protocol
from engine.frames import Frame
from engine.protocol import Built, WatchItem
from engine.recipe import Recipe
from engine.shared import read_frame, read_history
from engine.timeline import Timeline
from engine.trainer import State

FRAME_TIME = 1 / 60  # seconds between two frames, at least
MOST_UNDO = 200
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
    playing_changed = Signal(bool)
    said = Signal(str, bool)  # a sentence for the user, and whether something went wrong
    check_progressed = Signal(int, int)  # entries done, of how many
    checked = Signal(object)  # Checked
    cell_told = Signal(object)  # Cell

    def __init__(self, link: EngineLink, recipe: Recipe) -> None:
        super().__init__()
        self._link = link
        self._recipes = [recipe]  # undo is a list of recipes with a cursor
        self._cursor = 0
        self._edit_key: object = None
        self._accepted = (recipe, 0)  # the recipe the engine trains by, and the cursor then
        self._lost_in_a_row = 0  # engines that ended before a network stood
        self._state: State | None = None
        self._watched: dict[object, tuple[WatchItem, ...]] = {}
        self._last_taken = 0.0
        self.network: Built | None = None
        self.frame: Frame | None = None
        self.history = Timeline(["loss"])
        self.selection: Selection | None = None
        self.playing = False
        self.checking = False
        self.last_check: protocol.Checked | None = None
        self.rate: float | None = None
        self._pace = QTimer(self, singleShot=True)
        self._pace.timeout.connect(self._take_next)
        self._watch_soon = QTimer(self, singleShot=True, interval=0)
        self._watch_soon.timeout.connect(self._send_watch)
        link.received.connect(self._on_event)
        link.lost.connect(self._on_lost)

    # --- the recipe and its history -----------------------------------------------------------

    @property
    def recipe(self) -> Recipe:
        """The recipe as it is edited now."""
        return self._recipes[self._cursor]

    def use(self, recipe: Recipe, key: object = None) -> None:
        """Go on with this recipe; edits in a row with the same `key` (a number being typed) are one for undo."""
        if recipe == self.recipe:
            return
        if key is None or key != self._edit_key or self._cursor == self._accepted[1] == 0:
            del self._recipes[self._cursor + 1 :]
            self._recipes.append(recipe)
            del self._recipes[:-MOST_UNDO]
            self._cursor = len(self._recipes) - 1
        else:
            self._recipes[self._cursor] = recipe
        self._edit_key = key
        self._send_recipe()

    def can_undo(self) -> bool:
        """Whether there is an edit to take back."""
        return self._cursor > 0

    def can_redo(self) -> bool:
        """Whether there is an edit to make again."""
        return self._cursor < len(self._recipes) - 1

    def undo(self) -> None:
        """Take the last edit back."""
        self._move_cursor(-1)

    def redo(self) -> None:
        """Make the edit again that was taken back."""
        self._move_cursor(+1)

    def _move_cursor(self, by: int) -> None:
        if 0 <= self._cursor + by < len(self._recipes):
            self._cursor += by
            self._edit_key = None
            self._send_recipe()

    def _send_recipe(self) -> None:
        self._link.send(protocol.Use(self.recipe))
        self.recipe_changed.emit(self.recipe)

    # --- stepping -----------------------------------------------------------------------------

    def step_batch(self) -> None:
        """Compute the next mini-batch, or the rest of the one that is begun."""
        self._link.send(protocol.Step("batch"))

    def step_phase(self) -> None:
        """Compute the next operation."""
        self._link.send(protocol.Step("phase"))

    def step_part(self) -> None:
        """Compute the next part of an operation."""
        self._link.send(protocol.Step("part"))

    def play(self) -> None:
        """Step on and on."""
        self._link.send(protocol.Play(self.rate))

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

    def set_rate(self, rate: float | None) -> None:
        """Mini-batches a second while playing; None: as fast as can be."""
        self.rate = rate
        if self.playing:
            self.play()

    def restart(self) -> None:
        """Back to step 0 with the same first weights."""
        self._link.send(protocol.Restart())

    def restart_with_new_weights(self) -> None:
        """Back to step 0 with weights drawn anew."""
        self.use(msgspec.structs.replace(self.recipe, weights_draw=self.recipe.weights_draw + 1))

    # --- looking ------------------------------------------------------------------------------

    def select(self, address: str, index: tuple[int, ...] | None = None) -> None:
        """Look at a tensor, and perhaps at one of its entries."""
        selection = Selection(address, index)
        if selection != self.selection:
            self.selection = selection
            self.selected.emit(selection)

    def watch(self, who: object, items: tuple[WatchItem, ...]) -> None:
        """Say which tensors `who` wants in frames; none: an empty tuple."""
        if self._watched.get(who, ()) != items:
            self._watched[who] = items
            self._watch_soon.start()

    def ask_cell(self, address: str, index: tuple[int, ...]) -> None:
        """Ask for the exact value of one entry; `cell_told` brings it."""
        self._link.send(protocol.AskCell(address, index))

    def _send_watch(self) -> None:
        """Everything anybody watches, each tensor once, as finely as anybody wants it."""
        merged: dict[str, WatchItem] = {}
        for items in self._watched.values():
            for item in items:
                other = merged.get(item.address, item)
                size = max(item.rows, other.rows), max(item.columns, other.columns)
                merged[item.address] = WatchItem(item.address, *size)
        self._link.send(protocol.Watch(tuple(merged.values())))

    # --- the gradient check -------------------------------------------------------------------

    def check(self, mode: str = "full") -> None:
        """Check the gradients of the present mini-batch."""
        self.checking = True
        self._link.send(protocol.Check(mode))  # type: ignore[arg-type]
        self.check_progressed.emit(0, 0)

    def cancel_check(self) -> None:
        """Give the running check up."""
        self._link.send(protocol.CancelCheck())

    # --- what the engine says -----------------------------------------------------------------

    @Slot(object)
    def _on_event(self, event: protocol.Event) -> None:
        handler = getattr(self, "_on_" + type(event).__name__.lower(), None)
        if handler is not None:
            handler(event)

    def _on_ready(self, _: protocol.Ready) -> None:
        """A new engine: tell it everything."""
        if self._lost_in_a_row > 1:
            self._take_back("the engine ends whenever it builds this network; this is the last one that stood")
        if self._lost_in_a_row <= MOST_LOST and self._link.first_recipe != self.recipe:
            self._link.send(protocol.Use(self.recipe, self._state))
        self._send_watch()

    def _on_built(self, event: Built) -> None:
        self._accepted = (event.recipe, self._cursor)
        self._lost_in_a_row = 0
        self.network = event
        self.frame = None
        self.last_check = None
        if event.columns != self.history.columns or event.step > len(self.history):
            self.history = Timeline(event.columns)
        self.history.truncate(event.step)
        if self.selection is None or self.selection.address not in event.tensors:
            first = next((a for a in event.tensors if a.endswith(".W")), "data.x")
            self.selection = Selection(first)
        elif self.selection.index is not None:
            self.selection = Selection(self.selection.address)
        self.built.emit(event)
        self.selected.emit(self.selection)

    def _on_adopted(self, event: protocol.Adopted) -> None:
        self._accepted = (event.recipe, self._cursor)
        if self.network is not None:
            self.network = msgspec.structs.replace(self.network, recipe=event.recipe)

    def _on_refused(self, event: protocol.Refused) -> None:
        """The edit cannot be."""
        self._take_back(event.sentence)

    def _take_back(self, sentence: str) -> None:
        """Go back to the recipe that the engine last accepted, and say why."""
        recipe, cursor = self._accepted
        self._recipes[cursor:] = [recipe]
        self._cursor = cursor
        self._edit_key = None
        self.said.emit(sentence, True)
        self.recipe_changed.emit(recipe)

    def _on_failed(self, event: protocol.Failed) -> None:
        """Whatever was asked for last did not work out."""
        self._forget_check()
        self.said.emit(event.sentence, True)

    def _on_playing(self, event: protocol.Playing) -> None:
        self.playing = event.playing
        self.playing_changed.emit(event.playing)

    def _on_saved(self, event: protocol.Saved) -> None:
        self._state = event.state

    def _on_cell(self, event: protocol.Cell) -> None:
        self.cell_told.emit(event)

    def _on_checkprogress(self, event: protocol.CheckProgress) -> None:
        self.check_progressed.emit(event.done, event.total)

    def _on_checked(self, event: protocol.Checked) -> None:
        self.checking = False
        if not event.cancelled:
            self.last_check = event
        self.checked.emit(event)

    def _on_frameready(self, event: protocol.FrameReady) -> None:
        """Move the cursor, then let the next frame come, 60 times a second at most."""
        assert self.network is not None
        if event.history_first <= len(self.history):
            self.history.truncate(event.history_first)
        else:  # a new engine goes on where the numbers of earlier steps were lost with the old one
            self.history.skip_to(event.history_first)
        self.history.extend(read_history(self._link.slots, event, len(self.history.columns)))
        self.frame = read_frame(self._link.slots, event, self.network.phases, self.network.batches)
        self.shown.emit(self.frame)
        now = time.perf_counter()
        wait = FRAME_TIME - (now - self._last_taken) if self.playing else 0.0
        self._pace.start(max(0, round(wait * 1000)))

    def _take_next(self) -> None:
        self._last_taken = time.perf_counter()
        self._link.send(protocol.Taken())

    def _forget_check(self) -> None:
        """The running check, if there is one, will not end."""
        if self.checking:
            self._on_checked(protocol.Checked("", 0, (), (), "cancelled", cancelled=True))

    def _on_lost(self, sentence: str) -> None:
        self._forget_check()
        self._lost_in_a_row += 1
        self._on_playing(protocol.Playing(False))
        self.said.emit(sentence, True)
