"""The form of one part of a recipe: its data, a layer, the loss, or how it is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Union, cast

import msgspec
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget

from app import theme
from app.form import SpecForm
from app.recipe_edit import default_spec, edit_key, reads_files, replace_layer
from app.widgets.layer_buttons import ADDABLE
from engine.datasets import DataSpec
from engine.layers.off import Off
from engine.losses import LossSpec
from engine.optimizers import OptimizerSpec
from engine.recipe import Recipe
from engine.spec import KindSpec, Spec, members

FAMILIES: dict[str, tuple[type[KindSpec], ...]] = {
    "data": members(DataSpec),
    "layer": ADDABLE,
    "loss": members(LossSpec),
    "optimizer": members(OptimizerSpec),
}
NOT_OF_THE_RUN = ("format", "weights_draw", "data", "layers", "loss", "optimizer")


class RecipeForm(QScrollArea):
    """Edits a part of a recipe; `edited` carries the whole new recipe and the key of the edit.

    Below the fields stands why the last edit could not be made.
    """

    edited = Signal(object, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._recipe: Recipe | None = None
        self._place, self._index = "", -1
        self.setAccessibleName("Settings")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        inside = QWidget(self)
        inside.setProperty("plain", True)
        layout = self._column = QVBoxLayout(inside)
        self._inside = inside
        layout.setContentsMargins(2, 4, 6, 4)
        self.setWidget(inside)
        self.heading = QLabel(inside)
        theme.mark(self.heading, "title")
        layout.addWidget(self.heading)
        self.forms = _Forms(self._make_form)
        self.problem = QLabel(inside)
        self.problem.setWordWrap(True)
        self.problem.setAccessibleName("Why the last edit was not made")
        theme.mark(self.problem, "error")
        layout.addWidget(self.problem)
        layout.addStretch(1)
        self._arrange()

    def _make_form(self, name: str) -> SpecForm:
        """The form of one part, when it is first wanted: the window's start waits for none of the others."""
        if name == "run":
            form = SpecForm(Recipe, self._inside, hide=NOT_OF_THE_RUN)
        else:
            form = SpecForm(Union[FAMILIES[name]], self._inside, first=default_spec)
        form.edited.connect(lambda spec: self._edit(name, spec))
        self._column.insertWidget(self._column.indexOf(self.problem), form)
        return form

    def show_part(self, recipe: Recipe, place: str, index: int, heading: str) -> None:
        """Show the data, the layer `index`, the loss or the training settings of a recipe."""
        moved = (place, index) != (self._place, self._index)
        self._recipe, self._place, self._index = recipe, place, index
        if moved:
            self.tell("")
        self.heading.setText(heading)
        for name, spec in self._parts(recipe).items():
            self.forms[name].set_spec(spec)
        if moved:
            self._arrange()
            self.verticalScrollBar().setValue(0)

    def show_refusal(self, recipe: Recipe, sentence: str) -> None:
        """The edit cannot be: say why, and show the recipe that holds. Paths stay as they were typed, to be mended."""
        typed = self.forms["data"].spec() if self._place == "data" else None
        self._recipe = recipe
        if typed is None or not reads_files(typed):
            for name, spec in self._parts(recipe).items():
                self.forms[name].set_spec(spec)
        self.tell(sentence)

    def tell(self, sentence: str) -> None:
        """Say something is wrong, below the fields; an empty sentence takes it away."""
        self.problem.setText(sentence[:1].upper() + sentence[1:])
        self.problem.setVisible(bool(sentence))
        if sentence:
            self.ensureWidgetVisible(self.problem)

    def _parts(self, recipe: Recipe) -> dict[str, Spec]:
        """The specs that the present part consists of, by the name of their form."""
        match self._place:
            case "data":
                return {"data": cast(Spec, recipe.data)}
            case "layer":
                layer = recipe.layers[self._index]
                return {"layer": layer.layer if isinstance(layer, Off) else layer}
            case "loss":
                return {"loss": recipe.loss}
            case "training":
                return {"optimizer": recipe.optimizer, "run": recipe}
        return {}

    def _arrange(self) -> None:
        shown = {"data": ("data",), "layer": ("layer",), "loss": ("loss",), "training": ("optimizer", "run")}
        for name, form in self.forms.items():
            form.setVisible(name in shown.get(self._place, ()))
        self.problem.setVisible(bool(self.problem.text()))

    def _edit(self, name: str, spec: Spec) -> None:
        """A form gave a valid spec: put it into the recipe."""
        recipe = self._recipe
        if recipe is None:
            return
        self.tell("")
        if name == "run":
            run = cast(Recipe, spec)
            fields = {f: getattr(run, f) for f in run.__struct_fields__ if f not in NOT_OF_THE_RUN}
            new = msgspec.structs.replace(recipe, **fields)
            key = edit_key("run", recipe, new)
        elif name == "layer":
            old = recipe.layers[self._index]
            off = isinstance(old, Off)
            new = replace_layer(recipe, self._index, Off(layer=spec) if off else spec)  # type: ignore[arg-type]
            key = edit_key(("layer", self._index), old.layer if isinstance(old, Off) else old, spec)
        else:
            new = msgspec.structs.replace(recipe, **{name: spec})
            key = edit_key(name, getattr(recipe, name), spec)
        self._recipe = new
        self.edited.emit(new, key)


class _Forms(dict[str, SpecForm]):
    """Forms by name, each made when it is first asked for."""

    def __init__(self, make: Callable[[str], SpecForm]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, name: str) -> SpecForm:
        form = self[name] = self._make(name)
        return form
