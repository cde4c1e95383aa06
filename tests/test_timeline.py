"""Time travel: any position of a run is shown again bit for bit; a changed past forks; wrong wishes lose nothing."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import Frame, Phase, Position, Recipe, Run, RunError
from engine.keyframes import Keyframes

from replays import edits, first_pass, mnist_recipe, prints, random_positions, unequal, with_rate

EVERYTHING_WITH_A_MEMORY: dict[str, Any] = {
    "seed": 3,
    "data": {"kind": "blobs", "samples": 61, "classes": 3, "drop_last": False},
    "layers": [
        {"kind": "dense", "units": 8, "l1": 0.001},
        {"kind": "batch_norm"},
        {"kind": "prelu"},
        {"kind": "residual", "layers": [{"kind": "dense", "units": 8}, {"kind": "dropout", "rate": 0.3}]},
        {"kind": "dropout", "rate": 0.2},
        {"kind": "dense", "units": 3},
    ],
    "optimizer": {"kind": "adam", "lr": 0.01},
    "schedule": {"kind": "one_cycle", "steps": 40},
    "clip": {"kind": "clip_by_norm", "max_norm": 0.5},
    "batch_size": 7,
}
TINY: dict[str, Any] = {
    "seed": 3,
    "data": {"kind": "blobs", "samples": 60, "classes": 3},
    "layers": [{"kind": "dense", "units": 5}, {"kind": "relu"}, {"kind": "dense", "units": 3}],
    "optimizer": {"kind": "sgd", "lr": 0.2, "momentum": 0.5},
    "batch_size": 7,
}
SLICE = os.environ.get("NABLASCOPE_SLICE") == "1"


def recipe(base: dict[str, Any] = TINY, **changes: object) -> Recipe:
    """A small recipe with some fields changed."""
    return Recipe.from_json(json.dumps({**base, **changes}))


def stepped(run: Run, steps: int) -> Run:
    """The run after so many whole steps."""
    for _ in range(steps):
        run.step()
    return run


OTHER_OPTIMIZERS = [
    {"kind": "adam", "lr": 0.01},
    {"kind": "rmsprop", "lr": 0.01, "momentum": 0.5, "weight_decay": 0.01},
    {"kind": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True},
    {"kind": "adagrad", "lr": 0.1},
    {"kind": "adamw", "lr": 0.01},
]


@pytest.mark.parametrize("optimizer", OTHER_OPTIMIZERS, ids=lambda o: str(o["kind"]))
def test_any_position_is_replayed_bit_for_bit_with_all_that_has_a_memory(optimizer: dict[str, Any]) -> None:
    run = Run(recipe(EVERYTHING_WITH_A_MEMORY, optimizer=optimizer))
    run.trainer.needs_input_gradient = True
    wanted = random_positions(run, 60, 80)
    changes = {
        Position(17, 3): lambda r: r.adopt(with_rate(r.trainer.recipe, 0.05)),
        Position(25, 9): lambda r: r.edit("0.W", (1, 2), 3.5),
        Position(31, len(run.trainer.all_phases) - 1): lambda r: r.edit("data.x", (2, 1), -4.0),
        Position(44, 0): lambda r: r.edit("data.labels", 1, 2),
    }
    seen = first_pass(run, 60, wanted, changes)
    assert len(seen) == len(wanted)
    assert unequal(run, seen) == []
    assert run.trouble == ""
    assert list(run.forks) == ["main"], "a change where nothing lies ahead makes no fork"


def test_replay_from_rare_keyframes_is_bit_for_bit_too() -> None:
    run = Run(recipe(EVERYTHING_WITH_A_MEMORY))
    run.set_budget(run.recorder.keyframes.size * 3 + 60 * 8 * len(run.history.columns))
    seen = first_pass(run, 60, random_positions(run, 60, 40), {Position(30, 5): lambda r: r.edit("5.b", 0, 1.0)})
    assert len(run.path.keyframes) <= 3
    assert unequal(run, {p: s for p, s in seen.items() if run.trainer.all_phases[p.phase].part != "grad_x"}) == []


def test_going_on_from_a_replayed_position_gives_the_numbers_of_a_run_never_left() -> None:
    straight, traveller = (Run(recipe(EVERYTHING_WITH_A_MEMORY)) for _ in range(2))
    stepped(straight, 90)
    stepped(traveller, 70)
    traveller.seek(13, 4)
    traveller.seek(70)
    stepped(traveller, 20)
    np.testing.assert_array_equal(traveller.history.rows(), straight.history.rows())
    assert prints(traveller) == prints(straight)


def test_stepping_in_the_past_follows_the_path_and_adds_nothing_to_it() -> None:
    run = stepped(Run(recipe()), 40)
    rows, end = run.history.rows().copy(), prints(run)
    run.seek(11, 2)
    while run.position.step < 40:
        run.step_phase() if run.position.step % 3 else run.step()
    run.step()
    np.testing.assert_array_equal(run.history.rows()[:40], rows)
    assert run.position.step in (40, 41)
    run.seek(40)
    assert prints(run) == end


def test_each_way_of_stepping_back_undoes_its_step_forwards() -> None:
    run = stepped(Run(recipe()), 3)
    names = [str(p) for p in run.trainer.all_phases]
    strides: list[tuple[Any, Any]] = [("part", run.step_part), ("phase", run.step_phase), ("batch", run.step)]
    for stride, forwards in strides:
        before: list[tuple[Position, dict[str, int]]] = []
        for _ in range(12):
            before.append((run.position, prints(run)))
            forwards()
        for position, seen in reversed(before):
            run.step_back(stride)
            assert (run.position, prints(run)) == (position, seen), (stride, names[position.phase])


def test_stepping_back_over_an_epoch_lands_on_the_end_of_the_one_before() -> None:
    run = Run(recipe())
    run.run_to("epoch")
    run.run_to("epoch")
    assert run.position.step == 2 * run.trainer.batches
    run.step_phase()
    run.step_back("epoch")
    assert run.position.step == 2 * run.trainer.batches
    run.step_back("epoch")
    assert run.position.step == run.trainer.batches


def test_running_to_a_phase_finds_it_ahead_and_behind() -> None:
    run = stepped(Run(recipe()), 5)
    run.run_to(Phase("backward", 2, "grad_b"))
    assert (run.position.step, run.trainer.phase) == (6, Phase("backward", 2, "grad_b"))
    run.run_to(Phase("forward", 1))
    assert (run.position.step, run.trainer.phase) == (7, Phase("forward", 1))
    run.run_back_to(Phase("backward", 2))
    assert (run.position.step, run.trainer.phase) == (6, Phase("backward", 2, "grad_x"))
    run.run_to(Phase("backward", 0, "grad_x"))
    assert run.trainer.phase == Phase("backward", 0, "grad_x")
    run.run_to(30)
    assert run.position == Position(30, len(run.trainer.all_phases) - 1)
    run.run_to(4)
    assert run.position.step == 4


def test_an_operation_ends_with_its_last_part_also_where_nobody_wants_the_gradient_of_the_data() -> None:
    run = Run(recipe())
    phases = [str(run.step_phase().phase) for _ in range(9)]
    assert phases[-2:] == ["backward 0 grad_b", "update"]


# --- forks ----------------------------------------------------------------------------------------


def test_an_edit_in_the_past_forks_and_leaves_the_first_path_as_it_was() -> None:
    run = stepped(Run(recipe()), 30)
    end, rows = prints(run), run.history.rows().copy()
    run.seek(20)
    run.edit("0.W", (0, 1), 2.5)
    assert run.path.name == "fork 1"
    stepped(run, 10)
    assert run.trainer.position.step == 30
    assert prints(run) != end
    np.testing.assert_array_equal(run.history.rows()[:20], rows[:20])
    assert (run.history["loss"][20:] != rows[20:, 0]).all()
    run.switch("main")
    assert prints(run) == end
    np.testing.assert_array_equal(run.history.rows(), rows)
    run.switch("fork 1", 20)
    assert run.trainer.parameters["0.W"][0, 1] == np.float32(2.5)


def test_a_fork_in_the_middle_of_a_mini_batch_computes_its_rest_anew() -> None:
    run = stepped(Run(recipe()), 12)
    old = run.history["loss"].copy()
    run.seek(7, Phase("forward", 0))
    run.edit("2.b", 0, 4.0)
    stepped(run, 6)
    assert len(run.history) == 12
    np.testing.assert_array_equal(run.history["loss"][:6], old[:6])
    assert run.history["loss"][6] != old[6]
    run.seek(7, Phase("forward", 0))
    assert run.trainer.parameters["2.b"][0] == 4.0
    run.seek(6)
    assert run.trainer.parameters["2.b"][0] != 4.0


def test_forks_of_forks_read_their_scalars_over_the_whole_path_and_share_the_past_in_memory() -> None:
    run = stepped(Run(recipe()), 400)
    alone = run.nbytes
    for name, step in (("a", 300), ("b", 200), ("c", 205)):  # c leaves b
        run.seek(step)
        run.fork(name)
        run.adopt(with_rate(run.trainer.recipe, 0.1 + 0.01 * step))
        stepped(run, 10)
        assert len(run.history) == len(run.history["loss"]) == len(run.history.rows()) == step + 10
        if name != "b":
            run.switch("main")
    for name in ("a", "b", "c"):
        own = run.forks[name].history
        np.testing.assert_array_equal(own["loss"][:200], run.forks["main"].history["loss"][:200])
        np.testing.assert_array_equal(own.rows(150, 205)[:, 0], own["loss"][150:205])
        assert run.forks[name].history.nbytes == 10 * 8 * len(own.columns)
    assert run.nbytes - alone < alone / 4


def test_the_same_weights_again_are_a_fork_at_step_0_with_the_recipe_as_it_is() -> None:
    run = stepped(Run(recipe()), 10)
    start = Run(recipe()).trainer.network.parameters.tobytes()
    run.adopt(with_rate(run.trainer.recipe, 0.5))
    stepped(run, 5)
    run.restart()
    assert run.position == Position(0, -1)
    assert run.trainer.network.parameters.tobytes() == start
    assert run.trainer.recipe.optimizer.lr == 0.5
    assert len(run.history) == 0
    fresh = stepped(Run(with_rate(recipe(), 0.5)), 8)
    stepped(run, 8)
    np.testing.assert_array_equal(run.history.rows(), fresh.history.rows())
    run.switch("main")
    assert len(run.history) == 15


def test_tensors_of_another_fork_are_read_at_the_same_step_without_moving() -> None:
    run = stepped(Run(recipe()), 20)
    there = run.trainer.tensor("0.grad_W").copy()  # type: ignore[union-attr]
    run.seek(10)
    run.edit("0.b", 0, 1.0)
    stepped(run, 10)
    here = prints(run)
    np.testing.assert_array_equal(run.tensors_of("main", ["0.grad_W"])["0.grad_W"], there)
    assert prints(run) == here
    assert run.path.name == "fork 1"


def test_forks_are_renamed_and_dropped_but_never_from_under_ones_feet() -> None:
    run = stepped(Run(recipe()), 10)
    run.seek(5)
    run.fork("try")
    run.rename_fork("try", "trial")
    for name, words in (("trial", "the one you are on"), ("main", "'trial' has left it"), ("x", "no fork called 'x'")):
        with pytest.raises(RunError, match=words):
            run.drop_fork(name)
    with pytest.raises(RunError, match="already"):
        run.fork("main")
    run.switch("main")
    run.drop_fork("trial")
    assert list(run.forks) == ["main"]


def test_a_run_that_goes_on_from_a_saved_state_begins_its_timeline_there() -> None:
    first = stepped(Run(recipe()), 25)
    resumed = Run(recipe(), first.trainer.state())
    stepped(resumed, 15)
    stepped(first, 15)
    for run in (first, resumed):
        run.seek(33, 4)
    assert prints(first) == prints(resumed)
    with pytest.raises(RunError, match="goes from 25 to 40"):
        resumed.seek(24)
    resumed.restart()
    stepped(resumed, 3)
    first.seek(3)
    assert prints(resumed) == prints(first)


# --- edits ----------------------------------------------------------------------------------------


def test_an_edited_input_stays_edited_in_later_epochs_and_is_as_it_was_before_the_edit() -> None:
    run = stepped(Run(recipe(data={"kind": "blobs", "samples": 14, "classes": 3, "validation": 0.0})), 3)
    before = run.trainer.x.copy()
    run.edit("data.x", (4, 1), 9.0)
    assert run.trainer.tensor("data.x")[4, 1] == 9.0  # type: ignore[index]
    stepped(run, 2)
    assert sum((run.trainer.x == 9.0).sum(axis=1)) == 1
    run.seek(2)
    np.testing.assert_array_equal(run.trainer.x, before)
    run.seek(5)
    assert (run.trainer.x == 9.0).any()


def test_an_edited_label_changes_the_loss_of_its_sample() -> None:
    for loss in ("softmax_cross_entropy", "mean_squared_error"):
        run = Run(recipe(loss={"kind": loss}))
        run.step_part()
        label = int(run.trainer.batch_labels[0])  # type: ignore[index]
        plain = run.step().loss
        run.seek(1, 0)
        run.edit("data.labels", 0, (label + 1) % 3)
        assert run.step().loss != plain
        run.switch("main")
        assert run.seek(1).loss == plain


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "-inf"])
def test_nan_and_infinity_may_be_typed_in(value: Any) -> None:
    run = stepped(Run(recipe()), 3)
    run.edit("2.W", (1, 1), value)
    np.testing.assert_equal(run.trainer.parameters["2.W"][1, 1], np.float32(value))
    assert not np.isfinite(run.step().loss)


@pytest.mark.parametrize(
    ("address", "index", "value", "words"),
    [
        ("0.W", (2, 0), 1.0, r"0\.W has no cell \[2, 0\]: its shape is \(2, 5\)"),
        ("0.W", (-1, 0), 1.0, "no cell"),
        ("0.W", 1, 1.0, "one whole number for each of its axes"),
        ("9.W", (0, 0), 1.0, "'9.W' cannot be edited; choose one of 0.W"),
        ("0.y", (0, 0), 1.0, "cannot be edited"),
        ("0.W", (0, 0), "much", "'much' is not a number"),
        ("0.W", (0, 0), None, "is not a number"),
        ("0.W", (0, 0), 1e39, "beyond float32"),
        ("data.labels", (0,), 3, "not a class; type a whole number from 0 to 2"),
        ("data.labels", (0,), 0.5, "not a class"),
        ("data.x", (7, 0), 1.0, "no cell"),
    ],
)
def test_an_edit_that_cannot_be_made_is_one_sentence_and_changes_nothing(
    address: str, index: Any, value: Any, words: str
) -> None:
    run = stepped(Run(recipe()), 9)
    run.seek(4)
    before = prints(run)
    with pytest.raises(RunError, match=words) as error:
        run.edit(address, index, value)
    assert "\n" not in str(error.value)
    assert prints(run) == before
    assert list(run.forks) == ["main"]


def test_an_input_cannot_be_edited_before_a_mini_batch_is_drawn() -> None:
    with pytest.raises(RunError, match="no mini-batch is drawn"):
        Run(recipe()).edit("data.x", (0, 0), 1.0)


# --- what cannot be done --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "phase", "words"),
    [
        (13, None, "outside this run, which goes from 0 to 12"),
        (-1, None, "outside this run"),
        (12, Phase("loss"), "computed up to forward 1 only"),
        (5, 99, "no phase 99"),
        (5, Phase("forward", 7), "no phase forward 7"),
    ],
)
def test_a_seek_outside_the_run_is_one_sentence_and_moves_nothing(step: int, phase: Any, words: str) -> None:
    run = stepped(Run(recipe()), 11)
    run.run_to(Phase("forward", 1))
    before = prints(run)
    with pytest.raises(RunError, match=words) as error:
        run.seek(step, phase)
    assert "\n" not in str(error.value)
    assert prints(run) == before
    assert run.step().step == 12


def test_before_the_first_step_there_is_nothing_to_step_back_to() -> None:
    run = stepped(Run(recipe()), 1)
    run.step_back("batch")
    with pytest.raises(RunError, match="nothing before it"):
        run.step_back("part")


def test_a_budget_below_one_keyframe_is_refused_in_one_sentence_and_the_old_one_stays() -> None:
    run = stepped(Run(recipe()), 50)
    with pytest.raises(RunError, match="below one keyframe") as error:
        run.set_budget(100)
    assert "\n" not in str(error.value)
    assert run.recorder.keyframes.budget == 256_000_000
    seen = {Position(20, 3): prints_at(run, 20, 3)}
    small = Run(recipe(), budget=100)
    assert "below one keyframe" in small.notice
    stepped(small, 50)
    assert unequal(small, seen) == [], "with no keyframe but the start every position can still be reached"


def prints_at(run: Run, step: int, phase: int) -> dict[str, int]:
    """The prints of a position of the past."""
    run.seek(step, phase)
    return prints(run)


# --- memory ---------------------------------------------------------------------------------------


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyframe at every step, whatever it costs."""
    monkeypatch.setattr(Keyframes, "due", lambda self: True)


