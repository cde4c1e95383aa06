"""Training: phases in order, one code path, exact numbers, and going on bit for bit."""

import json
import subprocess
import sys

import msgspec
import numpy as np
import pytest

import engine
from engine import Phase, Recipe, Trainer
from engine.run import Run

TINY = {
    "seed": 3,
    "dtype": "float64",
    "data": {"kind": "blobs", "samples": 60, "classes": 3},
    "layers": [{"kind": "dense", "units": 5}, {"kind": "tanh"}, {"kind": "dense", "units": 3}],
    "optimizer": {"kind": "sgd", "lr": 0.2, "momentum": 0.5},
    "batch_size": 7,
}


def tiny(**changes: object) -> Trainer:
    """A small trainer with some fields of its recipe changed."""
    return Trainer(Recipe.from_json(json.dumps({**TINY, **changes})))


def test_a_mini_batch_runs_through_its_phases_in_order() -> None:
    phases = [str(phase) for phase in tiny().phases()]
    assert phases == [
        *["batch", "forward 0", "forward 1", "forward 2", "loss"],
        *["backward 2 grad_W", "backward 2 grad_b", "backward 2 grad_x", "backward 1 grad_x"],
        *["backward 0 grad_W", "backward 0 grad_b", "update"],
    ]


def test_the_gradient_of_the_data_is_computed_when_it_is_wanted_and_changes_nothing_else() -> None:
    plain, looking = tiny(), tiny()
    looking.needs_input_gradient = True
    assert Phase("backward", 0, "grad_x") in list(looking.phases())
    plain.step()
    for address, value in plain.parameters.items():
        np.testing.assert_array_equal(value, looking.parameters[address])


def test_each_phase_has_computed_its_tensors_when_it_is_yielded() -> None:
    trainer = tiny()
    trainer.step()
    for phase in trainer.phases():
        if phase == Phase("forward", 0):
            x, w, b = (trainer.tensor(a) for a in ("data.x", "0.W", "0.b"))
            np.testing.assert_allclose(trainer.tensor("0.y"), x @ w + b)  # type: ignore[operator]
        if phase == Phase("backward", 2, "grad_W"):
            x, g = trainer.tensor("1.y"), trainer.tensor("2.grad_y")
            np.testing.assert_allclose(trainer.tensor("2.grad_W"), x.T @ g)  # type: ignore[union-attr]


def test_the_update_is_momentum_sgd_as_pytorch_has_it() -> None:
    trainer = tiny()
    velocity = {a: np.zeros_like(v) for a, v in trainer.parameters.items()}
    for _ in range(3):
        before = trainer.parameters
        trainer.step()
        for address, gradient in trainer.gradients.items():
            velocity[address] = 0.5 * velocity[address] + gradient
            np.testing.assert_allclose(
                trainer.parameters[address], before[address] - 0.2 * velocity[address], atol=1e-15
            )


