"""Forms: every kind of field can be edited, only valid specs leave the form, and it says why others do not."""

from __future__ import annotations

import enum
import gc
import weakref
from typing import Annotated, Any, Literal, Union

import pytest
from msgspec import Meta
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QAccessible, QWheelEvent
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QScrollArea, QWidget

from app.form import SpecForm
from app.widgets.field_types import number_text, stepped
from app.widgets.fields import (
    BoolField,
    ChoiceField,
    IntField,
    NamesField,
    NumberField,
    OptionalField,
    TextField,
    TupleField,
)
from engine.spec import KindSpec, Rate, Spec


class Start(KindSpec, frozen=True, kw_only=True):
    """How weights start."""


class Zeros(Start, frozen=True, kw_only=True):
    """All zero."""


class Normal(Start, frozen=True, kw_only=True):
    """Bell curve."""

    std: Annotated[float, Meta(gt=0.0, title="std")] = 0.01


class Weighed(Start, frozen=True, kw_only=True):
    """Has a field without a default."""

    amount: Annotated[int, Meta(ge=3, le=9)]


class Mood(enum.Enum):
    CALM = "calm"
    LOUD = "very_loud"


class Everything(Spec, frozen=True, kw_only=True):
    units: Annotated[int, Meta(ge=1, le=4096, title="units", description="Outputs of the layer")] = 32
    lr: Rate = 0.1
    dropped: Annotated[float, Meta(ge=0.0, lt=1.0), Meta(title="dropped share")] = 0.5
    bias: bool = True
    dtype: Literal["float32", "float64"] = "float32"
    mood: Mood = Mood.CALM
    clip: Annotated[float, Meta(ge=0.5)] | None = None
    seed: Annotated[int, Meta(ge=0, le=2**53)] = 7
    name: Annotated[str, Meta(max_length=5)] = "net"
    kernel: tuple[Annotated[int, Meta(ge=1)], Annotated[int, Meta(ge=1)]] = (3, 3)
    widths: tuple[float, ...] = (1.0, 0.5)
    columns: tuple[Annotated[str, Meta(max_length=20)], ...] = ("age",)
    start: Union[Zeros, Normal, Weighed] = Normal()
    many: tuple[Zeros, ...] = (Zeros(),)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.units == 13 and not self.bias:
            raise ValueError("13 units need a bias")


class Sheet:
    """A form with what it emitted, and its controls by name."""

    def __init__(self, form: SpecForm) -> None:
        self.form = form
        self.edits: list[Any] = []
        form.edited.connect(self.edits.append)

    def control(self, name: str) -> Any:
        return next(c for c in self.form.findChildren(QWidget) if c.accessibleName() == name and c.isVisible())

    def type(self, qtbot: Any, name: str, text: str) -> None:
        field = self.control(name)
        field.setFocus()
        field.selectAll()
        qtbot.keyClicks(field, text)
        qtbot.keyClick(field, Qt.Key.Key_Return)

    def problems(self) -> list[str]:
        labels = self.form.findChildren(QLabel)
        return [label.text() for label in labels if label.property("role") == "error" and label.isVisible()]


@pytest.fixture
def sheet(qtbot: Any) -> Sheet:
    form = SpecForm(Everything)
    qtbot.addWidget(form)
    form.set_spec(Everything())
    form.show()
    return Sheet(form)


def test_each_field_gets_the_control_that_suits_it(sheet: Sheet) -> None:
    expected = {
        "units": IntField, "learning rate": NumberField, "dropped share": NumberField, "bias": BoolField,
        "dtype": ChoiceField, "mood": ChoiceField, "clip": OptionalField, "seed": NumberField, "name": TextField,
        "kernel": TupleField, "widths": TupleField, "columns": NamesField, "start": ChoiceField, "std": NumberField,
    }  # fmt: skip
    assert {name: type(sheet.control(name)) for name in expected} == expected