@pytest.mark.usefixtures("eager")
def test_keyframes_stay_within_the_budget_and_grow_rarer_with_age() -> None:
    run = Run(recipe(), budget=250_000)  # of which the scalars of 600 steps are 163,000
    for _ in range(12):
        stepped(run, 50)
        assert run.nbytes <= 250_000
    steps = [keyframe.step for keyframe in run.path.keyframes]
    distances = np.diff(steps)
    assert steps[0] == 0
    assert len(steps) > 10
    third = len(distances) // 3
    assert distances[:third].mean() > 2 * distances[-third:].mean()
    assert distances.max() < 600 / 4, "what is far back stays within reach"


@pytest.mark.usefixtures("eager")
def test_weights_loaded_count_in_the_budget_once_for_all_forks() -> None:
    run = Run(recipe(), budget=70_000)  # of which the scalars of 100 steps are 27,000
    stepped(run, 20)
    values = {address: value.copy() for address, value in run.trainer.parameters.items()}
    size, before = sum(value.nbytes for value in values.values()), run.nbytes
    for _ in range(200):
        run.load(values, "weights.npz")
    assert run.nbytes == before + 200 * size
    run.fork()
    for _ in range(80):
        stepped(run, 1)
        assert run.nbytes <= 70_000
    assert run.recorder.keyframes.count > 2


