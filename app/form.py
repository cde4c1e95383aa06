"""An editor generated from a spec's fields: one control per field, nested forms for nested families."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import pairwise
from typing import Any, Union, cast

import msgspec
from msgspec import inspect
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFormLayout, QLabel, QVBoxLayout, QWidget

from app import theme
from app.widgets.field_types import initial, limits_text, plain, problem_of, type_info, wanted
from app.widgets.fields import BoolField, ChoiceField, Editor, make_editor
from engine.spec import Spec

LIVE_HINT = "applies at the next step"


class SpecForm(QWidget):
    """Edits one spec of a class, or of a union of kinds. `edited` carries a valid, really different spec.

    Fields whose types have no control (a list of layers, say) and those in `hide` keep the value they have.
    """

    edited = Signal(object)

    def __init__(
        self,
        spec_type: Any,
        parent: QWidget | None = None,
        *,
        hide: Collection[str] = (),
        nested: bool = False,
        first: Callable[[type[Any]], Spec] | None = None,  # the spec a kind begins with when it is chosen
    ) -> None:
        super().__init__(parent)
        self._first = first or _first_spec
        self._type = spec_type
        self._hide = frozenset(hide)
        self._kinds: tuple[type[Spec], ...] = _struct_classes(type_info(spec_type))
        self._spec: Spec | None = None
        self._remembered: dict[type[Spec], Spec] = {}
        self._body: _Fields | None = None
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(6)
        self.kind_box: ChoiceField | None = self._make_kind_box() if len(self._kinds) > 1 else None
        if self.kind_box is not None and not nested:  # a nested form's box stands beside its label
            self._layout.addWidget(self.kind_box)

    def set_spec(self, spec: Spec) -> None:
        """Show a spec; emits nothing. Controls whose value is the same keep what is being typed in them."""
        if type(spec) not in self._kinds:
            raise TypeError(f"{type(spec).__name__} is not one of {', '.join(k.__name__ for k in self._kinds)}")
        if spec == self._spec:
            return
        self._keep(spec)
        if self.kind_box is not None:
            self.kind_box.set_value(type(spec))
        if self._body is None or self._body.spec_type is not type(spec):
            self._build_body(type(spec))
        assert self._body is not None
        self._body.show_values(_builtins(spec))

    def spec(self) -> Spec:
        """The spec as last shown or edited; always valid. Raises LookupError before the first `set_spec`."""
        if self._spec is None:
            raise LookupError("the form has no spec yet; call set_spec first")
        return self._spec

    def controls(self) -> list[QWidget]:
        """The controls in tab order."""
        head: list[QWidget] = [self.kind_box] if self.kind_box is not None else []
        return head + (self._body.controls() if self._body is not None else [])

    def _make_kind_box(self) -> ChoiceField:
        box = ChoiceField([(_kind_title(kind), kind) for kind in self._kinds], self)
        box.setAccessibleName("kind")
        box.setToolTip("kind")
        for index, kind in enumerate(self._kinds):
            box.setItemData(index, _first_line(kind), Qt.ItemDataRole.ToolTipRole)
        box.entered.connect(self._choose_kind)
        return box

    def _choose_kind(self, kind: type[Spec]) -> None:
        spec = self._remembered.get(kind)
        if spec is None:
            spec = self._first(kind)
        self._keep(spec)
        self._build_body(kind)
        assert self._body is not None
        self._body.show_values(_builtins(spec))
        self.edited.emit(spec)

    def _build_body(self, kind: type[Spec]) -> None:
        if self._body is not None:
            self._layout.removeWidget(self._body)
            self._body.hide()
            self._body.deleteLater()
        self._body = _Fields(kind, self._hide, self)
        self._body.entered.connect(self._enter)
        self._layout.addWidget(self._body)
        self._body.show()  # at once, not when the layout comes to it
        controls = self.controls()
        for first, second in pairwise(controls):
            QWidget.setTabOrder(first, second)

    def _enter(self, name: str, value: Any) -> None:
        """A field was given a value: take it if the field's type and the whole spec allow it."""
        body, old = self._body, self._spec
        assert body is not None
        assert old is not None
        try:
            new = msgspec.convert({**_builtins(old), name: value}, type(old))
        except msgspec.ValidationError as error:
            body.show_problem(name, body.sentence(name, error))
            return
        body.show_problem(name, "")
        if new != old:
            self._keep(new)
            self.edited.emit(new)

    def _keep(self, spec: Spec) -> None:
        self._spec = spec
        self._remembered[type(spec)] = spec


def _first_spec(kind: type[Spec]) -> Spec:
    """A kind with a first value in every field that has no default."""
    return msgspec.convert(initial(type_info(kind)), kind)