def test_showing_a_spec_emits_nothing(sheet: Sheet) -> None:
    other = Everything(units=5, lr=1e-3, bias=False, clip=2.0, start=Zeros(), kernel=(1, 2), name="a", mood=Mood.LOUD)
    sheet.form.set_spec(other)
    assert sheet.edits == []
    assert sheet.form.spec() == other
    assert sheet.control("units").value() == 5
    assert sheet.control("learning rate").text() == "0.001"
    assert sheet.control("kernel").text() == "1, 2"


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("units", "100", "units", 100),
        ("learning rate", "1e-3", "lr", 1e-3),
        ("learning rate", "0,5", "lr", 0.5),
        ("seed", "9007199254740991", "seed", 2**53 - 1),
        ("name", "deep", "name", "deep"),
        ("kernel", "5, 7", "kernel", (5, 7)),
        ("widths", "1, 2, 1e-3", "widths", (1.0, 2.0, 1e-3)),
        ("columns", " age,colour of hair, 3,", "columns", ("age", "colour of hair", "3")),
    ],
)
def test_typed_values_arrive_once_complete(
    qtbot: Any, sheet: Sheet, name: str, text: str, field: str, value: object
) -> None:
    sheet.type(qtbot, name, text)
    assert [getattr(spec, field) for spec in sheet.edits] == [value]
    assert type(sheet.edits[0]) is Everything


def test_choices_and_check_boxes_arrive(sheet: Sheet) -> None:
    sheet.control("bias").click()
    sheet.control("dtype").setCurrentText("float64")
    sheet.control("mood").setCurrentText("very loud")
    sheet.control("use clip").click()
    assert sheet.form.spec() == Everything(bias=False, dtype="float64", mood=Mood.LOUD, clip=0.5)
    sheet.control("use clip").click()
    assert sheet.edits[-1].clip is None
    assert len(sheet.edits) == 5


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("learning rate", "abc", "Learning rate must be a number from 0 to 1e6."),
        ("learning rate", "nan", "Learning rate must be a number from 0 to 1e6."),
        ("learning rate", "-1", "Learning rate must be a number from 0 to 1e6."),
        ("learning rate", "", "Learning rate must be a number from 0 to 1e6."),
        ("dropped share", "1", "Dropped share must be a number at least 0 and less than 1."),
        ("seed", "1.5", "Seed must be a whole number from 0 to 9,007,199,254,740,992."),
        ("seed", "-3", "Seed must be a whole number from 0 to 9,007,199,254,740,992."),
        ("name", "much too long", "Name must be text of length <= 5."),
        ("kernel", "3", "Kernel must be 2 whole numbers with commas between, each at least 1."),
        ("kernel", "0, 3", "Kernel must be 2 whole numbers with commas between, each at least 1."),
        ("kernel", "a, b", "Kernel must be 2 whole numbers with commas between, each at least 1."),
        ("std", "0", "Std must be a number more than 0."),
    ],
)
def test_an_invalid_entry_is_not_emitted_and_says_why(
    qtbot: Any, sheet: Sheet, name: str, text: str, sentence: str
) -> None:
    field = sheet.control(name)
    field.setFocus()
    field.setText(text)
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert sheet.edits == []
    assert sheet.problems() == [sentence]
    assert field.text() == text  # what was typed is not thrown away
    assert sheet.form.spec() == Everything()


def test_a_mended_entry_takes_the_sentence_away(qtbot: Any, sheet: Sheet) -> None:
    sheet.type(qtbot, "learning rate", "abc")
    sheet.type(qtbot, "units", "64")  # another field still works
    sheet.type(qtbot, "learning rate", "0.2")
    assert sheet.problems() == []
    assert sheet.edits == [Everything(units=64), Everything(units=64, lr=0.2)]


def test_going_back_to_the_old_value_takes_the_sentence_away_without_an_edit(qtbot: Any, sheet: Sheet) -> None:
    sheet.type(qtbot, "learning rate", "abc")
    sheet.type(qtbot, "learning rate", "0.1")
    assert (sheet.problems(), sheet.edits) == ([], [])


