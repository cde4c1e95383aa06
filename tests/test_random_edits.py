"""Random edits with undo and redo: recipe, weights and timeline always agree; the real engine, in this process."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QApplication

import engine.host
from app.recipe_edit import (
    duplicate_layers,
    insert_layer,
    move_layers,
    put_into,
    remove_layers,
    replace_layer,
    switch_layers,
    unwrap_layer,
    wrap_layers,
)
from app.session import Session
from engine import protocol
from engine.host import Host
from engine.layers.activations import ReLU, Tanh
from engine.layers.dense import Dense
from engine.layers.norm import BatchNorm
from engine.layers.off import Off
from engine.layers.reshape import Reshape
from engine.layers.residual import Residual
from engine.recipe import Recipe
from engine.run import Run
from engine.shared import FrameSlots

START = Recipe.from_builtins(
    {
        "data": {"kind": "blobs"},
        "layers": [{"kind": "dense", "units": 4}, {"kind": "tanh"}, {"kind": "dense", "units": 3}],
        "batch_size": 16,
    }
)
NEW = (
    Dense(units=4),
    Dense(units=3),
    Tanh(),
    ReLU(),
    BatchNorm(),
    Residual(layers=(Dense(units=4),)),
    Reshape(shape=(2, 2)),
)
MOST_LAYERS = 8


class Answers:
    """In place of the engine's inbox: what the host sends is kept."""

    def __init__(self, *_: object) -> None:
        self.events: list[protocol.Event] = []

    def send(self, event: protocol.Event) -> None:
        self.events.append(event)

    def next_is(self, _: object) -> bool:
        return False


class HostLink(QObject):
    """An engine in this process, which answers each command at once."""

    received = Signal(object)
    lost = Signal(str)
    first_recipe = None

    def __init__(self, slots: FrameSlots) -> None:
        super().__init__()
        self.host = Host(None, slots)  # type: ignore[arg-type]

    def send(self, command: protocol.Command) -> None:
        self.host._obey(protocol.decode_command(protocol.encode(command)))
        inbox: Any = self.host._inbox
        while inbox.events:
            self.received.emit(protocol.decode_event(protocol.encode(inbox.events.pop(0))))


def state_of(run: Run) -> tuple[bytes, bytes]:
    """The weights, and the losses of the whole timeline."""
    return run.trainer.network.parameters.tobytes(), run.history["loss"].tobytes()


