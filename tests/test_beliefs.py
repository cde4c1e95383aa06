"""What the engine says the network believes is what a plain computation says, and looking changes nothing."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest

import engine.beliefs as looking
from engine import Recipe, Run
from engine.answers import MOST_CLASSES, MOST_SAMPLES
from engine.beliefs import MOST_CELLS, MOST_UNITS, Beliefs, understood, unit_layers
from engine.boundary import extent
from engine.frames import Picture
from engine.protocol import WatchItem
from engine.shared import SLOT_BYTES, FrameSlots, Packer, read_frame
from engine.subject import SubjectError
from engine.trainer import Trainer

DENSE = [{"kind": "dense", "units": 8}, {"kind": "tanh"}]
PIXELS = {"kind": "digits"}
POINTS = {"kind": "moons", "samples": 100, "validation": 0.3}
ROWS = {
    "kind": "given",
    "x": [[i % 3, i % 5, (7 * i) % 11] for i in range(30)],
    "labels": [],
    "values": [[(i % 3) + 0.5, 0.1 * (i % 11)] for i in range(30)],
    "validation": 0.2,
}


def run_of(data: dict[str, Any], last: list[dict[str, Any]], loss: str, steps: int = 12, **more: Any) -> Run:
    """A run some steps on."""
    raw = {"seed": 3, "dtype": "float64", "data": data, "layers": [*DENSE, *last], "loss": {"kind": loss}}
    run = Run(Recipe.from_json(json.dumps({**raw, "batch_size": 8, "optimizer": {"kind": "sgd", "lr": 0.05}, **more})))
    for _ in range(steps):
        run.step()
    return run


def told(run: Run, name: str, most: int = 5000) -> np.ndarray:
    """What is told of the run where it stands."""
    beliefs = Beliefs()
    beliefs.begin(run.trainer, False)
    found = beliefs.tensor(run.trainer, f"beliefs.{name}", most)
    assert found is not None
    return np.asarray(found)


def by_hand(trainer: Trainer, x: np.ndarray) -> np.ndarray:
    """What two dense layers with a tanh between give, written out."""
    p = trainer.parameters
    return np.asarray(np.tanh(x @ p["0.W"] + p["0.b"]) @ p["2.W"] + p["2.b"])


def softmax(y: np.ndarray) -> np.ndarray:
    e = np.exp(y)
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def sigmoid(y: np.ndarray) -> np.ndarray:
    p = 1 / (1 + np.exp(-y))
    return np.hstack([1 - p, p])


def outputs(count: int, *more: str) -> list[dict[str, Any]]:
    return [{"kind": "dense", "units": count}, *({"kind": kind} for kind in more)]


CASES = {
    "logits and cross-entropy": (PIXELS, outputs(10), "softmax_cross_entropy", softmax),
    "a softmax layer and cross-entropy": (PIXELS, outputs(10, "softmax"), "cross_entropy", softmax),
    "one logit": (POINTS, outputs(1), "binary_cross_entropy", sigmoid),
    "one probability": (POINTS, outputs(1, "sigmoid"), "binary_cross_entropy_on_probabilities", sigmoid),
    "squared error with one-hot rows": (PIXELS, outputs(10), "mean_squared_error", lambda y: y),
    "one value for two classes": (POINTS, outputs(1), "mean_squared_error", lambda y: np.hstack([1 - y, y])),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("part", ["training", "validation"])
def test_counts_mistakes_and_probabilities_are_those_of_a_plain_computation(case: str, part: str) -> None:
    data, last, loss, believe = CASES[case]
    run = run_of(data, last, loss)
    trainer = run.trainer
    x, labels = (trainer.x, trainer.labels) if part == "training" else (trainer.x_validation, trainer.labels_validation)
    assert labels is not None
    p = believe(by_hand(trainer, x))
    guessed = p.argmax(axis=1)
    wrong = [i for i in range(len(x)) if guessed[i] != labels[i]]
    assert 0 < len(wrong) < len(x)

    step, looked, there, count, lost, mean = told(run, f"facts_{part}")[0]
    assert (step, looked, there, count, lost) == (12, len(x), len(x), len(wrong), 0)
    assert mean == pytest.approx(trainer.evaluate(part)[0])  # type: ignore[arg-type]

    confusion = told(run, f"confusion_{part}")
    for true in range(p.shape[1]):
        for named in range(p.shape[1]):
            expected = sum(1 for i in range(len(x)) if (labels[i], guessed[i]) == (true, named))
            assert confusion[true, named] == expected

    rows = told(run, f"mistakes_{part}")
    assert sorted(rows[:, 0].astype(int)) == wrong
    assert (np.diff(rows[:, 5]) <= 0).all()
    for number, true, named, p_named, p_true, _ in rows:
        i = int(number)
        assert (true, named) == (labels[i], guessed[i])
        assert (p_named, p_true) == pytest.approx((p[i, guessed[i]], p[i, labels[i]]))
    assert told(run, f"inputs_{part}") == pytest.approx(x[rows[:, 0].astype(int)].reshape(len(rows), -1))


def test_the_loss_of_a_mistake_is_minus_the_log_of_what_its_class_gets() -> None:
    rows = told(run_of(PIXELS, outputs(10), "softmax_cross_entropy"), "mistakes_validation")
    assert rows[:, 5] == pytest.approx(-np.log(rows[:, 4]))


def test_a_cell_of_the_confusion_matrix_has_its_own_samples_right_ones_too() -> None:
    run = run_of(PIXELS, outputs(10), "softmax_cross_entropy", steps=60)
    confusion = told(run, "confusion_validation")
    right, wrong = np.diag(np.diag(confusion)), confusion - np.diag(np.diag(confusion))
    for cell in (np.unravel_index(m.argmax(), m.shape) for m in (right, wrong)):
        rows = told(run, f"mistakes_validation_{cell[0]}_{cell[1]}")
        assert len(rows) == confusion[cell] > 0
        assert {tuple(row) for row in rows[:, 1:3].astype(int).tolist()} == {tuple(map(int, cell))}
        inputs = told(run, f"inputs_validation_{cell[0]}_{cell[1]}")
        assert inputs == pytest.approx(run.trainer.x_validation[rows[:, 0].astype(int)].reshape(len(rows), -1))


def test_an_output_that_is_no_number_is_wrong_and_comes_first() -> None:
    run = run_of(PIXELS, outputs(10), "softmax_cross_entropy", steps=60)
    run.trainer.x_validation[4] = np.nan
    rows = told(run, "mistakes_validation")
    assert rows[0, :3].tolist() == [4, run.trainer.labels_validation[4], -1]  # type: ignore[index]
    facts = told(run, "facts_validation")[0]
    assert (facts[3], facts[4]) == (len(rows), 1)
    assert told(run, "confusion_validation").sum() == facts[1] - 1


# --- values ---------------------------------------------------------------------------------------


def test_values_are_told_beside_their_targets() -> None:
    run = run_of(ROWS, outputs(2), "mean_squared_error")
    trainer = run.trainer
    rows = told(run, "values_validation")
    assert rows[:, 0] == pytest.approx(trainer.x_validation[:, 0])
    assert rows[:, 1:3] == pytest.approx(trainer.targets_validation)
    assert rows[:, 3:] == pytest.approx(by_hand(trainer, trainer.x_validation))
    assert told(run, "facts_validation")[0, 5] == pytest.approx(((rows[:, 1:3] - rows[:, 3:]) ** 2).mean())


def test_the_curve_over_one_input_is_the_network_at_its_places() -> None:
    run = run_of({"kind": "sine", "samples": 60}, outputs(1), "mean_squared_error")
    curve = told(run, "curve", 50)
    assert curve.shape == (50, 2)
    assert curve[0, 0] < run.trainer.samples.x.min()
    assert curve[-1, 0] > run.trainer.samples.x.max()
    assert curve[:, 1:] == pytest.approx(by_hand(run.trainer, curve[:, :1]))


# --- the plane ------------------------------------------------------------------------------------


def test_a_unit_answers_the_plane_as_a_plain_computation_does() -> None:
    run = run_of(POINTS, outputs(2), "softmax_cross_entropy")
    left, right, bottom, top = extent(run.trainer)
    p, found = run.trainer.parameters, told(run, "units_1", 9)
    assert found.shape == (8, 81)
    for unit in (0, 5):
        for row, column in ((0, 0), (0, 8), (8, 0), (4, 7)):
            place = np.array([left + column / 8 * (right - left), top - row / 8 * (top - bottom)])
            answer = np.tanh(place @ p["0.W"][:, unit] + p["0.b"][unit])
            assert found[unit, 9 * row + column] == pytest.approx(answer)


def test_points_come_with_their_class_and_the_one_named() -> None:
    run = run_of(POINTS, outputs(2), "softmax_cross_entropy")
    points, trainer = told(run, "points_validation"), run.trainer
    assert points[:, :2] == pytest.approx(trainer.x_validation)
    assert points[:, 2].tolist() == trainer.labels_validation.tolist()  # type: ignore[union-attr]
    assert points[:, 3].tolist() == by_hand(trainer, trainer.x_validation).argmax(axis=1).tolist()


def layers_of(*kinds: str | int) -> tuple[Any, list[int]]:
    raw = [{"kind": "dense", "units": k} if isinstance(k, int) else {"kind": k} for k in kinds]
    sizes: list[int] = []
    for k in kinds:
        sizes.append(k if isinstance(k, int) else sizes[-1])
    return Recipe.from_json(json.dumps({"data": POINTS, "layers": raw, "batch_size": 4})).layers, sizes


def test_of_a_layer_and_its_activation_the_activation_is_shown_and_never_the_output() -> None:
    found = unit_layers(*layers_of(8, "relu", "dropout", 6, "layer_norm", "tanh", 4, 2, "softmax"))
    assert [(u.layer, u.shown) for u in found] == [(1, 8), (5, 6), (6, 4)]


def test_many_units_share_what_is_shown_and_small_layers_leave_theirs() -> None:
    found = unit_layers(*layers_of(100, "relu", 4, "relu", 100, "relu", 2))
    assert [u.shown for u in found] == [30, 4, 30]
    assert [u.units for u in found] == [100, 4, 100]
    deep = unit_layers(*layers_of(*[16, "relu"] * 40, 2))
    assert sum(u.shown for u in deep) <= MOST_UNITS
    assert len(deep) == 40


# --- looking changes nothing ----------------------------------------------------------------------

EVERYTHING = [
    f"beliefs.{name}"
    for name in (
        *("facts_validation", "facts_training", "confusion_validation", "mistakes_training", "inputs_training_0_1"),
        *("points_training", "boundary", "units_1", "units_4", "values_training", "curve"),
    )
]
RANDOM = {
    "layers": [
        {"kind": "dense", "units": 6},
        {"kind": "batch_norm"},
        {"kind": "relu"},
        {"kind": "dropout", "rate": 0.4},
        {"kind": "dense", "units": 5},
        {"kind": "log_softmax"},
        {"kind": "dense", "units": 2},
    ],
}


def everything_of(trainer: Trainer) -> list[bytes]:
    """Every array that training reads or writes, and its place."""
    network, current = trainer.network, trainer.current
    own = [a for layer in current.layers for a in vars(layer).values() if isinstance(a, np.ndarray)]
    own += [a for a in vars(current.loss).values() if isinstance(a, np.ndarray)]
    arrays = [network.store, network.buffers, network.buffers_before, trainer.record, current.x, *own]
    return [*(a.tobytes() for a in arrays), repr((trainer.position, network.drawn_for)).encode()]


@pytest.mark.parametrize("batch", [1, 8])
def test_a_look_at_any_phase_leaves_every_array_and_generator_as_it_was(batch: int) -> None:
    run = run_of(POINTS, [], "softmax_cross_entropy", steps=3, **RANDOM, batch_size=batch)
    beliefs = Beliefs()
    run.trainer.needs_input_gradient = True
    for _ in range(len(run.trainer.all_phases)):
        run.step_part()
        before, generator = everything_of(run.trainer), str(np.random.get_state())  # noqa: NPY002
        beliefs.begin(run.trainer, False)
        for address in EVERYTHING:
            beliefs.tensor(run.trainer, address, 20)
        assert everything_of(run.trainer) == before
        assert str(np.random.get_state()) == generator  # noqa: NPY002


def test_a_run_that_is_looked_at_is_the_same_bit_for_bit_forwards_and_back() -> None:
    quiet, watched = (run_of(POINTS, [], "softmax_cross_entropy", steps=0, **RANDOM) for _ in range(2))
    beliefs = Beliefs()
    for step in range(1, 41):
        quiet.step()
        watched.step()
        beliefs.begin(watched.trainer, step % 2 == 0)
        for address in EVERYTHING:
            beliefs.tensor(watched.trainer, address, 20)
    assert watched.trainer.state() == quiet.trainer.state()
    for step in (17, 40):
        quiet.seek(step)
        watched.seek(step)
        beliefs.begin(watched.trainer, False)
        beliefs.tensor(watched.trainer, "beliefs.facts_training", 1)
        assert watched.trainer.state() == quiet.trainer.state()
    assert not watched.trouble


def test_dropout_is_off_and_running_statistics_are_used() -> None:
    run = run_of(POINTS, [], "softmax_cross_entropy", steps=20, **RANDOM)
    first, again = (told(run, "mistakes_training") for _ in range(2))
    assert first.tolist() == again.tolist()
    trainer = run.trainer
    p = trainer.predict(trainer.x)
    n, named = first[:, 0].astype(int), first[:, 2].astype(int)
    assert first[:, 3] == pytest.approx(p[n, named])


# --- when it looks --------------------------------------------------------------------------------


def test_in_the_past_the_beliefs_are_those_of_the_past() -> None:
    run = run_of(PIXELS, outputs(10), "softmax_cross_entropy", steps=5)
    beliefs = Beliefs()

    def now() -> list[float]:
        beliefs.begin(run.trainer, False)
        facts = beliefs.tensor(run.trainer, "beliefs.facts_validation", 1)
        assert facts is not None
        return [float(v) for v in facts[0]]

    early = now()
    for _ in range(30):
        run.step()
    late = now()
    assert (early[0], late[0]) == (5, 35)
    assert early[5] > late[5]
    run.seek(5)
    assert now() == early
    run.seek(35)
    assert now() == late


def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps at which the network is asked from now on."""
    taken: list[int] = []
    ask = looking.ask

    def noted(trainer: Trainer, *args: Any) -> Any:
        taken.append(trainer.step_count)
        return ask(trainer, *args)

    monkeypatch.setattr(looking, "ask", noted)
    return taken


