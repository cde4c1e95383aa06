"""The builder: the network as a list of cards, and the form of the chosen one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
from PySide6.QtCore import QItemSelectionModel, Qt, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSplitter, QVBoxLayout, QWidget

from app.own_code import choose_own_layer
from app.panel import Panel
from app.recipe_cards import TRACE_STEPS, cards_of, trace
from app.recipe_edit import (
    default_spec,
    duplicate_layers,
    insert_layer,
    matched,
    move_layer,
    move_layers,
    put_into,
    remove_layers,
    switch_layers,
    unwrap_layer,
    wrap_layers,
)
from app.recipe_form import RecipeForm
from app.session import Selection, Session
from app.stacks import STACKS
from app.widgets.card_list import CardList
from app.widgets.card_model import Card, CardModel
from app.widgets.card_problem import CardProblem
from app.widgets.layer_buttons import LayerButtons
from app.widgets.throttle import Throttle
from engine.frames import Frame
from engine.layers import LayerSpec
from engine.layers.custom import Custom
from engine.layers.residual import Residual
from engine.protocol import BrokenChain, Built
from engine.recipe import Recipe, with_layers
from engine.spec import RecipeError

TRACES = 4.0  # a second: redrawings of the curves on the cards
PATIENCE = 150  # milliseconds before sizes that no longer hold are dimmed
HANDLE = """QSplitter::handle { background: transparent; }
    QSplitter::handle:vertical { border-top: 1px solid palette(mid); height: 6px; }
    QSplitter::handle:horizontal { border-left: 1px solid palette(mid); width: 6px; }"""
WIDE = 440  # pixels; from there on the form stands beside the list


class NetworkPanel(Panel):
    """Cards for data, layers, loss and training; every edit is a new recipe for the session."""

    title = "Network"
    hint = (
        "The network, from the data at the top to the loss; choose a card to change it below. "
        "Drag a layer to another place, or onto a Residual block; every change can be undone."
    )
    area = "left"
    order = 0

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._followed = ""  # the address last followed
        self._sent: Recipe | None = None  # the last edit made here, while the engine has not answered it
        self._row_before = 0  # the chosen card before that edit
        self._refusal = ""
        self._dimmed = False
        self._columns: dict[int, list[int]] = {}
        self._late = QTimer(self, singleShot=True, interval=PATIENCE)
        self._late.timeout.connect(self._give_up_waiting)
        self._traces = Throttle(self._show_traces, self, TRACES, takes_turns=True)
        self.cards = CardModel(self)
        self.list = CardList(self.cards, self)
        self.form = RecipeForm(self)
        stacks = {name: (stack.__doc__ or "").partition(" Raises")[0] for name, stack in STACKS.items()}
        self.buttons = LayerButtons(self.list, stacks, self)
        self._connect_buttons()
        self._lay_out()
        self.list.selectionModel().currentChanged.connect(self._on_current)
        self.list.selectionModel().selectionChanged.connect(self._enable)
        self.list.dropped.connect(self.drop)
        self.cards.moved.connect(self._on_moved)
        self.form.edited.connect(self._use)
        session.recipe_changed.connect(self._on_recipe)
        session.selected.connect(self._on_selected)
        session.said.connect(self._on_said)
        session.broken_changed.connect(self._on_broken)
        self._show_cards()
        self._choose(self.cards.row_of("layer", 0))

    # --- layout -------------------------------------------------------------------------------

    def _connect_buttons(self) -> None:
        buttons = self.buttons
        buttons.added.connect(self.insert)
        buttons.stacked.connect(self.stack)
        buttons.switch.triggered.connect(self.switch_chosen)
        buttons.wrap.triggered.connect(self.wrap_chosen)
        buttons.unwrap.triggered.connect(self.unwrap_chosen)
        buttons.remove.triggered.connect(self.remove_chosen)
        buttons.duplicate.triggered.connect(self.duplicate_chosen)
        buttons.up.triggered.connect(partial(self.move_chosen, -1))
        buttons.down.triggered.connect(partial(self.move_chosen, +1))

    def _lay_out(self) -> None:
        self._splitter = QSplitter(Qt.Orientation.Vertical, self)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.setStyleSheet(HANDLE)
        for widget, stretch in ((self.list, 13), (self.form, 7)):
            self._splitter.addWidget(widget)
            self._splitter.setStretchFactor(self._splitter.count() - 1, stretch)
        self._splitter.setSizes([325, 175])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(4)
        layout.addWidget(self.buttons)
        layout.addWidget(self._splitter, 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The form stands below the list, or beside it where there is room."""
        super().resizeEvent(event)
        beside = self.width() >= WIDE and self.width() > self.height()
        self._splitter.setOrientation(Qt.Orientation.Horizontal if beside else Qt.Orientation.Vertical)

    # --- edits --------------------------------------------------------------------------------

    def chosen(self) -> Card:
        """The chosen card."""
        return self.cards.cards[max(self.list.currentIndex().row(), 0)]

    def chosen_layers(self) -> list[int]:
        """The numbers of all chosen layers, from the first to the last."""
        cards = self.cards.cards
        return [cards[row].index for row in self.list.chosen_rows() if row < len(cards) and cards[row].index >= 0]

    def insert(self, kind: type[LayerSpec]) -> None:
        """Add a layer of a kind after the chosen card."""
        spec = choose_own_layer(self, self.session.said.emit) if kind is Custom else default_spec(kind)
        if spec is not None:
            card, recipe = self.chosen(), self.session.recipe
            at = {"data": 0, "layer": card.index + 1}.get(card.place, len(recipe.layers))
            self._use(insert_layer(recipe, at, spec))
            self._choose_layers((at,))

    def stack(self, name: str) -> None:
        """Put a ready-made stack in the place of all layers."""
        if self.session.network is None:
            return
        try:
            layers = STACKS[name](self.session.network)
        except RecipeError as error:
            self.session.said.emit(str(error), True)
            return
        self._use(with_layers(self.session.recipe, layers))
        self._choose_layers((0,))

    def duplicate_chosen(self) -> None:
        """Add a copy of the chosen layers behind them."""
        at = self.chosen_layers()
        if at:
            self._use(duplicate_layers(self.session.recipe, at))
            self._choose_layers(range(at[-1] + 1, at[-1] + 1 + len(at)))

    def remove_chosen(self) -> None:
        """Remove the chosen layers; one layer stays."""
        at, recipe = self.chosen_layers(), self.session.recipe
        if at and len(recipe.layers) > len(at):
            self._use(remove_layers(recipe, at))
            self._choose_layers((min(at[0], len(recipe.layers) - len(at) - 1),))

    def move_chosen(self, by: int) -> None:
        """Move the chosen layers one place up or down, together."""
        at = self.chosen_layers()
        if at:
            to = at[0] + by if by < 0 or len(at) == 1 else at[-1] + by - len(at) + 1
            self._move(at, min(max(to, 0), len(self.session.recipe.layers) - len(at)))

    def _move(self, at: list[int], to: int) -> None:
        self._use(move_layers(self.session.recipe, at, to))
        self._choose_layers(range(to, to + len(at)))

    def switch_chosen(self) -> None:
        """Leave the chosen layers out for a while, or take them in again."""
        at = self.chosen_layers()
        if at:
            self._use(switch_layers(self.session.recipe, at))
            self._choose_layers(at)

    def wrap_chosen(self) -> None:
        """Put the chosen layers into a residual block."""
        at = self.chosen_layers()
        if at:
            self._try(lambda: wrap_layers(self.session.recipe, at), at[0])

    def unwrap_chosen(self) -> None:
        """Put the layers of the chosen block in its place."""
        card = self.chosen()
        if card.block:
            self._try(lambda: unwrap_layer(self.session.recipe, card.index), card.index)

    def drop(self, rows: list[int], row: int, onto: bool) -> None:
        """Cards were dragged: before the card in `row`, or onto it, into its block."""
        cards = self.cards.cards
        at = [cards[r].index for r in rows if cards[r].place == "layer"]
        target = cards[min(row, len(cards) - 1)]
        if not at:
            return
        if onto and target.block and target.index not in at:
            before = sum(i < target.index for i in at)
            self._try(lambda: put_into(self.session.recipe, at, target.index), target.index - before)
            return
        place = target.index if target.place == "layer" else 0 if target.place == "data" else len(cards)
        place = min(place, len(self.session.recipe.layers))
        self._move(at, place - sum(i < place for i in at))

    def _try(self, edit: Callable[[], Recipe], choose: int) -> None:
        """Make an edit that a block may not allow."""
        try:
            recipe = edit()
        except ValueError as error:
            self.session.said.emit(str(error), True)
            return
        self._use(recipe)
        self._choose_layers((choose,))

    def _on_moved(self, at: int, to: int) -> None:
        self._use(move_layer(self.session.recipe, at, to))

    def _use(self, recipe: Recipe, key: object = None) -> None:
        self._row_before = self.list.currentIndex().row()
        self.form.tell("")
        self._sent, self._refusal = recipe, ""
        self.session.use(recipe, key)

    # --- what the session says ----------------------------------------------------------------

    def build(self, network: Built) -> None:
        """Show the sizes of the network that stands, and select a tensor of the chosen card."""
        self._late.stop()
        self._sent, self._dimmed = None, False
        at = {name: i for i, name in enumerate(network.columns)}
        self._columns = {
            i: [at[f"gradient.{i}.{role}"] for role in info.parameters if f"gradient.{i}.{role}" in at]
            for i, info in enumerate(network.layers)
        }
        self._show_cards()
        self._show_traces()
        self._show_problem()
        self.status_changed.emit(f"{sum(info.parameter_count for info in network.layers):,} parameters")
        if not self._followed and self.session.selection is not None:
            self._on_selected(self.session.selection)
        self._select_tensor()
        self._followed = self.session.selection.address if self.session.selection else ""

    def retell(self, network: Built) -> None:
        """The captions of layers may be others."""
        self._show_cards()
        self._show_traces()

    def draw(self, frame: Frame) -> None:
        """Light the layer being computed; redraw the curves a few times a second."""
        phase = frame.phase
        lit = phase is not None and phase.layer is not None and phase.kind in ("forward", "backward")
        lit = lit and self.session.broken is None  # the cards of a draft are not those of the network that runs
        self.cards.show_phase((phase.layer or 0, phase.kind) if lit and phase is not None else None)
        self._traces.ask()

    def rest(self) -> None:
        """What is not seen is not drawn."""
        self._traces.stop()

    def _on_recipe(self, recipe: Recipe) -> None:
        refused, self._refusal = self._refusal, ""
        if self._settled():
            self._late.stop()
            self._dimmed = False
        elif not self._dimmed:
            self._late.start()
        if self.session.broken is not None and self.session.broken.recipe != recipe:
            self.list.show_problem(None)  # until the engine has answered
        if refused and recipe != self._sent:
            self._sent = None
            self._show_cards()
            self._choose(min(self._row_before, len(self.cards.cards) - 1))
            self.form.show_refusal(recipe, refused)
        else:
            self._sent = recipe if recipe == self._sent else None
            self._show_cards()
            self._show_form()

    def _on_said(self, sentence: str, wrong: bool) -> None:
        """Perhaps the answer to an edit made here: `recipe_changed` will tell, which then follows at once."""
        self._refusal = sentence if wrong and self._sent is not None else ""

    def _on_selected(self, selection: Selection) -> None:
        """Another tensor is looked at: the card of its layer is chosen."""
        if selection.address == self._followed:
            return
        self._followed = selection.address
        place = selection.address.partition(".")[0]
        row = self.cards.row_of("layer", int(place)) if place.isdigit() else self.cards.row_of(place)
        if row is not None and row != self.list.currentIndex().row():
            self._choose(row)

    def _on_broken(self, broken: BrokenChain | None) -> None:
        """The chain breaks at a card, or is whole again."""
        self._late.stop()
        self._dimmed = False
        self._sent = None
        self._show_cards()
        if broken is not None:  # else the network that the curves are of may be about to change
            self._show_traces()
        self._show_problem()

    def _show_problem(self) -> None:
        """Below the card where the chain breaks: why, and the cures."""
        broken = self.session.broken
        if broken is None or broken.recipe != self.session.recipe:
            self.list.show_problem(None)
            return
        what, _, cure = broken.sentence.partition("; ")
        sentence = f"{what}." if broken.cures else f"{what}; {cure}."
        problem = CardProblem(sentence[:1].upper() + sentence[1:], [c.title for c in broken.cures], self.list)
        problem.chosen.connect(lambda number: self._cure(broken, number))
        row = self.cards.row_of("layer", broken.at)
        self.list.show_problem(row, problem)
        if row is not None:
            self.list.scrollTo(self.cards.index(row))

    def _cure(self, broken: BrokenChain, number: int) -> None:
        self.list.setFocus()  # the button that has it goes
        self._use(broken.cures[number].recipe)
        self._choose_layers((min(broken.at, len(self.session.recipe.layers) - 1),))

    # --- showing ------------------------------------------------------------------------------

    def _choose(self, row: int | None) -> None:
        if row is not None:
            only = QItemSelectionModel.SelectionFlag.ClearAndSelect  # also while Ctrl is held
            self.list.selectionModel().setCurrentIndex(self.cards.index(row), only)

    def _choose_layers(self, at: Iterable[int]) -> None:
        """Choose these layers, the first of them for the form."""
        first, *others = [self.cards.row_of("layer", index) for index in at]
        self._choose(first)
        for row in others:
            if row is not None:
                self.list.selectionModel().select(self.cards.index(row), QItemSelectionModel.SelectionFlag.Select)

    def _on_current(self) -> None:
        self._show_form()
        self._select_tensor()

    def _show_form(self) -> None:
        card, recipe = self.chosen(), self.session.recipe
        if card.place == "layer" and card.index >= len(recipe.layers):
            return  # the cards are about to follow the recipe
        place = f"{card.index} {card.title}" if card.place == "layer" else card.title
        self.form.show_part(recipe, card.place, card.index, place)
        self._enable()

    def _enable(self) -> None:
        """What can be done with the chosen cards."""
        at, count = self.chosen_layers(), len(self.session.recipe.layers)
        self.buttons.enable(
            up=bool(at) and at[0] > 0,
            down=bool(at) and at[-1] < count - 1,
            layers=bool(at),
            remove=0 < len(at) < count,
            block=len(at) == 1 and at[0] < count and isinstance(self.session.recipe.layers[at[0]], Residual),
        )

    def _settled(self) -> bool:
        """Whether the network that stands is that of the recipe as it is edited now."""
        network, recipe = self.session.network, self.session.recipe
        return network is not None and (network.recipe.layers, network.recipe.data) == (recipe.layers, recipe.data)

    def _select_tensor(self) -> None:
        """Look at a tensor of the chosen card, unless one of its tensors is looked at already."""
        network, card, now = self.session.network, self.chosen(), self.session.selection
        place = str(card.index) if card.place == "layer" else card.place
        if network is None or not self._settled() or card.place == "training":
            return
        if now is None or now.address.partition(".")[0] != place:
            info = network.layers[card.index] if card.place == "layer" else None
            role = {"data": "x", "loss": "p"}.get(card.place) or next(iter(info.parameters if info else ()), "y")
            self.session.select(f"{place}.{role}")

    def _show_cards(self) -> None:
        self.cards.show(
            cards_of(self.session.recipe, self.session.network, dimmed=self._dimmed, broken=self.session.broken)
        )
        here = self.list.currentIndex()
        if here.isValid() and not self.list.chosen_rows():  # the chosen card has gone: the form is that of another one
            self._choose(here.row())

    def _give_up_waiting(self) -> None:
        """The engine takes its time: what is known of the network before the edit is dimmed."""
        self._dimmed = True
        self._show_cards()

    def _show_traces(self) -> None:
        """The last steps' gradient norm of each layer, as a curve on its card; of a draft, of the layer it was."""
        history, network = self.session.history, self.session.network
        rows = history.rows(max(0, len(history) - TRACE_STEPS))
        norms = {i: np.sqrt(np.square(rows[:, at]).sum(axis=1)) for i, at in self._columns.items() if at}
        if self.session.broken is not None and network is not None:
            was = matched(network.recipe.layers, self.session.recipe.layers)
            norms = {i: norms[j] for i, j in enumerate(was) if j is not None and j in norms}
        self.cards.show_traces({i: trace(norm) for i, norm in norms.items() if np.isfinite(norm).sum() > 1})
