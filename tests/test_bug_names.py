"""One bug at a time: it gets its name with numbers, what is unusual but right is not accused."""

import json
import random
from typing import Any

import msgspec
import numpy as np
import pytest
from mutant_layers import Own, OwnDense, OwnDropout, OwnRelu

from engine.builtin import LayerSubject, LossSubject
from engine.diagnosis import examine
from engine.layers.dense import Dense
from engine.losses import MeanSquaredError, SoftmaxCrossEntropy

from mutants import MATERIALS, OwnSubject, own, variants, vectors
from mutation import LAYERS, every_slug

SLUGS = [
    "missing-batch-mean",
    "extra-batch-mean",
    "constant-factor",
    "sign-flipped",
    "transposed",
    "bias-not-summed",
    "bias-summed-over-all",
    "relu-mask-missing",
    "relu-mask-inverted",
    "upstream-ignored",
    "local-derivative-missing",
    "extra-derivative",
    "softmax-diagonal-only",
    "softmax-wrong-axis",
    "batchnorm-mean-path",
    "batchnorm-variance-path",
    "skip-dropped",
    "branch-overwritten",
    "accumulates-across-calls",
    "mutates-input",
    "stale-cache",
    "dropout-scale",
    "dropout-mask-redrawn",
    "l2-mismatch",
    "integer-dtype",
    "batch-of-one",
    "labels-ignored",
    "labels-from-elsewhere",
    "overflow",
    "broadcast",
]
Array = np.ndarray[Any, Any]


def slugs(subject: Any, seed: int = 0) -> list[str]:
    """What a subject is accused of."""
    return [bug.slug for bug in examine(subject, seed).bugs]


def subject_of(make: Any, shape: tuple[int, ...] = (7,)) -> OwnSubject:
    """An object of a class of its own on vectors."""
    return OwnSubject(lambda: make(np.random.default_rng(3), shape, ""), make.__name__, "layer", vectors(shape))


def test_every_bug_is_in_the_suite() -> None:
    of_layers = {slug for kind in LAYERS for slug in every_slug(kind)}
    assert of_layers | {slug for _, slug, _ in variants()} == set(SLUGS)


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "slug", "variant"), list(variants()))
def test_a_bug_in_own_code_gets_its_name_and_evidence_that_json_takes(kind: str, slug: str, variant: str) -> None:
    report = examine(own(kind, variant, 1), 1)
    assert slug in [bug.slug for bug in report.bugs]
    assert report.verdict == "fail" or slug == "overflow"
    json.dumps(msgspec.to_builtins(report.bugs), allow_nan=False)


def test_a_bug_comes_with_its_tensor_numbers_confidence_and_what_should_stand_there() -> None:
    (bug,) = examine(own("dense", "both averaged", 0)).bugs
    assert bug.slug == "extra-batch-mean"
    assert bug.tensor == "W"
    assert "The gradient of W is the batch size times too small" in bug.sentence
    assert bug.confidence > 0.9
    assert bug.evidence["factor"] == pytest.approx(1 / 5)
    assert bug.evidence["factor_at_other_batch"] == pytest.approx(1 / 3)
    assert bug.evidence["tensors"] == ["W", "b"]
    assert "grad_W = xᵀ·grad_y" in bug.formula


def test_a_constant_is_told_from_the_batch_size_by_another_batch() -> None:
    class TimesFive(OwnDense):
        """Five times too large, where the batch is five."""

        def backward(self, g: Array) -> dict[str, Any]:
            right = super().backward(g)
            return right | {"W": 5 * right["W"]}

    class TimesBatch(OwnDense):
        def backward(self, g: Array) -> dict[str, Any]:
            right = super().backward(g)
            return right | {"W": len(g) * right["W"]}

    assert slugs(subject_of(TimesFive)) == ["constant-factor"]
    assert slugs(subject_of(TimesBatch)) == ["missing-batch-mean"]


def test_the_size_of_the_penalty_is_told() -> None:
    subject = own("dense", "decay in dW alone", 4)
    (bug,) = examine(subject).bugs
    assert bug.evidence["k"] == pytest.approx(subject.original.decay, rel=1e-4)


def test_the_layer_of_a_model_where_the_gradient_goes_wrong_is_told() -> None:
    (bug,) = examine(own("network", "no derivative", 2)).bugs
    assert bug.slug == "relu-mask-missing"
    assert "behind W1" in bug.sentence
    assert bug.evidence["tensors"] == ["W1", "b1"]


def test_what_fits_no_bug_is_called_unknown_and_nothing_else() -> None:
    report = examine(own("dense", "noise", 0))
    assert [bug.slug for bug in report.bugs] == ["unknown"]
    assert report.verdict == "fail"
    assert report.bugs[0].evidence["tensors"] == ["W"]


