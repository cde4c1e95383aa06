"""Equal groups of layers folded in the Flow view, and unfolded again."""

from __future__ import annotations

import math

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from pytestqt.qtbot import QtBot

from app import theme
from app.panels.flow import FlowPanel
from app.widgets.flow_folds import Repeat, repeats_of
from app.widgets.flow_model import FlowModel, Row
from engine.describe import describe
from engine.frames import Phase

from panel_tools import Desk

GROUP = [{"kind": "dense", "units": 16}, {"kind": "relu"}]
DEEP = [*GROUP * 8, {"kind": "dense", "units": 10}]
BLOCK = {"kind": "residual", "layers": [{"kind": "dense", "units": 16}, {"kind": "tanh"}]}


@pytest.fixture
def panel(qtbot: QtBot) -> FlowPanel:
    """The Flow panel on a deep net after one step."""
    return shown(qtbot, Desk(layers=DEEP))


def shown(qtbot: QtBot, desk: Desk) -> FlowPanel:
    """The Flow panel on a desk after one step."""
    panel = FlowPanel(desk.session)
    panel.desk = desk  # type: ignore[attr-defined]
    qtbot.addWidget(panel)
    panel.resize(1000, 640)
    panel.show()
    desk.step(1)
    return panel


def places(panel: FlowPanel) -> list[str]:
    """What each column is of."""
    assert panel.view.model is not None
    return [column.title if column.hidden else column.place for column in panel.view.model.columns]


def middle(panel: FlowPanel) -> QPoint:
    """The middle of the bracket over the first run of equal groups."""
    assert panel.view.model is not None
    assert panel.view._layout is not None
    return panel.view._layout.bracket_rect(panel.view.model.brackets[0]).center()


def test_equal_groups_are_found_where_three_or_more_follow_each_other(qtbot: QtBot) -> None:
    def found(*layers: dict[str, object]) -> list[tuple[int, int, int, str]]:
        network = describe(Desk(layers=[*layers, {"kind": "dense", "units": 10}]).run)
        return [(r.start, r.period, r.count, r.names) for r in repeats_of(network)]

    assert found(*GROUP * 8) == [(2, 2, 7, "Dense, ReLU")], "the first takes 64 and is not like the others"
    assert found(*GROUP * 3) == []
    first = {"kind": "dense", "units": 16}
    assert found(first, *[BLOCK] * 4) == [(1, 1, 4, "Residual")]
    other = {**BLOCK, "layers": [{"kind": "dense", "units": 16}, {"kind": "relu"}]}
    assert found(first, BLOCK, other, BLOCK, other) == []


def test_a_fold_leaves_the_first_and_the_last_group_and_asks_for_less(panel: FlowPanel, qtbot: QtBot) -> None:
    whole = len(panel.wanted())
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=middle(panel))
    assert places(panel) == ["data", "0", "1", "2", "3", "×5", "14", "15", "16", "loss"]
    assert len(panel.wanted()) < whole / 2
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=middle(panel))
    assert len(panel.wanted()) == whole


def test_a_key_folds_all_and_unfolds_all(panel: FlowPanel, qtbot: QtBot) -> None:
    before = places(panel)
    qtbot.keyClick(panel.view, Qt.Key.Key_F)
    assert "×5" in places(panel)
    qtbot.keyClick(panel.view, Qt.Key.Key_F)
    assert places(panel) == before


def test_a_click_on_the_fold_unfolds_it_and_a_tip_says_so(panel: FlowPanel, qtbot: QtBot) -> None:
    panel.view.fold_all()
    assert panel.view._layout is not None
    inside = panel.view._layout.fold_rect(5, Row.GRADIENTS).center()
    assert "layers 4 to 13" in panel.view.tip_at(inside)[0]
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=inside)
    assert not any(place.startswith("×") for place in places(panel))