def test_at_rest_it_looks_once_for_each_state_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    run, beliefs, taken = run_of(PIXELS, outputs(10), "softmax_cross_entropy"), Beliefs(), looks(monkeypatch)
    run.trainer.needs_input_gradient = True
    for _ in range(len(run.trainer.all_phases) - 1):  # nothing moves before the update
        run.step_part()
        beliefs.begin(run.trainer, False)
        beliefs.tensor(run.trainer, "beliefs.facts_validation", 1)
        beliefs.tensor(run.trainer, "beliefs.confusion_validation", 1)
    assert taken == [13]
    run.step_part()
    beliefs.begin(run.trainer, False)
    facts = beliefs.tensor(run.trainer, "beliefs.facts_validation", 1)
    assert taken == [13, 13]
    assert facts is not None
    assert facts[0, 0] == 13


def test_a_cell_that_is_edited_is_seen_at_once() -> None:
    run, beliefs = run_of(PIXELS, outputs(10), "softmax_cross_entropy"), Beliefs()
    beliefs.begin(run.trainer, False)
    before = beliefs.tensor(run.trainer, "beliefs.facts_validation", 1)
    run.edit("2.b", (3,), 50.0)
    beliefs.begin(run.trainer, False)
    after = beliefs.tensor(run.trainer, "beliefs.facts_validation", 1)
    assert before is not None
    assert after is not None
    assert after[0, 5] > before[0, 5] + 1