def test_code_that_breaks_at_one_sample_is_told_with_its_own_words() -> None:
    class TwoAtLeast(Own):
        def forward(self, x: Array) -> Any:
            if len(x) < 2:
                raise ValueError("give me two")
            return 2 * x

        def backward(self, g: Array) -> dict[str, Any]:
            return {"x": 2 * g}

    (bug,) = examine(subject_of(TwoAtLeast)).bugs
    assert bug.slug == "batch-of-one"
    assert "give me two" in bug.sentence


# --- no accusations -------------------------------------------------------------------------------


def test_right_own_code_passes() -> None:
    for kind, material in MATERIALS.items():
        for variant in material.right:
            report = examine(own(kind, variant, 5), 5)
            assert report.verdict == "pass", (kind, variant, report)
            assert not report.bugs


def test_naive_softmax_is_told_to_overflow_but_its_gradient_is_not_called_wrong() -> None:
    report = examine(own("softmax", "naive", 0))
    assert [bug.slug for bug in report.bugs] == ["overflow"]
    assert report.verdict == "pass"


def test_making_the_gradient_in_the_array_that_was_handed_over_is_no_bug() -> None:
    class InPlace(OwnRelu):
        """As a well-known book writes it: dout[mask] = 0; return dout."""

        def backward(self, g: Array) -> dict[str, Any]:
            g[self.x <= 0] = 0
            return {"x": g}

    class Spoils(OwnRelu):
        """Changes grad_y, and gives something else back."""

        def backward(self, g: Array) -> dict[str, Any]:
            right = super().backward(g)
            g *= 2
            return right

    assert slugs(subject_of(InPlace)) == []
    assert slugs(subject_of(Spoils)) == ["mutates-input"]


def test_a_gradient_with_one_axis_more_of_one_entry_is_right() -> None:
    class Keepdims(OwnDense):
        def backward(self, g: Array) -> dict[str, Any]:
            return super().backward(g) | {"b": g.sum(axis=0, keepdims=True)}

    assert examine(subject_of(Keepdims)).verdict == "pass"


def test_forward_that_draws_anew_at_every_call_is_unresolvable_not_wrong() -> None:
    class Unseeded(OwnDropout):
        def draw(self, shape: tuple[int, ...]) -> Any:
            return (np.random.default_rng().random(shape) < self.keep) / self.keep

    report = examine(subject_of(Unseeded))
    assert report.verdict == "unresolvable"
    assert not report.bugs
    assert "another result at every call" in report.tensors["x"].note


def test_dropout_with_a_generator_of_its_own_passes() -> None:
    class Seeded(OwnDropout):
        rng: Any = None

        def draw(self, shape: tuple[int, ...]) -> Any:
            self.rng = self.rng or np.random.default_rng(1)
            return (self.rng.random(shape) < self.keep) / self.keep

    assert examine(subject_of(Seeded)).verdict == "pass"


# --- how it goes about ----------------------------------------------------------------------------


def test_the_subject_and_the_generators_of_the_process_are_left_as_they_were() -> None:
    dense = own("dense", "changes W", 0)
    before = dense.original.parameters["W"].copy()
    drawn = []
    for look in (False, True):
        random.seed(4)
        np.random.seed(4)  # noqa: NPY002  # own code reads this state
        if look:
            examine(own("dropout", "", 0))
            examine(dense)
        drawn.append((random.random(), np.random.rand()))  # noqa: NPY002
    assert drawn[0] == drawn[1]
    np.testing.assert_array_equal(dense.original.parameters["W"], before)


def test_examined_twice_it_says_the_same() -> None:
    for kind, variant in (("dense", "dW transposed"), ("dropout", "redrawn"), ("network", "no derivative")):
        first, second = (examine(own(kind, variant, 3), 3) for _ in range(2))
        assert first.bugs == second.bugs


def test_a_large_tensor_is_sampled_and_its_bug_named_all_the_same() -> None:
    for slug in (None, "transposed", "extra-batch-mean", "l2-mismatch", "bias-summed-over-all"):
        report = examine(LayerSubject(Dense(units=90), (90,), slug))
        assert [bug.slug for bug in report.bugs] == ([slug] if slug else [])
        assert np.isnan(report.tensors["W"].numeric).any()


def test_an_engine_loss_with_given_outputs_and_targets_is_examined_at_those() -> None:
    x, labels = np.random.default_rng(0).standard_normal((4, 3)), np.array([2, 0, 1, 1])
    assert examine(LossSubject(SoftmaxCrossEntropy(), 3, None, x, labels)).verdict == "pass"
    assert slugs(LossSubject(SoftmaxCrossEntropy(), 3, "labels-ignored", x, labels)) == ["labels-ignored"]
    assert slugs(LossSubject(MeanSquaredError(convention="half"), 3, "missing-batch-mean")) == ["missing-batch-mean"]
