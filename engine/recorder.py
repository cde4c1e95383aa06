"""The recorder: advances a trainer, notes every step on its path through time, and replays any position bit for bit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np

from engine.edits import Undo, bytes_of_loaded
from engine.forks import Change, Fork
from engine.frames import Array, Phase, Position
from engine.health import Health
from engine.keyframes import Keyframe, Keyframes
from engine.layers.custom import Custom
from engine.timeline import Timeline
from engine.trainer import Trainer

START = Position(0, -1)
QUICK = 100_000_000  # multiply-adds of a mini-batch, which need no sign of life before its end


class Recorder:
    """A trainer on the paths of its run: `path` is the one it is on, `forks` are all of them by name.

    What training hangs on is in keyframes, changes and the recipe's seed alone; so any position is reached by going
    back to a keyframe and computing the same again.
    """

    def __init__(self, trainer: Trainer, budget: int, health: bool, name: str) -> None:
        self.trainer = trainer
        self.health = Health(trainer) if health else None
        extra = self.health.columns if self.health else []
        self.columns = [*trainer.columns, *extra, "validation_loss", "validation_accuracy"]
        self._row = np.full(len(self.columns) - 2, np.nan)
        self._measured = -1  # the step it is of, if that was reached without going back
        self.keyframes = Keyframes(trainer, budget)
        self._first = Keyframe(trainer, 0)  # the very weights the run began with
        self.forks: dict[str, Fork] = {}
        self._phases: Iterator[Phase] | None = None
        self._made = 0  # how many changes of the path have been made where we are
        self._undo: list[Undo] = []  # of the changes to the data among them
        self._last_phase = len(trainer.all_phases) - 1
        self.pulse: Callable[[], None] = _nothing  # is called at every phase computed: a sign of life
        self.amid_validation: Callable[[], None] = _nothing  # is called between its pieces; the step's row is not there
        work = trainer.network.multiply_adds * trainer.recipe.batch_size
        held = [inner for spec in trainer.recipe.layers for _, inner in spec.inside()]
        self._is_quick = work < QUICK and not any(isinstance(spec, Custom) for spec in held)
        self.begin(name, self._first)

    def begin(self, name: str, keyframe: Keyframe) -> None:
        """A path without a past, from a keyframe on."""
        start = Position(keyframe.step, self._last_phase if keyframe.step else -1)
        self.path = self.forks[name] = Fork(name, Timeline(self.columns), start)
        self.path.history.skip_to(keyframe.step)
        self.path.add(keyframe)
        self.keyframes.count += 1
        self.restore(keyframe)

    def take_over(self, first: Keyframe, forks: list[Fork], path: Fork) -> None:
        """The paths of a run of the same recipe in place of one's own; `first` is what that one began with."""
        self._first, self.path = first, path
        self.forks = {fork.name: fork for fork in forks}
        self.keyframes.count = sum(len(fork.keyframes) for fork in forks)

    # --- where we are -----------------------------------------------------------------------------

    @property
    def here(self) -> Position:
        """The trainer's position; after a whole step always that of its last phase."""
        position = self.trainer.position
        return Position(position.step, self._last_phase) if position.phase < 0 < position.step else position

    @property
    def whole_steps(self) -> int:
        """How many mini-batches are complete."""
        return self.trainer.step_count - (self._phases is not None)

    @property
    def tip(self) -> Position:
        """The last position computed on the path."""
        self.path.tip = max(self.path.tip, self.here)
        return self.path.tip

    @property
    def measured(self) -> Array | None:
        """The numbers of `columns`, but for the last two, of what stands now; None where that was not measured."""
        stands = self.trainer.position == (self._measured, self._last_phase)
        return self._row if stands else None

    @property
    def first(self) -> Keyframe:
        """The recipe and the very weights that the run began with."""
        return self._first

    @property
    def nbytes(self) -> int:
        """The memory of keyframes, scalars and weights out of files."""
        forks = self.forks.values()
        scalars = sum(fork.history.nbytes for fork in forks)
        return self.keyframes.nbytes + scalars + bytes_of_loaded(fork.changes for fork in forks)

    # --- forwards ---------------------------------------------------------------------------------

    def advance(self) -> Iterator[Phase]:
        """Compute the rest of the mini-batch that is begun, or else the whole next one, phase by phase."""
        if self._phases is None:
            self._phases = self.trainer.phases()
        try:
            for phase in self._phases:
                self.pulse()
                if phase.kind == "update":
                    self._phases = None
                    self._note()
                if self._made < len(self.path.changes):
                    self._catch_up()
                yield phase
        except Exception:  # of a layer of somebody's own: as if this mini-batch had never been begun
            self._phases = None
            self.trainer.abandon()
            raise

    def finish(self) -> None:
        """Compute the rest of the mini-batch that is begun, or else the whole next one; sooner than phase by phase."""
        if self._made < len(self.path.changes):
            for _ in self.advance():
                pass
            return
        phases = self._phases = self._phases or self.trainer.phases()
        try:
            if self._is_quick:
                deque(phases, maxlen=0)
            else:
                for _ in phases:
                    self.pulse()
            self.pulse()
            self._phases = None
            self._note()
        except Exception:  # of a layer of somebody's own, as above
            self._phases = None
            self.trainer.abandon()
            raise

    def _note(self) -> None:
        """Write the row of the step just completed; of one that is replayed, compare it."""
        trainer, path = self.trainer, self.path
        step = trainer.step_count
        if step > len(path.history):
            self._record(step)
        else:
            if self.health is not None:
                self.health.remember()
            if path.doubtful_from is None and not self._as_before(step):
                path.doubtful_from = path.owner(step).doubtful_from = step
        if self.keyframes.due() and path.doubtful_from is None:
            known = path.nearest(step)
            if known is None or known.step != step:
                self.keyframes.take(path, self.forks.values(), self._made)

    def _record(self, step: int) -> None:
        """Append the row of a new step; validate where it is due."""
        trainer, row = self.trainer, self._row
        count = len(trainer.record)
        row[:count] = trainer.record
        if self.health is not None:
            self.health.measure(row[count:])
        self._measured = step
        epoch_end, early = (
            step % trainer.batches == 0,
            step < trainer.batches and step & (step - 1) == 0,
        )  # 1, 2, 4, 8 …
        due = epoch_end or early
        validation = trainer.evaluate(between=self.amid_validation) if due else (np.nan, np.nan)
        self.path.history.append(row, *validation)

    def _as_before(self, step: int) -> bool:
        """Whether a replayed step gave the numbers that it gave at first."""
        record = self.trainer.record
        row = self.path.history.at(step)[: len(record)]
        if row.tobytes() != record.tobytes() and not np.array_equal(row, record, equal_nan=True):
            return False
        keyframe = self.path.nearest(step)
        return keyframe is None or keyframe.step != step or keyframe.agrees(self.trainer)

    # --- to any position --------------------------------------------------------------------------

    def go(self, target: Position, afresh: bool = False) -> None:
        """Be at a position of the path that has been computed before; `afresh`: not from where we are."""
        trainer, first = self.trainer, self.path.first_step
        _ = self.tip  # remember it before leaving
        keyframe = self.path.nearest(max(target.step - 2, first))  # one more step, whose gradient is the last one's
        assert keyframe is not None
        wanted = trainer.needs_input_gradient
        to_data = trainer.all_phases[target.phase] == Phase("backward", 0, "grad_x")
        if afresh or not self._leads_to(target, keyframe.step, to_data):
            self.restore(keyframe)
        try:
            with trainer.computing():
                trainer.needs_input_gradient = False
                while self.whole_steps < target.step - 1:
                    self.finish()
                trainer.needs_input_gradient = wanted or to_data
                while self.here < target:
                    next(self.advance())
        finally:
            trainer.needs_input_gradient = wanted

    def _leads_to(self, target: Position, keyframe: int, to_data: bool) -> bool:
        """Whether computing on from here reaches the target, with no more steps than from the keyframe."""
        here = self.here
        if here > target or self.whole_steps < keyframe:
            return False
        same = here.step == target.step
        if same and self.trainer.phase is None and here.step > 0:
            return False  # of that mini-batch only the parameters are here
        return not (same and to_data and here.phase >= 0 and not self.trainer.has_input_gradient)

    def restore(self, keyframe: Keyframe) -> None:
        """Stand where a keyframe of the path was taken."""
        self._phases, self._measured = None, -1
        for undo in reversed(self._undo):
            undo.array[undo.index] = undo.value
        self._undo.clear()
        keyframe.load(self.trainer)
        if self.health is not None:
            self.health.forget()
        for change in self.path.changes[: keyframe.changes]:
            if change.of_data:
                self._undo += change.apply(self.trainer)
        self._made = keyframe.changes
        self._catch_up()

    # --- changes and forks ------------------------------------------------------------------------

    def _catch_up(self) -> None:
        """Make the changes of the path that belong here."""
        changes, here = self.path.changes, self.here
        while self._made < len(changes) and changes[self._made].at <= here:
            self._undo += changes[self._made].apply(self.trainer)
            self._made += 1

    def change(self, change: Change, name: str) -> None:
        """Make a change here; where more has been computed already, on a fork called `name`."""
        if self.here < self.tip:
            self.fork(name)
        self.path.changes.append(change)
        self._catch_up()

    def fork(self, name: str) -> Fork:
        """Leave the path here."""
        _ = self.tip
        fork = self.path.leave(name, self.here, self.whole_steps, self._made)
        self.path = self.forks[name] = fork
        return fork

    def fork_at_start(self, name: str) -> None:
        """A path from the very weights the run began with, and none of the changes made since."""
        _ = self.tip
        root = list(self.path.line())[-1]
        if root.first_step:
            self.begin(name, self._first)
            return
        self.path = self.forks[name] = root.leave(name, START, 0, 0)
        self.restore(self._first)


def _nothing() -> None:
    """Nobody wants to know."""