def test_a_spec_shown_anew_replaces_an_invalid_entry(qtbot: Any, sheet: Sheet) -> None:
    sheet.type(qtbot, "learning rate", "abc")
    sheet.form.set_spec(Everything(units=3))
    assert sheet.problems() == []
    assert sheet.control("learning rate").text() == "0.1"


def test_a_rejected_edit_can_be_taken_back(qtbot: Any, sheet: Sheet) -> None:
    sheet.type(qtbot, "units", "64")
    sheet.form.set_spec(Everything())
    assert sheet.control("units").value() == 32
    sheet.control("bias").click()
    assert sheet.edits[-1] == Everything(bias=False)


def test_what_two_fields_say_together_is_checked_too(qtbot: Any, sheet: Sheet) -> None:
    sheet.control("bias").click()
    sheet.type(qtbot, "units", "13")
    assert sheet.problems() == ["13 units need a bias."]
    assert sheet.edits == [Everything(bias=False)]


def test_typing_in_a_field_is_not_disturbed_by_an_edit_elsewhere(qtbot: Any, sheet: Sheet) -> None:
    field = sheet.control("learning rate")
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, "0.00")
    sheet.form.set_spec(Everything(units=8))
    assert field.text() == "0.00"


def test_escape_brings_the_old_text_back(qtbot: Any, sheet: Sheet) -> None:
    field = sheet.control("learning rate")
    field.setFocus()
    qtbot.keyClicks(field, "77")
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert (field.text(), sheet.edits) == ("0.1", [])


def test_arrow_keys_multiply_and_stop_at_the_limits(qtbot: Any, sheet: Sheet) -> None:
    field = sheet.control("learning rate")
    for _ in range(3):
        qtbot.keyClick(field, Qt.Key.Key_Up)
    assert [spec.lr for spec in sheet.edits] == [0.2, 0.5, 1.0]
    share = sheet.control("dropped share")
    for _ in range(30):
        qtbot.keyClick(share, Qt.Key.Key_Up)
    assert sheet.form.spec().dropped == 0.95  # type: ignore[attr-defined]
    assert sheet.problems() == []


def test_steps_go_through_round_numbers_both_ways() -> None:
    assert [stepped(v, True) for v in (0.1, 0.2, 0.3, 0.5, 9.99, 1e-5, 0.0)] == [0.2, 0.5, 0.5, 1.0, 10.0, 2e-5, 1e-3]
    assert [stepped(v, False) for v in (0.1, 0.2, 0.3, 1.0, 10.01)] == [0.05, 0.1, 0.2, 0.5, 10.0]
    assert stepped(-0.1, True) == -0.05


def test_numbers_are_written_short_and_exact() -> None:
    assert [number_text(v) for v in (0.1, 1e-05, 100000.0, 3, 0.30000000000000004)] == [
        "0.1", "1e-5", "100000", "3", "0.30000000000000004",
    ]  # fmt: skip


