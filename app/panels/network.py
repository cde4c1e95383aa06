"""The builder: the network as a list of cards, and the form of the chosen one."""

from __future__ import annotations

from functools import partial

import numpy as np
from PySide6.QtCore import QModelIndex, Qt, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSplitter, QVBoxLayout, QWidget

from app.own_code import choose_own_layer
from app.panel import Panel
from app.recipe_cards import TRACE_STEPS, cards_of, trace
from app.recipe_edit import default_spec, insert_layer, move_layer, remove_layer
from app.recipe_form import RecipeForm
from app.session import Selection, Session
from app.widgets.card_list import CardList
from app.widgets.card_model import Card, CardModel
from app.widgets.layer_buttons import LayerButtons
from app.widgets.throttle import Throttle
from engine.frames import Frame
from engine.layers import LayerSpec
from engine.layers.custom import Custom
from engine.protocol import Built
from engine.recipe import Recipe

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
        "Drag a layer to another place; every change can be undone."
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
        self.buttons = LayerButtons(self.list, self)
        self._connect_buttons()
        self._lay_out()
        self.list.selectionModel().currentChanged.connect(self._on_current)
        self.cards.moved.connect(self._on_moved)
        self.form.edited.connect(self._use)
        session.recipe_changed.connect(self._on_recipe)
        session.selected.connect(self._on_selected)
        session.said.connect(self._on_said)
        self._show_cards()
        self._choose(self.cards.row_of("layer", 0))

    # --- layout -------------------------------------------------------------------------------

    def _connect_buttons(self) -> None:
        buttons = self.buttons
        buttons.added.connect(self.insert)
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

    def insert(self, kind: type[LayerSpec]) -> None:
        """Add a layer of a kind after the chosen card."""
        spec = choose_own_layer(self, self.session.said.emit) if kind is Custom else default_spec(kind)
        if spec is not None:
            self._insert(spec)

    def duplicate_chosen(self) -> None:
        """Add a copy of the chosen layer behind it."""
        card = self.chosen()
        if card.place == "layer":
            self._insert(self.session.recipe.layers[card.index])

    def _insert(self, spec: LayerSpec) -> None:
        card, recipe = self.chosen(), self.session.recipe
        at = {"data": 0, "layer": card.index + 1}.get(card.place, len(recipe.layers))
        self._use(insert_layer(recipe, at, spec))
        self._choose(self.cards.row_of("layer", at))

    def remove_chosen(self) -> None:
        """Remove the chosen layer; the last one stays."""
        card, recipe = self.chosen(), self.session.recipe
        if card.place == "layer" and len(recipe.layers) > 1:
            self._use(remove_layer(recipe, card.index))
            self._choose(self.cards.row_of("layer", min(card.index, len(recipe.layers) - 2)))

    def move_chosen(self, by: int) -> None:
        """Move the chosen layer one place up or down."""
        if self.chosen().place == "layer":
            row = self.list.currentIndex().row()
            self.cards.moveRow(QModelIndex(), row, QModelIndex(), row + by + (by > 0))

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
        self.status_changed.emit(f"{sum(info.parameter_count for info in network.layers):,} parameters")
        if not self._followed and self.session.selection is not None:
            self._on_selected(self.session.selection)
        self._select_tensor()
        self._followed = self.session.selection.address if self.session.selection else ""

    def retell(self, network: Built) -> None:
        """The captions of layers may be others."""
        self._show_cards()

    def draw(self, frame: Frame) -> None:
        """Light the layer being computed; redraw the curves a few times a second."""
        phase = frame.phase
        lit = phase is not None and phase.layer is not None and phase.kind in ("forward", "backward")
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

    # --- showing ------------------------------------------------------------------------------

    def _choose(self, row: int | None) -> None:
        if row is not None:
            self.list.setCurrentIndex(self.cards.index(row))

    def _on_current(self) -> None:
        self._show_form()
        self._select_tensor()

    def _show_form(self) -> None:
        card, recipe = self.chosen(), self.session.recipe
        if card.place == "layer" and card.index >= len(recipe.layers):
            return  # the cards are about to follow the recipe
        place = f"{card.index} {card.title}" if card.place == "layer" else card.title
        self.form.show_part(recipe, card.place, card.index, place)
        layer = card.place == "layer"
        last = len(recipe.layers) - 1
        self.buttons.enable(
            up=layer and card.index > 0, down=layer and card.index < last, duplicate=layer, remove=layer and last > 0
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
        self.cards.show(cards_of(self.session.recipe, self.session.network, dimmed=self._dimmed))

    def _give_up_waiting(self) -> None:
        """The engine takes its time: what is known of the network before the edit is dimmed."""
        self._dimmed = True
        self._show_cards()

    def _show_traces(self) -> None:
        """The last steps' gradient norm of each layer, as a curve on its card."""
        history = self.session.history
        rows = history.rows(max(0, len(history) - TRACE_STEPS))
        norms = {i: np.sqrt(np.square(rows[:, at]).sum(axis=1)) for i, at in self._columns.items() if at}
        self.cards.show_traces({i: trace(norm) for i, norm in norms.items() if np.isfinite(norm).sum() > 1})
