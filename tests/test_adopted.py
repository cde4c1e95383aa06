"""A live field is changed in mid-run: what is said of the network on screen follows at once, and nothing else moves."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from PySide6.QtGui import QAction
from pytestqt.qtbot import QtBot

from app.actions import ACTIONS
from app.panels.flow import FlowPanel
from app.panels.inspector import InspectorPanel
from app.panels.network import NetworkPanel
from app.session import Session
from app.transport import Transport
from engine.describe import describe_live
from engine.recipe import Recipe

from panel_tools import Desk

LAYERS = [{"kind": "dense", "units": 12}, {"kind": "dropout", "rate": 0.5}, {"kind": "dense", "units": 10}]


@pytest.fixture
def desk(qtbot: QtBot) -> Desk:
    """A run with dropout, two steps on."""
    desk = Desk(layers=LAYERS)
    desk.step(2)
    return desk


def adopt(desk: Desk, **changes: Any) -> None:
    """Change live fields of the recipe, as the engine takes them."""
    recipe = msgspec.structs.replace(desk.session.recipe, **changes)
    assert desk.run.trainer.adopt(recipe)
    desk.session.use(recipe)
    desk.link.received.emit(describe_live(desk.run))


def changed(desk: Desk, index: int, **fields: Any) -> Any:
    """The layers with live fields of one of them changed."""
    layers = list(desk.session.recipe.layers)
    layers[index] = msgspec.structs.replace(layers[index], **fields)  # type: ignore[type-var]
    return tuple(layers)


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"nesterov": True, "momentum": 0.9}, "grad_θ + momentum·v"), ({"weight_decay": 0.1}, "weight_decay·θ")],
)
def test_the_update_formula_follows_nesterov_and_weight_decay(
    desk: Desk, qtbot: QtBot, fields: dict[str, Any], words: str
) -> None:
    inspector = InspectorPanel(desk.session)
    actions = {name: QAction(command.text) for name, command in ACTIONS.items()}
    transport = Transport(desk.session, actions)
    for widget in (inspector, transport):
        qtbot.addWidget(widget)
        widget.show()
    desk.session.select("0.update_W")
    desk.show()
    assert words not in transport.what.text()
    adopt(desk, optimizer=msgspec.structs.replace(desk.session.recipe.optimizer, **fields))
    assert words in transport.what.text()
    assert words.replace("θ", "W") in inspector.formula_line.text()
    assert inspector.formula_line.toolTip() == inspector.formula_line.text()
    assert inspector.box.currentData() == "0.update_W"


def test_a_text_that_is_late_waits_for_the_first_frame_of_a_new_network(desk: Desk, qtbot: QtBot) -> None:
    transport = Transport(desk.session, {name: QAction(command.text) for name, command in ACTIONS.items()})
    qtbot.addWidget(transport)
    desk.start()
    assert desk.session.frame is None
    transport._tell_position()
    desk.show()
    assert transport.where.text().startswith("ready")


def test_the_name_of_a_layer_follows_its_rate(desk: Desk, qtbot: QtBot) -> None:
    flow, network, inspector = (kind(desk.session) for kind in (FlowPanel, NetworkPanel, InspectorPanel))
    for panel in (flow, network, inspector):
        qtbot.addWidget(panel)
        panel.show()
    desk.show()
    picture = flow.view._images.picture("0.W")
    adopt(desk, layers=changed(desk, 1, rate=0.25))
    assert network.cards.cards[2].caption == "0.25"
    assert flow.view.model is not None
    assert "Dropout 0.25" in flow.view.model.columns[2].about
    titles = [inspector.box.itemText(row) for row in range(inspector.box.count())]
    assert "1 Dropout 0.25" in titles
    assert flow.view._images.picture("0.W") is picture, "what is computed must not be hatched again"


def test_the_penalty_of_a_layer_can_be_looked_at_once_there_is_one(desk: Desk, qtbot: QtBot) -> None:
    inspector = InspectorPanel(desk.session)
    qtbot.addWidget(inspector)
    inspector.show()
    desk.session.select("0.W")
    assert inspector.box.findData("0.penalty_W") == -1
    adopt(desk, layers=changed(desk, 0, l2=0.01))
    assert inspector.box.findData("0.penalty_W") != -1
    assert inspector.box.currentData() == "0.W"
    desk.session.select("0.penalty_W")
    assert "lr" not in inspector.formula_line.text(), "the optimizer does not move it"


def test_the_engine_tells_of_it(session: Session, digits: Recipe, qtbot: QtBot) -> None:
    before = session.network
    assert before is not None
    optimizer = msgspec.structs.replace(digits.optimizer, momentum=0.9, nesterov=True)  # type: ignore[call-arg]
    with qtbot.waitSignal(session.adopted, timeout=10_000):
        session.use(msgspec.structs.replace(digits, optimizer=optimizer))
    assert session.network is not None
    assert "grad_θ + momentum·v" in session.network.update_formula
    assert session.network.recipe.optimizer == optimizer
    assert session.network.data == before.data