def test_step_takes_a_batch_of_ones_own() -> None:
    trainer = tiny()
    x = np.random.default_rng(0).normal(size=(4, 2))
    frame = trainer.step(batch=(x, [0, 1, 2, 1]))
    before = tiny().predict(x)
    expected = -np.mean(np.log(before[np.arange(4), [0, 1, 2, 1]]))
    assert frame.loss == pytest.approx(expected, rel=1e-12)
    one_hot = tiny().step(batch=(x, np.eye(3)[[0, 1, 2, 1]]))
    assert one_hot.loss == frame.loss


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (np.zeros((4, 3)), [0, 1, 2, 1], "x has shape"),
        (np.zeros((4, 2)), [0, 1], "4 samples but 2 targets"),
        (np.zeros((2, 2)), [0, 3], "labels run from 0 to 3"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused_and_changes_nothing(x: np.ndarray, y: list[int], words: str) -> None:
    trainer = tiny()
    before = trainer.state()
    with pytest.raises(ValueError, match=words):
        trainer.step(batch=(x, y))
    assert trainer.state() == before


def test_parameters_are_named_set_and_guarded() -> None:
    trainer = tiny()
    assert {a: v.shape for a, v in trainer.parameters.items()} == {
        "0.W": (2, 5),
        "0.b": (5,),
        "2.W": (5, 3),
        "2.b": (3,),
    }
    trainer.set_parameters({"0.W": np.ones((2, 5))})
    assert (trainer.parameters["0.W"] == 1).all()
    with pytest.raises(ValueError, match=r"0\.b has shape \(5,\)"):
        trainer.set_parameters({"0.W": np.zeros((2, 5)), "0.b": np.ones(4)})
    assert (trainer.parameters["0.W"] == 1).all(), "a refused value must change nothing"
    with pytest.raises(KeyError, match="no parameter"):
        trainer.set_parameters({"9.W": 0})


def test_dense_forward_gives_the_known_numbers() -> None:
    trainer = tiny(data={"kind": "blobs", "samples": 60}, layers=[{"kind": "dense", "units": 4}], batch_size=2)
    layer = trainer.network.at(1).layers[0]
    layer.attach(
        {"W": np.linspace(-1, 1, 12).reshape(3, 4), "b": np.linspace(-1, 1, 4)},
        {"W": np.zeros((3, 4)), "b": np.zeros(4)},
    )
    y = layer.apply(np.linspace(-1, 1, 6).reshape(2, 3))
    known = [[0.07272727, 0.41212121, 0.75151515, 1.09090909], [-0.90909091, 0.08484848, 1.07878788, 2.07272727]]
    np.testing.assert_allclose(y, known, atol=5e-9)


def test_every_sample_is_seen_once_an_epoch_in_a_new_order() -> None:
    trainer = tiny()
    seen: list[list[bytes]] = []
    for _ in range(2):
        rows: list[bytes] = []
        for _ in range(trainer.batches):
            trainer.step()
            rows += [row.tobytes() for row in trainer.current.x]
        seen.append(rows)
    everything = sorted(row.tobytes() for row in trainer.x)
    assert sorted(seen[0]) == sorted(seen[1]) == everything
    assert seen[0] != seen[1]


EVERYTHING_WITH_A_MEMORY = {
    "data": {"kind": "blobs", "samples": 61, "classes": 3, "drop_last": False},
    "layers": [
        {"kind": "dense", "units": 8, "l1": 0.001},
        {"kind": "batch_norm"},
        {"kind": "prelu"},
        {"kind": "residual", "layers": [{"kind": "dense", "units": 8}, {"kind": "dropout", "rate": 0.3}]},
        {"kind": "dropout", "rate": 0.2},
        {"kind": "dense", "units": 3},
    ],
    "schedule": {"kind": "one_cycle", "steps": 40},
    "clip": {"kind": "clip_by_norm", "max_norm": 0.5},
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {**EVERYTHING_WITH_A_MEMORY, "optimizer": {"kind": "adam", "lr": 0.01}},
        {**EVERYTHING_WITH_A_MEMORY, "optimizer": {"kind": "rmsprop", "lr": 0.01, "momentum": 0.5}, "dtype": "float32"},
        {**EVERYTHING_WITH_A_MEMORY, "optimizer": {"kind": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True}},
        {**EVERYTHING_WITH_A_MEMORY, "optimizer": {"kind": "adagrad", "lr": 0.1}},
        {**EVERYTHING_WITH_A_MEMORY, "optimizer": {"kind": "adamw", "lr": 0.01}},
    ],
)
def test_state_and_restore_go_on_bit_for_bit_in_another_process(changes: dict[str, object]) -> None:
    trainer = tiny(**changes)
    for _ in range(10):
        trainer.step()
    state = msgspec.msgpack.encode(trainer.state())
    for _ in range(10):
        trainer.step()
        trainer.evaluate()  # looking must change nothing
        engine.check(trainer, mode="projected")
    script = (
        "import sys, msgspec; from engine import Trainer; from engine.trainer import State;"
        "s = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=State); t = Trainer(s.recipe); t.restore(s);"
        "[t.step() for _ in range(10)]; sys.stdout.buffer.write(t.network.parameters.tobytes())"
    )
    done = subprocess.run([sys.executable, "-c", script], input=state, stdout=subprocess.PIPE, check=True)
    assert done.stdout == trainer.network.parameters.tobytes()