def test_while_playing_it_rests_between_looks_for_many_times_what_one_took(monkeypatch: pytest.MonkeyPatch) -> None:
    run, beliefs, taken = run_of(PIXELS, outputs(10), "softmax_cross_entropy", steps=0), Beliefs(), looks(monkeypatch)
    clock = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(looking, "responses", lambda *_: {})
    slow_ask = looking.ask

    def slow(*args: Any) -> Any:
        found = slow_ask(*args)
        clock[0] += 0.1
        return found

    monkeypatch.setattr(looking, "ask", slow)
    for _ in range(400):  # ten seconds
        run.step()
        beliefs.begin(run.trainer, True)
        facts = beliefs.tensor(run.trainer, "beliefs.facts_validation", 1)
        assert facts is not None
        assert facts[0, 0] == taken[-1]  # it says of which step it is
        clock[0] += 0.025
    assert 4 <= len(taken) <= 5  # one in 2.4 s: a twenty-fifth of the time
    beliefs.begin(run.trainer, False)
    beliefs.tensor(run.trainer, "beliefs.facts_validation", 1)
    assert taken[-1] == run.trainer.step_count  # at rest it is of the step shown


def test_a_large_part_is_looked_at_in_part_and_that_is_told() -> None:
    x = [[float(i % 7)] for i in range(2300)]
    data = {"kind": "given", "x": x, "labels": [i % 2 for i in range(2300)]}
    facts = told(run_of(data, outputs(2), "softmax_cross_entropy"), "facts_training")[0]
    assert (facts[1], facts[2]) == (MOST_SAMPLES, 2300)