def test_a_gradient_that_dies_inside_a_fold_is_seen(panel: FlowPanel) -> None:
    panel.view.fold_all()
    norms = {f"delta.{i}": 10.0 ** (i - 13) for i in range(17)}
    panel.desk.scalars = norms | {"delta.9": math.nan}  # type: ignore[attr-defined]
    panel.desk.show()  # type: ignore[attr-defined]
    assert panel.view._layout is not None
    rect = panel.view._layout.fold_rect(5, Row.GRADIENTS)
    image = panel.view.viewport().grab().toImage()
    empty, heights = QColor(theme.current().field).rgb(), {}
    for layer in range(4, 14):
        x = rect.left() + int((layer - 4 + 0.5) * rect.width() / 10)
        heights[layer] = sum(image.pixel(x, y) != empty for y in range(rect.top(), rect.bottom() + 1))
    alive = [heights[layer] for layer in (10, 11, 12, 13)]
    assert alive == sorted(alive)
    assert heights[13] > 3 * heights[10] > heights[4]
    assert heights[4] <= 2
    assert heights[9] == rect.height(), "what is no number fills it"
    x = rect.left() + int(5.5 * rect.width() / 10)
    assert image.pixel(x, rect.top()) == QColor(theme.current().alarm).rgb()


def test_a_tensor_chosen_inside_a_fold_is_shown_as_chosen(panel: FlowPanel, qtbot: QtBot) -> None:
    panel.view.fold_all()
    before = panel.view.viewport().grab().toImage()
    panel.session.select("8.W")
    assert panel.view.viewport().grab().toImage() != before
    assert "8.W" in panel.view.accessibleDescription()
    assert "in a fold" in panel.view.accessibleDescription()
    shift = Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(panel.view, Qt.Key.Key_Right, shift)
    assert panel.view.marked == "14.W"
    panel.session.select("8.W")
    qtbot.keyClick(panel.view, Qt.Key.Key_Left, shift)
    assert panel.view.marked == "2.b"


def test_a_phase_inside_a_fold_lights_it(panel: FlowPanel) -> None:
    panel.view.fold_all()
    assert panel.view.model is not None
    assert panel.view.model.span(Phase("forward", 7)) == (5, 5)
    assert panel.view.model.span(Phase("backward", 14, "grad_W")) == (6, 6)


def test_a_fold_is_kept_while_the_groups_are_there(panel: FlowPanel) -> None:
    panel.view.fold_all()
    panel.desk.start()  # type: ignore[attr-defined]
    assert "×5" in places(panel)
    assert panel.session.network is not None
    panel.retell(panel.session.network)
    assert "×5" in places(panel)


def test_the_menu_folds_each_run_of_groups(panel: FlowPanel) -> None:
    menu = panel.view.menu(QPoint())
    actions = {action.text(): action for action in menu.actions()}
    actions["Fold 7 × Dense, ReLU"].trigger()
    assert "×5" in places(panel)
    menu.deleteLater()


def test_a_tower_of_blocks_begins_folded_and_stays_unfolded_once_it_was(qtbot: QtBot) -> None:
    desk = Desk(layers=[{"kind": "dense", "units": 16}, *[BLOCK] * 14, {"kind": "dense", "units": 10}])
    panel = shown(qtbot, desk)
    assert "×12" in places(panel)
    panel.view.fold_all()
    assert len(places(panel)) == 2 + 1 + 14 * 3 + 1
    desk.start()
    assert len(places(panel)) == 2 + 1 + 14 * 3 + 1
    panel.view.viewport().grab()


def test_what_is_unfolded_is_not_told_as_not_computed_while_it_is_on_its_way(panel: FlowPanel) -> None:
    panel.view.fold_all()
    panel.desk.show()  # type: ignore[attr-defined]  # what the fold hides is not watched any more
    panel.view.fold_all()
    rect = panel.view.tile_rect("8.W")
    assert "on its way" in panel.view.tip_at(rect.center())[0]
    pixel = panel.view.viewport().grab().toImage().pixel(rect.center())
    assert pixel == QColor(theme.current().field).rgb()
    panel.desk.show()  # type: ignore[attr-defined]
    assert "colours" in panel.view.tip_at(rect.center())[0]


def test_a_fold_of_groups_that_are_gone_is_forgotten(qtbot: QtBot) -> None:
    network = describe(Desk().run)
    assert FlowModel(network, [Repeat(2, 2, 7, "Dense, ReLU")]).folded == frozenset()