@pytest.mark.usefixtures("eager")
def test_several_forks_share_one_budget() -> None:
    run = Run(recipe(), budget=150_000)
    for number in range(4):
        stepped(run, 80)
        run.seek(40 + 10 * number)
        run.fork()
    stepped(run, 30)
    assert run.nbytes <= 150_000
    step, end = run.position.step, prints(run)
    run.switch("main")
    run.switch("fork 4", step)
    assert prints(run) == end


# --- what cannot be repeated ----------------------------------------------------------------------


def test_a_layer_that_is_not_repeatable_is_named_and_the_timeline_marked_from_there() -> None:
    run = stepped(Run(recipe()), 30)
    rows = run.history.rows().copy()
    layer = run.trainer.current.layers[1]
    plain, rng = layer.forward, np.random.default_rng()

    def shaky(x: np.ndarray) -> np.ndarray:
        y = plain(x)
        y += rng.normal(size=y.shape) * 0.01
        return y

    layer.forward = shaky  # type: ignore[method-assign]
    run.seek(20)
    assert run.trouble.startswith("layers[1] (relu), in forward 1, gave other numbers")
    assert "\n" not in run.trouble
    assert run.path.doubtful_from is not None
    assert run.path.doubtful_from <= 20
    assert run.position.step == 20
    np.testing.assert_array_equal(run.history.rows(), rows)
    layer.forward = plain  # type: ignore[method-assign]
    assert run.step().step == 21


