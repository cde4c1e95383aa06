"""Residual blocks: what they compute, how their tensors are named, what is refused, blocks inside blocks."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from layer_examples import built, trainer_of

from engine import layers
from engine.contracts import backward
from engine.gradcheck import check
from engine.initializers import Normal
from engine.layers.activations import ReLU, Tanh
from engine.layers.conv import Conv2D
from engine.layers.dense import Dense
from engine.layers.dropout import Dropout
from engine.layers.norm import BatchNorm
from engine.layers.reshape import Flatten
from engine.layers.residual import DEEPEST, Residual
from engine.network import Network
from engine.recipe import Recipe
from engine.spec import RecipeError
from engine.trainer import Trainer

Array = np.ndarray[Any, Any]


def nested(depth: int) -> str:
    """A recipe whose only layer is a tanh inside that many blocks."""
    return '{"layers":[' + '{"kind":"residual","layers":[' * depth + '{"kind":"tanh"}' + "]}" * depth + "]}"


def test_a_block_adds_its_input_to_what_its_layers_make_of_it() -> None:
    layer, rng = built(Residual(layers=(Dense(units=3), Tanh())), (3,), 2, 0), np.random.default_rng(1)
    x, grad_y = rng.standard_normal((2, 3)), rng.standard_normal((2, 3))
    W, b = layer.parameters["0.W"], layer.parameters["0.b"]
    inner = np.tanh(x @ W + b)
    np.testing.assert_allclose(layer.forward(x), inner + x, rtol=1e-14)
    np.testing.assert_allclose(layer.apply(x), inner + x, rtol=1e-14)
    found, delta = backward(layer, grad_y), grad_y * (1 - inner**2)
    np.testing.assert_allclose(found["0.W"], x.T @ delta, rtol=1e-12)
    np.testing.assert_allclose(found["0.b"], delta.sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found["x"], delta @ W.T + grad_y, rtol=1e-12)


def test_a_projection_stands_on_the_skip_only_where_shapes_differ() -> None:
    wider = Residual(layers=(Dense(units=5), Tanh()), projection=True)
    assert wider.parameters((3,)).keys() == {"0.W", "0.b", "skip.W"}
    assert wider.parameters((5,)).keys() == {"0.W", "0.b"}
    layer, x = built(wider, (3,), 2, 0), np.random.default_rng(1).standard_normal((2, 3))
    W, b, skip = (layer.parameters[role] for role in ("0.W", "0.b", "skip.W"))
    np.testing.assert_allclose(layer.forward(x), np.tanh(x @ W + b) + x @ skip, rtol=1e-12)
    halved = Residual(layers=(Conv2D(filters=5, stride=2, padding=1),), projection=True)
    assert halved.output_shape((3, 7, 8)) == (5, 4, 4)
    assert halved.skip((3, 7, 8)) == Conv2D(filters=5, kernel=1, stride=2, bias=False)


def test_a_network_of_blocks_passes_the_gradient_check_and_each_tensor_has_its_address() -> None:
    inside = Residual(layers=(Dense(units=5), Tanh()))
    stack = (Residual(layers=(inside, Dense(units=7), ReLU()), projection=True), Dense(units=3))
    report = check(trainer_of(stack, (5,)))
    assert report.verdict == "pass", [(a, t.verdict, t.note) for a, t in report.tensors.items()]
    assert set(report.tensors) == {"0.0.0.W", "0.0.0.b", "0.1.W", "0.1.b", "0.skip.W", "1.W", "1.b", "data.x"}


def test_a_lost_skip_is_found_by_the_gradient_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_skip(self: Any, grad_y: Array) -> Any:
        for inner in reversed(self._block):
            for _ in inner.backward(grad_y):
                pass
            grad_y = inner.grad_x
        np.copyto(self.grad_x, grad_y)
        yield "grad_x"

    trainer = trainer_of((Dense(units=5), Residual(layers=(Dense(units=5), Tanh())), Dense(units=3)), (5,))
    monkeypatch.setattr("engine.layers.residual.ResidualLayer.backward", without_skip)
    verdicts = {address: tensor.verdict for address, tensor in check(trainer).tensors.items()}
    assert verdicts["0.W"] == verdicts["data.x"] == "fail"
    assert verdicts["1.0.W"] == verdicts["2.W"] == "pass"


def test_stepping_shows_the_gradients_inside_a_block_one_after_the_other() -> None:
    block = Residual(layers=(Dense(units=5), Tanh(), Dense(units=4, bias=False)), projection=True)
    trainer = trainer_of((block, Dense(units=3)), (5,))
    parts = [phase.part for phase in trainer.phases() if phase.kind == "backward" and phase.layer == 0]
    assert parts == ["grad_2.W", "grad_0.W", "grad_0.b", "grad_skip.W"]
    for address in ("0.2.W", "0.grad_0.W", "0.update_skip.W"):
        tensor = trainer.tensor(address)
        assert tensor is not None
        assert tensor.shape == trainer.tensor_infos[address].shape
        assert np.abs(tensor).max() > 0
    assert {"forward", "grad_0.W", "grad_0.b", "grad_2.W", "grad_skip.W", "grad_x"} <= block.formulas.keys()


def test_a_block_with_dropout_and_batch_norm_goes_on_bit_for_bit_from_a_state() -> None:
    block = Residual(layers=(Dense(units=5), BatchNorm(), ReLU(), Dropout(rate=0.5)))
    one, other = (trainer_of((block, Dense(units=3)), (5,), seed=3) for _ in range(2))
    for _ in range(4):
        one.step()
    other.restore(one.state())
    for _ in range(3):
        one.step()
        other.step()
    for address, value in one.parameters.items():
        np.testing.assert_array_equal(value, other.parameters[address])
    assert np.ptp(one.tensor("0.1.running_mean")) > 0
    np.testing.assert_array_equal(one.tensor("0.1.running_mean"), other.tensor("0.1.running_mean"))
    mask = one.current.layers[0]._block[3].mask
    assert not np.array_equal(mask, np.roll(mask, 1, axis=0))
    before = mask.copy()
    one.step()
    assert not np.array_equal(before, mask)


def test_every_dropout_in_a_block_draws_its_own_numbers() -> None:
    trainer = trainer_of((Residual(layers=(Dropout(), Dropout())), Dropout(), Dense(units=3)), (50,))
    trainer.step()
    block, after = trainer.current.layers[:2]
    masks = [layer.mask for layer in (*block._block, after)]  # type: ignore[attr-defined]
    assert not any(np.array_equal(masks[i], masks[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_a_live_field_inside_a_block_is_taken_over_in_mid_run() -> None:
    def stack(rate: float) -> tuple[layers.LayerSpec, ...]:
        return (Residual(layers=(Residual(layers=(Dropout(rate=rate),)),)), Dense(units=3))

    trainer = trainer_of(stack(0.5), (50,))
    trainer.step()
    assert trainer.adopt(msgspec.structs.replace(trainer.recipe, layers=stack(0.0)))
    trainer.step()
    np.testing.assert_allclose(trainer.tensor("0.y"), 3 * trainer.current.x)
    assert not trainer.adopt(msgspec.structs.replace(trainer.recipe, layers=(ReLU(), *stack(0.0)[1:])))


def test_a_block_asks_its_layers_for_grad_x_only_where_it_is_wanted() -> None:
    trainer = trainer_of((Residual(layers=(Dense(units=5),), projection=True), Dense(units=3)), (4,))
    for wanted in (False, True):
        trainer.needs_input_gradient = wanted
        trainer.step()
        inner = trainer.current.layers[0]._named  # type: ignore[attr-defined]
        assert [bool(np.any(layer.grad_x)) for layer in inner.values()] == [wanted, wanted]


def test_skips_carry_the_gradient_past_twenty_layers() -> None:
    def first_gradient(stack: tuple[layers.LayerSpec, ...]) -> float:
        trainer = Trainer(Recipe(layers=(Flatten(), Dense(units=16), *stack, Dense(units=10))))
        trainer.step()
        return float(np.linalg.norm(trainer.gradients["1.W"]))

    layer = (Dense(units=16, weight_init=Normal(std=0.1)), Tanh())
    assert first_gradient((Residual(layers=layer),) * 20) > 1e3 * first_gradient(layer * 20)


# --- recipes --------------------------------------------------------------------------------------


def test_blocks_inside_blocks_come_back_from_json_as_they_were() -> None:
    recipe = Recipe.from_json(nested(DEEPEST))
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert isinstance(recipe.layers[0], Residual)
    assert recipe.layers[0].depth == DEEPEST


@pytest.mark.parametrize("depth", [DEEPEST + 1, 100])
def test_blocks_too_deep_inside_each_other_are_refused(depth: int) -> None:
    with pytest.raises(RecipeError, match=f"blocks must stand at most {DEEPEST} deep inside each other"):
        Recipe.from_json(nested(depth))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"layers": []}, "layers[0].layers must be a list of length >= 1"),
        ({"layers": [{"kind": "dense", "units": 0}]}, "layers[0].layers[0].units must be int >= 1, not 0"),
        ({"layers": [{"kind": "dens", "units": 5}]}, "layers[0].layers[0].kind: 'dens' is not a known kind"),
    ],
)
def test_a_mistake_inside_a_block_is_told_with_its_path(raw: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.from_builtins({"layers": [{"kind": "residual", **raw}]})
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("block", "shape", "words"),
    [
        (
            Residual(layers=(Dense(units=4),)),
            (5,),
            "layers[0] (residual) adds its input 5 to its block's output 4 from the data; give the block's last layer "
            "the size of its input, or turn projection on",
        ),
        (
            Residual(layers=(Conv2D(filters=4, padding=2),), projection=True),
            (2, 5, 5),
            "layers[0] (residual) adds its input 2×5×5 to its block's output 4×7×7, which no projection can mend from "
            "the data; choose layers that keep the shape, or paddings of half a kernel",
        ),
        (
            Residual(layers=(Tanh(), Dense(units=4))),
            (2, 3),
            "layers[0] (residual) holds layers[1] (dense), which takes vectors (in,) → (4,) but gets 2×3 arrays from "
            "the data; insert a Flatten layer before it",
        ),
    ],
)
def test_a_block_whose_shapes_do_not_meet_is_refused(block: Residual, shape: Any, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Network(Recipe(layers=(block, Flatten())), shape)
    assert str(caught.value) == words


def test_a_blocks_cost_is_that_of_the_layers_inside() -> None:
    block = Residual(layers=(Dense(units=7), Tanh(), Dense(units=3)), projection=True)
    assert block.multiply_adds((5,)) == 5 * 7 + 7 * 3 + 5 * 3
    assert block.caption((5,)) == "Residual (dense, tanh, dense)"
