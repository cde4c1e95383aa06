"""Convolution, pooling and Reshape: any geometry, ties, NaN, what is refused, and the memory of a step."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layer_examples import accepts, away_from_zero, built, trainer_of
from test_layers import central_differences, distance

from engine import layers
from engine.contracts import backward, layer_contracts
from engine.datasets import Digits
from engine.gradcheck import check
from engine.layers.activations import ReLU
from engine.layers.conv import Conv2D
from engine.layers.dense import Dense
from engine.layers.pool import AvgPool2D, GlobalAvgPool, MaxPool2D
from engine.layers.reshape import Flatten, Reshape
from engine.network import Network
from engine.optimizers import SGD
from engine.recipe import Recipe
from engine.spec import RecipeError
from engine.trainer import Trainer

Array = np.ndarray[Any, Any]
seeds = st.integers(0, 10**6)
small = settings(max_examples=40, deadline=None)
SMALL_CONV_NET = (
    Conv2D(filters=8), ReLU(), MaxPool2D(), Conv2D(filters=16), ReLU(), MaxPool2D(), Flatten(), Dense(units=10),
)  # fmt: skip


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Conv2D, tuple[int, ...]]:
    """A convolution of any geometry and a shape it takes."""
    spec = Conv2D(
        filters=draw(st.integers(1, 3)),
        kernel=draw(st.integers(1, 4)),
        stride=draw(st.integers(1, 3)),
        padding=draw(st.integers(0, 3)),
        dilation=draw(st.integers(1, 3)),
        bias=draw(st.booleans()),
    )
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 8)), draw(st.integers(1, 8)))
    assume(accepts(spec, shape))
    return spec, shape


@st.composite
def poolings(draw: st.DrawFn) -> tuple[layers.LayerSpec, tuple[int, ...]]:
    """A pooling of any geometry and a shape it takes."""
    kernel = draw(st.integers(1, 4))
    kind = draw(st.sampled_from([MaxPool2D, AvgPool2D]))
    spec = kind(kernel=kernel, stride=draw(st.integers(1, 4)), padding=draw(st.integers(0, kernel // 2)))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 8)), draw(st.integers(1, 8)))
    assume(accepts(spec, shape))
    return spec, shape


def by_hand(spec: Conv2D, x: Array, W: Array, b: Array | None) -> Array:
    """The convolution as its definition reads, one output after the other."""
    p, d = spec.padding, spec.dilation
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    y = np.zeros((len(x), *spec.output_shape(x.shape[1:])))
    for n, f, r, s in np.ndindex(*y.shape):
        for c, i, j in np.ndindex(*W.shape[1:]):
            y[n, f, r, s] += W[f, c, i, j] * padded[n, c, spec.stride * r + d * i, spec.stride * s + d * j]
        y[n, f, r, s] += 0 if b is None else b[f]
    return y


@small
@given(placed=convolutions(), batch=st.integers(1, 3), seed=seeds)
def test_a_convolution_is_what_its_definition_reads(placed: Any, batch: int, seed: int) -> None:
    spec, shape = placed
    layer = built(spec, shape, batch, seed)
    x = np.random.default_rng(seed).standard_normal((batch, *shape))
    wanted = by_hand(spec, x, layer.parameters["W"], layer.parameters.get("b"))
    np.testing.assert_allclose(layer.forward(x), wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(layer.apply(x), wanted, rtol=1e-12, atol=1e-12)


@small
@given(placed=st.one_of(convolutions(), poolings()), batch=st.integers(1, 3), seed=seeds)
def test_gradients_are_right_for_any_geometry(placed: Any, batch: int, seed: int) -> None:
    spec, shape = placed
    layer, rng = built(spec, shape, batch, seed), np.random.default_rng(seed)
    x = away_from_zero(rng, (batch, *shape))
    upstream = rng.standard_normal(layer.forward(x).shape)
    analytic = backward(layer, upstream)
    for role, tensor in (layer.parameters | {"x": x}).items():
        numeric = central_differences(lambda: float((upstream * layer.apply(x)).sum()), tensor)
        assert distance(analytic[role], numeric) <= 1e-7, role
    assert list(layer_contracts(layer, x, upstream)) == []


def test_the_layers_of_a_conv_net_pass_the_gradient_check() -> None:
    stack = (Conv2D(filters=2, padding=1), ReLU(), MaxPool2D(), Conv2D(filters=3, kernel=2), GlobalAvgPool())
    report = check(trainer_of(stack, (2, 5, 7)))
    assert report.contracts == ()
    assert {tensor.verdict for tensor in report.tensors.values()} <= {"pass", "kink"}
    assert report.tensors["0.W"].verdict == report.tensors["3.W"].verdict == "pass"


@pytest.mark.parametrize("samples", [1, 4, 11])
def test_samples_are_taken_block_by_block_with_the_same_numbers(monkeypatch: pytest.MonkeyPatch, samples: int) -> None:
    def numbers() -> list[Array]:
        layer, rng = built(Conv2D(filters=3, padding=1), (2, 5, 7), 11, 0), np.random.default_rng(0)
        x = rng.standard_normal((11, 2, 5, 7))
        y = layer.forward(x).copy()
        found = backward(layer, rng.standard_normal(y.shape))
        return [y, layer.apply(x), *found.values()]

    at_once = numbers()
    monkeypatch.setattr("engine.layers.conv.AT_ONCE", samples * 2 * 9 * 5 * 9)
    for one, other in zip(numbers(), at_once, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


def test_a_sample_with_nan_spoils_no_other_sample() -> None:
    for spec in (Conv2D(filters=3), MaxPool2D(), AvgPool2D(), GlobalAvgPool()):
        layer = built(spec, (2, 5, 7), 3, 0)
        x = np.random.default_rng(0).standard_normal((3, 2, 5, 7))
        x[1] = np.nan
        layer.forward(x)
        layer.forward(np.where(np.isnan(x), 1.0, x))  # nor the next mini-batch
        assert np.isfinite(layer.y).all()
        assert np.isfinite(layer.forward(x)[[0, 2]]).all()


# --- pooling --------------------------------------------------------------------------------------


def pooled(spec: layers.LayerSpec, picture: list[list[float]]) -> tuple[Array, Array]:
    """y and grad_x of one picture of one channel, grad_y being 1, 2, 3, …"""
    x = np.array(picture, np.float64)[None, None]
    layer = built(spec, x.shape[1:], 1, 0)
    y = layer.forward(x).copy()
    assert np.array_equal(layer.apply(x), y, equal_nan=True)
    return y[0, 0], backward(layer, np.arange(1.0, y.size + 1).reshape(y.shape))["x"][0, 0]


def test_of_equal_entries_the_first_gets_the_gradient() -> None:
    y, grad_x = pooled(MaxPool2D(), [[5, 5, 0, 0], [5, 5, 0, 1]])
    assert y.tolist() == [[5, 1]]
    assert grad_x.tolist() == [[1, 0, 0, 0], [0, 0, 0, 2]]


def test_nan_wins_and_the_last_one_gets_the_gradient() -> None:
    nan = float("nan")
    y, grad_x = pooled(MaxPool2D(), [[nan, nan, 1, 2], [9, 8, nan, 3]])
    assert np.isnan(y).all()
    assert grad_x.tolist() == [[0, 1, 0, 0], [0, 0, 2, 0]]


def test_the_padding_never_wins_and_takes_no_gradient() -> None:
    y, grad_x = pooled(MaxPool2D(kernel=3, stride=3, padding=1), [[-4, -3], [-2, -1]])
    assert y.tolist() == [[-1]]
    assert grad_x.tolist() == [[0, 0], [0, 1]]
    low = -np.inf
    assert pooled(MaxPool2D(kernel=3, stride=3, padding=1), [[low, low], [low, low]])[1].tolist() == [[1, 0], [0, 0]]


def test_an_entry_in_several_windows_gets_the_gradients_of_all_that_it_wins() -> None:
    assert pooled(MaxPool2D(stride=1), [[0, 9, 0], [0, 0, 8]])[1].tolist() == [[0, 3, 0], [0, 0, 0]]
    assert pooled(AvgPool2D(stride=1), [[0, 9, 0], [0, 0, 8]])[1].tolist() == [[0.25, 0.75, 0.5]] * 2


def test_an_infinite_gradient_goes_to_the_winner_alone() -> None:
    layer = built(MaxPool2D(), (1, 2, 2), 1, 0)
    layer.forward(np.array([[[[1.0, 2.0], [0.0, 1.0]]]]))
    grad_x = backward(layer, np.full((1, 1, 1, 1), np.inf))["x"]
    assert grad_x.ravel().tolist() == [0, np.inf, 0, 0]


def test_a_windows_decision_is_the_number_of_its_largest_entry() -> None:
    layer = built(MaxPool2D(), (1, 2, 4), 1, 0)
    x = np.array([[[[1.0, 2.0, 0.0, 0.0], [0.0, 1.0, 0.0, 7.0]]]])
    sides = layer.decisions(np.concatenate([x, -x]))
    assert sides is not None
    assert sides.tolist() == [[[[1, 3]]], [[[2, 0]]]]


def test_a_kernel_of_more_than_256_entries_counts_right() -> None:
    x = np.zeros((1, 1, 20, 20))
    x[0, 0, 19, 19] = 1
    layer = built(MaxPool2D(kernel=20, stride=20), (1, 20, 20), 1, 0)
    layer.forward(x)
    np.testing.assert_array_equal(backward(layer, np.full((1, 1, 1, 1), 3.0))["x"], 3 * x)


# --- what is refused, and what is said ---------------------------------------------------------------


@pytest.mark.parametrize("spec", [Conv2D(filters=8), MaxPool2D(), AvgPool2D(), GlobalAvgPool()])
@pytest.mark.parametrize("shape", [(28, 28), (784,), (1, 2, 3, 4)])
def test_anything_but_pictures_with_channels_is_refused_with_its_shape_and_a_cure(spec: Any, shape: Any) -> None:
    with pytest.raises(RecipeError) as caught:
        Network(Recipe(layers=(spec, Flatten())), shape)
    sentence = str(caught.value)
    assert sentence.startswith(f"layers[0] ({spec.kind()}) takes pictures (channels, rows, columns) but gets ")
    assert f"shape {'×'.join(map(str, shape))} from the data; " in sentence
    assert "insert a Reshape layer before it" in sentence
    assert "\n" not in sentence


def test_a_convolution_of_pictures_without_channels_names_both_cures() -> None:
    with pytest.raises(layers.ShapeError, match=r"insert a Reshape layer .*, or use Flatten and Dense"):
        Conv2D(filters=8).output_shape((28, 28))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (Conv2D(filters=1, kernel=7), "has windows of 7×7 but gets pictures of 5×6, padded by 0; make the kernel"),
        (Conv2D(filters=1, dilation=3), "has windows of 7×7 but gets pictures of 5×6, padded by 0; make the kernel"),
        (MaxPool2D(kernel=6), "has windows of 6×6 but gets pictures of 5×6, padded by 0; make the kernel smaller"),
        (AvgPool2D(kernel=3, padding=2), "padding of 2, more than half of its kernel of 3; set the padding to 1 or"),
        (Reshape(shape=(4, 7)), "makes 4×7, 28 entries, but gets 1×5×6, 30 entries; choose a shape of 30 entries"),
    ],
)
def test_a_geometry_that_cannot_be_is_refused_with_its_sizes(spec: Any, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Network(Recipe(layers=(spec, Flatten())), (1, 5, 6))
    assert words in str(caught.value).replace(" from the data", "")


def test_reshape_lays_out_the_same_entries_without_a_copy() -> None:
    layer, x = built(Reshape(shape=(1, 3, 2)), (6,), 2, 0), np.arange(12.0).reshape(2, 6)
    y = layer.forward(x)
    assert y.shape == (2, 1, 3, 2)
    assert np.shares_memory(x, y)
    assert y.ravel().tolist() == x.ravel().tolist()
    assert backward(layer, 2 * y)["x"].tolist() == (2 * x).tolist()


def test_shapes_captions_parameters_and_costs_of_a_conv_net() -> None:
    specs, shape = SMALL_CONV_NET, (1, 28, 28)
    shapes = list(itertools.accumulate(specs, lambda at, spec: spec.output_shape(at), initial=shape))
    assert shapes[1:] == [
        (8, 26, 26), (8, 26, 26), (8, 13, 13), (16, 11, 11), (16, 11, 11), (16, 5, 5), (400,), (10,),
    ]  # fmt: skip
    assert specs[3].caption(shapes[3]) == "Conv2D 8→16, 3×3"
    assert specs[3].parameters(shapes[3])["W"].shape == (16, 8, 3, 3)
    assert (specs[3].parameters(shapes[3])["W"].fan_in, specs[3].parameters(shapes[3])["W"].fan_out) == (72, 144)
    assert specs[0].multiply_adds(shapes[0]) == 8 * 9 * 26 * 26
    assert specs[3].multiply_adds(shapes[3]) == 16 * 72 * 11 * 11


# --- training ----------------------------------------------------------------------------------------


def test_a_step_of_a_conv_net_allocates_no_large_array() -> None:
    trainer = trainer_of(SMALL_CONV_NET, (1, 28, 28), batch=64, count=128, dtype="float32")
    trainer.needs_input_gradient = True
    trainer.step()
    trainer.step()
    tracemalloc.start()
    try:
        trainer.step()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # numpy's own casting buffers take 98,304 bytes; the first activation has 64·8·26·26·4 = 1,384,448
    assert peak < 150_000


def test_a_conv_net_takes_little_more_memory_than_its_parameters_and_activations() -> None:
    tracemalloc.start()
    try:
        network = Network(Recipe(layers=SMALL_CONV_NET), (1, 28, 28))
        before = tracemalloc.get_traced_memory()[0]
        run = network.at(64)
        taken = tracemalloc.get_traced_memory()[0] - before + network.store.nbytes
    finally:
        tracemalloc.stop()
    activations = sum(layer.y.nbytes for layer in run.layers) + run.x.nbytes
    assert taken <= 1.3 * (3 * network.parameters.nbytes + 2 * activations)


def test_a_conv_net_learns_the_digits() -> None:
    stack = (Reshape(shape=(1, 8, 8)), Conv2D(filters=8, padding=1), ReLU(), MaxPool2D(), Flatten(), Dense(units=10))
    trainer = Trainer(Recipe(data=Digits(validation=0.2), layers=stack, optimizer=SGD(lr=0.1)))
    for _ in range(20 * trainer.batches):
        trainer.step()
    assert trainer.evaluate("validation")[1] > 0.95
