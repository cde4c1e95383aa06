"""What a cell is made of: by every kind of layer, by the update; and what is said where there is nothing to tell."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_examples import OWN_CODE, network_around, placed, trainer_of

from engine import spec
from engine.clipping import AnyClipping, ClipByNorm, ClipByValue, NoClipping
from engine.explain import explain, outputs_of, sources_of, why_untold
from engine.frames import Phase
from engine.layers import LayerSpec
from engine.layers.activations import PReLU, ReLU, Tanh
from engine.layers.conv import Conv2D
from engine.layers.custom import Custom
from engine.layers.dense import Dense
from engine.layers.dropout import Dropout
from engine.layers.norm import BatchNorm, LayerNorm
from engine.layers.pool import AvgPool2D, GlobalAvgPool, MaxPool2D
from engine.layers.reshape import Flatten, Reshape
from engine.layers.residual import Residual
from engine.layers.softmax import LogSoftmax, Softmax
from engine.optimizers import SGD, Adam, AdamW, OptimizerSpec, RMSProp
from engine.run import Run
from engine.trainer import Trainer

import readd_terms
from readd_terms import ALL, readd, shipped, step_through

PICTURES = (2, 6, 6)
CLASSES = (Flatten(), Dense(units=3))
CASES: dict[str, tuple[tuple[LayerSpec, ...], tuple[int, ...]]] = {
    "dense": ((Dense(units=4), Dense(units=3)), (5,)),
    "dense without bias": ((Dense(units=4, bias=False), Dense(units=3)), (5,)),
    "conv": ((Conv2D(filters=3), *CLASSES), PICTURES),
    "conv with everything": ((Conv2D(filters=3, kernel=3, stride=2, padding=2, dilation=2), *CLASSES), PICTURES),
    "conv without bias": ((Conv2D(filters=2, kernel=2, bias=False), Conv2D(filters=2), *CLASSES), PICTURES),
    "max pool": ((MaxPool2D(), *CLASSES), PICTURES),
    "max pool, overlapping": ((Conv2D(filters=2), MaxPool2D(kernel=3, stride=1, padding=1), *CLASSES), PICTURES),
    "average pool": ((AvgPool2D(), *CLASSES), PICTURES),
    "average pool, overlapping": ((Conv2D(filters=2), AvgPool2D(kernel=3, stride=2, padding=1), *CLASSES), PICTURES),
    "global pool": ((Conv2D(filters=3), GlobalAvgPool(), Dense(units=3)), PICTURES),
    "reshape": ((Reshape(shape=(2, 6)), Flatten(), Dense(units=3)), (12,)),
    "dropout": ((Dense(units=6), Dropout(rate=0.4), Dense(units=3)), (5,)),
    "block": ((Residual(layers=(Dense(units=5), Tanh(), Dense(units=5))), Dense(units=3)), (5,)),
    "block with projection": ((Residual(layers=(Dense(units=4), ReLU()), projection=True), Dense(units=3)), (5,)),
    "batch norm": ((Dense(units=4), BatchNorm(), Dense(units=3)), (4,)),
    "layer norm": ((Dense(units=4), LayerNorm(), Dense(units=3)), (4,)),
    "softmax": ((Dense(units=4), Softmax(), Dense(units=3)), (4,)),
    "log softmax": ((Dense(units=4), LogSoftmax(), Dense(units=3)), (4,)),
    "slope": ((Dense(units=4), PReLU(per_feature=True), Dense(units=3)), (4,)),
    "block in a block": (
        (Residual(layers=(Conv2D(filters=2, padding=1), Residual(layers=(BatchNorm(),)), Dropout())), *CLASSES),
        PICTURES,
    ),
}


def stepped(trainer: Trainer, until: Phase | None = None) -> Trainer:
    """The trainer after one mini-batch that somebody looks at, or at a phase of it."""
    trainer.needs_input_gradient = True
    with trainer.computing():
        for phase in trainer.phases():
            if phase == until:
                break
    return trainer


def trained_with(
    optimizer: OptimizerSpec, clip: AnyClipping, stack: tuple[LayerSpec, ...], dtype: str = "float64"
) -> Trainer:
    """A trainer with another optimizer and clipping."""
    plain = trainer_of(stack, (4,), dtype=dtype)
    trainer = Trainer(msgspec.structs.replace(plain.recipe, optimizer=optimizer, clip=clip))
    trainer.set_parameters(plain.parameters)
    return trainer


def small(optimizer: OptimizerSpec | None = None) -> Trainer:
    """Dense 4→4, tanh, Dense 4→3."""
    return trained_with(optimizer or SGD(lr=0.1, momentum=0.9), NoClipping(), (Dense(units=4), Tanh(), Dense(units=3)))


# --- the terms give the cell ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES)
def test_terms_added_up_give_the_cell_and_every_factor_is_the_engines_number(case: str, dtype: str) -> None:
    stack, shape = CASES[case]
    row = step_through(trainer_of(stack, shape, dtype=dtype), case, cells=9)
    assert not row.failures, row.failures[:5]
    assert row.cells > 60
    assert row.worst <= 1


@pytest.mark.parametrize("kind", [kind for kind in spec.members(LayerSpec) if kind is not Custom])
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_every_kind_of_layer_tells_its_terms_wherever_it_fits(kind: type[LayerSpec], data: st.DataObject) -> None:
    layer, shape = data.draw(placed(kind))
    stack = network_around(layer, shape, data.draw(st.booleans()))
    row = step_through(trainer_of(stack, shape, dtype=data.draw(st.sampled_from(["float32", "float64"]))), "", cells=8)
    assert not row.failures, row.failures[:5]


def test_after_the_update_a_norms_gradient_is_still_made_of_what_backward_had() -> None:
    stack = CASES["batch norm"][0]
    row = step_through(trained_with(SGD(), ClipByNorm(max_norm=1e-3), stack), "", cells=200)
    assert not row.failures, row.failures[:5]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("clip", [NoClipping(), ClipByNorm(max_norm=0.1), ClipByValue(limit=0.02)], ids=str)
@pytest.mark.parametrize("optimizer", [SGD(lr=0.1, momentum=0.9), Adam(), AdamW(), RMSProp(momentum=0.5)], ids=str)
def test_penalties_clipping_and_freezing_are_terms_too(optimizer: OptimizerSpec, clip: AnyClipping, dtype: str) -> None:
    inner = Residual(layers=(Dense(units=4, l2=0.2), Tanh()))
    stack = (Dense(units=4, l1=0.05, l2=0.1), inner, Dense(units=4, frozen="weights", l2=0.1), Dense(units=3))
    row = step_through(trained_with(optimizer, clip, stack, dtype), "update", cells=20)
    assert not row.failures, row.failures[:5]
    trainer = stepped(trained_with(optimizer, clip, stack, dtype))
    told = explain(trainer, "0.grad_W", (1, 2), ALL)
    assert told is not None
    symbols = {factor.symbol for term in told.terms for factor in term.factors}
    assert any("penalty" in symbol for symbol in symbols)
    assert (r"\mathrm{clip}" in symbols) == (not isinstance(clip, NoClipping))


def test_a_block_tells_the_cells_that_its_layers_hand_to_each_other() -> None:
    trainer = stepped(trainer_of((*CASES["block"][0][:1], *CASES["block"][0]), (5,)), Phase("backward", 1, "grad_x"))
    for address, sources in (
        ("1.grad_0.W", {"0.y", "1.0.grad_y"}),
        ("1.grad_2.W", {"1.1.y", "1.grad_y"}),
        ("1.grad_0.b", {"1.0.grad_y"}),
        ("1.1.y", {"1.0.y"}),
        ("1.0.grad_y", {"1.1.grad_y", "1.0.y", "1.1.y"}),
    ):
        told = explain(trainer, address, (1, 2)[: 1 + (not address.endswith("b"))])
        assert told is not None
        assert set(told.sources) <= sources, address
        assert told.sources, address
    skipped = stepped(trainer_of(*CASES["block with projection"]))
    told = explain(skipped, "0.grad_skip.W", (1, 2))
    assert told is not None
    assert told.sources == ("data.x", "0.grad_y")


def test_a_wrong_number_is_noticed() -> None:
    trainer = stepped(small())
    told = explain(trainer, "2.y", (0, 0), ALL)
    assert told is not None
    dtype = trainer.network.dtype
    assert readd_terms.error(told, dtype) <= 1
    off = msgspec.structs.replace(told, value=told.value + 20 * np.finfo(dtype).eps * told.size)
    assert readd_terms.error(off, dtype) > 1
    with trainer.computing():
        trainer.network.at(4).layers[1].y[0, 0] += 0.5
    assert list(readd_terms.wrong_factors(told, trainer, {}))


# --- pulls ----------------------------------------------------------------------------------------------


def test_pulls_are_what_each_sample_adds_to_a_gradient() -> None:
    trainer = stepped(small(), Phase("backward", 0, "grad_b"))
    x, g = trainer.tensor("0.x"), trainer.tensor("0.grad_y")
    assert x is not None
    assert g is not None
    weight, bias = explain(trainer, "0.grad_W", (1, 2)), explain(trainer, "0.grad_b", (2,))
    assert weight is not None
    assert bias is not None
    np.testing.assert_array_equal(weight.pulls, x[:, 1] * g[:, 2])
    np.testing.assert_array_equal(bias.pulls, g[:, 2])
    assert bias.cancellation == pytest.approx(abs(g[:, 2].mean()) / np.abs(g[:, 2]).mean())


def test_what_is_no_sum_over_samples_has_no_pulls() -> None:
    trainer = stepped(small())
    for address in ("0.y", "1.grad_x", "loss.grad_y", "0.update_W", "0.W"):
        told = explain(trainer, address, (1, 1))
        assert told is not None
        assert told.pulls == ()


def test_a_gradient_that_is_clipped_is_pulled_at_less() -> None:
    stack = (Dense(units=3),)
    pulls = []
    for clip in (NoClipping(), ClipByNorm(max_norm=1e-3)):
        told = explain(stepped(trained_with(SGD(), clip, stack)), "0.grad_W", (1, 2))
        assert told is not None
        pulls.append(np.array(told.pulls))
    shrunk = pulls[1] / pulls[0]
    assert shrunk[0] < 0.1
    np.testing.assert_allclose(shrunk, shrunk[0])


# --- where there is nothing to tell ---------------------------------------------------------------------


@pytest.mark.parametrize("address", ["9.y", "0.nonsense", "nonsense", "loss.nonsense", "0.W.W", "", "-1.y", "data.y"])
def test_a_tensor_that_does_not_exist_is_refused_in_a_sentence(address: str) -> None:
    with pytest.raises(ValueError, match=r"^there is no tensor .*; choose one such as data\.x, "):
        explain(stepped(small()), address, (0, 0))


@pytest.mark.parametrize("index", [(), (0,), (0, 4), (-1, 0), (0, 0, 0), (4, 0)])
def test_a_cell_that_does_not_exist_is_refused_with_the_shape(index: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^0\.y has no cell \[.*\]: its shape is \(4, 4\); choose a cell inside$"):
        explain(stepped(small()), "0.y", index)


UNTOLD: dict[str, tuple[Callable[[], Trainer], str, tuple[int, ...], str]] = {
    "not computed yet": (lambda: stepped(small(), Phase("forward", 0)), "2.y", (0, 0), "step on until it is"),
    "no mini-batch yet": (small, "0.y", (0, 0), "step on until it is"),
    "no loss yet": (lambda: stepped(small(), Phase("forward", 2)), "loss", (), "step on until it is"),
    "before the update": (lambda: stepped(small(), Phase("loss")), "0.W", (0, 0), "see it after an update"),
    "the data": (lambda: stepped(small()), "0.x", (0, 0), "the data itself"),
    "labels": (lambda: stepped(small()), "data.labels", (0,), "the data itself"),
    "state of the optimizer": (lambda: stepped(small()), "0.velocity_W", (0, 0), "the formula of the update"),
    "running statistics": (
        lambda: stepped(trainer_of((BatchNorm(), Dense(units=3)), (4,))),
        "0.running_mean",
        (0,),
        "a running mean",
    ),
    "own code": (
        lambda: stepped(trainer_of((Custom(file=str(OWN_CODE), class_name="Squash"), Dense(units=3)), (4,))),
        "0.y",
        (0, 0),
        "code that does not tell its terms",
    ),
}


@pytest.mark.parametrize("case", UNTOLD)
def test_where_nothing_can_be_told_a_sentence_says_why(case: str) -> None:
    make, address, index, words = UNTOLD[case]
    trainer = make()
    assert explain(trainer, address, index) is None
    assert words in why_untold(trainer, address, index)


def test_the_input_gradient_is_untold_where_nobody_has_computed_it() -> None:
    trainer = small()
    trainer.step()
    assert explain(trainer, "0.grad_x", (0, 0)) is None


@pytest.mark.parametrize("address", ["0.W", "0.update_W", "0.grad_W", "2.y"])
def test_an_update_that_nobody_looked_at_is_untold_even_at_a_step_that_somebody_saw_before(address: str) -> None:
    trainer = stepped(small())
    assert explain(trainer, address, (0, 0)) is not None
    trainer.restore(msgspec.structs.replace(small().state()))
    trainer.needs_input_gradient = False
    trainer.step()
    assert explain(trainer, address, (0, 0)) is None
    assert "was not kept" in why_untold(trainer, address, (0, 0))


def test_a_parameter_that_was_typed_over_comes_from_no_formula() -> None:
    run = Run(small().recipe)
    run.trainer.needs_input_gradient = True
    run.step()
    run.edit("0.W", (0, 1), 0.5)
    assert explain(run.trainer, "0.W", (0, 0)) is not None
    assert explain(run.trainer, "0.W", (0, 1)) is None
    assert "typed over" in why_untold(run.trainer, "0.W", (0, 1))


def test_settings_changed_after_an_update_do_not_change_what_it_was_made_of() -> None:
    stack = (Dense(units=4, l2=0.1), Dense(units=3))
    trainer = stepped(trained_with(SGD(momentum=0.5, weight_decay=0.1), ClipByNorm(max_norm=0.1), stack))
    addresses = ("0.W", "0.update_W", "0.grad_W")
    then = [repr(explain(trainer, address, (1, 2))) for address in addresses]
    other = msgspec.structs.replace(trainer.recipe, optimizer=SGD(lr=1.0), clip=ClipByNorm(max_norm=9.0))
    assert trainer.adopt(other)
    assert [repr(explain(trainer, address, (1, 2))) for address in addresses] == then
    assert "None" not in then
    assert "set anew" in why_untold(trainer, "0.penalty_W", (1, 2))


# --- the optimizer's state has addresses ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("optimizer", "names"),
    [(SGD(momentum=0.9), ["velocity"]), (Adam(), ["first", "second"]), (AdamW(), ["first", "second"])],
)
def test_what_an_optimizer_keeps_can_be_looked_at(optimizer: OptimizerSpec, names: list[str]) -> None:
    trainer = stepped(small(optimizer))
    for row, name in enumerate(names):
        held = trainer.network.views(trainer.network.optimizer_slots[row])
        for address, array in held.items():
            layer, role = address.split(".")
            found = trainer.tensor(f"{layer}.{name}_{role}")
            assert found is not None
            assert np.array_equal(found, array)
            assert array.any()
            info = trainer.tensor_infos[f"{layer}.{name}_{role}"]
            assert (info.shape, info.made_by) == (array.shape, len(trainer.all_phases) - 1)


# --- what a phase reads and makes -----------------------------------------------------------------------


def test_a_dense_layers_phases_read_what_their_formulas_say() -> None:
    trainer = small()
    assert sources_of(trainer, Phase("batch")) == ()
    assert sources_of(trainer, Phase("forward", 0)) == ("data.x", "0.W", "0.b")
    assert sources_of(trainer, Phase("forward", 2)) == ("1.y", "2.W", "2.b")
    assert sources_of(trainer, Phase("loss")) == ("2.y", "data.labels")
    assert sources_of(trainer, Phase("backward", 2, "grad_W")) == ("2.grad_y", "1.y")
    assert sources_of(trainer, Phase("backward", 2, "grad_b")) == ("2.grad_y",)
    assert sources_of(trainer, Phase("backward", 2, "grad_x")) == ("2.grad_y", "2.W")
    assert sources_of(trainer, Phase("update")) == ("0.grad_W", "0.grad_b", "2.grad_W", "2.grad_b")


def told_apart(trainer: Trainer, phase: Phase) -> set[str]:
    """The sources of some cells that a phase made, as their explanations tell them."""
    found: set[str] = set()
    for address in outputs_of(trainer, phase):
        held = trainer.tensor(address)
        assert held is not None
        for flat in range(0, held.size, 5):
            told = explain(trainer, address, tuple(int(i) for i in np.unravel_index(flat, held.shape)))
            found |= set(told.sources) if told else set()
    return found


def is_within(trainer: Trainer, address: str) -> bool:
    """Whether a tensor goes from layer to layer inside a block, in one phase."""
    place, _, role = address.partition(".")
    return place.isdigit() and role in trainer.recipe.layers[int(place)].held(trainer.network.shapes[int(place)], 1)


@pytest.mark.parametrize("case", CASES)
def test_what_a_phase_reads_is_there_before_it_and_holds_all_that_its_cells_come_from(case: str) -> None:
    trainer = trainer_of(*CASES[case])
    trainer.needs_input_gradient = True
    infos = trainer.tensor_infos
    made: list[str] = []
    with trainer.computing():
        for number, phase in enumerate(trainer.phases()):
            sources, outputs = sources_of(trainer, phase), outputs_of(trainer, phase)
            assert set(sources) <= set(infos)
            assert all(infos[address].made_by < number for address in sources)
            made += outputs
            within = {address for address in outputs if is_within(trainer, address)}
            if phase.kind in ("forward", "backward"):
                assert told_apart(trainer, phase) <= set(sources) | within, phase
    assert sorted(made) == sorted(set(infos) - {slot.address for slot in trainer.network.buffer_slots})


# --- every recipe in the box ----------------------------------------------------------------------------

RECIPES = shipped()
SLICE = os.environ.get("NABLASCOPE_SLICE") == "1"


def assert_terms_give_the_cells(name: str, cells: int, request: pytest.FixtureRequest) -> None:
    """The terms of random cells of each phase of a recipe's mini-batch give the cells."""
    recipe = RECIPES[name]
    folder = request.getfixturevalue("mnist") if recipe.data.kind() == "mnist" else Path()
    row = readd(name, recipe, cells, folder)
    assert not row.failures, row.failures[:5]
    assert row.cells or row.skipped.startswith("refused: ")


@pytest.mark.parametrize("name", RECIPES)
def test_the_terms_give_the_cells_in_every_recipe_of_the_box(name: str, request: pytest.FixtureRequest) -> None:
    assert_terms_give_the_cells(name, 4, request)


@pytest.mark.campaign
@pytest.mark.parametrize("name", RECIPES)
def test_the_terms_of_100_cells_a_phase_give_the_cells(name: str, request: pytest.FixtureRequest) -> None:
    assert_terms_give_the_cells(name, 20 if SLICE else 100, request)
