"""Residual blocks in the Flow view: their layers, their sums, and the way around them."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QSize
from pytestqt.qtbot import QtBot

from app.panels.flow import FlowPanel
from app.widgets import flow_painter
from app.widgets.flow_layout import FlowLayout
from app.widgets.flow_model import FlowModel, Lit, Row
from engine.carried import carried
from engine.describe import describe
from engine.frames import Phase

from panel_tools import Desk

INNER = {"kind": "residual", "layers": [{"kind": "dense", "units": 8}, {"kind": "tanh"}]}
BLOCKS = [
    {"kind": "dense", "units": 12},
    {"kind": "residual", "layers": [{"kind": "dense", "units": 12}, {"kind": "tanh"}]},
    {"kind": "residual", "projection": True, "layers": [{"kind": "dense", "units": 8}, INNER]},
    {"kind": "dense", "units": 10},
]


@pytest.fixture
def desk(qtbot: QtBot) -> Desk:
    """A run of a net with a block, and one with a projection and a block inside."""
    return Desk(layers=BLOCKS)


@pytest.fixture
def panel(desk: Desk, qtbot: QtBot) -> FlowPanel:
    """The Flow panel after one step."""
    panel = FlowPanel(desk.session)
    qtbot.addWidget(panel)
    panel.resize(1100, 640)
    panel.show()
    desk.step(1)
    return panel


def norm(desk: Desk, address: str) -> float:
    """‖·‖ of a tensor of the run."""
    return float(np.linalg.norm(desk.run.trainer.tensor(address)))


def test_each_layer_inside_a_block_is_a_column_and_so_is_the_sum(desk: Desk) -> None:
    model = FlowModel(describe(desk.run))
    assert [c.place for c in model.columns] == [
        *("data", "0", "1.0", "1.1", "1", "2.0", "2.1.0", "2.1.1", "2.1", "2", "3", "loss")
    ]
    assert [(b.place, b.first, b.last, b.level, b.height) for b in model.blocks] == [
        ("1", 2, 4, 0, 1),
        ("2.1", 6, 8, 1, 1),
        ("2", 5, 9, 0, 2),
    ]


def test_all_tensors_inside_a_block_have_tiles_with_real_values(panel: FlowPanel, desk: Desk) -> None:
    model = panel.view.model
    assert model is not None
    inside = ("1.0.W", "1.grad_0.W", "1.0.y", "1.1.grad_y", "2.skip.W", "2.grad_skip.W", "2.1.0.W", "2.grad_1.0.W")
    assert set(inside) <= set(model.tiles)
    assert model.tiles["2.1.0.W"].role == "W"
    assert model.tiles["2.grad_1.0.b"].strip
    for address in model.tiles:
        picture = panel.view._images.picture(address)
        assert picture is not None, address
        np.testing.assert_array_equal(picture.values.ravel(), desk.run.trainer.tensor(address).ravel(), address)


def test_what_both_ways_carry_is_measured_forwards_and_backwards(desk: Desk) -> None:
    desk.run.step()
    sizes, tensor = carried(desk.run), desk.run.trainer.tensor
    assert sizes["passed.1.0"] == pytest.approx(norm(desk, "1.0.grad_x"), rel=1e-5)
    assert sizes["passed.2.skip"] == pytest.approx(norm(desk, "2.skip.grad_x"), rel=1e-5)
    assert sizes["delta.1.1"] == pytest.approx(norm(desk, "1.grad_y"), rel=1e-5), "a sum hands on what it gets"
    assert sizes["rms.1.1"] == pytest.approx(float(np.sqrt(np.mean(tensor("1.1.y") ** 2))), rel=1e-5)
    np.testing.assert_allclose(tensor("1.y"), tensor("0.y") + tensor("1.1.y"), rtol=1e-5)
    np.testing.assert_allclose(tensor("0.grad_y"), tensor("1.grad_y") + tensor("1.0.grad_x"), rtol=1e-4, atol=1e-9)
    both = tensor("2.skip.grad_x") + tensor("2.0.grad_x")
    np.testing.assert_allclose(tensor("2.grad_x"), both, rtol=1e-4, atol=1e-9)


def test_what_is_not_computed_yet_inside_a_block_is_not_measured(desk: Desk) -> None:
    desk.run.step()
    while desk.run.trainer.phase != Phase("backward", 2, "grad_0.W"):
        desk.run.step_part()
    sizes = carried(desk.run)
    assert {"delta.2", "delta.2.1", "passed.2.1.0", "delta.2.0", "rms.2.1.0"} <= set(sizes)
    assert not {"passed.2.0", "passed.2.skip", "delta.1", "delta.1.1"} & set(sizes)


def test_lines_are_as_wide_as_what_goes_along_them(
    panel: FlowPanel, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {}
    monkeypatch.setattr(
        flow_painter.SkipPainter,
        "paint_skip",
        lambda self, block, direction, width: drawn.__setitem__((block.place, direction), width),
    )
    sums = {}
    monkeypatch.setattr(
        flow_painter.SkipPainter,
        "paint_sum",
        lambda self, gap, row, direction, before, after: sums.__setitem__((gap, direction), (before, after)),
    )
    desk.scalars = {"delta.1": 1.0, "passed.1.0": 1e-3, "delta.0": 1.0, "passed.2.skip": 1e-5, "delta.2": 1.0}
    desk.scalars |= {"rms.0": 1.0, "rms.1.1": 0.01, "rms.1": 1.0, "rms.2.skip": 0.1}
    desk.show()
    panel.view.viewport().grab()
    assert drawn["1", "backward"] > 2 * drawn["2", "backward"]
    assert drawn["1", "forward"] > drawn["2", "forward"]
    from_block, on = sums[1, "backward"]
    assert drawn["1", "backward"] == on > from_block
    from_layers, on = sums[3, "forward"]
    assert on > from_layers


def test_a_phase_inside_a_block_lights_the_layer_that_works(desk: Desk) -> None:
    model = FlowModel(describe(desk.run))
    assert model.span(Phase("forward", 2)) == (5, 9)
    assert model.span(Phase("backward", 2, "grad_1.0.W")) == (6, 6)
    assert model.span(Phase("backward", 2, "grad_skip.W")) == (9, 9)
    assert model.span(Phase("backward", 2, "grad_x")) == (5, 9)
    assert model.span(Phase("backward", 3, "grad_W")) == (10, 10)
    desk.run.step_part()
    desk.run.step_part()
    assert Lit.of(model, desk.run.trainer.frame()).columns == (1, 1)


def test_the_way_around_has_room_of_its_own(desk: Desk) -> None:
    model = FlowModel(describe(desk.run))
    layout = FlowLayout(model, QSize(1100, 640))
    top = layout.row_tops[Row.ACTIVATIONS] - layout.row_titles[Row.ACTIVATIONS]
    assert top >= layout.line + 2 * 12
    assert not any(
        layout.bracket_rect(b).intersects(layout.bracket_rect(c))
        for b in model.brackets
        for c in model.brackets
        if b != c
    )
    plain = FlowLayout(FlowModel(describe(Desk().run)), QSize(1100, 640))
    assert plain.band == plain.skips == 0


def test_a_bracket_tells_what_a_block_does(panel: FlowPanel) -> None:
    layout, model = panel.view._layout, panel.view.model
    assert layout is not None
    assert model is not None
    text, rect = panel.view.tip_at(layout.bracket_rect(model.brackets[0]).center())
    assert "past them, added" in text
    assert not rect.isEmpty()