class Builder(RuleBasedStateMachine):
    """What a user does in the builder, while training goes on in between."""

    slots: FrameSlots
    counted: Counter[str]  # what was done, over all examples

    def __init__(self) -> None:
        super().__init__()
        self.link = HostLink(self.slots)
        self.session = Session(self.link, START)  # type: ignore[arg-type]
        self.link.send(protocol.Use(START))
        self.places: list[tuple[Recipe, int | None]] = [(START, 0)]  # each edit and its run; None: a draft
        self.at = 0
        self.left = {0: state_of(self.run)}
        self.recipe_of_run = START

    @property
    def run(self) -> Run:
        assert self.link.host._run is not None
        return self.link.host._run

    def note(self) -> None:
        """Remember how the present run stands."""
        self.left[self.link.host._runs.number(self.run)] = state_of(self.run)

    def edit(self, recipe: Recipe, **how: Any) -> None:
        """An edit, and what the model knows of it."""
        if recipe == self.session.recipe:
            return
        self.counted["edit"] += 1
        self.session.use(recipe, **how)
        del self.places[self.at + 1 :]
        self.places.append((recipe, None))
        self.at += 1
        self.settle()

    def settle(self) -> None:
        """The engine has answered: the place has a run, or is a draft."""
        network = self.session.network
        assert network is not None
        self.places[self.at] = (self.session.recipe, None if self.session.broken else network.run)
        if self.session.broken is None:
            self.recipe_of_run = self.session.recipe
        self.note()

    # --- edits ------------------------------------------------------------------------------------

    layer = st.integers(0, MOST_LAYERS - 1)

    def one(self, at: int) -> int:
        return at % len(self.session.recipe.layers)

    @rule(at=layer, kind=st.sampled_from(NEW))
    def add(self, at: int, kind: Any) -> None:
        if len(self.session.recipe.layers) < MOST_LAYERS:
            self.edit(insert_layer(self.session.recipe, self.one(at), kind))

    @rule(at=layer)
    def remove(self, at: int) -> None:
        if len(self.session.recipe.layers) > 1:
            self.edit(remove_layers(self.session.recipe, (self.one(at),)))

    @rule(at=layer, to=layer)
    def move(self, at: int, to: int) -> None:
        self.edit(move_layers(self.session.recipe, (self.one(at),), self.one(to)))

    @rule(at=layer)
    def duplicate(self, at: int) -> None:
        if len(self.session.recipe.layers) < MOST_LAYERS:
            self.edit(duplicate_layers(self.session.recipe, (self.one(at),)))

    @rule(at=layer, other=layer)
    def switch(self, at: int, other: int) -> None:
        self.edit(switch_layers(self.session.recipe, {self.one(at), self.one(other)}))

    @rule(at=layer)
    def wrap_or_unwrap(self, at: int) -> None:
        recipe, at = self.session.recipe, self.one(at)
        block = isinstance(recipe.layers[at], Residual)
        self.edit(unwrap_layer(recipe, at) if block else wrap_layers(recipe, (at,)))

    @rule(at=layer, onto=layer)
    def drop_onto_a_block(self, at: int, onto: int) -> None:
        recipe, at, onto = self.session.recipe, self.one(at), self.one(onto)
        moved = recipe.layers[at]
        if not isinstance(moved, Residual | Off):
            self.edit(put_into(recipe, (at,), onto))

    @rule(at=layer, units=st.integers(2, 5))
    def type_units(self, at: int, units: int) -> None:
        layer = self.session.recipe.layers[self.one(at)]
        if isinstance(layer, Dense):
            self.edit(replace_layer(self.session.recipe, self.one(at), msgspec.structs.replace(layer, units=units)))

    @rule(lr=st.sampled_from((0.05, 0.1, 0.2)))
    def learning_rate(self, lr: float) -> None:
        recipe = self.session.recipe
        self.edit(msgspec.structs.replace(recipe, optimizer=msgspec.structs.replace(recipe.optimizer, lr=lr)))

    @rule(size=st.sampled_from((8, 16)))
    def batch_size(self, size: int) -> None:
        self.edit(msgspec.structs.replace(self.session.recipe, batch_size=size))

    @rule()
    def new_weights(self) -> None:
        recipe = self.session.recipe
        self.edit(msgspec.structs.replace(recipe, weights_draw=recipe.weights_draw + 1))
        if self.session.broken is None:
            assert self.run.kept is None

    @rule()
    def open_the_first_recipe(self) -> None:
        self.edit(START, fresh=True)
        assert self.run.kept is None

    # --- training, undo and redo --------------------------------------------------------------------

    @rule(steps=st.integers(1, 3))
    def train(self, steps: int) -> None:
        for _ in range(steps):
            self.session.step("batch")
        self.note()

    @rule(step=st.integers(0, 6))
    def seek(self, step: int) -> None:
        self.session.seek(min(step, len(self.run.history)))
        self.note()

    @rule(back=st.integers(1, 4), forth=st.integers(0, 3))
    def undo_and_redo(self, back: int, forth: int) -> None:
        """Some edits back and some of them again, each of them looked at."""
        for _ in range(back):
            self.undo()
        for _ in range(forth):
            self.redo()

    @rule(forth=st.integers(1, 3))
    def redo_some(self, forth: int) -> None:
        for _ in range(forth):
            self.redo()

    def undo(self) -> None:
        if not self.session.can_undo():
            return
        self.counted["undo"] += 1
        self.at -= 1
        assert self.session.undo_name
        self.session.undo()
        self.came_back()
        self.recipe_network_and_timeline_agree()

    def redo(self) -> None:
        if not self.session.can_redo():
            return
        self.counted["redo"] += 1
        self.at += 1
        self.session.redo()
        self.came_back()
        self.recipe_network_and_timeline_agree()

    def came_back(self) -> None:
        """The recipe is that of the place, and so are its run's weights and timeline, as they were left."""
        recipe, number = self.places[self.at]
        assert self.session.recipe == recipe
        assert (self.session.broken is None) == (number is not None)
        if number is not None and number in self.link.host._runs.by_number:
            assert self.link.host._runs.number(self.run) == number
            assert state_of(self.run) == self.left[number]
        self.settle()

    # --- always -----------------------------------------------------------------------------------

    @invariant()
    def recipe_network_and_timeline_agree(self) -> None:
        network, run = self.session.network, self.run
        assert network is not None
        assert network.recipe == self.recipe_of_run
        assert (self.session.recipe == self.recipe_of_run) or self.session.broken is not None
        assert network.run == self.link.host._runs.number(run)
        assert [info.parameters for info in network.layers] == [
            {slot.role: slot.parameter.shape for slot in run.trainer.network.slots_of(i)}
            for i in range(len(network.layers))
        ]
        assert run.position.step <= len(run.history)
        assert (self.session.can_undo(), self.session.can_redo()) == (self.at > 0, self.at < len(self.places) - 1)

    def teardown(self) -> None:
        """Every run that is left can be replayed from its beginning, bit for bit."""
        for run in self.link.host._runs:
            step, weights = run.position.step, run.trainer.network.parameters.tobytes()
            run.seek(0)
            run.seek(step)
            assert run.trainer.network.parameters.tobytes() == weights
            assert run.trouble == ""


@pytest.fixture
def machine(qapp: QApplication, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Builder]]:
    """The machine with room for frames, its engine without a process."""
    monkeypatch.setattr(engine.host, "Inbox", Answers)
    slots = FrameSlots()
    Builder.slots, Builder.counted = slots, Counter()
    yield Builder
    slots.close()


def examined(machine: type[Builder], examples: int, steps: int) -> None:
    checks = list(HealthCheck)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=checks,
        ),
    )


def test_undo_and_redo_bring_recipe_weights_and_timeline_back(machine: type[Builder]) -> None:
    story = machine()
    story.train(3)
    story.add(0, ReLU())
    assert story.run.kept is not None
    story.train(2)
    story.switch(0, 1)
    story.remove(3)  # the last layer gives too few outputs then: a draft, perhaps
    story.train(1)
    for back in range(3):
        story.undo()
        story.recipe_network_and_timeline_agree()
        if back % 2:
            story.redo()
            story.undo()
    story.open_the_first_recipe()
    story.recipe_network_and_timeline_agree()
    story.teardown()


@pytest.mark.campaign
@pytest.mark.timeout(1200)
def test_two_thousand_edits_with_undo_and_redo_bring_recipe_weights_and_timeline_back(machine: type[Builder]) -> None:
    short = os.environ.get("NABLASCOPE_SLICE") == "1"
    examined(machine, *((4, 40) if short else (65, 60)))
    assert machine.counted["edit"] >= (50 if short else 2000)
    assert min(machine.counted["undo"], machine.counted["redo"]) >= (4 if short else 100)
