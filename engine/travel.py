"""What the app asks of a run's time: to seek, step back, edit, fork, and stop at breakpoints; and how that is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count
from weakref import WeakKeyDictionary

import numpy as np

from engine import protocol
from engine.breakpoints import Breakpoint
from engine.checks import describe_live_check
from engine.edits import Edit, Loaded
from engine.forks import Fork
from engine.frames import Array
from engine.kept_runs import KeptRuns
from engine.livecheck import LiveCheck
from engine.protocol import BreakInfo, ChangeInfo, ForkInfo
from engine.recipe import Recipe, differences
from engine.run import Run
from engine.step_before import StepBefore, changing
from engine.timeline import RunError, Timeline
from engine.trainer import Trainer

MOST_KEYFRAMES = 1000  # that are told of; a screen has no more pixels


class Travel:
    """Carries out the commands that move a run in time or change its past; each raises RunError, one sentence.

    Forks are told of by numbers that stay when they are renamed.
    """

    def __init__(self, send: Callable[[protocol.Event], None], runs: KeptRuns) -> None:
        self._send = send
        self.runs = runs
        self._breaks: tuple[BreakInfo, ...] = ()
        self._numbers: WeakKeyDictionary[Fork, int] = WeakKeyDictionary()  # dropped runs are to leave the memory
        self._next_number = count()
        self._told: protocol.Paths | None = None
        self.compared: Fork | None = None
        self._before = StepBefore()

    def open(self, run: Run) -> None:
        """Another run stands; breakpoints go on with it."""
        self.run = run
        self._before.forget()
        self._live = LiveCheck(1)
        self.compared = None
        run.live_check = self._wrong_gradient
        for found in list(run.breakpoints):
            run.breakpoints.remove(found)
        self._keep(self._breaks)
        self.tell()

    def take_breaks(self, run: Run) -> None:
        """The breakpoints of a run that comes from a file, in place of those there are."""
        self._breaks = tuple(BreakInfo(b.condition, b.title, b.enabled, b.hits, b.kind) for b in run.breakpoints)
        self._send(protocol.Breaks(self._breaks))

    def obey(self, command: protocol.Travelled) -> None:
        """Carry one command out."""
        getattr(self, "_on_" + type(command).__name__.lower())(command)

    # --- moving -----------------------------------------------------------------------------------

    def step(self, command: protocol.Step) -> None:
        """One stride forwards or back."""
        run = self.run
        if command.back:
            run.step_back(command.what)
        elif command.what == "epoch":
            run.run_to("epoch")
        else:
            {"batch": run.step, "phase": run.step_phase, "part": run.step_part}[command.what]()

    def _on_stepto(self, command: protocol.StepTo) -> None:
        if command.back:
            self.run.run_back_to(command.phase)
        else:
            self.run.run_to(command.phase)

    def _on_seek(self, command: protocol.Seek) -> None:
        self.run.seek(command.step, command.phase)

    # --- changes and forks ------------------------------------------------------------------------

    def _on_editcell(self, command: protocol.EditCell) -> None:
        self.run.edit(command.address, command.index, command.value)

    def _on_makefork(self, command: protocol.MakeFork) -> None:
        self.run.fork(command.name)

    def _on_switch(self, command: protocol.Switch) -> None:
        self.run.switch(self._own_fork(command.fork).name, command.step)

    def _on_renamefork(self, command: protocol.RenameFork) -> None:
        run, fork = self._fork(command.fork)
        if any(command.name in other.forks for other in self.runs if other is not run):
            raise RunError(f"there is a fork called {command.name!r} already; choose another name")
        run.rename_fork(fork.name, command.name)

    def _on_dropfork(self, command: protocol.DropFork) -> None:
        run, fork = self._fork(command.fork)
        if run is not self.run and len(run.forks) == 1:
            self.runs.drop(run)
        else:
            run.drop_fork(fork.name)
        if self.compared is fork:
            self.compared = None

    def _on_compare(self, command: protocol.Compare) -> None:
        fork = None if command.fork is None else self._own_fork(command.fork)
        self.compared = None if fork is self.run.path else fork

    def _on_setbudget(self, command: protocol.SetBudget) -> None:
        self.run.set_budget(command.budget)

    def _fork(self, number: int) -> tuple[Run, Fork]:
        """The fork of a number, and its run. Raises RunError."""
        found = [(run, fork) for run in self.runs for fork in run.forks.values() if self._numbers.get(fork) == number]
        if not found:
            raise RunError("that fork has been dropped already; choose one of the list")
        return found[0]

    def _own_fork(self, number: int) -> Fork:
        """The fork of a number, of the present run. Raises RunError."""
        run, fork = self._fork(number)
        if run is not self.run:
            raise RunError(f"{fork.name!r} is of another recipe; go to it, or choose a fork of this one")
        return fork

    def number(self, fork: Fork) -> int:
        """The number a fork is told of by, given when first asked for."""
        if fork not in self._numbers:
            self._numbers[fork] = next(self._next_number)
        return self._numbers[fork]

    def number_anew(self) -> None:
        """Forks are numbered from 0 again, as in a window just opened: so they have the same colours."""
        self._numbers.clear()
        self._next_number, self._told = count(), None

    @property
    def timelines(self) -> dict[int, Timeline]:
        """The scalars of every fork by its number, those of a fork's past before its own."""
        return {self.number(fork): fork.history for run in self.runs for fork in run.forks.values()}

    def remember(self, addresses: Iterable[str]) -> None:
        """A mini-batch is about to be computed: keep the tensors whose change is watched."""
        self._before.remember(self.run, [base for a in addresses if (base := changing(a)) is not None])

    def forget(self) -> None:
        """The run goes elsewhere in time, or is changed."""
        self._before.forget()

    def befores(self, addresses: Iterable[str], *, again: bool) -> dict[str, Array]:
        """What is taken off tensors whose change is watched, by the address it is watched by; see StepBefore."""
        bases = {a: base for a in addresses if (base := changing(a)) is not None}
        found = self._before.find(self.run, bases.values(), again=again)
        return {a: found[base] for a, base in bases.items() if base in found}

    def others(self, addresses: Iterable[str]) -> dict[str, Array]:
        """The tensors of the fork that is compared with, at the present position; none where nothing is compared."""
        if self.compared is None or self.compared is self.run.path:
            return {}
        try:
            return self.run.tensors_of(self.compared.name, addresses)
        except RunError:
            self.compared = None
            raise

    # --- breakpoints ------------------------------------------------------------------------------

    def _on_addbreak(self, command: protocol.AddBreak) -> None:
        self.run.breakpoints.add(command.condition)

    def _on_enablebreak(self, command: protocol.EnableBreak) -> None:
        self.run.breakpoints.enable(self._break(command.number), command.enabled)

    def _on_removebreak(self, command: protocol.RemoveBreak) -> None:
        self.run.breakpoints.remove(self._break(command.number))

    def _on_keepbreaks(self, command: protocol.KeepBreaks) -> None:
        for found in list(self.run.breakpoints):
            self.run.breakpoints.remove(found)
        self._keep(command.items)

    def _keep(self, items: Iterable[BreakInfo]) -> None:
        for item in items:
            self.run.breakpoints.keep(Breakpoint(item.condition, item.enabled, item.hits, item.kind))

    def _break(self, number: int) -> Breakpoint:
        """The breakpoint of a number. Raises RunError."""
        all_of_them = list(self.run.breakpoints)
        if not 0 <= number < len(all_of_them):
            raise RunError("that breakpoint has been removed already; choose one of the list")
        return all_of_them[number]

    def _wrong_gradient(self, trainer: Trainer) -> str:
        """The gradient that the live check finds wrong in the step just done, by address; "" where none is."""
        found = describe_live_check(self._live.check(trainer), trainer)
        return (found.tensor or "loss.grad_y") if found.verdict == "fail" else ""

    # --- telling ----------------------------------------------------------------------------------

    def tell(self) -> None:
        """Tell of paths and breakpoints where they are others than before."""
        run = self.run
        paths = protocol.Paths(
            current=self.number(run.path),
            forks=tuple(self._info(known, fork) for known in self.runs for fork in known.forks.values()),
            keyframes=self._keyframes(),
            nbytes=run.nbytes,
            budget=run.recorder.keyframes.budget,
            notice=run.notice,
            trouble=run.trouble,
        )
        if paths != self._told:
            self._told = paths
            self._send(paths)
        self._tell_breaks()

    def _tell_breaks(self) -> None:
        breakpoints = self.run.breakpoints
        items = tuple(
            BreakInfo(b.condition, b.title, b.enabled, b.hits, b.kind, breakpoints.problem(b)) for b in breakpoints
        )
        if items != self._breaks:
            self._breaks = items
            self._send(protocol.Breaks(items))

    def tell_hit(self) -> bool:
        """Tell of the breakpoint that the last step stopped at; whether there was one."""
        hit = self.run.hit
        if hit is None:
            return False
        self._tell_breaks()
        number = next(i for i, known in enumerate(self.run.breakpoints) if known is hit.breakpoint)
        self._send(protocol.Stopped(number, hit.sentence, hit.tensor, *hit.position))
        return True

    def _info(self, run: Run, fork: Fork) -> ForkInfo:
        twin = self.runs.twin(run) if fork.past is None else None
        past = fork.past or (next(iter(twin.forks.values())) if twin is not None else None)
        older = past is not None and self.number(past) < self.number(fork)
        changes = list(describe_changes(fork, run.recorder.first.recipe))
        if fork.past is None and past is not None and twin is not None and older:
            text = ", ".join(differences(twin.recorder.first.recipe, run.recorder.first.recipe))
            changes.insert(0, ChangeInfo(0, -1, text))
        return ForkInfo(
            number=self.number(fork),
            name=fork.name,
            run=self.runs.number(run),
            parent=self.number(past) if past is not None and older else -1,
            start=fork.start,
            shared=fork.shared,
            first_step=fork.first_step,
            tip=run.recorder.tip if fork is run.path else fork.tip,
            changes=tuple(changes),
            doubtful_from=fork.doubtful_from,
        )

    def _keyframes(self) -> tuple[int, ...]:
        """Steps with a keyframe on the present path."""
        steps: list[int] = []
        limit: float = np.inf
        for fork in self.run.path.line():
            steps += [k.step for k in fork.keyframes if k.step <= limit]
            limit = min(limit, fork.shared)
        every = -(-len(steps) // MOST_KEYFRAMES) or 1
        return tuple(sorted(steps)[::every])

    def terms(self, command: protocol.AskTerms) -> None:
        """Tell what one entry is made of."""
        from engine.explain import explain, why_untold

        run, found, why = self.run, None, ""
        try:
            with run.trainer.computing():
                found = explain(run.trainer, command.address, command.index)
                why = "" if found else why_untold(run.trainer, command.address, command.index)
        except ValueError as error:
            why = str(error)
        position = run.recorder.here
        self._send(protocol.Terms(command.address, command.index, *position, found, why))


def describe_changes(fork: Fork, recipe: Recipe) -> Iterator[ChangeInfo]:
    """Every change made on a path, its past's too, in words; `recipe` is the one it began with."""
    for change in fork.changes:
        if isinstance(change, Edit):
            text = f"{change.address} [{', '.join(map(str, change.index))}] = {change.value:g}"
        elif isinstance(change, Loaded):
            text = f"weights from {change.source}"
        else:
            text = ", ".join(differences(recipe, change.recipe)) or "name changed"
            recipe = change.recipe
        yield ChangeInfo(change.at.step, change.at.phase, text)