def test_a_look_that_takes_too_long_ends_and_tells_of_fewer_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    run, beliefs, beats = run_of(PIXELS, outputs(10), "softmax_cross_entropy"), Beliefs(), []
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def pulse() -> None:
        beats.append(clock[0])
        clock[0] += 0.4  # each block

    beliefs.pulse = pulse
    for _ in range(2):
        beliefs.begin(run.trainer, False)
        facts = beliefs.tensor(run.trainer, "beliefs.facts_training", 1)
        assert facts is not None
        assert facts[0, 1:3].tolist() == [750, 1438]
        run.step()
    assert len(beats) == 6  # the engine is known to be alive meanwhile


def test_many_classes_have_no_matrix() -> None:
    data = {"kind": "given", "x": [[float(i)] for i in range(50)], "labels": list(range(50))}
    beliefs, run = Beliefs(), run_of(data, outputs(50), "softmax_cross_entropy")
    assert MOST_CLASSES < 50
    beliefs.begin(run.trainer, False)
    assert beliefs.tensor(run.trainer, "beliefs.confusion_training", 1) is None
    assert len(told(run, "mistakes_training")) > 40


def test_where_own_code_refuses_the_samples_there_are_no_facts_and_nothing_breaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> Any:
        raise SubjectError("homework.py, line 3: this takes 8 samples")

    run = run_of(PIXELS, outputs(10), "softmax_cross_entropy", steps=2)
    monkeypatch.setattr(run.trainer.network, "apply", refuse)
    pictures = packed(run, "facts_validation")
    assert pictures["facts_validation"].values.shape == (0, 6)


