"""Activations and the error function: known values, far out, and what each is made for."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from layer_examples import built, trainer_of

from engine import gradcheck
from engine.contracts import backward
from engine.erf import erf, erfc
from engine.layers import LayerSpec
from engine.layers.activations import PReLU, ReLU
from engine.layers.dense import Dense
from engine.layers.smooth import ELU, GELU, SELU, SiLU, Softplus
from engine.layers.softmax import LogSoftmax, Softmax

SMOOTH = [ELU(), ELU(alpha=0.5), SELU(), GELU(), GELU(approximate="tanh"), SiLU(), Softplus(), Softplus(beta=5.0)]
ALL = [*SMOOTH, PReLU(), PReLU(per_feature=True), Softmax(), LogSoftmax()]
every_one = pytest.mark.parametrize("spec", ALL, ids=repr)


def points() -> np.ndarray:
    """Where erf is looked at: around 0, at the borders of its approximations, far out, tiny."""
    rng = np.random.default_rng(0)
    near, far = rng.uniform(-6, 6, 4000), rng.uniform(3.5, 26, 1000)
    edges = [0.0, -0.0, 0.46875, np.nextafter(0.46875, 1), 4.0, np.nextafter(4, 5), 26.5, 1e4, -1e4]
    return np.concatenate([near, far, -far, 10.0 ** rng.uniform(-300, 0, 300), edges])


@pytest.mark.parametrize(("ours", "known"), [(erf, math.erf), (erfc, math.erfc)])
def test_the_error_function_is_right_to_1e_15_of_its_value(ours: object, known: object) -> None:
    x = points()
    wanted = np.array([known(value) for value in x.tolist()])  # type: ignore[operator]
    found = ours(x)  # type: ignore[operator]
    normal = np.abs(wanted) > 1e-300
    np.testing.assert_allclose(found[normal], wanted[normal], rtol=1e-15, atol=0)
    np.testing.assert_allclose(found[~normal], wanted[~normal], atol=1e-300)


def test_the_error_function_takes_any_shape_infinity_nan_and_its_own_input_as_output() -> None:
    x = np.random.default_rng(0).standard_normal((3, 50, 70)) * 4  # more than one chunk
    wanted = erfc(x)
    assert wanted.shape == x.shape
    np.testing.assert_array_equal(erfc(x.transpose(2, 0, 1)), wanted.transpose(2, 0, 1))
    assert erfc(x, x) is x
    np.testing.assert_array_equal(x, wanted)
    np.testing.assert_array_equal(erf(np.array([np.inf, -np.inf, np.nan])), [1, -1, np.nan])
    np.testing.assert_array_equal(erfc(np.array([np.inf, -np.inf, np.nan])), [0, 2, np.nan])
    assert np.signbit(erf(np.array([-0.0])))[0]
    assert erf(np.array([0.5], np.float32)).dtype == np.float32


@every_one
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_out_nothing_overflows_and_nothing_warns(spec: LayerSpec, dtype: str) -> None:
    layer = built(spec, (8,), 2, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = np.array([[1e4, -1e4, 0, 1, -1, 90, -90, 1e3], [710, -710, 1e-300, -1e-300, 30, -30, 9, -9]], dtype)
        assert np.isfinite(layer.apply(x)).all()
        assert np.isfinite(layer.forward(x.astype("float64"))).all()
        assert np.isfinite(backward(layer, np.ones((2, 8)))["x"]).all()


@pytest.mark.parametrize("spec", SMOOTH, ids=repr)
def test_far_to_the_right_each_is_a_line_and_far_to_the_left_it_is_flat(spec: LayerSpec) -> None:
    layer = built(spec, (2,), 1, 0)
    layer.forward(np.array([[1e4, -1e4]]))
    slopes = backward(layer, np.ones((1, 2)))["x"][0]
    steep = 1.0507009873554805 if isinstance(spec, SELU) else 1.0
    np.testing.assert_allclose(slopes, [steep, 0], atol=1e-15)


@every_one
def test_backward_leaves_the_output_as_it_was(spec: LayerSpec) -> None:
    layer = built(spec, (3,), 2, 0)
    y = layer.forward(np.array([[-1.0, 0.5, 2.0], [3.0, -0.1, 0.2]])).copy()
    backward(layer, np.ones((2, 3)))
    np.testing.assert_array_equal(layer.y, y)


def test_known_values() -> None:
    x = np.array([[-1.0, 0.0, 2.0]])
    known: list[tuple[LayerSpec, list[float]]] = [
        (ELU(alpha=2.0), [2 * (math.exp(-1) - 1), 0, 2]),
        (SELU(), [-1.1113307378125625, 0, 2.1014019747109610]),
        (GELU(), [-0.15865525393145705, 0, 1.9544997361036416]),
        (SiLU(), [-0.2689414213699951, 0, 1.7615941559557649]),
        (Softplus(), [0.31326168751822283, math.log(2), 2.1269280110429727]),
    ]
    for spec, wanted in known:
        np.testing.assert_allclose(built(spec, (3,), 1, 0).forward(x)[0], wanted, rtol=1e-15, err_msg=spec.title())


def test_left_of_0_small_values_keep_their_digits() -> None:
    x = np.array([[-1e-12, -8.0, -30.0]])
    phi = [0.5 * math.erfc(-z / math.sqrt(2)) for z in x[0]]
    np.testing.assert_allclose(built(GELU(), (3,), 1, 0).forward(x)[0], x[0] * phi, rtol=1e-12)
    np.testing.assert_allclose(
        built(SiLU(), (3,), 1, 0).forward(x)[0], [z * math.exp(z) / (1 + math.exp(z)) for z in x[0]], rtol=1e-14
    )
    np.testing.assert_allclose(
        built(Softplus(), (3,), 1, 0).forward(x)[0], [math.log1p(math.exp(z)) for z in x[0]], rtol=1e-14
    )
    np.testing.assert_allclose(built(ELU(), (3,), 1, 0).forward(x)[0], [math.expm1(z) for z in x[0]], rtol=1e-14)


def test_the_tanh_form_of_gelu_is_near_the_exact_one_and_not_the_same() -> None:
    x = np.linspace(-4, 4, 200).reshape(1, -1)
    gap = np.abs(built(GELU(), (200,), 1, 0).apply(x) - built(GELU(approximate="tanh"), (200,), 1, 0).apply(x))
    assert 1e-5 < gap.max() < 1e-3


def test_selu_keeps_mean_0_and_variance_1() -> None:
    x = np.random.default_rng(0).standard_normal((1, 200_000))
    y = built(SELU(), (200_000,), 1, 0).apply(x)
    assert abs(y.mean()) < 0.01
    assert abs(y.var() - 1) < 0.02


@pytest.mark.parametrize(("per_feature", "shape", "size"), [(False, (4,), 1), (True, (4,), 4), (True, (3, 2, 2), 3)])
def test_a_prelu_learns_one_slope_or_one_a_feature_or_channel(
    per_feature: bool, shape: tuple[int, ...], size: int
) -> None:
    spec = PReLU(per_feature=per_feature)
    assert spec.parameters(shape)["slope"].shape == (size,)
    layer = built(spec, shape, 3, 0)
    slope = layer.parameters["slope"]
    slope[...] = np.arange(1, size + 1)
    y = layer.forward(np.full((3, *shape), -1.0))
    np.testing.assert_array_equal(y[:, -1], np.full(y[:, -1].shape, -float(size)))
    np.testing.assert_array_equal(layer.apply(np.full((3, *shape), 2.0)), np.full((3, *shape), 2.0))


@pytest.mark.parametrize("spec", [ReLU(), PReLU(), ELU(), SELU()], ids=repr)
def test_what_bends_at_0_says_on_which_side_it_is(spec: LayerSpec) -> None:
    sides = built(spec, (3,), 1, 0).decisions(np.array([[-1e-9, 0.0, 1e-9]]))
    assert sides is not None
    assert sides.tolist() == [[False, False, True]]


def test_softmax_gives_distributions_and_log_softmax_their_logarithms() -> None:
    x = np.random.default_rng(0).standard_normal((5, 7)) * 10 + 1e4
    p, log_p = built(Softmax(), (7,), 5, 0).forward(x), built(LogSoftmax(), (7,), 5, 0).forward(x)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-15)
    np.testing.assert_allclose(np.exp(log_p), p, rtol=1e-12)


def test_softmaxs_backward_is_the_whole_jacobian() -> None:
    layer = built(Softmax(), (4,), 1, 0)
    y = layer.forward(np.array([[0.3, -1.0, 2.0, 0.0]]))[0].copy()
    rows = [backward(layer, np.eye(4)[j : j + 1])["x"][0] for j in range(4)]
    np.testing.assert_allclose(rows, np.diag(y) - np.outer(y, y), rtol=1e-13)


@every_one
@pytest.mark.parametrize("mode", ["full", "sampled", "projected"])
def test_the_gradient_check_passes(spec: LayerSpec, mode: gradcheck.Mode) -> None:
    for batch in (1, 6):
        training = trainer_of((Dense(units=6), spec, Dense(units=5), spec, Dense(units=3)), (4,), batch=batch, seed=1)
        assert gradcheck.check(training, mode=mode).verdict == "pass"


@pytest.mark.parametrize("spec", [PReLU(), PReLU(per_feature=True), *SMOOTH], ids=repr)
@pytest.mark.parametrize("shape", [(6,), (3, 2, 2)])
def test_a_column_alone_comes_out_as_it_does_among_the_others(spec: LayerSpec, shape: tuple[int, ...]) -> None:
    layer, x = built(spec, shape, 4, 0), np.random.default_rng(0).standard_normal((4, *shape))
    y = layer.apply(x).reshape(4, -1)
    columns = np.array([[5], [0], [2]])
    passed = layer.pass_column(x.reshape(4, -1).T[columns[:, 0]], columns)
    assert passed is not None
    np.testing.assert_allclose(passed, y.T[columns[:, 0]], rtol=1e-15)
