"""When the engine makes pictures while it plays: seldom enough for training, and evenly."""

import math
import time
from collections import deque
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import pytest

import engine.host
import engine.trainer
from engine import protocol
from engine.conditions import AtPhase
from engine.explain import explain
from engine.host import Host
from engine.pacing import AHEAD, PACKING
from engine.recipe import Recipe
from engine.shared import FrameSlots

RECIPE = Recipe.from_builtins(
    {
        "data": {"kind": "blobs", "samples": 200, "validation": 0.5},
        "layers": [{"kind": "dense", "units": 4}, {"kind": "relu"}, {"kind": "dense", "units": 3}],
        "batch_size": 20,
    }
)
BATCHES = 5  # of an epoch


class Inbox:
    """Commands that are there, and events that were sent."""

    def __init__(self, *_: object) -> None:
        self.commands: deque[protocol.Command] = deque()
        self.sent: list[protocol.Event] = []
        self.send = self.sent.append
        self.waits: list[float] = []  # seconds that were to be slept
        self.wait = self.waits.append

    def __bool__(self) -> bool:
        return bool(self.commands)

    def take(self) -> protocol.Command | None:
        """The oldest command."""
        return self.commands.popleft() if self.commands else None

    def next_is(self, kind: type[protocol.Command]) -> bool:
        """Whether the oldest command is of a kind."""
        return bool(self.commands) and isinstance(self.commands[0], kind)

    def frames(self) -> list[tuple[int, int]]:
        """Of every frame sent: its step, and up to which step it brought rows."""
        found = [event for event in self.sent if isinstance(event, protocol.FrameReady)]
        return [(frame.step, frame.history_first + frame.history_rows) for frame in found]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A host in this process that checks nothing."""
    monkeypatch.setattr(engine.host, "Inbox", Inbox)
    monkeypatch.setattr(engine.trainer, "EVALUATE_AT_ONCE", 30)  # of 100: a long validation
    slots = FrameSlots()
    try:
        made: Any = Host(None, slots)  # type: ignore[arg-type]
        made._obey(protocol.Use(RECIPE))
        made._obey(protocol.CheckLive(None))
        made._obey(protocol.Watch((protocol.WatchItem("0.grad_x"),)))
        yield made
    finally:
        slots.close()


def test_the_picture_of_an_epochs_last_step_does_not_wait_for_a_long_validation(host: Any) -> None:
    for _ in range(BATCHES - 1):
        host._run.step()
    host._obey(protocol.Play(None))
    host._play_slice()
    assert host._inbox.frames() == [(BATCHES, BATCHES - 1)]
    assert not np.isnan(host._run.history["validation_loss"][-1])
    host._pacing.taken(0.0)
    host._pacing._pack_cost = 0.0
    host._send_if_due()
    assert host._inbox.frames()[1:] == [(BATCHES, BATCHES)]


@pytest.mark.parametrize("ends", ["by itself", "perhaps at a breakpoint"])
def test_where_the_run_may_stand_still_a_picture_comes_with_its_row(host: Any, ends: str) -> None:
    for _ in range(BATCHES - 1):
        host._run.step()
    if ends == "by itself":
        host._obey(protocol.Play(None, steps=1))
    else:
        host._obey(protocol.AddBreak(AtPhase(kind="loss")))
        host._obey(protocol.EnableBreak(0, False))
        host._obey(protocol.Play(None))
    host._play_slice()
    host._send_if_due()
    assert host._inbox.frames() == [(BATCHES, BATCHES)]


def test_a_picture_is_taken_by_the_app_in_the_midst_of_a_validation(host: Any) -> None:
    for _ in range(BATCHES - 1):
        host._run.step()
    host._obey(protocol.Play(None))
    host._pacing.taken(math.inf)
    recorder, amid = host._run.recorder, host._amid_validation

    def taken() -> None:
        if not host._inbox.frames():
            host._inbox.commands.append(protocol.Taken())
        amid()

    recorder.amid_validation = taken
    host._play_slice()
    assert host._inbox.frames()[:1] == [(BATCHES, BATCHES - 1)]
    assert not host._inbox


def test_the_step_of_a_picture_may_begin_before_the_last_picture_is_taken_where_steps_are_long(host: Any) -> None:
    host._obey(protocol.Play(None))
    host._pacing.taken(math.inf)
    host._pacing.step_cost = 1.0
    host._play_slice()
    assert host._run.trainer.has_input_gradient
    host._send_if_due()
    assert host._inbox.frames() == []
    host._inbox.commands.append(protocol.Taken())
    host._send_if_due()
    assert host._inbox.frames() == [(1, 1)]


def test_the_next_picture_comes_as_soon_as_the_app_has_room_for_it(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.perf_counter()
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    host._send_if_due()
    host._obey(protocol.Play(5.0))
    host._play_slice()
    host._inbox.commands.append(protocol.Taken(0.010))
    host._send_if_due()
    assert len(host._inbox.frames()) == 1, "no room yet"
    host._play_slice()
    assert host._inbox.waits == [pytest.approx(0.010)], "not until the next step is due"
    host._set_playing(False)
    host._rest()
    assert host._inbox.waits[1:] == [pytest.approx(0.010)]
    now += 0.011
    host._send_if_due()
    assert [step for step, _ in host._inbox.frames()] == [0, 1]


def test_where_steps_are_short_only_a_picture_that_can_be_sent_is_made(host: Any) -> None:
    host._obey(protocol.Play(None))
    host._pacing.taken(math.inf)
    host._pacing.step_cost = 0.0
    made: list[bool] = []
    step_once = host._step_once

    def step(for_picture: bool) -> None:
        made.append(for_picture)
        step_once(for_picture)

    host._step_once = step
    while len(made) < 2 * BATCHES:
        host._play_slice()
    assert made == [number % BATCHES == 0 for number in range(1, len(made) + 1)], "only the last of an epoch may be"


def test_a_picture_begins_so_early_that_it_stands_when_it_is_due(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host._obey(protocol.Play(None))
    clock = count(100.0, 1e-5)
    monkeypatch.setattr(engine.host.time, "perf_counter", lambda: next(clock))
    host._pacing._packed_at, host._pacing._pack_cost = 100.0, 0.001
    due = PACKING * 0.001
    host._pacing.step_cost = 0.9 * due / AHEAD
    assert not host._pacing.may_begin(1.0)
    host._pacing.step_cost = 1.1 * due / AHEAD
    host._play_slice()
    assert (host._run.trainer.step_count, host._run.trainer.has_input_gradient) == (1, True)
    host._send_if_due()
    assert host._inbox.frames() == []


def test_at_full_speed_nothing_is_kept_for_questions_but_of_the_step_that_one_looks_at(host: Any) -> None:
    host._obey(protocol.Play(None))
    host._play_slice()
    trainer = host._run.trainer
    assert trainer.has_input_gradient
    assert trainer.before.step == -1
    host._obey(protocol.Pause())
    assert trainer.has_input_gradient
    assert trainer.before.step == trainer.step_count == 2
    assert explain(trainer, "0.W", (0, 0)) is not None
    host._obey(protocol.Play(None, steps=1))
    host._play_slice()
    assert trainer.step_count == 3
    assert explain(trainer, "0.W", (0, 0)) is not None
