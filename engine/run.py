"""A run: a trainer with its timeline, stepped by the mini-batch, by the phase, or by the part of a phase."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.frames import Frame, Phase, Position
from engine.recipe import Recipe
from engine.timeline import Timeline
from engine.trainer import State, Trainer


class Run:
    """Drives a Trainer. Every way of stepping advances the same generator of phases.

    Raises RecipeError where the recipe cannot be built.
    """

    def __init__(self, recipe: Recipe, state: State | None = None) -> None:
        self.trainer = Trainer(recipe)
        self._start = self.trainer.state()
        self.history = Timeline([*self.trainer.columns, "validation_loss", "validation_accuracy"])
        self._phases: Iterator[Phase] | None = None
        if state is not None:
            self.trainer.restore(state)
            self.history.skip_to(state.step)

    @property
    def position(self) -> Position:
        """Mini-batch and phase just computed."""
        return self.trainer.position

    def advance(self) -> Iterator[Phase]:
        """Compute the rest of the mini-batch that is begun, or else the whole next one, phase by phase."""
        if self._phases is None:
            self._phases = self.trainer.phases()
        for phase in self._phases:
            if phase.kind == "update":
                self._phases = None
                self._note()
            yield phase

    def step(self) -> Frame:
        """Finish the mini-batch that is begun, or else compute the whole next one."""
        with self.trainer.computing():
            for _ in self.advance():
                pass
        return self.trainer.frame()

    def step_phase(self) -> Frame:
        """Compute the rest of the present operation if one is begun, or else the next, with all its parts."""
        with self.trainer.computing():
            for phase in self.advance():
                following = self._following()
                if not phase.same_operation(following):
                    break
        return self.trainer.frame()

    def step_part(self) -> Frame:
        """Compute the next part of an operation (grad_W, grad_b, grad_x), or the next operation that has none."""
        with self.trainer.computing():
            next(self.advance())
        return self.trainer.frame()

    def _following(self) -> Phase | None:
        """The phase that comes after the present one in this mini-batch."""
        phases, number = self.trainer.all_phases, self.trainer.position.phase + 1
        return phases[number] if number < len(phases) else None

    def _note(self) -> None:
        """Write the row of the step just completed; validate where it is due."""
        trainer = self.trainer
        step, epoch_end = trainer.step_count, trainer.step_count % trainer.batches == 0
        early = step < trainer.batches and step & (step - 1) == 0  # 1, 2, 4, 8 … within the first epoch
        validation = trainer.evaluate() if epoch_end or early else (np.nan, np.nan)
        self.history.append(trainer.record, *validation)

    def restart(self) -> None:
        """Back to step 0 with the very weights this run began with."""
        self._phases = None
        self.trainer.restore(self._start)
        self.history.truncate(0)