def test_a_run_that_repeats_is_never_accused() -> None:
    run = Run(recipe(EVERYTHING_WITH_A_MEMORY))
    stepped(run, 30)
    run.edit("0.W", (0, 0), float("nan"))
    stepped(run, 10)
    for step in (35, 3, 40, 31, 30):
        run.seek(step)
        run.step()
    assert run.trouble == ""


# --- the whole figure -----------------------------------------------------------------------------


def check_mnist(folder: Path, steps: int, count: int) -> Iterator[Position]:
    """Replay random positions of a run on MNIST; yields those that are not as they were."""
    run = Run(mnist_recipe(folder))
    run.trainer.needs_input_gradient = True
    seen = first_pass(run, steps, random_positions(run, steps, count), edits(run, steps))
    assert len(run.path.changes) == 3
    yield from unequal(run, seen)
    assert run.trouble == ""
    assert run.nbytes <= 256_000_000


def test_positions_of_a_run_on_mnist_are_replayed_bit_for_bit(mnist: Path) -> None:
    assert list(check_mnist(mnist, 150, 20)) == []


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_a_thousand_positions_of_ten_thousand_steps_on_mnist_are_replayed_bit_for_bit(mnist: Path) -> None:
    steps, count = (1000, 100) if SLICE else (10_000, 1000)
    assert list(check_mnist(mnist, steps, count)) == []


def test_frames_of_the_past_tell_their_step_and_loss() -> None:
    run = stepped(Run(recipe()), 20)
    frame: Frame = run.seek(7)
    assert frame.step == 7
    assert frame.loss == run.history["loss"][6]
    assert frame.batch == (7 - 1) % run.trainer.batches + 1