def test_the_same_recipe_gives_the_same_bits_and_another_seed_others() -> None:
    runs = [tiny(), tiny(), tiny(seed=4), tiny(weights_draw=1)]
    for trainer in runs:
        for _ in range(5):
            trainer.step()
    bits = [trainer.network.parameters.tobytes() for trainer in runs]
    assert bits[0] == bits[1]
    assert len(set(bits)) == 3


def test_recorded_norms_are_those_of_the_tensors() -> None:
    for units in (5, 9000):  # both ways of computing them
        trainer = tiny(layers=[{"kind": "dense", "units": units}, {"kind": "tanh"}, {"kind": "dense", "units": 3}])
        before = trainer.parameters
        frame = trainer.step()
        for address, gradient in trainer.gradients.items():
            after = trainer.parameters[address]
            assert frame.scalars[f"gradient.{address}"] == pytest.approx(np.linalg.norm(gradient))
            assert frame.scalars[f"parameter.{address}"] == pytest.approx(np.linalg.norm(after))
            assert frame.scalars[f"update.{address}"] == pytest.approx(np.linalg.norm(after - before[address]))


def test_a_step_of_training_allocates_no_large_array() -> None:
    import tracemalloc

    trainer = tiny(layers=[{"kind": "dense", "units": 9000}, {"kind": "relu"}, {"kind": "dense", "units": 3}])
    for _ in range(20):
        trainer.step()
    tracemalloc.start()
    for _ in range(3):
        trainer.step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 140_000, f"{peak} bytes; one activation is 504,000, NumPy's own casting buffers are 66,000"


def test_stepping_by_phase_part_and_batch_is_one_code_path() -> None:
    recipe = Recipe.from_json(json.dumps(TINY))
    whole, phases, parts = Run(recipe), Run(recipe), Run(recipe)
    for run in (phases, parts):
        run.trainer.needs_input_gradient = True
    whole.step()
    names = [str(phases.step_phase().phase) for _ in range(9)]
    assert names[4:] == ["loss", "backward 2 grad_x", "backward 1 grad_x", "backward 0 grad_x", "update"]
    while parts.step_part().phase != Phase("update"):
        pass
    bits = {run.trainer.network.parameters.tobytes() for run in (whole, phases, parts)}
    assert len(bits) == 1
    phases.step_phase()
    assert phases.step().phase == Phase("update"), "a batch step finishes the mini-batch that is begun"
    assert phases.position.step == 2
    assert len(phases.history) == 2


def test_squared_error_learns_labels_as_one_hot_rows() -> None:
    trainer = tiny(loss={"kind": "mean_squared_error"}, optimizer={"kind": "sgd", "lr": 0.5})
    for _ in range(300):
        trainer.step()
    assert trainer.evaluate()[1] > 0.9


def test_a_single_output_can_tell_two_classes_apart() -> None:
    trainer = tiny(
        data={"kind": "xor", "samples": 200},
        layers=[{"kind": "dense", "units": 8}, {"kind": "tanh"}, {"kind": "dense", "units": 1}],
        loss={"kind": "mean_squared_error"},
    )
    for _ in range(600):
        trainer.step()
    assert trainer.evaluate()[1] > 0.95


def test_the_public_names_of_the_engine_hold() -> None:
    assert {"Recipe", "RecipeError", "Trainer", "check"} <= set(engine.__all__)
