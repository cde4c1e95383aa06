"""Data in the box and data made on the spot: the same from the same seed, in the shape and the shares asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import Recipe, Trainer
from engine.datasets import (
    AnyData,
    CurveSpec,
    DataSpec,
    Digits,
    Given,
    Mnist,
    PointSpec,
    Polynomial,
    RandomLabels,
    Samples,
    Sine,
    Spirals,
    Step,
    Xor,
)
from engine.datasets.points import GeneratedSpec
from engine.spec import RecipeError, members


def rng() -> np.random.Generator:
    """A fixed random stream."""
    return np.random.default_rng(5)


def trainer(data: dict[str, Any], **changes: Any) -> Trainer:
    """A trainer on some data."""
    recipe = {"data": data, "layers": [{"kind": "dense", "units": 10}], "batch_size": 7, **changes}
    return Trainer(Recipe.from_json(json.dumps(recipe)))


# --- in the box ---------------------------------------------------------------------------------------


def test_the_digits_are_the_1797_of_the_uci_set() -> None:
    digits = Digits().load(rng())
    assert digits.x.shape == (1797, 64)
    assert (digits.x.min(), digits.x.max()) == (0.0, 1.0)
    assert np.bincount(digits.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # type: ignore[arg-type]
    assert Digits(flatten=False).load(rng()).x.shape == (1797, 8, 8)
    assert Digits(raw=True).load(rng()).x.max() == 16.0


def test_every_kind_of_data_says_what_it_is() -> None:
    for kind in AnyData.__args__:  # type: ignore[attr-defined]
        assert kind.__doc__


# --- made on the spot ---------------------------------------------------------------------------------

# Σ x·cos(0, 1, 2, …) and Σ label·(0, 1, 2, …) of each kind as it is by default: what a seed makes must stay what it is.
MADE = {
    "digits": (114.86690409960356, 7264791),
    "xor": (-29.14064980287535, 40252),
    "circles": (-5.759411604457046, 40897),
    "moons": (-3.5245850003520443, 39397),
    "spirals": (-2.1667048977885868, 100694),
    "blobs": (23.061793893085543, 79634),
}


@pytest.mark.parametrize("name", MADE)
def test_what_a_seed_makes_stays_what_it_is(name: str) -> None:
    samples = next(kind for kind in members(DataSpec) if kind.kind() == name)().load(rng())
    assert samples.labels is not None
    weights = np.cos(np.arange(samples.x.size)).reshape(samples.x.shape)
    in_x, in_labels = (samples.x * weights).sum(), (samples.labels * np.arange(len(samples.labels))).sum()
    assert (pytest.approx(in_x, rel=1e-9), in_labels) == MADE[name]


@pytest.mark.parametrize("kind", members(GeneratedSpec), ids=lambda kind: kind.kind())
def test_generated_data_hangs_on_the_seed_alone(kind: type[GeneratedSpec]) -> None:
    once, again = kind().load(rng()), kind().load(rng())
    np.testing.assert_array_equal(once.x, again.x)
    assert not np.array_equal(once.x, kind().load(np.random.default_rng(6)).x)
    assert len(kind(samples=31).load(rng()).x) == 31


@pytest.mark.parametrize("kind", members(GeneratedSpec), ids=lambda kind: kind.kind())
def test_a_seed_of_its_own_makes_the_same_data_in_every_run(kind: type[GeneratedSpec]) -> None:
    own = kind(seed=3)
    first, second = own.load(rng()), own.load(np.random.default_rng(6))
    np.testing.assert_array_equal(first.x, second.x)
    assert not np.array_equal(first.x, kind(seed=4).load(rng()).x)


@pytest.mark.parametrize("kind", members(PointSpec), ids=lambda kind: kind.kind())
def test_points_lie_in_the_plane_and_hold_every_class(kind: type[PointSpec]) -> None:
    points = kind().load(rng())
    assert points.x.shape[1] == 2
    assert set(np.unique(points.labels)) == set(range(len(points.classes)))


@pytest.mark.parametrize("kind", members(PointSpec), ids=lambda kind: kind.kind())
def test_noise_scatters_the_points(kind: type[PointSpec]) -> None:
    calm, wild = kind(noise=0.0, samples=1000).load(rng()), kind(noise=0.5, samples=1000).load(rng())
    assert np.std(wild.x - calm.x) == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("kind", members(PointSpec), ids=lambda kind: kind.kind())
def test_imbalance_makes_each_class_smaller_than_the_last(kind: type[PointSpec]) -> None:
    uneven = kind(samples=700, imbalance=0.5).load(rng())
    counts = np.bincount(uneven.labels)  # type: ignore[arg-type]
    assert counts.sum() == 700
    np.testing.assert_allclose(counts[1:] / counts[:-1], 0.5, atol=0.02)
    assert np.ptp(np.bincount(kind(samples=700).load(rng()).labels)) <= 1  # type: ignore[arg-type]


def test_an_uneven_xor_is_still_one() -> None:
    uneven = Xor(samples=100, noise=0.0, imbalance=0.8).load(rng())
    np.testing.assert_array_equal(uneven.labels, (uneven.x[:, 0] * uneven.x[:, 1] < 0).astype(int))
    assert len(np.unique(uneven.x, axis=0)) == 4


def test_an_imbalance_that_leaves_a_class_empty_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"data\.imbalance: 0\.9 leaves no sample for class 2; lower it"):
        Spirals(samples=20, classes=4, imbalance=0.9).load(rng())


def test_random_labels_are_whole_numbers_in_the_range_asked_for() -> None:
    table = RandomLabels().load(rng())
    assert table.x.shape == (64, 5)
    assert set(np.unique(table.x)) == set(range(3, 10))
    assert set(np.unique(table.labels)) == {0, 1, 2}
    with pytest.raises(RecipeError, match=r"data\.high: 2 is not above data\.low, 3; raise it"):
        RandomLabels(high=2).load(rng())


# --- curves -------------------------------------------------------------------------------------------

CURVES = {
    "sine": (Sine(noise=0.0, cycles=0.5), lambda x: np.sin(np.pi * x)),
    "polynomial": (Polynomial(noise=0.0, coefficients=(1.0, 0.0, -2.0)), lambda x: 1 - 2 * x**2),
    "step": (Step(noise=0.0, at=0.25), lambda x: np.where(x < 0.25, 0.0, 1.0)),
}


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_has_one_number_in_one_value_out_and_no_labels(name: str) -> None:
    spec, expected = CURVES[name]
    curve = spec.load(rng())
    assert curve.x.shape == (200, 1)
    assert curve.labels is None
    assert curve.classes == ()
    np.testing.assert_allclose(curve.values, expected(curve.x), atol=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", members(CurveSpec), ids=lambda kind: kind.kind())
def test_a_curve_keeps_to_its_ends_and_scatters_its_values(kind: type[CurveSpec]) -> None:
    curve = kind(samples=2000, low=2.0, high=5.0, noise=0.3).load(rng())
    assert 2.0 <= curve.x.min() < 2.01
    assert 4.99 < curve.x.max() <= 5.0
    calm = kind(samples=2000, low=2.0, high=5.0, noise=0.0).load(rng())
    assert np.std(curve.values - calm.values) == pytest.approx(0.3, rel=0.05)  # type: ignore[operator]
    with pytest.raises(RecipeError, match=r"data\.high: 1 is not above data\.low, 1; raise it"):
        kind(low=1.0, high=1.0).load(rng())


@pytest.mark.parametrize("kind", [kind.kind() for kind in members(CurveSpec)])
def test_a_curve_is_learnt_by_regression(kind: str) -> None:
    layers = [{"kind": "dense", "units": 16}, {"kind": "tanh"}, {"kind": "dense", "units": 1}]
    data = {"kind": kind, "noise": 0.0}
    learner = trainer(data, layers=layers, loss={"kind": "mean_squared_error"}, optimizer={"kind": "sgd", "lr": 0.1})
    before = learner.evaluate()[0]
    for _ in range(600):
        learner.step()
    assert learner.evaluate()[0] < 0.5 * before


def test_a_curve_has_no_classes_to_cross_entropy() -> None:
    with pytest.raises(RecipeError, match="needs class labels"):
        trainer({"kind": "sine"}, layers=[{"kind": "dense", "units": 1}])


# --- written out --------------------------------------------------------------------------------------


def test_samples_can_be_written_out_in_the_recipe() -> None:
    labelled = Given().load(rng())
    assert labelled.x.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert labelled.labels.tolist() == [0, 1, 1, 0]  # type: ignore[union-attr]
    valued = Given(x=((0.05, 0.1),), labels=(), values=((0.01, 0.99),)).load(rng())
    assert valued.values.tolist() == [[0.01, 0.99]]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"x": ((1.0, 2.0), (3.0,))}, r"data\.x\[1\] has 1 numbers where data\.x\[0\] has 2"),
        ({"labels": ()}, "either a label or values"),
        ({"values": ((1.0,),) * 4}, "either a label or values"),
        ({"labels": (0, 1)}, r"data\.labels: there are 2 for 4 samples"),
        ({"labels": (), "values": ((1.0,),)}, r"data\.values: there are 1 for 4 samples"),
        ({"labels": (1, 1, 1, 1)}, "all 4 samples are of class '1'"),
    ],
)
def test_samples_that_do_not_fit_together_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        Given(**changes).load(rng())


# --- what every dataset can be told -------------------------------------------------------------------


def test_a_class_subset_is_numbered_anew_and_keeps_its_names() -> None:
    every, few = Digits().load(rng()), Digits(only=(7, 3)).load(rng())
    assert few.classes == ("7", "3")
    chosen = np.isin(every.labels, (3, 7))  # type: ignore[arg-type]
    np.testing.assert_array_equal(few.x, every.x[chosen])
    np.testing.assert_array_equal(few.labels == 0, every.labels[chosen] == 7)  # type: ignore[index]


def test_the_first_n_are_taken_of_the_classes_wanted() -> None:
    few = Digits(only=(0, 1, 2), first=100).load(rng())
    np.testing.assert_array_equal(few.x, Digits(only=(0, 1, 2)).load(rng()).x[:100])
    assert few.x.shape == (100, 64)
    assert len(Digits(first=10**6).load(rng()).x) == 1797
    assert Sine(first=9).load(rng()).values.shape == (9, 1)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (Digits(only=(0, 10)), r"data\.only: there is no class 10; the 10 classes are 0 to 9"),
        (Digits(only=(1, 2, 1)), "a class is named twice"),
        (Digits(only=(4,)), "all 181 samples are of class '4', so there is nothing to tell apart"),
        (Sine(only=(0, 1)), "the data has values, not classes"),
    ],
    ids=["unknown class", "class twice", "one class", "no classes"],
)
def test_a_class_subset_that_cannot_be_is_refused(data: DataSpec, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        data.load(rng())


def test_data_in_order_gives_its_first_samples_to_training_and_its_last_to_validation() -> None:
    ordered = trainer({"kind": "digits", "shuffle": False, "validation": 0.1})
    x = Digits().load(rng()).x.astype(np.float32)
    np.testing.assert_array_equal(ordered.x, x[:1617])
    np.testing.assert_array_equal(ordered.x_validation, x[1617:])
    ordered.step()
    np.testing.assert_array_equal(ordered.current.x, x[:7])


def test_a_short_last_batch_is_kept_or_dropped() -> None:
    kept, dropped = (trainer({"kind": "digits", "first": 50, "validation": 0.0, "drop_last": d}) for d in (False, True))
    assert (kept.batches, dropped.batches) == (8, 7)
    sizes = {t: [len(t.tensor("data.x")) for _ in range(16) if t.step()] for t in (kept, dropped)}  # type: ignore[arg-type]
    assert sizes[kept] == [*[7] * 7, 1] * 2
    assert sizes[dropped] == [7] * 16
    assert dropped.frame().epoch == 3
    even = trainer({"kind": "digits", "first": 49, "validation": 0.0, "drop_last": True})
    assert even.batches == 7


def test_the_statistics_of_a_dataset_are_those_of_its_values() -> None:
    digits = Digits().load(rng())
    stats = digits.statistics()
    assert stats.count == 1797
    assert stats.per_class == (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)
    assert (stats.minimum, stats.maximum) == (0.0, 1.0)
    assert stats.mean == pytest.approx(digits.x.mean())
    assert stats.std == pytest.approx(np.sqrt(np.mean((digits.x - digits.x.mean()) ** 2)))
    even = replace(digits, x=digits.x.astype(np.float32) + 1e4).statistics()
    assert even.std == pytest.approx(stats.std, rel=1e-3), "the mean swallowed the digits that matter"
    assert Sine().load(rng()).statistics().per_class == ()
    assert Samples(np.zeros((0, 2)), None, ()).statistics().count == 0


def test_mnist_is_found_in_the_folder_named(mnist: Path) -> None:
    data = Mnist(folder=str(mnist), part="test").load(rng())
    assert data.x.shape == (10_000, 784)
    assert data.image_shape == (28, 28)
    assert data.classes == tuple("0123456789")
    raw = Mnist(folder=str(mnist), part="test", raw=True, flatten=False, first=10).load(rng())
    assert raw.x.shape == (10, 28, 28)
    np.testing.assert_allclose(raw.x.reshape(10, -1) / 255.0, data.x[:10])
