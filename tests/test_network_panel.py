"""What a user does in the builder: add, remove, drag, edit, be refused, undo; with a real engine and without one."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import QEvent, QItemSelectionModel, QMimeData, QModelIndex, QObject, QPoint, Qt, Signal
from PySide6.QtGui import QAction, QColor, QDrag, QDragEnterEvent, QDragMoveEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit, QSpinBox, QToolButton
from pytestqt.qtbot import QtBot

from app import theme
from app.panels.network import NetworkPanel
from app.recipe_cards import TRACE_STEPS, trace
from app.recipe_edit import default_spec, matched, move_layer
from app.session import Session
from app.stacks import STACKS
from app.widgets.card_delegate import counts_text
from app.widgets.card_list import CardList
from app.widgets.card_problem import CardProblem
from engine import protocol
from engine.chain import refusal
from engine.datasets import DataSpec
from engine.describe import describe
from engine.frames import Frame, Phase, Position
from engine.layers import KINDS, LayerSpec
from engine.layers.activations import ReLU, Tanh
from engine.layers.conv import Conv2D
from engine.layers.dense import Dense
from engine.layers.off import Off
from engine.layers.reshape import Flatten, Reshape
from engine.layers.residual import Residual
from engine.recipe import Recipe
from engine.run import Run
from engine.spec import RecipeError, members


class LinkStub(QObject):
    """Keeps what is sent; the test plays the engine."""

    received = Signal(object)
    lost = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[protocol.Command] = []
        self.built = 0

    def send(self, command: protocol.Command) -> None:
        self.sent.append(command)

    def answer(self) -> None:
        """Answer the last recipe as the engine would."""
        recipe = next(c.recipe for c in reversed(self.sent) if isinstance(c, protocol.Use))
        try:
            self.built += 1
            self.received.emit(msgspec.structs.replace(describe(Run(recipe)), run=self.built, fork=self.built))
        except RecipeError as error:
            self.received.emit(refusal(error))


@pytest.fixture
def stub(qtbot: QtBot) -> LinkStub:
    """An engine that answers when the test says so."""
    return LinkStub()


@pytest.fixture
def panel(stub: LinkStub, digits: Recipe, qtbot: QtBot) -> NetworkPanel:
    """The builder on the digits 64-32-16-10, built."""
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, theme.DARK)
    session = Session(stub, digits)  # type: ignore[arg-type]
    panel = NetworkPanel(session)
    qtbot.addWidget(panel)
    panel.resize(300, 640)
    panel.show()
    stub.received.emit(describe(Run(digits)))
    return panel


def titles(panel: NetworkPanel) -> list[str]:
    return [card.title for card in panel.cards.cards]


def kinds(session: Session) -> list[str]:
    return [layer.kind() for layer in session.recipe.layers]


def choose(panel: NetworkPanel, place: str, index: int = -1) -> None:
    row = panel.cards.row_of(place, index)
    assert row is not None
    panel.list.setCurrentIndex(panel.cards.index(row))


def add_action(panel: NetworkPanel, title: str) -> QAction:
    return next(a for a in panel.buttons.menu.actions() if a.text() == title)


def shown_fields(panel: NetworkPanel) -> set[str]:
    return {label.text() for label in panel.form.findChildren(QLabel) if label.isVisible()}


# --- cards ----------------------------------------------------------------------------------------


def test_the_cards_say_title_sizes_and_parameter_count(panel: NetworkPanel) -> None:
    assert titles(panel) == ["Data", "Dense", "ReLU", "Dense", "ReLU", "Dense", "Loss", "Training"]
    cards = panel.cards.cards
    assert [c.caption for c in cards] == [
        *("Digits 8×8 → 64", "64 → 32", "32", "32 → 16", "16", "16 → 10"),
        *("softmax cross-entropy", "SGD · lr 0.1 · batch 32"),
    ]
    assert [c.count for c in cards if c.count] == [2080, 528, 170]
    assert counts_text(cards[1]) == "2,080 · 2.0k ×+"
    assert cards[1].text == "0 Dense 64 → 32, 2,080 parameters, 2,048 multiply-adds a sample"
    assert cards[1].tip.endswith("64 → 32\n2,080 parameters: W 64×32, b 32\n2,048 multiply-adds a sample")


def test_the_total_parameter_count_is_the_status(panel: NetworkPanel, stub: LinkStub, qtbot: QtBot) -> None:
    with qtbot.waitSignal(panel.status_changed) as told:
        stub.received.emit(describe(Run(panel.session.recipe)))
    assert told.args == ["2,778 parameters"]


def test_a_card_shows_the_gradient_norm_of_its_layer(panel: NetworkPanel, digits: Recipe) -> None:
    run = Run(digits)
    for _ in range(5):
        run.step()
    panel.session.history.extend(run.history.rows())
    panel._show_traces()
    with_curve = [r for r in range(8) if panel.cards.trace(r) is not None]
    assert with_curve == [1, 3, 5]
    assert panel.cards.trace(1).size() == 5


def test_a_vanishing_gradient_falls_in_its_curve() -> None:
    norms = np.logspace(0, -6, TRACE_STEPS)
    curve = [point.y() for point in trace(norms).toList()]
    assert curve == sorted(curve)  # y points down
    assert (curve[0], curve[-1]) == pytest.approx((0, 1))
    steady = [point.y() for point in trace(np.full(8, 0.3)).toList()]
    assert steady == pytest.approx([0.5] * 8)
    broken = trace(np.array([1.0, np.nan, np.inf, 2.0]))
    assert broken.size() == 2


def test_the_layer_being_computed_is_lit_in_its_direction(panel: NetworkPanel) -> None:
    def pixel_at_the_edge() -> str:
        rect = panel.list.visualRect(panel.cards.index(3))
        image = panel.list.viewport().grab().toImage()
        return str(QColor(image.pixel(rect.left() + 4, rect.center().y())).name())

    for phase, colour in ((Phase("forward", 2), "forward"), (Phase("backward", 2, "grad_W"), "backward")):
        panel.draw(Frame(Position(1, 3), phase, 1, 1, 45, {}))
        assert pixel_at_the_edge() == getattr(theme.DARK, colour)
    panel.draw(Frame(Position(1, 3), Phase("update"), 1, 1, 45, {}))
    assert pixel_at_the_edge() not in (theme.DARK.forward, theme.DARK.backward)


def test_all_cards_of_a_small_network_are_seen_without_scrolling(panel: NetworkPanel) -> None:
    panel.resize(300, 420)
    panel.list.doItemsLayout()
    last = panel.list.visualRect(panel.cards.index(7))
    assert panel.list.viewport().rect().contains(last)


def test_cards_take_two_lines_where_there_is_room(panel: NetworkPanel, qtbot: QtBot) -> None:
    line = panel.list.fontMetrics().height()
    panel.resize(300, 1000)
    qtbot.waitUntil(lambda: panel.list.visualRect(panel.cards.index(1)).height() >= 2 * line, timeout=1000)
    panel.resize(300, 420)
    qtbot.waitUntil(lambda: panel.list.visualRect(panel.cards.index(1)).height() < 2 * line, timeout=1000)


# --- add, remove, move ----------------------------------------------------------------------------


def test_a_layer_is_added_after_the_chosen_card(panel: NetworkPanel, stub: LinkStub) -> None:
    choose(panel, "layer", 0)
    add_action(panel, "Dense").trigger()
    assert kinds(panel.session) == ["dense", "dense", "relu", "dense", "relu", "dense"]
    assert panel.session.recipe.layers[1] == Dense(units=16)
    assert (panel.chosen().place, panel.chosen().index) == ("layer", 1)
    stub.answer()
    assert panel.cards.cards[2].caption == "32 → 16"
    assert panel.session.selection is not None
    assert panel.session.selection.address == "1.W"


@pytest.mark.parametrize(("place", "at"), [("data", 0), ("loss", 5), ("training", 5)])
def test_a_layer_can_be_added_at_either_end(panel: NetworkPanel, place: str, at: int) -> None:
    choose(panel, place)
    add_action(panel, "Tanh").trigger()
    assert panel.session.recipe.layers[at] == Tanh()


def test_the_add_menu_offers_every_layer_kind_and_stack_with_its_meaning(panel: NetworkPanel) -> None:
    offered = {a.text(): a.toolTip() for a in panel.buttons.menu.found()}
    assert set(offered) == {kind.title() for kind in KINDS if kind is not Off} | set(STACKS)
    assert offered["ReLU"] == "y = max(z, 0)."
    assert [a.text() for a in panel.buttons.menu.actions() if not a.isEnabled()][:2] == ["LINEAR", "CONVOLUTION"]


@pytest.mark.qt_log_ignore("grabbing the keyboard")
def test_typing_in_the_add_menu_searches_names_families_and_meanings(panel: NetworkPanel, qtbot: QtBot) -> None:
    menu = panel.buttons.menu
    menu.popup(QPoint(0, 0))
    for typed, wanted in (
        ("pool", {"MaxPool2D", "AvgPool2D", "GlobalAvgPool"}),
        ("qqq", set()),
        ("softpl", {"Softplus"}),
    ):
        qtbot.keyClicks(menu, typed)
        assert {a.text() for a in menu.found()} == wanted
        assert menu.field.text() == typed
        if typed != "softpl":
            qtbot.keyClick(menu, Qt.Key.Key_Delete)
    choose(panel, "layer", 0)
    QApplication.sendEvent(menu, QEvent(QEvent.Type.Leave))  # the pointer, as the menu shrinks
    qtbot.keyClick(menu, Qt.Key.Key_Return)
    assert kinds(panel.session)[1] == "softplus"


@pytest.mark.parametrize("kind", [*KINDS, *members(DataSpec)])
def test_every_kind_has_a_sensible_first_spec(kind: type) -> None:
    spec = default_spec(kind)
    assert msgspec.convert(msgspec.to_builtins(spec), kind) == spec


def test_delete_removes_the_chosen_layer_and_undo_brings_it_back(panel: NetworkPanel, qtbot: QtBot) -> None:
    choose(panel, "layer", 1)
    qtbot.keyClick(panel.list, Qt.Key.Key_Delete)
    assert kinds(panel.session) == ["dense", "dense", "relu", "dense"]
    assert (panel.chosen().place, panel.chosen().index) == ("layer", 1)
    panel.session.undo()
    assert titles(panel) == ["Data", "Dense", "ReLU", "Dense", "ReLU", "Dense", "Loss", "Training"]


def test_a_card_is_chosen_also_after_undo_took_the_chosen_one_away(panel: NetworkPanel) -> None:
    choose(panel, "layer", 0)
    panel.duplicate_chosen()
    panel.session.undo()
    assert panel.list.chosen_rows() == [panel.list.currentIndex().row()]


def test_data_loss_and_the_last_layer_cannot_be_removed(panel: NetworkPanel, qtbot: QtBot) -> None:
    for place in ("data", "loss", "training"):
        choose(panel, place)
        qtbot.keyClick(panel.list, Qt.Key.Key_Delete)
        assert not panel.buttons.remove.isEnabled()
    assert len(panel.session.recipe.layers) == 5
    one = msgspec.structs.replace(panel.session.recipe, layers=(Dense(units=10),))
    panel.session.use(one)
    choose(panel, "layer", 0)
    qtbot.keyClick(panel.list, Qt.Key.Key_Delete)
    panel.remove_chosen()
    assert panel.session.recipe == one


def test_alt_arrows_move_the_chosen_layer_and_it_stays_chosen(panel: NetworkPanel, qtbot: QtBot) -> None:
    choose(panel, "layer", 1)
    qtbot.keyClick(panel.list, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    assert kinds(panel.session) == ["relu", "dense", "dense", "relu", "dense"]
    assert panel.chosen().index == 0
    assert not panel.buttons.up.isEnabled()
    qtbot.keyClick(panel.list, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    assert kinds(panel.session) == ["dense", "relu", "dense", "relu", "dense"]
    assert panel.chosen().index == 1


def test_ctrl_d_duplicates_the_chosen_layer(panel: NetworkPanel, qtbot: QtBot) -> None:
    choose(panel, "layer", 2)
    qtbot.keyClick(panel.list, Qt.Key.Key_D, Qt.KeyboardModifier.ControlModifier)
    assert [getattr(layer, "units", None) for layer in panel.session.recipe.layers] == [32, None, 16, 16, None, 10]
    assert panel.chosen().index == 3


def test_every_button_is_named_and_tells_its_key(panel: NetworkPanel) -> None:
    buttons = {b.accessibleName(): b.toolTip() for b in panel.findChildren(QToolButton)}
    assert set(buttons) == {
        *("Add layer", "Remove layer", "Move layer up", "Move layer down", "Duplicate layer"),
        "Switch layer off or on",
    }
    for name, key in (("Remove layer", "Del"), ("Move layer up", "Alt+Up"), ("Duplicate layer", "Ctrl+D")):
        assert key in buttons[name]


# --- dragging -------------------------------------------------------------------------------------


def test_dragging_a_layer_moves_it_in_the_recipe(panel: NetworkPanel) -> None:
    assert panel.cards.moveRow(QModelIndex(), 1, QModelIndex(), 4)  # 0 Dense to behind 2 Dense
    assert kinds(panel.session) == ["relu", "dense", "dense", "relu", "dense"]
    assert [c.index for c in panel.cards.cards] == [-1, 0, 1, 2, 3, 4, -1, -1]
    panel.session.undo()
    assert kinds(panel.session) == ["dense", "relu", "dense", "relu", "dense"]


@pytest.mark.parametrize(("before", "at"), [(0, 0), (1, 0), (7, 4), (8, 4)])
def test_a_layer_dropped_beyond_the_layers_becomes_the_first_or_last(panel: NetworkPanel, before: int, at: int) -> None:
    assert panel.cards.moveRow(QModelIndex(), 3, QModelIndex(), before)
    assert panel.session.recipe.layers[at] == Dense(units=16)
    assert titles(panel)[0] == "Data"
    assert titles(panel)[-2:] == ["Loss", "Training"]


def test_a_drop_with_the_mouse_lands_between_cards(panel: NetworkPanel) -> None:
    assert panel.cards.flags(QModelIndex()) == Qt.ItemFlag.ItemIsDropEnabled
    layer, data = panel.cards.index(1), panel.cards.index(0)
    assert panel.cards.flags(layer) & Qt.ItemFlag.ItemIsDragEnabled
    assert not panel.cards.flags(data) & Qt.ItemFlag.ItemIsDragEnabled
    carried = panel.cards.mimeData([layer])
    assert isinstance(carried, QMimeData)
    move = Qt.DropAction.MoveAction
    assert panel.cards.canDropMimeData(carried, move, 4, 0, QModelIndex())
    assert panel.cards.supportedDropActions() == move


@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize("to", range(5))
def test_moving_a_layer_agrees_with_a_list(digits: Recipe, at: int, to: int) -> None:
    wanted = list(digits.layers)
    wanted.insert(to, wanted.pop(at))
    assert move_layer(digits, at, to).layers == tuple(wanted)


def test_sizes_follow_their_layers_until_the_engine_answers(panel: NetworkPanel, stub: LinkStub, qtbot: QtBot) -> None:
    panel.cards.moveRow(QModelIndex(), 5, QModelIndex(), 1)  # the last Dense to the front
    assert panel.cards.cards[1].caption == "16 → 10"
    assert not panel.cards.cards[1].dimmed  # the engine mostly answers at once: nothing blinks
    qtbot.waitUntil(lambda: panel.cards.cards[1].dimmed, timeout=1000)
    panel.session.undo()
    stub.answer()
    assert not any(card.dimmed for card in panel.cards.cards)


def test_an_edited_layer_keeps_its_old_sizes_and_a_new_one_has_none() -> None:
    old = (Dense(units=32), ReLU(), Dense(units=10))
    assert matched(old, (Dense(units=31), ReLU(), Dense(units=10))) == [0, 1, 2]
    assert matched(old, (Dense(units=32), Tanh(), ReLU(), Dense(units=10))) == [0, None, 1, 2]
    assert matched(old, (ReLU(), Dense(units=32), Dense(units=10))) == [1, 0, 2]


# --- the form -------------------------------------------------------------------------------------


def units_box(panel: NetworkPanel) -> QSpinBox:
    return next(b for b in panel.form.findChildren(QSpinBox) if b.accessibleName() == "units" and b.isVisible())


def type_units(panel: NetworkPanel, qtbot: QtBot, text: str) -> None:
    box = units_box(panel)
    box.setFocus()
    box.lineEdit().selectAll()
    qtbot.keyClicks(box, text)
    qtbot.keyClick(box, Qt.Key.Key_Return)


def test_typing_units_changes_the_layer(panel: NetworkPanel, stub: LinkStub, qtbot: QtBot) -> None:
    choose(panel, "layer", 0)
    type_units(panel, qtbot, "48")
    assert panel.session.recipe.layers[0] == Dense(units=48)
    stub.answer()
    assert panel.cards.cards[1].caption == "64 → 48"
    assert panel.cards.cards[3].count == 48 * 16 + 16


def test_typing_a_number_is_one_undo_step(panel: NetworkPanel, stub: LinkStub, qtbot: QtBot, digits: Recipe) -> None:
    choose(panel, "layer", 2)
    for text in ("17", "18", "24"):
        type_units(panel, qtbot, text)
        stub.answer()
    assert panel.session.recipe.layers[2] == Dense(units=24)
    panel.session.undo()
    assert panel.session.recipe == digits
    assert units_box(panel).value() == 16


def test_edits_of_two_layers_are_two_undo_steps(panel: NetworkPanel, stub: LinkStub, qtbot: QtBot) -> None:
    for layer, text in ((0, "48"), (2, "24")):
        choose(panel, "layer", layer)
        type_units(panel, qtbot, text)
        stub.answer()
    panel.session.undo()
    assert [panel.session.recipe.layers[i] for i in (0, 2)] == [Dense(units=48), Dense(units=16)]


def test_a_refused_edit_goes_back_and_says_why_below_the_form(
    panel: NetworkPanel, stub: LinkStub, qtbot: QtBot, digits: Recipe
) -> None:
    choose(panel, "training")
    panel._use(msgspec.structs.replace(digits, batch_size=2000))
    stub.answer()
    assert panel.session.recipe == digits
    assert "1438 training samples" in panel.form.problem.text()
    assert panel.form.problem.isVisible()
    panel._use(msgspec.structs.replace(digits, batch_size=64))
    assert not panel.form.problem.isVisible()


def problem(panel: NetworkPanel) -> CardProblem:
    """What stands on the card where the chain breaks."""
    return next(p for p in panel.list.findChildren(CardProblem) if p.isVisible())


def test_a_chain_that_breaks_stays_as_a_draft_and_its_card_offers_the_cure(
    panel: NetworkPanel, stub: LinkStub, qtbot: QtBot
) -> None:
    choose(panel, "layer", 4)
    type_units(panel, qtbot, "3")
    stub.answer()
    draft, standing = panel.session.recipe, panel.session.network
    assert draft.layers[4] == Dense(units=3)
    assert standing is not None
    assert standing.recipe != draft
    assert panel.cards.cards[5].caption == "⚠ does not fit"
    assert panel.cards.cards[5].count == 16 * 3 + 3
    assert problem(panel).label.text() == "Gives 3 outputs, but the data has 10 classes."
    rect = panel.list.visualRect(panel.cards.index(5))
    assert rect.contains(problem(panel).geometry())
    qtbot.mouseClick(problem(panel).buttons[0], Qt.MouseButton.LeftButton)
    stub.answer()
    assert panel.session.recipe.layers[4] == Dense(units=10)
    assert panel.session.broken is None
    assert not any(p.isVisible() for p in panel.list.findChildren(CardProblem))
    panel.session.undo()  # to the same recipe as at first: the cure undid the draft
    stub.answer()
    assert panel.session.recipe == draft
    assert problem(panel).buttons[0].text() == "Set units to 10"


@pytest.mark.parametrize(
    ("layers", "at", "cure"),
    [
        ((Conv2D(filters=2), Flatten(), Dense(units=10)), 0, "Insert Reshape to 1×8×8"),
        ((Reshape(shape=(1, 8, 8)), Conv2D(filters=2), Dense(units=10)), 2, "Insert Flatten"),
        ((Residual(layers=(Dense(units=10),)),), 0, "Turn projection on"),
        ((Dense(units=32), ReLU()), None, ""),
        ((Reshape(shape=(5, 5)), Flatten(), Dense(units=10)), 0, "Set shape to 64"),
        ((Reshape(shape=(1, 8, 8)), Conv2D(filters=2)), 1, "Add Flatten and Dense 10"),
    ],
)
def test_the_first_cure_mends_the_chain(
    panel: NetworkPanel, stub: LinkStub, layers: tuple[LayerSpec, ...], at: int | None, cure: str
) -> None:
    said: list[str] = []
    panel.session.said.connect(lambda sentence, _: said.append(sentence))
    panel.session.use(msgspec.structs.replace(panel.session.recipe, layers=layers))
    stub.answer()
    broken = panel.session.broken
    assert (broken.at if broken is not None else None) == at
    if broken is not None:
        assert broken.cures[0].title == cure
        assert said[-1].startswith("a draft: ")
        assert "layers[" not in said[-1]
        assert len(said[-1]) < 110, "it is seen whole in the line at the bottom"
        panel._cure(broken, 0)
        stub.answer()
        assert panel.session.broken is None
        assert not panel.form.problem.isVisible()


def test_an_edit_refused_for_another_reason_goes_back_to_the_draft(panel: NetworkPanel, stub: LinkStub) -> None:
    draft = msgspec.structs.replace(panel.session.recipe, layers=(Dense(units=3),))
    panel.session.use(draft)
    stub.answer()
    panel.session.use(msgspec.structs.replace(draft, layers=(Dense(units=10),), batch_size=2000))
    stub.answer()
    assert panel.session.recipe == draft
    assert problem(panel).buttons[0].text() == "Set units to 10"
    panel.session.undo()
    stub.answer()
    assert panel.session.broken is None


# --- several at once ------------------------------------------------------------------------------


def test_several_layers_are_moved_copied_switched_and_removed_at_once(panel: NetworkPanel, qtbot: QtBot) -> None:
    def labels() -> list[str]:
        return [layer.label() for layer in panel.session.recipe.layers]

    panel._choose_layers((0, 1))
    panel.move_chosen(+1)
    assert labels() == ["Dense", "Dense", "ReLU", "ReLU", "Dense"]
    assert panel.chosen_layers() == [1, 2]
    panel.duplicate_chosen()
    assert panel.chosen_layers() == [3, 4]
    qtbot.keyClick(panel.list, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    assert labels() == ["Dense", "Dense", "ReLU", "Dense (off)", "ReLU (off)", "ReLU", "Dense"]
    assert shown_fields(panel) >= {"units"}  # the form is that of the layer itself
    panel.switch_chosen()
    assert labels()[3:5] == ["Dense", "ReLU"]
    panel.wrap_chosen()
    assert labels() == ["Dense", "Dense", "ReLU", "Residual", "ReLU", "Dense"]
    panel.unwrap_chosen()
    panel._choose_layers((3, 4))
    panel.remove_chosen()
    assert labels() == ["Dense", "Dense", "ReLU", "ReLU", "Dense"]
    panel.list.selectAll()
    assert not panel.buttons.remove.isEnabled()  # one layer stays
    assert panel.session.undo_name == "remove 2 layers"


def test_a_card_dragged_onto_a_block_goes_into_it_and_one_between_cards_there(panel: NetworkPanel) -> None:
    block = Residual(layers=(Tanh(),))
    layers = (*panel.session.recipe.layers[:2], block, panel.session.recipe.layers[4])
    panel.session.use(msgspec.structs.replace(panel.session.recipe, layers=layers))
    panel._choose_layers((1,))
    drag(panel.list, 2, 3, 0.5)
    assert panel.session.recipe.layers == (layers[0], Residual(layers=(Tanh(), ReLU())), layers[3])
    assert panel.session.undo_name == "drag ReLU 1 into a block"
    drag(panel.list, 2, 1, 0.1)
    assert [layer.kind() for layer in panel.session.recipe.layers] == ["residual", "dense", "dense"]


def drag(cards: CardList, row: int, to: int, height: float) -> None:
    """Drag a card with the mouse onto a height, 0 to 1, of another one; without the system's own loop for drags."""
    only = QItemSelectionModel.SelectionFlag.ClearAndSelect
    cards.selectionModel().setCurrentIndex(cards.model().index(row, 0), only)
    carried = cards.model().mimeData([cards.currentIndex()])
    rect = cards.visualRect(cards.model().index(to, 0))
    point = QPoint(rect.center().x(), rect.top() + round(height * rect.height()))
    how = Qt.DropAction.MoveAction, carried, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter, move = QDragEnterEvent(point, *how), QDragMoveEvent(point, *how)
    cards.setState(CardList.State.DraggingState)
    for event in (enter, move, QDropEvent(point.toPointF(), *how)):
        {QDragEnterEvent: cards.dragEnterEvent, QDragMoveEvent: cards.dragMoveEvent}.get(type(event), cards.dropEvent)(
            event
        )