def test_the_wheel_edits_only_with_the_focus(sheet: Sheet) -> None:
    def turn(widget: QWidget) -> None:
        event = QWheelEvent(
            QPointF(5, 5), QPointF(5, 5), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(widget, event)

    sheet.control("bias").setFocus()
    for name in ("units", "learning rate", "dtype", "start"):
        turn(sheet.control(name))
    assert sheet.edits == []


def test_another_kind_brings_its_own_fields_and_remembers_the_old(qtbot: Any, sheet: Sheet) -> None:
    sheet.type(qtbot, "std", "0.5")
    sheet.control("start").setCurrentText("Zeros")
    assert sheet.edits[-1].start == Zeros()
    assert not any(c.accessibleName() == "std" and c.isVisible() for c in sheet.form.findChildren(QWidget))
    sheet.control("start").setCurrentText("Normal")
    assert sheet.edits[-1].start == Normal(std=0.5)
    sheet.control("start").setCurrentText("Weighed")
    assert sheet.edits[-1].start == Weighed(amount=3)


def test_a_union_is_edited_as_a_whole(qtbot: Any) -> None:
    form = SpecForm(Union[Zeros, Normal])
    qtbot.addWidget(form)
    with pytest.raises(LookupError, match="set_spec"):
        form.spec()
    form.set_spec(Normal(std=2.0))
    form.show()
    sheet = Sheet(form)
    sheet.control("kind").setCurrentText("Zeros")
    assert sheet.edits == [Zeros()]
    form.set_spec(Normal(std=3.0))
    assert sheet.control("std").text() == "3"
    with pytest.raises(TypeError, match="Weighed is not one of Zeros, Normal"):
        form.set_spec(Weighed(amount=4))


def test_fields_without_a_control_and_hidden_ones_keep_their_values(qtbot: Any) -> None:
    form = SpecForm(Everything, hide=("name",))
    qtbot.addWidget(form)
    form.set_spec(Everything(name="mine", many=(Zeros(), Zeros())))
    form.show()
    sheet = Sheet(form)
    sheet.control("bias").click()
    assert sheet.edits == [Everything(name="mine", many=(Zeros(), Zeros()), bias=False)]
    assert not [c for c in form.findChildren(QLineEdit) if c.accessibleName() == "name"]


def test_a_live_field_says_so_in_its_tool_tip(sheet: Sheet) -> None:
    assert "applies at the next step" in sheet.control("learning rate").toolTip()
    assert "next step" not in sheet.control("units").toolTip()
    assert sheet.control("units").toolTip() == "Outputs of the layer\nfrom 1 to 4,096".replace("4,096", "4096")


def test_every_control_has_a_name_and_a_tool_tip(sheet: Sheet) -> None:
    for control in sheet.form.controls():
        interface = QAccessible.queryAccessibleInterface(control)
        assert interface.text(QAccessible.Text.Name)
        assert control.toolTip()


def test_tab_goes_from_top_to_bottom_also_after_a_change_of_kind(sheet: Sheet) -> None:
    sheet.control("start").setCurrentText("Weighed")
    tops = []
    for control in sheet.form.controls():
        tops.append((control.mapTo(sheet.form, QPoint(0, 0)).y(), control))
    assert [c for _, c in sorted(tops, key=lambda pair: pair[0])] == sheet.form.controls()
    first = sheet.form.controls()[0]
    first.setFocus()
    order = [first]
    for _ in range(len(sheet.form.controls()) + 5):
        sheet.form.focusNextChild()
        focused = QApplication.focusWidget()
        if focused is None or focused is first:
            break
        order.append(focused)
    reached = [c for c in order if c in sheet.form.controls()]
    assert reached == [c for c in sheet.form.controls() if c in reached]
    assert sheet.control("amount") in reached


def test_nothing_is_cut_off_in_a_narrow_panel(qtbot: Any) -> None:
    form = SpecForm(Everything)
    form.set_spec(Everything())
    sheet = Sheet(form)
    area = QScrollArea()
    qtbot.addWidget(area)
    area.setWidgetResizable(True)
    area.setWidget(form)
    area.resize(220, 900)
    area.show()
    sheet.type(qtbot, "learning rate", "abc")
    QApplication.processEvents()
    assert sheet.form.minimumSizeHint().width() <= 210
    for label in sheet.form.findChildren(QLabel):
        if label.isVisible():
            assert label.width() >= (label.minimumSizeHint().width() if label.wordWrap() else label.sizeHint().width())
            assert label.height() >= (label.heightForWidth(label.width()) if label.wordWrap() else 0)


def test_a_discarded_form_is_freed(qtbot: Any) -> None:
    form = SpecForm(Everything)
    form.set_spec(Everything())
    watched = weakref.ref(form)
    form.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    del form
    gc.collect()
    assert watched() is None
