"""Guards for the Qt binding: what it does to None and True, to errors in methods that Qt calls, and to plots."""

import gc
import sys

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from app.key_guard import KeyGuard
from app.widgets.plot import StepPlot


class Speaker(QObject):
    """Something that says yes, no and nothing."""

    said = Signal(object)
    agreed = Signal(bool)


def test_signals_and_event_loops_lose_no_reference_to_none_or_true(qapp: QApplication) -> None:
    speaker, heard = Speaker(), 0

    def hear(_: object) -> None:
        nonlocal heard
        heard += 1

    speaker.said.connect(hear)
    speaker.agreed.connect(hear)
    before = [sys.getrefcount(thing) for thing in (None, True, False)]
    for _ in range(200):
        speaker.said.emit(None)
        speaker.agreed.emit(True)
        qapp.processEvents()
    after = [sys.getrefcount(thing) for thing in (None, True, False)]
    assert heard == 400
    # From Python 3.12 on these objects never die, and their counts, beyond 2**30, mean no number of references.
    lost = [then - now for now, then in zip(after, before, strict=True) if now < 2**30]
    assert all(count < 50 for count in lost), (before, after)


class Clumsy(QWidget):
    """Made after the guard was set; its error comes from C code."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Look for what is not there."""
        (1, 2).index(event.key())


def test_an_error_in_a_method_that_qt_calls_is_an_error_and_no_crash(qtbot: QtBot) -> None:
    widget = Clumsy()
    qtbot.addWidget(widget)
    with pytest.raises(ValueError, match="not in tuple"):
        QTest.keyPress(widget, Qt.Key.Key_A)


def test_an_error_in_a_class_made_before_the_guard_is_no_crash_either(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = QWidget()
    qtbot.addWidget(widget)
    guard = KeyGuard(widget)
    widget.installEventFilter(guard)
    monkeypatch.setattr(KeyGuard, "OWN_KEYS", {QWidget: None})
    with pytest.raises(TypeError, match="not iterable"):
        QTest.keyPress(widget, Qt.Key.Key_A)


def test_a_plot_that_stands_alone_can_be_deleted(qapp: QApplication) -> None:
    for _ in range(2):
        plot = StepPlot("from zero", "loss over steps", "")
        plot.close()
        plot.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        del plot
        gc.collect()
