"""The gradient check panel: starts checks, shows what they found tensor by tensor, and how the live check goes."""

from __future__ import annotations

from math import prod
from typing import ClassVar, Literal

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from app.panel import Panel
from app.planting import hidden_bug
from app.session import MANY_PARAMETERS, Session
from app.widgets.check_controls import MODES, CheckControls
from app.widgets.check_pictures import NAMES
from app.widgets.check_results import CheckResults, text_label
from app.widgets.live_bar import LiveBar
from app.widgets.numbers import count
from app.widgets.scrolling import scrolling
from app.widgets.throttle import Throttle
from app.widgets.verdict_table import WORST_FIRST
from engine.frames import Frame, Picture, Position
from engine.protocol import Built, Checked, Entry, Sweep, WatchItem

FINEST = 96  # cells each way of a picture
MOST_PAIRS = 4096  # dots of the scatter
INVITATION = (
    "Is backpropagation right? A check holds every gradient of this mini-batch "
    "against one measured from the loss alone."
)


class GradientCheckPanel(Panel):
    """Driven by the session alone; the engine computes."""

    title: ClassVar[str] = "Gradient check"
    hint: ClassVar[str] = (
        "Holds the gradients that backward computes against slopes measured with forward alone, on a float64 copy. "
        "Choose a row to see both side by side, and why the verdict is what it is; click an entry for its numbers."
    )
    area: ClassVar[Literal["left", "centre", "right", "bottom"]] = "right"
    order: ClassVar[int] = 1

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._chosen = ""
        self._entry: tuple[int, ...] | None = None
        self._held: dict[str, Picture] = {}  # what the last check's frames brought of the chosen tensor
        self._asked = ""  # the tensor whose sweep was asked for
        self._position: Position | None = None  # at which the last check was made
        self._status = ""
        self.controls = CheckControls(self)
        self.live = LiveBar(self)
        self.results = CheckResults()
        self.views, self.table, self.entry = self.results.views, self.results.table, self.results.entry
        self.pictures = self.views.pictures
        self.invitation = text_label("muted", INVITATION, wrap=True)
        self.invitation.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.pages = QStackedWidget(self)
        self.pages.addWidget(self.invitation)
        self.pages.addWidget(self.results)
        column = QVBoxLayout(self)
        column.setContentsMargins(11, 2, 11, 8)
        column.setSpacing(6)
        column.addWidget(self.controls)
        column.addWidget(self.live)
        column.addWidget(scrolling(self.pages), 1)
        self._live_throttle = Throttle(self._show_live, self, 8.0)
        self._connect()
        self._show_settings()

    def _connect(self) -> None:
        session, controls = self.session, self.controls
        controls.started.connect(lambda: session.check())
        controls.cancelled.connect(session.cancel_check)
        controls.mode_chosen.connect(self._on_mode)
        controls.difference_chosen.connect(self._on_difference)
        self.live.rate_chosen.connect(self._on_live_rate)
        self.live.picked.connect(self._on_live_picked)
        self.table.chosen.connect(self._on_row)
        self.pictures.picked.connect(self._on_entry)
        self.views.changed.connect(self._on_view)
        self.views.dot_picked.connect(self._on_dot)
        self.entry.closed.connect(self._forget_entry)
        session.tuned.connect(self._show_settings)
        session.check_progressed.connect(self._on_progress)
        session.checked.connect(self._on_checked)
        session.entry_told.connect(self._on_entry_told)
        session.swept.connect(self._on_swept)

    # --- what is set --------------------------------------------------------------------------

    def _on_mode(self, mode: str) -> None:
        self.session.check_mode = mode  # type: ignore[assignment]
        self._show_settings()

    def _on_difference(self, difference: str) -> None:
        self.session.difference = difference  # type: ignore[assignment]
        self._show_settings()

    def _on_live_rate(self, every: int | None) -> None:
        self.session.set_live(every)

    def _show_settings(self) -> None:
        session, advice = self.session, ""
        parameters = sum(layer.parameter_count for layer in session.network.layers) if session.network else 0
        if parameters > MANY_PARAMETERS and session.check_mode == "sampled":
            advice = f"A sample of each tensor is proposed: every one of {count(parameters)} entries takes long"
        self.controls.show_choice(session.check_mode, session.difference, advice)
        self.live.show_rate(session.live_every)

    # --- the session --------------------------------------------------------------------------

    def wanted(self) -> tuple[WatchItem, ...]:
        """What the views shown want of the chosen tensor, and no frame of this check has brought yet."""
        if self.session.last_check is None or not self._chosen:
            return ()
        items = []
        if "pictures" in self.views.seen:
            items += [WatchItem(self._of(name), FINEST, FINEST) for name in NAMES]
        if "scatter" in self.views.seen:
            items.append(WatchItem(self._of("pairs"), MOST_PAIRS, 4))
        return tuple(item for item in items if item.address not in self._held)

    def _of(self, name: str) -> str:
        """The address of something the check knows of the chosen tensor."""
        place, _, role = self._chosen.partition(".")
        return f"{place}.{name}_{role}"

    def build(self, network: Built) -> None:
        """A new network was not checked yet."""
        self._show_settings()
        self._show_live()
        if self.session.last_check is None:
            self._chosen, self._asked = "", ""
            self._held.clear()
            self._forget_entry()
            self.pages.setCurrentWidget(self.invitation)
            self._say_status("")

    def draw(self, frame: Frame) -> None:
        """The pictures, once they have come; and whether they are still those of the mini-batch shown."""
        self._live_throttle.ask(at_once=not self.session.playing)
        check = self.session.last_check
        if check is None:
            return
        self._tell_about(check, frame)
        wanted = self.wanted()
        new = {item.address: frame.tensors[item.address] for item in wanted if item.address in frame.tensors}
        if new:
            self._held |= new
            self.rewatch()
        self._show_views()

    def _show_views(self) -> None:
        """What is held, in the views that are seen."""
        pictures = tuple(self._held[self._of(name)] for name in NAMES if self._of(name) in self._held)
        if len(pictures) == len(NAMES):
            self.pictures.show_pictures(pictures)
            self.pictures.mark(self._entry)
        pairs, scatter = self._held.get(self._of("pairs")), self.views.scatter
        if pairs is not None and scatter is not None:
            scatter.show_pairs(pairs.values, prod(self._shape()))

    def _shape(self) -> tuple[int, ...]:
        """The shape of the chosen tensor; a mini-batch may have been shorter than the recipe says."""
        held, network = self._held.get(self._of(NAMES[0])), self.session.network
        if held is not None or network is None:
            return held.shape if held is not None else ()
        return network.tensors[self._chosen].shape

    def rest(self) -> None:
        """What is not seen is not drawn."""
        self._live_throttle.stop()

    def _show_live(self) -> None:
        frame = self.session.frame
        self.live.show_history(self.session.live, frame.step if frame is not None else 0)

    def _on_progress(self, done: int, total: int) -> None:
        if self.session.checking:
            self.controls.show_progress(done, total)

    def _on_checked(self, check: Checked) -> None:
        self.controls.show_ready()
        if not check.cancelled:
            self._show_check(check)

    # --- what it found ------------------------------------------------------------------------

    def _show_check(self, check: Checked) -> None:
        frame = self.session.frame
        self._position = frame.position if frame is not None else None
        self.results.copy_note.setText(check.note)
        self.results.note.setToolTip(check.note)
        self._choose(self._worth_seeing(check))
        self._show_bugs()
        self.table.show_verdicts(check.tensors, self._chosen)
        self._tell_row()
        self.results.arrange()
        self.pages.setCurrentWidget(self.results)
        self._on_view()
        if frame is not None:
            self.draw(frame)

    def _show_bugs(self) -> None:
        """The bugs by name, unless they are for the class to find."""
        check = self.session.last_check
        if check is not None:
            named = check.bugs if hidden_bug(self.session.recipe) is None else ()
            self.views.show_bugs(named, check.contracts)

    def retell(self, network: Built) -> None:
        """A hidden bug may have been revealed."""
        self._show_bugs()
        self._on_view()

    def _choose(self, address: str) -> None:
        """Look at a tensor of the last check; nothing of it is known yet."""
        self._chosen, self._asked = address, ""
        self._held.clear()
        self._entry = None
        self.results.show_entry(False)
        self.pictures.clear()
        if self.views.scatter is not None:
            self.views.scatter.explain("")
        if self.views.sweep is not None:
            self.views.sweep.explain("…")

    def _worth_seeing(self, check: Checked) -> str:
        """The worst verdict's tensor; where all is well the one chosen before."""
        if not check.tensors:
            return ""
        worst = min(check.tensors, key=lambda row: WORST_FIRST.index(row.verdict))
        known = any(row.address == self._chosen for row in check.tensors)
        return self._chosen if worst.verdict == "pass" and known else worst.address

    def _on_row(self, address: str) -> None:
        """Another row was chosen: look at its gradient everywhere."""
        if address == self._chosen:
            return
        self._choose(address)
        self._tell_row()
        self._on_view()
        self.session.select(gradient_of(address))

    def _on_view(self) -> None:
        """Other views are seen, or another tensor: ask for what they need."""
        self.rewatch()
        self._show_views()
        if "sweep" in self.views.seen and self._chosen and self._asked != self._chosen:
            self._asked = self._chosen
            self.session.ask_sweep(self._chosen)

    def _on_swept(self, sweep: Sweep) -> None:
        if sweep.address == self._chosen and self.views.sweep is not None:
            self.views.sweep.show_sweep(sweep)

    # --- one entry ----------------------------------------------------------------------------

    def _on_entry(self, index: tuple[int, ...]) -> None:
        """An entry was clicked: ask for its numbers, and look at it everywhere."""
        self._entry = index
        self.entry.ask(self._chosen, index)
        self.results.show_entry(True)
        self.session.ask_entry(self._chosen, index)
        self.session.select(gradient_of(self._chosen), index)

    def _on_dot(self, flat: int) -> None:
        """A dot of the scatter was clicked."""
        self._on_entry(tuple(int(i) for i in np.unravel_index(flat, self._shape())))
        self.pictures.mark(self._entry)

    def _on_entry_told(self, entry: Entry) -> None:
        if (entry.address, entry.index) == (self._chosen, self._entry):
            self.entry.show_entry(entry)

    def _forget_entry(self) -> None:
        self._entry = None
        self.pictures.mark(None)
        self.results.show_entry(False)

    # --- live ---------------------------------------------------------------------------------

    def _on_live_picked(self, step: int) -> None:
        """A step of the strip was clicked: say what was wrong there, and look at it."""
        row = self.session.live.nearest_told(step)
        if row is None or row.step != step:
            return
        self.session.said.emit(row.sentence, row.verdict == "fail")
        if row.tensor:
            self.session.select(gradient_of(row.tensor))
        elif row.layer is not None:
            network = self.session.network
            last = len(network.layers) if network is not None else 0
            self.session.select("loss.grad_y" if row.layer >= last else f"{row.layer}.grad_x")

    # --- in words -----------------------------------------------------------------------------

    def _tell_row(self) -> None:
        row = self.table.current()
        self.results.note.setText(f"{row.address}: {row.note}" if row is not None and row.note else "")

    def _tell_about(self, check: Checked, frame: Frame) -> None:
        """When it was made, and whether the run has gone on since."""
        stale = self._is_stale(check, frame)
        how = (
            f"out of date: the run is at step {count(frame.step)}" if stale else MODES[check.mode][0]  # type: ignore[index]
        )
        text = f"step {count(check.step)} · {how}"
        if text != self.results.about.text():
            self.results.about.setText(text)
            self.results.about.setToolTip("Check again to see this mini-batch" if stale else "")
            self.results.about.setProperty("role", "" if stale else "muted")
            self.results.about.style().polish(self.results.about)
        when = "out of date" if stale else "" if check.contracts else f"step {count(check.step)}"  # as much as fits
        self._say_status(f"{summary(check)} · {when}".removesuffix(" · "))

    def _is_stale(self, check: Checked, frame: Frame) -> bool:
        """Whether parameters or mini-batch are others than those that were checked."""
        if self._position is None or frame.step != check.step:
            return True
        last = len(self.session.network.phases) - 1 if self.session.network is not None else -1
        return (frame.position.phase == last) != (self._position.phase == last)

    def _say_status(self, text: str) -> None:
        if text != self._status:
            self._status = text
            self.status_changed.emit(text)


def summary(check: Checked) -> str:
    """In few words: "all 7 pass", "2 of 7 fail", "1 contract broken"."""
    verdicts = [row.verdict for row in check.tensors]
    if check.contracts:
        return f"{len(check.contracts)} contract{'s' if len(check.contracts) > 1 else ''} broken"
    if "fail" in verdicts:
        return f"{verdicts.count('fail')} of {len(verdicts)} fail"
    passed = verdicts.count("pass")
    return f"all {passed} pass" if passed == len(verdicts) else f"{passed} of {len(verdicts)} pass"


def gradient_of(address: str) -> str:
    """Where the gradient stands that was checked for a tensor."""
    place, _, role = address.partition(".")
    return "0.grad_x" if place == "data" else f"{place}.grad_{role}"
