"""Settings: each reaches what it names at once, is kept for the user, and can be reset."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication, QComboBox, QSpinBox, QWidget
from pytestqt.qtbot import QtBot

import engine.host
from app import theme
from app.settings import Preferences, Settings, keep, kept
from app.settings_window import SettingsWindow
from engine import protocol, threads

from panel_tools import Desk

OTHERS: dict[str, Any] = {
    "theme": "light",
    "colours": "green and purple",
    "text_size": 14,
    "memory": 64,
    "threads": 1,
    "frame_rate": 15,
    "live_check": "every 10th step",
}


@pytest.fixture
def look(qapp: QApplication) -> Iterator[theme.Appearance]:
    """The look of the application, put back afterwards."""
    look = theme.Appearance(qapp, "dark")
    yield look
    look.set_mode("dark")
    look.set_point_size(theme.POINT_SIZE)
    look.set_colours("blue and orange")
    look.setParent(None)


def in_force(desk: Desk, name: str) -> object:
    """What a setting names, asked where it is used."""
    sent: dict[str, tuple[type[Any], str]] = {
        "memory": (protocol.SetBudget, "budget"),
        "threads": (protocol.SetThreads, "most"),
        "live_check": (protocol.CheckLive, "every"),
    }
    if name in sent:
        kind, field = sent[name]
        return getattr(desk.sent(kind)[-1], field)
    here = {
        "theme": theme.current().name,
        "colours": theme.current().colours,
        "text_size": QApplication.font().pointSizeF(),
        "frame_rate": desk.session.frame_rate,
    }
    return here[name]


def test_every_setting_reaches_what_it_names_at_once_and_a_reset_brings_all_back(
    look: theme.Appearance, qtbot: QtBot
) -> None:
    desk = Desk()
    preferences = Preferences(desk.session, look)
    window = SettingsWindow(preferences)
    qtbot.addWidget(window)
    assert preferences.present == Settings() == window.form.spec()
    assert OTHERS.keys() == set(Settings.__struct_fields__)
    expected = {**OTHERS, "memory": 64_000_000, "live_check": 10}
    controls = dict(zip(Settings.__struct_fields__, window.form.controls(), strict=True))
    for name, value in OTHERS.items():
        give(controls[name], value)
        assert in_force(desk, name) == expected[name], name
        assert getattr(preferences.present, name) == value
        assert controls[name].accessibleName()
        assert controls[name].toolTip()
    dressed: list[None] = []
    look.changed.connect(lambda: dressed.append(None))
    window.reset_button.click()
    assert len(dressed) == 1, "the widgets are dressed once, not once for each setting"
    assert preferences.present == Settings() == window.form.spec()
    assert theme.current() is theme.DARK
    assert (in_force(desk, "memory"), in_force(desk, "threads")) == (256_000_000, None)
    assert not window.reset_button.isEnabled()


def give(control: QWidget, value: object) -> None:
    """Choose or type a value in a control of the form."""
    if isinstance(control, QComboBox):
        control.setCurrentText(str(value))
    else:
        assert isinstance(control, QSpinBox)
        control.setValue(int(str(value)))


def test_what_is_set_elsewhere_is_shown_and_kept(look: theme.Appearance, qtbot: QtBot, settings: QSettings) -> None:
    desk = Desk()
    preferences = Preferences(desk.session, look, settings)
    window = SettingsWindow(preferences)
    qtbot.addWidget(window)
    look.set_mode("light")
    look.set_point_size(12)
    desk.session.set_budget(1_024_000_000)
    desk.session.set_live(None)
    shown = window.form.spec()
    assert shown == Settings(theme="light", text_size=12, memory=1024, live_check="never")
    preferences.write()
    assert kept(settings) == shown
    other = Desk()
    look.set_mode("dark")
    assert Preferences(other.session, look, settings).present == shown
    assert other.session.budget == 1_024_000_000


@pytest.mark.parametrize(
    ("name", "rubbish"),
    [("text_size", 500), ("threads", "many"), ("theme", "pink"), ("memory", -3), ("live_check", "")],
)
def test_what_was_kept_and_makes_no_sense_is_as_at_first(settings: QSettings, name: str, rubbish: object) -> None:
    keep(settings, Settings(frame_rate=30))
    settings.setValue(f"settings/{name}", rubbish)
    assert kept(settings) == Settings(frame_rate=30)


def test_settings_survive_the_file_they_are_kept_in(settings: QSettings) -> None:
    keep(settings, Settings(**OTHERS))
    settings.sync()
    assert kept(QSettings(settings.fileName(), QSettings.Format.IniFormat)) == Settings(**OTHERS)


def test_a_run_keeps_its_threads_and_the_limit_holds_for_large_networks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 4)
    assert [threads.threads_for(threads.WORTH_SHARING, most) for most in (None, 1, 3, 9)] == [4, 1, 3, 4]
    assert threads.threads_for(threads.WORTH_SHARING - 1, 3) == 1


class Commands:
    """Stands where the engine's inbox would: keeps what is told to the app."""

    def __init__(self, *_: object) -> None:
        self.told: list[protocol.Event] = []
        self.send = self.told.append


def test_other_threads_go_on_as_a_new_run_from_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 3)
    monkeypatch.setattr(threads, "WORTH_SHARING", 1)  # every network is large
    monkeypatch.setattr(engine.host, "Inbox", Commands)
    host = engine.host.Host(None, None)  # type: ignore[arg-type]  # it shows no frame
    events = host._inbox.told  # type: ignore[attr-defined]
    recipe = Desk().recipe
    host._obey(protocol.SetThreads(2))
    host._obey(protocol.Use(recipe))
    host._obey(protocol.SetThreads(9))
    assert [host._run.trainer.threads, len(list(host._runs))] == [3, 1]
    first = host._run
    first.step()
    weights = first.trainer.network.parameters.copy()
    host._obey(protocol.SetThreads(4))
    assert host._run is first
    host._obey(protocol.SetThreads(1))
    assert host._run is not first
    assert (host._run.trainer.threads, first.trainer.threads, host._run.trainer.step_count) == (1, 3, 1)
    np.testing.assert_array_equal(host._run.trainer.network.parameters, weights)
    assert [event.step for event in events if isinstance(event, protocol.Built)] == [0, 0, 1]


def test_fewer_frames_are_asked_for_where_fewer_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, rests = Desk(), []
    monkeypatch.setattr(time, "perf_counter", lambda: 100.0)
    monkeypatch.setattr(desk.session._link, "send", lambda command: rests.append(command.rest))
    desk.session._take()
    desk.session.playing = True
    for rate in (60, 10):
        desk.session.set_frame_rate(rate)
        desk.session._wanted_from = 100.0
        desk.session._take()
    assert rests == pytest.approx([0.0, 1 / 60, 1 / 10])
