"""A run: a trainer on its timeline, stepped by the mini-batch, the phase or the part of one, forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import msgspec
import numpy as np

from engine.breakpoints import Breakpoints, Hit
from engine.conditions import LiveCheck
from engine.edits import Adopted, Loaded, edit_of
from engine.forks import Fork
from engine.frames import Array, Frame, Phase, Position
from engine.kept_weights import keep_weights, may_keep
from engine.keyframes import DEFAULT_BUDGET, Keyframe
from engine.recipe import Recipe, only_live_fields_differ
from engine.recorder import Recorder
from engine.repeatability import culprit
from engine.timeline import RunError, Timeline
from engine.trainer import State, Trainer

Stride = Literal["epoch", "batch", "phase", "part"]
MAIN = "main"  # the first path's name


class Run:
    """Drives a Trainer. Every way of stepping advances the same generator of phases, and stops at breakpoints.

    `name` is that of its first path; `hit` is the breakpoint that the last step stopped at; `trouble` a sentence once
    a replay came out otherwise than the first time. `live_check` is asked after each step where a breakpoint waits for
    it to fail. `after` is the run whose weights it begins with as far as they fit, where that has learned anything;
    `kept` then says how many layers have theirs from it, and of how many.

    Raises RecipeError where the recipe cannot be built, RunError where something asked of it cannot be done; then
    nothing has changed.
    """

    def __init__(
        self,
        recipe: Recipe,
        state: State | None = None,
        *,
        budget: int = DEFAULT_BUDGET,
        health: bool = False,
        name: str = MAIN,
        most_threads: int | None = None,
        after: Run | None = None,
    ) -> None:
        self.name = name
        self.trainer = Trainer(recipe, most_threads)
        self.kept = None if after is None else after.hand_over(self.trainer)
        self.recorder = Recorder(self.trainer, budget, health, name)
        self.breakpoints = Breakpoints(self.trainer, health)
        self.hit: Hit | None = None
        self.live_check: LiveCheck | None = None
        self.trouble = ""
        if state is not None:
            self.trainer.restore(state)
            self.recorder.begin(name, Keyframe(self.trainer, 0))

    def hand_over(self, to: Trainer) -> tuple[int, int] | None:
        """Give another trainer all weights that fit; None, and nothing done, where they are those of its recipe.

        Where nothing but planted bugs differ, it gets those that this run began with: the two are to be compared.
        """
        old, new = self.trainer.recipe, to.recipe
        network, first = self.trainer.network, self.recorder.first.values
        learned = self.trainer.step_count > 0 or bool(self.path.changes)
        only_bugs = msgspec.structs.replace(old, bugs=new.bugs) == new
        if not may_keep(old, new) or not (self.kept or (learned and not only_bugs)):
            return None
        values = (network.parameters, network.buffers)
        if only_bugs:
            values = first[: network.parameters.size], first[first.size - network.buffers.size :]
        return keep_weights(network, to.network, *values)

    @property
    def position(self) -> Position:
        """Mini-batch and phase just computed."""
        return self.trainer.position

    @property
    def can_be_made_again(self) -> bool:
        """Whether there is nothing in it but what its recipe says: no step, no change, no weights kept."""
        return (
            not self.kept and len(self.forks) == 1 and not self.path.changes and self.recorder.tip == self.path.origin
        )

    @property
    def history(self) -> Timeline:
        """The scalars of every step of the path one is on."""
        return self.recorder.path.history

    # --- stepping ---------------------------------------------------------------------------------

    def advance(self) -> Iterator[Phase]:
        """Compute the rest of the mini-batch that is begun, or else the whole next one, phase by phase."""
        return self.recorder.advance()

    def step(self) -> Frame:
        """Finish the mini-batch that is begun, or else compute the whole next one."""
        self.compute()
        return self.trainer.frame()

    step_out = step

    def step_phase(self) -> Frame:
        """Compute the rest of the present operation if one is begun, or else the next, with all its parts."""
        self.compute(self._ends_operation)
        return self.trainer.frame()

    def step_part(self) -> Frame:
        """Compute the next part of an operation (grad_W, grad_b, grad_x), or the next operation that has none."""
        self.compute(lambda _: True)
        return self.trainer.frame()

    def compute(self, is_enough: Callable[[Phase], bool] | None = None) -> None:
        """Advance to the end of the mini-batch, or until it is enough, or to a breakpoint."""
        self.hit = None
        waiting = self.breakpoints.at_phases if self.breakpoints else []
        with self.trainer.computing():
            whole = is_enough is None and not waiting
            if whole:
                self.recorder.finish()
            for phase in () if whole else self.recorder.advance():
                if waiting:
                    self.hit = self.breakpoints.at(waiting, self.recorder, phase, self._ends_operation(phase))
                if self.hit or (is_enough is not None and is_enough(phase)):
                    break
        if self.breakpoints and not self.hit and self.trainer.phase == self.trainer.all_phases[-1]:
            self.hit = self.breakpoints.after_step(self.recorder, self.live_check)
        if self.recorder.path.doubtful_from is not None:
            self._say_trouble()

    def _ends_operation(self, phase: Phase) -> bool:
        """Whether the phase that comes after this one in the mini-batch is another operation."""
        phases, number = self.trainer.all_phases, self.trainer.position.phase + 1
        following = phases[number] if number < len(phases) else None
        if following == Phase("backward", 0, "grad_x") and not self.trainer.has_input_gradient:
            return True
        return not phase.same_operation(following)

    def run_to(self, target: int | Phase | Literal["epoch"]) -> Frame:
        """Step to the end of mini-batch `target`, of the epoch, or to the next time the phase has been computed.

        Back, where the mini-batch lies behind. A breakpoint on the way ends it.
        """
        if isinstance(target, Phase):
            return self._run_to_phase(target)
        if target == "epoch":
            target = (self.recorder.whole_steps // self.trainer.batches + 1) * self.trainer.batches
        if Position(target, len(self.trainer.all_phases)) < self.recorder.here:
            return self.seek(target)
        frame = self.trainer.frame()
        while self.recorder.whole_steps < target:
            frame = self.step()
            if self.hit:
                break
        return frame

    def _run_to_phase(self, target: Phase) -> Frame:
        number = self._number(target)
        if self.trainer.all_phases[number] == Phase("backward", 0, "grad_x"):
            self.trainer.needs_input_gradient = True
        while True:
            frame = self.step_part()
            if self.hit or self.trainer.position.phase == number:
                return frame

    def run_back_to(self, phase: Phase) -> Frame:
        """Go back to the last time before now that a phase had been computed."""
        number, here = self._number(phase), self.recorder.here
        return self.seek(here.step if number < here.phase else here.step - 1, number)

    # --- to any position --------------------------------------------------------------------------

    def seek(self, step: int, phase: int | Phase | None = None) -> Frame:
        """Show a position that has been computed before: mini-batch `step` whole, or up to a phase of it."""
        target = self._target(step, phase)
        self.hit = None
        self.breakpoints.forget_landings()
        self.recorder.go(target)
        if self.recorder.path.doubtful_from is not None:
            self._say_trouble()
        return self.trainer.frame()

    def step_back(self, stride: Stride) -> Frame:
        """Back to the end of the epoch, mini-batch, operation or part before the present one."""
        here, batches = self.recorder.here, self.trainer.batches
        if here <= self.recorder.path.origin:
            raise RunError(f"step {here.step} is where this run's timeline begins; there is nothing before it")
        step, number = here
        if stride == "epoch":
            return self.seek(max((step - 1) // batches * batches, self.recorder.path.first_step))
        if stride == "batch":
            return self.seek(step - 1)
        phases = self.trainer.all_phases
        before = number - 1
        if phases[before] == Phase("backward", 0, "grad_x") and not self._went_to_data():
            before -= 1
        if stride == "phase":
            while before >= 0 and phases[before].same_operation(phases[number]):
                before -= 1
        return self.seek(step, before) if before >= 0 else self.seek(step - 1)

    def _went_to_data(self) -> bool:
        return self.trainer.has_input_gradient if self.trainer.phase else self.trainer.needs_input_gradient

    def _target(self, step: int, phase: int | Phase | None) -> Position:
        """The position asked for. Raises RunError where it is outside the run."""
        path, tip = self.recorder.path, self.recorder.tip
        if not path.first_step <= step <= tip.step:
            raise RunError(f"step {step:,} is outside this run, which goes from {path.first_step:,} to {tip.step:,}")
        if step == path.first_step:
            return path.origin
        target = Position(step, len(self.trainer.all_phases) - 1 if phase is None else self._number(phase))
        if target > tip:
            last = self.trainer.all_phases[tip.phase]
            raise RunError(f"mini-batch {step:,} has been computed up to {last} only; step on from there")
        return target

    def _number(self, phase: int | Phase) -> int:
        """The place of a phase among those of a mini-batch; of an operation with parts, that of its last part."""
        phases = self.trainer.all_phases
        if isinstance(phase, int):
            if 0 <= phase < len(phases):
                return phase
            raise RunError(f"there is no phase {phase}; choose one from 0 to {len(phases) - 1}")
        if phase in phases:
            return phases.index(phase)
        last = [i for i, known in enumerate(phases) if phase.part is None and phase.same_operation(known)]
        if not last:
            raise RunError(f"there is no phase {phase} in this network; choose one such as {phases[1]}")
        if phases[last[-1]] == Phase("backward", 0, "grad_x") and not self._went_to_data():
            last.pop()
        return last[-1]

    def _say_trouble(self) -> None:
        """Name what cannot be repeated, once; then be where we were."""
        path, here = self.recorder.path, self.recorder.here
        if not self.trouble and path.doubtful_from is not None:
            self.trouble = culprit(self.recorder, path.doubtful_from)
            self.recorder.go(here, afresh=True)

    # --- changes ----------------------------------------------------------------------------------

    def edit(self, address: str, index: int | tuple[int, ...], value: Any) -> None:
        """Type over a cell of a parameter, of the mini-batch's inputs ("data.x") or its labels ("data.labels").

        NaN and infinity are values like others. In the past it makes a fork. Raises RunError.
        """
        edit = edit_of(self.trainer, self.recorder.here, address, index, value)
        self.recorder.change(edit, self._new_name())

    def load(self, values: Mapping[str, Any], source: str) -> None:
        """Put these parameters and buffers, of fitting shapes, in place of those there are; in the past on a fork."""
        kept = {address: np.array(value, self.trainer.network.dtype) for address, value in values.items()}
        self.recorder.change(Loaded(self.recorder.here, source, kept), self._new_name())

    def adopt(self, recipe: Recipe) -> bool:
        """Take a recipe that differs in live fields only, from here on; False where it differs in more."""
        if not only_live_fields_differ(self.trainer.recipe, recipe):
            return False
        if recipe != self.trainer.recipe:
            self.recorder.change(Adopted(self.recorder.here, recipe), self._new_name())
        return True

    # --- forks ------------------------------------------------------------------------------------

    @property
    def forks(self) -> dict[str, Fork]:
        """Every path by its name, the first run's too."""
        return self.recorder.forks

    @property
    def path(self) -> Fork:
        """The fork one is on."""
        return self.recorder.path

    def fork(self, name: str | None = None) -> Fork:
        """Leave the path here: what is computed from now on is the fork's. Raises RunError where the name is taken."""
        if name is not None and name in self.forks:
            raise RunError(f"there is a fork called {name!r} already; choose another name")
        return self.recorder.fork(name or self._new_name())

    def rename_fork(self, old: str, new: str) -> None:
        """Give a fork another name. Raises RunError."""
        fork = self._fork(old)
        if new in self.forks and new != old:
            raise RunError(f"there is a fork called {new!r} already; choose another name")
        fork.name = new
        self.recorder.forks = {known.name: known for known in self.forks.values()}

    def switch(self, name: str, step: int | None = None) -> Frame:
        """Go on with another fork: at the present step where it has been there, else at its last. Raises RunError."""
        fork, here = self._fork(name), self.recorder.here
        _ = self.recorder.tip
        before, self.recorder.path = self.recorder.path, fork
        try:
            target = min(here, fork.tip) if step is None else self._target_on(fork, step)
        except RunError:
            self.recorder.path = before
            raise
        self.breakpoints.forget_landings()
        self.recorder.go(max(target, fork.origin), afresh=True)
        return self.trainer.frame()

    def _target_on(self, fork: Fork, step: int) -> Position:
        if not fork.first_step <= step <= fork.tip.step:
            raise RunError(
                f"step {step:,} is outside {fork.name!r}, which goes from {fork.first_step:,} to {fork.tip.step:,}"
            )
        return min(Position(step, len(self.trainer.all_phases) - 1), fork.tip)

    def drop_fork(self, name: str) -> None:
        """Forget a fork. Raises RunError where one is on it, or others have left it."""
        fork = self._fork(name)
        needed = next((other.name for other in self.forks.values() if other is not fork and fork in other.line()), None)
        if fork is self.path or needed:
            why = f"{needed!r} has left it" if needed else "it is the one you are on"
            raise RunError(f"the fork {name!r} cannot be dropped, since {why}; drop or switch that first")
        self.recorder.keyframes.forget(self.recorder.forks.pop(name))

    def tensors_of(self, name: str, addresses: Iterable[str]) -> dict[str, Array]:
        """Tensors of another fork at the present position, as copies; we stay where we are. Raises RunError."""
        fork, here = self._fork(name), self.recorder.here
        _ = self.recorder.tip
        if here > fork.tip:
            raise RunError(
                f"the fork {name!r} has been computed up to step {fork.tip.step:,} only; run it further first"
            )
        return self._elsewhere(fork, here, addresses)

    def tensors_at(self, position: Position, addresses: Iterable[str]) -> dict[str, Array]:
        """Tensors at an earlier position of this path, as copies; we stay where we are."""
        infos, origin = self.trainer.tensor_infos, self.path.origin
        at = origin if position.step == origin.step else position
        number = at.phase if at > origin else -1
        there = [a for a in addresses if a in infos and infos[a].made_by <= number]
        return self._elsewhere(self.path, at, there) if there else {}

    def _elsewhere(self, fork: Fork, position: Position, addresses: Iterable[str]) -> dict[str, Array]:
        """Tensors at a position of a fork, as copies; then be where we were."""
        path, here = self.recorder.path, self.recorder.here
        try:
            self.recorder.path = fork
            self.recorder.go(position, afresh=True)
            found = {address: self.trainer.tensor(address) for address in addresses}
            return {address: np.copy(array) for address, array in found.items() if array is not None}
        finally:
            self.recorder.path = path
            self.recorder.go(here, afresh=True)

    @contextmanager
    def aside(self) -> Iterator[Trainer]:
        """The trainer, to compute with from here as one likes; then it is where it was, and nothing is recorded."""
        here = self.recorder.here
        _ = self.recorder.tip
        try:
            yield self.trainer
        finally:
            keyframe = self.path.nearest(here.step)
            assert keyframe is not None
            self.recorder.restore(keyframe)  # where the trainer was led is no place of the path
            self.recorder.go(here, afresh=True)

    def restart(self) -> None:
        """A fork at step 0 with the very weights this run began with, and the recipe as it is now."""
        if not len(self.history) and self.recorder.here == self.recorder.path.origin and not self.path.changes:
            return
        recipe = self.trainer.recipe
        self.hit = None
        self.breakpoints.forget_landings()
        self.recorder.fork_at_start(self._new_name())
        self.adopt(recipe)

    def _fork(self, name: str) -> Fork:
        if name not in self.forks:
            raise RunError(f"there is no fork called {name!r}; choose one of {', '.join(self.forks)}")
        return self.forks[name]

    def _new_name(self) -> str:
        number, of_run = len(self.forks), "" if self.name == MAIN else f"{self.name}, "
        while f"{of_run}fork {number}" in self.forks:
            number += 1
        return f"{of_run}fork {number}"

    # --- memory -----------------------------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """The memory of the timeline: keyframes and scalars of all forks."""
        return self.recorder.nbytes

    @property
    def notice(self) -> str:
        """A sentence where the memory budget is too small for keyframes; else ""."""
        return self.recorder.keyframes.too_small

    def set_budget(self, budget: int) -> None:
        """Bytes that keyframes and scalars may take. Raises RunError below one keyframe; then the old one stays."""
        self.recorder.keyframes.set_budget(budget, self.forks.values(), self.trainer.step_count)
