"""What the Flow view's colours are measured by, as the user chose it."""

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.panels.flow import FlowPanel
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