class _Fields(QWidget):
    """The controls of one spec class, with their labels and the sentences about what is wrong."""

    entered = Signal(str, object)  # the field's name in JSON, a plain value

    def __init__(self, spec_type: type[Spec], hide: frozenset[str], parent: QWidget) -> None:
        super().__init__(parent)
        self.spec_type = spec_type
        self._editors: dict[str, QWidget] = {}
        self._problems: dict[str, QLabel] = {}
        self._titles: dict[str, str] = {}
        self._types: dict[str, inspect.Type] = {}
        self._shown: dict[str, Any] = {}
        self._layout = QFormLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setVerticalSpacing(6)
        self._layout.setHorizontalSpacing(8)
        self._layout.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        self._layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for field in msgspec.structs.fields(spec_type):
            if field.name not in hide:
                self._add(field)

    def controls(self) -> list[QWidget]:
        """The controls in the order of the fields."""
        result: list[QWidget] = []
        for editor in self._editors.values():
            result += editor.controls() if isinstance(editor, SpecForm) else [editor]
        return result

    def show_values(self, values: dict[str, Any]) -> None:
        """Show plain values where they differ from those shown."""
        for name, editor in self._editors.items():
            if name in self._shown and self._shown[name] == values[name]:
                continue
            self._shown[name] = values[name]
            self.show_problem(name, "")
            if isinstance(editor, SpecForm):
                editor.set_spec(msgspec.convert(values[name], editor._type))
            else:
                cast(Editor, editor).set_value(values[name])

    def show_problem(self, name: str, sentence: str) -> None:
        """Say under a field what is wrong with it; an empty sentence takes it away."""
        label, editor = self._problems[name], self._editors[name]
        if label.text() == sentence:
            return
        label.setText(sentence)
        self._layout.setRowVisible(label, bool(sentence))
        editor.setProperty("invalid", bool(sentence))
        editor.style().unpolish(editor)
        editor.style().polish(editor)
        editor.setAccessibleDescription(sentence or editor.toolTip())

    def sentence(self, name: str, error: msgspec.ValidationError) -> str:
        """Why a value was not taken: the field's own limits, or what the spec as a whole says."""
        path = str(error).partition(" - at `")[2]
        ending = wanted(self._types[name]) if path.startswith(f"$.{name}") else None
        if ending is None and not path.startswith(f"$.{name}"):
            return _capital(problem_of(error)) + "."
        return f"{_capital(self._titles[name])} must be {ending or problem_of(error)}."

    def _add(self, field: msgspec.structs.FieldInfo) -> None:
        info = type_info(field.type)
        title, hint, live = _described(field, info)
        kind, name = plain(info), field.encode_name
        classes = _struct_classes(info)
        editor = SpecForm(Union[classes], self, nested=True) if classes else make_editor(kind, self)
        if editor is None:
            return
        self._editors[name], self._titles[name], self._types[name] = editor, title, kind
        problem = QLabel(self)
        problem.setWordWrap(True)
        theme.mark(problem, "error")
        self._problems[name] = problem
        self._add_rows(editor, f"{title} •" if live else title)
        _name(editor, title, _tool_tip(hint, kind, live))
        self._layout.addRow(problem)
        self._layout.setRowVisible(problem, False)
        self._connect(editor, name)

    def _add_rows(self, editor: QWidget, text: str) -> None:
        if isinstance(editor, BoolField):
            editor.setText(text)
            self._layout.addRow(editor)
            return
        label = QLabel(text, self)
        if not isinstance(editor, SpecForm):
            label.setBuddy(editor)
            self._layout.addRow(label, editor)
            return
        if editor.kind_box is not None:
            label.setBuddy(editor.kind_box)
            self._layout.addRow(label, editor.kind_box)
        else:
            self._layout.addRow(label)
        editor.setContentsMargins(12, 0, 0, 0)
        self._layout.addRow(editor)

    def _connect(self, editor: QWidget, name: str) -> None:
        def enter(value: Any) -> None:
            plain_value = _builtins(value) if isinstance(value, Spec) else value
            self._shown[name] = plain_value
            self.entered.emit(name, plain_value)

        def tell(ending: str) -> None:
            self._shown.pop(name, None)  # what is shown is no value: the next set_spec that differs puts it right
            self.show_problem(name, f"{_capital(self._titles[name])} must be {ending}.")

        if isinstance(editor, SpecForm):
            editor.edited.connect(enter)
        else:
            cast(Editor, editor).entered.connect(enter)
            cast(Editor, editor).problem.connect(tell)


def _struct_classes(info: inspect.Type) -> tuple[type[Spec], ...]:
    """The spec classes of a type that is one, or a union of nothing else; otherwise none."""
    info = plain(info)
    types = info.types if isinstance(info, inspect.UnionType) else (info,)
    if not all(isinstance(t, inspect.StructType) for t in types):
        return ()
    return tuple(cast(type[Spec], cast(inspect.StructType, t).cls) for t in types)


def _described(field: msgspec.structs.FieldInfo, info: inspect.Type) -> tuple[str, str, bool]:
    """Title, hint and whether it applies in mid-run."""
    schema: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    while isinstance(info, inspect.Metadata):
        schema, extra, info = {**(info.extra_json_schema or {}), **schema}, {**(info.extra or {}), **extra}, info.type
    title = schema.get("title") or field.name.replace("_", " ")
    return str(title), str(schema.get("description", "")), bool(extra.get("live", False))


def _tool_tip(hint: str, kind: inspect.Type, live: bool) -> str:
    """The hint, the limits and when it applies, a line each."""
    limits = wanted(kind) if not isinstance(kind, inspect.IntType | inspect.FloatType) else limits_text(kind)
    return "\n".join(line for line in (hint, limits or "", LIVE_HINT if live else "") if line)


def _name(editor: QWidget, title: str, tip: str) -> None:
    controls = editor.controls() if isinstance(editor, SpecForm) else [editor]
    for control in controls[:1]:
        control.setAccessibleName(title)
        control.setToolTip(tip or title)
        control.setAccessibleDescription(tip)


def _kind_title(kind: type[Spec]) -> str:
    title = getattr(kind, "title", None)
    return str(title()) if callable(title) else kind.__name__


def _first_line(kind: type[Spec]) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


def _builtins(spec: Spec) -> dict[str, Any]:
    return cast(dict[str, Any], msgspec.to_builtins(spec))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
