"""The controls a form is made of: each turns what is typed or chosen into a plain value, and shows a plain value.

`entered` carries a value that could be read; whether the limits allow it, the form asks of the spec.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

from msgspec import inspect
from PySide6.QtCore import QEvent, QSignalBlocker, Qt, QTimer, Signal, SignalInstance
from PySide6.QtGui import QFocusEvent, QKeyEvent, QWheelEvent
from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLineEdit, QSpinBox, QWidget

from app.widgets.field_types import (
    Number,
    allowed,
    fits_spin_box,
    initial,
    is_share,
    item_types,
    number_text,
    parse_number,
    plain,
    readable,
    stepped,
    wanted,
)

PAUSE = 400  # milliseconds without a key after which a number counts as typed


class Editor(Protocol):
    """What every control of a form offers, besides being a QWidget."""

    @property
    def entered(self) -> SignalInstance:
        """Signal(object): the user gave a value."""

    @property
    def problem(self) -> SignalInstance:
        """Signal(str): what was typed cannot be read; an ending of the sentence "<Title> must be …"."""

    def set_value(self, value: Any) -> None:
        """Show a value; emits nothing."""


def make_editor(kind: inspect.Type, parent: QWidget) -> QWidget | None:
    """The control for a type without nested specs; None for types that have none. It is an `Editor` too."""
    match kind:
        case inspect.BoolType():
            return BoolField(parent)
        case inspect.IntType() if fits_spin_box(kind):
            return IntField(kind, parent)
        case inspect.IntType() | inspect.FloatType():
            return NumberField(kind, parent)
        case inspect.LiteralType():
            return ChoiceField([(readable(value), value) for value in kind.values], parent)
        case inspect.EnumType():
            return ChoiceField([(readable(member.value), member.value) for member in kind.cls], parent)
        case inspect.StrType():
            return TextField(parent)
        case inspect.VarTupleType() | inspect.TupleType() if all(isinstance(i, Number) for i in item_types(kind)):
            return TupleField(kind, parent)
        case inspect.VarTupleType() if all(isinstance(i, inspect.StrType) for i in item_types(kind)):
            return NamesField(parent)
        case (
            inspect.UnionType(types=(inner, inspect.NoneType())) | inspect.UnionType(types=(inspect.NoneType(), inner))
        ):
            editor = make_editor(plain(inner), parent)
            return None if editor is None else OptionalField(editor, initial(inner), parent)
    return None


class IntField(QSpinBox):
    """A whole number within limits; emits when typing pauses or ends, not at each key."""

    entered = Signal(object)
    problem = Signal(str)

    def __init__(self, kind: inspect.IntType, parent: QWidget) -> None:
        super().__init__(parent)
        low = kind.ge if kind.ge is not None else cast(int, kind.gt) + 1
        high = kind.le if kind.le is not None else cast(int, kind.lt) - 1
        self.setRange(low, high)
        self.setSingleStep(kind.multiple_of or 1)
        self.setKeyboardTracking(False)
        self._pause = QTimer(self, singleShot=True, interval=PAUSE)
        self._pause.timeout.connect(self._take_typed)
        self.lineEdit().textEdited.connect(lambda _: self._pause.start())
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumWidth(56)
        self.valueChanged.connect(self._tell)

    def set_value(self, value: Any) -> None:
        """Show a number."""
        with QSignalBlocker(self):
            self.setValue(value)

    def _take_typed(self) -> None:
        if self.hasAcceptableInput():
            self.interpretText()

    def _tell(self, value: int) -> None:
        self._pause.stop()
        self.entered.emit(value)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()  # scrolling past must not edit


class BoolField(QCheckBox):
    """Yes or no."""

    entered = Signal(object)
    problem = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.toggled.connect(self._tell)

    def set_value(self, value: Any) -> None:
        """Show yes or no."""
        with QSignalBlocker(self):
            self.setChecked(value)

    def _tell(self, value: bool) -> None:
        self.entered.emit(value)


class ChoiceField(QComboBox):
    """One of a few values, each with its text."""

    entered = Signal(object)
    problem = Signal(str)

    def __init__(self, choices: list[tuple[str, Any]], parent: QWidget) -> None:
        super().__init__(parent)
        self._values = [value for _, value in choices]
        self.addItems([text for text, _ in choices])
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.currentIndexChanged.connect(self._tell)

    def set_value(self, value: Any) -> None:
        """Show one of the values."""
        with QSignalBlocker(self):
            self.setCurrentIndex(self._values.index(value))

    def _tell(self, index: int) -> None:
        self.entered.emit(self._values[index])

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()  # scrolling past must not edit


class TextField(QLineEdit):
    """Text that is read when Enter is pressed or the field is left; Escape brings back what was there."""

    entered = Signal(object)
    problem = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._shown = ""
        self.setMinimumWidth(56)
        self.editingFinished.connect(self._read)

    def set_value(self, value: Any) -> None:
        """Show a value."""
        self._shown = self.to_text(value)
        self.setText(self._shown)
        self.setCursorPosition(0)

    def to_text(self, value: Any) -> str:
        """A value as it is written."""
        return str(value)

    def from_text(self, text: str) -> Any:
        """The value a text stands for. Raises ValueError where it stands for none."""
        return text

    def problem_text(self) -> str:
        """What a text that stands for nothing should have been."""
        return "text"

    def _read(self) -> None:
        if self.text() == self._shown:
            return
        self._shown = self.text()
        try:
            value = self.from_text(self._shown)
        except ValueError:
            self.problem.emit(self.problem_text())
        else:
            self.entered.emit(value)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.setCursorPosition(0)

    def event(self, event: QEvent) -> bool:
        override = event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent)
        if override and cast(QKeyEvent, event).key() == Qt.Key.Key_Escape and self.text() != self._shown:
            event.accept()  # before a window's own Escape
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.text() != self._shown:
            self.setText(self._shown)
        else:
            super().keyPressEvent(event)


class NumberField(TextField):
    """A number as text, 1e-3 too. Arrow keys, and the wheel with the focus, go through 1, 2, 5, 10."""

    def __init__(self, kind: Number, parent: QWidget) -> None:
        super().__init__(parent)
        self._kind = kind

    def to_text(self, value: Any) -> str:
        return number_text(value)

    def from_text(self, text: str) -> Any:
        number = parse_number(text)
        if isinstance(self._kind, inspect.IntType):
            if number != int(number):
                raise ValueError(text)
            return int(text) if text.strip().lstrip("+-").isdigit() else int(number)
        return number

    def problem_text(self) -> str:
        return wanted(self._kind) or "a number"

    def step(self, up: bool) -> None:
        """The next value up or down that the limits allow; nothing where there is none, or no number stands there."""
        try:
            value = self.from_text(self.text())
        except ValueError:
            return
        integer = isinstance(self._kind, inspect.IntType)
        new = value + (1 if up else -1) if integer else stepped(value, up, is_share(self._kind))
        if allowed(self._kind, new) and new != value:
            self.setText(number_text(new))
            self._read()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self.step(event.key() == Qt.Key.Key_Up)
        else:
            super().keyPressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus() and event.angleDelta().y():
            self.step(event.angleDelta().y() > 0)
        else:
            event.ignore()


class TupleField(TextField):
    """Numbers with commas between."""

    def __init__(self, kind: inspect.VarTupleType | inspect.TupleType, parent: QWidget) -> None:
        super().__init__(parent)
        self._kind = kind

    def to_text(self, value: Any) -> str:
        return ", ".join(map(number_text, value))

    def from_text(self, text: str) -> Any:
        whole = isinstance(item_types(self._kind)[0], inspect.IntType)
        numbers = [
            parse_number(part) for part in text.replace(";", ",").strip().strip("()[]").split(",") if part.strip()
        ]
        if whole and any(number != int(number) for number in numbers):
            raise ValueError(text)
        return [int(number) for number in numbers] if whole else numbers

    def problem_text(self) -> str:
        return wanted(self._kind) or "numbers"


class NamesField(TextField):
    """Names with commas between."""

    def to_text(self, value: Any) -> str:
        return ", ".join(value)

    def from_text(self, text: str) -> Any:
        return [name for part in text.split(",") if (name := part.strip())]


class OptionalField(QWidget):
    """A check box before a control: unchecked means none."""

    entered = Signal(object)
    problem = Signal(str)

    def __init__(self, inner: QWidget, first: Any, parent: QWidget) -> None:
        super().__init__(parent)
        self.inner = inner
        self.box = QCheckBox(self)
        self._value = first  # what the inner control holds, also while unchecked
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.box)
        layout.addWidget(inner, 1)
        self.setMinimumWidth(86)  # the form wraps the row rather than cut it
        self._editor.set_value(first)
        inner.setEnabled(False)
        self.box.toggled.connect(self._toggle)
        self._editor.entered.connect(self._enter)
        self._editor.problem.connect(self.problem)
        self.setFocusProxy(self.box)

    @property
    def _editor(self) -> Editor:
        return cast(Editor, self.inner)

    def set_value(self, value: Any) -> None:
        """Show a value, or none."""
        with QSignalBlocker(self.box):
            self.box.setChecked(value is not None)
        self.inner.setEnabled(value is not None)
        if value is not None:
            self._value = value
            self._editor.set_value(value)

    def setAccessibleName(self, name: str) -> None:
        super().setAccessibleName(name)
        self.box.setAccessibleName(f"use {name}")
        self.inner.setAccessibleName(name)

    def _toggle(self, on: bool) -> None:
        self.inner.setEnabled(on)
        self.entered.emit(self._value if on else None)

    def _enter(self, value: Any) -> None:
        self._value = value
        self.entered.emit(value)