def test_what_is_dragged_does_not_hide_the_card_under_the_pointer(
    panel: NetworkPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    dragged: list[QDrag] = []
    monkeypatch.setattr(QDrag, "exec", lambda drag, *_: dragged.append(drag))
    chosen = panel.list.model().index(1, 0)
    panel.list.selectionModel().setCurrentIndex(chosen, QItemSelectionModel.SelectionFlag.ClearAndSelect)
    panel.list.startDrag(Qt.DropAction.MoveAction)
    [drag] = dragged
    assert drag.mimeData().formats()
    assert not drag.pixmap().isNull()
    assert drag.hotSpot().y() < 0, "it hangs below the pointer"
    drag.deleteLater()


@pytest.mark.parametrize("name", STACKS)
def test_every_stack_fits_the_data_that_stands(panel: NetworkPanel, stub: LinkStub, name: str) -> None:
    panel.stack(name)
    stub.answer()
    assert panel.session.broken is None
    assert len(panel.session.recipe.layers) >= 5


def test_a_failure_that_answers_no_edit_is_not_put_below_the_form(panel: NetworkPanel, stub: LinkStub) -> None:
    stub.received.emit(protocol.Failed("the engine stopped at an error; restart the run"))
    assert panel.form.problem.text() == ""
    panel.session.use(msgspec.structs.replace(panel.session.recipe, batch_size=16))  # made elsewhere
    assert panel.form.problem.text() == ""


def test_the_data_card_changes_the_data(panel: NetworkPanel, stub: LinkStub, qtbot: QtBot) -> None:
    choose(panel, "data")
    box = panel.form.forms["data"].kind_box
    assert box is not None
    box.setCurrentText("Spirals")
    assert panel.session.recipe.data.kind() == "spirals"
    stub.answer()
    assert panel.cards.cards[0].caption == "Spirals → 2"


def test_a_path_that_is_not_there_can_be_mended(panel: NetworkPanel, stub: LinkStub) -> None:
    choose(panel, "data")
    box = panel.form.forms["data"].kind_box
    assert box is not None
    box.setCurrentText("Idx")
    stub.answer()
    assert panel.session.recipe.data.kind() == "digits"
    assert "cannot read" in panel.form.problem.text()
    field = next(f for f in panel.form.findChildren(QLineEdit) if f.accessibleName() == "images")
    field.setText("/nowhere/images")
    field.editingFinished.emit()
    assert getattr(stub.sent[-1].recipe.data, "images", None) == "/nowhere/images"  # type: ignore[union-attr]


def test_the_training_card_holds_optimizer_and_mini_batch(panel: NetworkPanel, qtbot: QtBot) -> None:
    choose(panel, "training")
    shown = shown_fields(panel)
    assert {"learning rate •", "momentum •", "batch size", "seed", "number type", "name"} <= shown
    assert not {"layers", "format", "weights draw"} & shown
    field = next(f for f in panel.form.findChildren(QSpinBox) if f.accessibleName() == "batch size")
    field.setValue(64)
    assert panel.session.recipe.batch_size == 64
    choice = next(f for f in panel.form.findChildren(QComboBox) if f.accessibleName() == "number type")
    choice.setCurrentText("float64")
    assert panel.session.recipe.dtype == "float64"
    assert panel.session.recipe.batch_size == 64


def test_the_form_shows_only_the_chosen_part(panel: NetworkPanel) -> None:
    choose(panel, "layer", 0)
    assert "units" in shown_fields(panel)
    choose(panel, "loss")
    assert "units" not in shown_fields(panel)
    assert "Loss" in shown_fields(panel)


# --- selection ------------------------------------------------------------------------------------


def test_choosing_a_card_selects_a_tensor_of_it(panel: NetworkPanel) -> None:
    addresses = []
    panel.session.selected.connect(lambda selection: addresses.append(selection.address))
    for place, index in (("layer", 2), ("layer", 1), ("data", -1), ("loss", -1), ("training", -1)):
        choose(panel, place, index)
    assert addresses == ["2.W", "1.y", "data.x", "loss.p"]


def test_selecting_a_tensor_elsewhere_chooses_its_card_and_leaves_it_selected(panel: NetworkPanel) -> None:
    heard = []
    panel.session.selected.connect(heard.append)
    panel.session.select("4.grad_W", (1, 2))
    assert panel.chosen().index == 4
    assert [s.address for s in heard] == ["4.grad_W"]
    assert panel.session.selection is not None
    assert panel.session.selection.index == (1, 2)
    panel.session.select("loss.grad_y")
    assert panel.chosen().place == "loss"


def test_editing_the_training_does_not_jump_to_another_card(panel: NetworkPanel, stub: LinkStub) -> None:
    choose(panel, "training")
    panel.session.use(msgspec.structs.replace(panel.session.recipe, batch_size=64))
    stub.answer()
    assert panel.chosen().place == "training"
    panel.session.use(msgspec.structs.replace(panel.session.recipe, layers=(ReLU(), Dense(units=10))))
    stub.answer()  # the tensor looked at, 0.W, is gone
    assert panel.session.selection is not None
    assert panel.session.selection.address == "1.W"
    assert panel.chosen().place == "training"


def test_arrow_keys_go_through_the_list(panel: NetworkPanel, qtbot: QtBot) -> None:
    choose(panel, "layer", 0)
    qtbot.keyClick(panel.list, Qt.Key.Key_Down)
    assert panel.chosen().index == 1


def test_the_panel_follows_the_theme(panel: NetworkPanel) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    rect = panel.list.visualRect(panel.cards.index(4))

    def card_colour() -> str:
        point = QPoint(rect.center().x(), rect.top() + 4)
        return str(QColor(panel.list.viewport().grab().toImage().pixel(point)).name())

    assert card_colour() == theme.DARK.field
    theme.apply(app, theme.LIGHT)
    assert card_colour() == theme.LIGHT.field
    theme.apply(app, theme.DARK)


# --- with the real engine -------------------------------------------------------------------------


def test_a_layer_added_and_one_refused_with_the_real_engine(session: Session, qtbot: QtBot) -> None:
    panel = NetworkPanel(session)
    qtbot.addWidget(panel)
    assert session.network is not None
    panel.build(session.network)
    panel.show()
    choose(panel, "layer", 1)
    with qtbot.waitSignal(session.built, timeout=10_000):
        add_action(panel, "Dense").trigger()
    assert panel.cards.cards[3].caption == "32 → 16"
    assert panel.cards.card(3).count == 32 * 16 + 16
    choose(panel, "layer", 5)
    with qtbot.waitSignal(session.said, timeout=10_000) as said:
        type_units(panel, qtbot, "2")
    assert said.args is not None
    assert "classes" in said.args[0]
    assert units_box(panel).value() == 2
    assert session.broken is not None
    assert [cure.title for cure in session.broken.cures] == ["Set units to 10", "Add Dense 10"]
