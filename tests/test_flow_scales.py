"""What the Flow view's colours are measured by, as the user chose it."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint
from PySide6.QtGui import QColor
from pytestqt.qtbot import QtBot

from app import theme as themes
from app.panels.flow import FlowPanel
from app.widgets.flow_clipping import beyond
from app.widgets.flow_model import Row
from app.widgets.flow_scales import Scales, parsed, scales_menu

from panel_tools import Desk


@pytest.fixture
def panel(qtbot: QtBot) -> FlowPanel:
    """The Flow panel on a desk after one step."""
    desk = Desk()
    made = FlowPanel(desk.session)
    made.desk = desk  # type: ignore[attr-defined]
    qtbot.addWidget(made)
    made.resize(900, 600)
    made.show()
    return made


def show(panel: FlowPanel, first: float, last: float) -> None:
    """A frame whose first layer's y and grad_W are of one size, the last layer's of another."""
    ones = np.ones((32, 12), np.float32)
    replaced = {"y0": ones * first, "y2": ones[:, :10] * last, "y1": ones * first}
    replaced |= {"grad_W0": np.full((64, 12), first), "grad_W2": np.full((12, 10), last)}
    panel.desk.step(1, **replaced)  # type: ignore[attr-defined]
    panel.view.viewport().grab()


def limit(panel: FlowPanel, address: str) -> float:
    """Where a tile has full colour."""
    ruler = panel.view._images.ruler(address)
    assert ruler is not None
    return ruler.limit


def test_at_first_gradients_share_a_ruler_and_values_have_their_own(panel: FlowPanel) -> None:
    show(panel, 0.5, 50.0)
    assert limit(panel, "0.grad_W") == limit(panel, "2.grad_W") >= 50
    assert limit(panel, "0.y") < 2 < 50 <= limit(panel, "2.y")


def test_gradients_apart_each_have_full_colour_at_their_largest(panel: FlowPanel) -> None:
    panel.view.scale(Scales(gradients_together=False))
    show(panel, 0.5, 50.0)
    assert limit(panel, "0.grad_W") == 1
    assert limit(panel, "2.grad_W") == 100


def test_one_ruler_for_a_row_makes_values_comparable_and_is_told(panel: FlowPanel) -> None:
    panel.view.scale(Scales(rows_together=True))
    show(panel, 0.5, 50.0)
    show(panel, 0.5, 50.0)
    assert limit(panel, "0.y") == limit(panel, "2.y") >= 50

    assert "full at" in panel.view._images.rulers.told(Row.ACTIVATIONS)
    assert panel.view._images.rulers.told(Row.GRADIENTS) == ""


def test_held_rulers_stay_whatever_comes(panel: FlowPanel) -> None:
    show(panel, 0.5, 50.0)
    before = limit(panel, "0.y"), limit(panel, "0.grad_W")
    panel.view.scale(Scales(held=True))
    show(panel, 800.0, 9e5)
    assert (limit(panel, "0.y"), limit(panel, "0.grad_W")) == before


def test_a_typed_size_is_where_the_colour_is_full(panel: FlowPanel) -> None:
    panel.view.scale(Scales(gradients_full=0.25, values_full=3.0))
    show(panel, 0.5, 50.0)
    assert limit(panel, "0.grad_W") == limit(panel, "2.grad_W") == 0.25
    assert limit(panel, "0.y") == limit(panel, "2.W") == 3


def test_what_is_chosen_outlives_another_network(panel: FlowPanel) -> None:
    panel.view.scale(Scales(values_full=3.0))
    panel.build(panel.session.network)  # type: ignore[arg-type]
    show(panel, 0.5, 50.0)
    assert limit(panel, "0.y") == 3


def test_the_menu_says_what_is_so_and_changes_it(panel: FlowPanel) -> None:
    chosen: list[Scales] = []
    menu = scales_menu(panel, Scales(values_full=2.0), chosen.append)
    texts = {action.text(): action for action in menu.actions() if action.text()}
    assert texts["One ruler for all gradients"].isChecked()
    assert any("±2" in text for text in texts)
    texts["Hold the rulers as they are"].trigger()
    assert chosen == [Scales(values_full=2.0, held=True)]


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.5", 0.5), ("±2", 2.0), ("-3", 3.0), ("", None), ("much", None), ("0", None), ("nan", None), ("inf", None)],
)
def test_only_a_size_is_taken(text: str, value: float | None) -> None:
    assert parsed(text) == value


# --- what lies beyond a ruler ---------------------------------------------------------------------


def corner(panel: FlowPanel, address: str) -> int:
    """The pixel just inside the upper right corner of a tile."""
    rect = panel.view.tile_rect(address)
    return panel.view.viewport().grab().toImage().pixel(rect.right() - 1, rect.top() + 1)


def test_values_beyond_a_typed_ruler_are_marked_counted_and_told(panel: FlowPanel) -> None:
    panel.view.scale(Scales(values_full=1.0))
    y = np.full((32, 12), 0.5, np.float32)
    y[3, 4], y[5, 6], y[0, 0] = 7.0, -90.0, np.inf
    panel.desk.step(1, y0=y)  # type: ignore[attr-defined]
    found = panel.view._images.beyond["0.y"]
    assert (found.count, found.greatest) == (2, -90.0), "what is no number has a look of its own"
    assert corner(panel, "0.y") == QColor(themes.current().text).rgb()
    text, _ = panel.view.tip_at(panel.view.tile_rect("0.y").center())
    assert "2 beyond, up to −90" in text
    assert not any(panel.view.model.tiles[a].gradient for a in panel.view._images.beyond)  # type: ignore[union-attr]


def test_where_rulers_follow_nothing_is_marked(panel: FlowPanel) -> None:
    show(panel, 0.5, 50.0)
    assert panel.view._images.beyond == {}
    assert corner(panel, "2.y") != QColor(themes.current().text).rgb()


def test_a_held_ruler_tells_of_what_outgrows_it(panel: FlowPanel) -> None:
    show(panel, 0.5, 50.0)
    panel.view.scale(Scales(held=True))
    show(panel, 0.5, 9e5)
    assert panel.view._images.beyond["2.grad_W"].count == 120
    assert "0.grad_W" not in panel.view._images.beyond
    before = panel.view.viewport().grab().toImage()
    panel.view._images.beyond = {}
    assert panel.view.viewport().grab().toImage() != before


def test_of_a_reduced_picture_at_least_so_many_are_told() -> None:
    assert beyond(np.array([[1.0, 5.0]]), 2.0, whole=False).text == "≥ 1 beyond, up to 5"  # type: ignore[union-attr]
    assert beyond(np.array([[1.0, -2.0]]), 2.0, whole=True) is None
    assert beyond(np.array([[np.nan, np.inf]]), 2.0, whole=True) is None


# --- one tensor's own ruler -----------------------------------------------------------------------


def test_a_tensor_with_a_ruler_of_its_own_leaves_the_others_theirs(panel: FlowPanel) -> None:
    panel.view.scale(Scales(rows_together=True, alone=frozenset({"0.grad_W", "2.y"})))
    show(panel, 0.5, 50.0)
    assert limit(panel, "0.grad_W") == 1
    assert limit(panel, "2.grad_W") == limit(panel, "2.grad_y") == 100
    panel.view.scale(Scales(values_full=0.1, alone=frozenset({"2.grad_W", "2.y"})))
    show(panel, 0.5, 50.0)
    assert limit(panel, "2.grad_W") == 100
    assert limit(panel, "0.grad_W") == 1, "the greatest gradient is out of the way"
    assert limit(panel, "2.y") >= 50
    assert "2.y" not in panel.view._images.beyond


def test_a_right_click_on_a_tile_gives_it_its_own_ruler_and_takes_it_away(panel: FlowPanel) -> None:
    show(panel, 0.5, 50.0)
    point = panel.view.tile_rect("0.grad_W").center()
    for chosen in (True, False):
        before = panel.view.viewport().grab().toImage()
        menu = panel.view.menu(point)
        action = menu.actions()[0]
        assert action.text() == "Own ruler for 0.grad_W"
        action.trigger()
        menu.deleteLater()
        assert ("0.grad_W" in panel.view._scales.alone) == chosen
        assert panel.view.viewport().grab().toImage() != before
    assert all("Own ruler" not in action.text() for action in panel.view.menu(QPoint(1, 1)).actions())