@pytest.mark.parametrize("name", ["nothing", "units", "units_x", "mistakes_validation_1", "facts_validation_1_2_3", ""])
def test_what_there_is_not_is_not_answered(name: str) -> None:
    run, beliefs = run_of(PIXELS, outputs(10), "softmax_cross_entropy", steps=1), Beliefs()
    beliefs.begin(run.trainer, False)
    assert beliefs.tensor(run.trainer, f"beliefs.{name}", 5) is None


def test_an_address_is_understood() -> None:
    assert understood("beliefs.mistakes_training_3_5") == ("mistakes", "training", -1, (3, 5))
    assert understood("beliefs.units_4") == ("units", "validation", 4, None)


def packed(run: Run, *names: str) -> dict[str, Picture]:
    """What the app gets of the run where it stands."""
    slots = FrameSlots()
    try:
        watch = tuple(WatchItem(f"beliefs.{name}", 100) for name in names)
        event = Packer(slots).pack(run, None, watch, False, (), {0: run.history}, {})
        frame = read_frame(slots, event, tuple(run.trainer.all_phases), run.trainer.batches, {})
    finally:
        slots.close()
    return {name: frame.tensors[f"beliefs.{name}"] for name in names}


def test_a_frame_carries_what_is_believed_whole_and_within_its_slot() -> None:
    run = run_of(PIXELS, outputs(10), "softmax_cross_entropy", steps=2)
    pictures = packed(run, "facts_validation", "mistakes_validation", "inputs_validation", "confusion_validation")
    assert all(p.computed and p.whole for p in pictures.values())
    assert pictures["confusion_validation"].values == pytest.approx(told(run, "confusion_validation"))
    assert pictures["mistakes_validation"].values == pytest.approx(told(run, "mistakes_validation", 100), rel=1e-6)
    assert pictures["inputs_validation"].values.shape == (100, 64)
    assert sum(p.values.nbytes for p in pictures.values()) < SLOT_BYTES / 8
    assert MOST_CELLS * 4 < SLOT_BYTES / 8


def test_a_frame_without_a_single_mistake_is_a_frame_too() -> None:
    run = run_of(PIXELS, outputs(10), "softmax_cross_entropy", steps=2)
    run.edit("2.b", (5,), 1000.0)
    pictures = packed(run, "facts_validation", "mistakes_validation_3_3", "inputs_validation_3_3")
    assert pictures["mistakes_validation_3_3"].values.shape == (0, 6)
    assert pictures["inputs_validation_3_3"].values.shape == (0, 64)
