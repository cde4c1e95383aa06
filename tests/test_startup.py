"""Before Qt starts: a missing system library is named with its package, and a screen is known to be there or not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app import startup

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the libraries are Linux's")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No display is named unless a test names one."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM", "XDG_SESSION_TYPE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch):
    """Make the loader fail for some libraries, and for every plugin as well unless it `plugin_loads`."""

    def lack(*sonames: str, plugin_loads: bool = False) -> None:
        monkeypatch.setattr(startup, "_loads", lambda name: plugin_loads if "/" in name else name not in sonames)

    return lack


@linux_only
def test_a_missing_library_is_named_with_the_package_of_both_distributions(monkeypatch, lacking):
    monkeypatch.setenv("DISPLAY", ":0")
    lacking("libxcb-cursor.so.0")
    assert startup.missing_system_libraries() == (
        "Qt cannot start because this system lacks libxcb-cursor.so.0: install with `sudo apt install libxcb-cursor0` "
        "(Debian, Ubuntu) or `sudo dnf install xcb-util-cursor` (Fedora)."
    )


@linux_only
def test_all_missing_libraries_are_named_at_once_and_each_package_once(monkeypatch, lacking):
    monkeypatch.setenv("DISPLAY", ":0")
    lacking("libglib-2.0.so.0", "libgthread-2.0.so.0", "libxcb-icccm.so.4")
    sentence = startup.missing_system_libraries()
    assert sentence is not None
    assert "libglib-2.0.so.0, libgthread-2.0.so.0 and libxcb-icccm.so.4" in sentence
    assert "apt install libglib2.0-0 libxcb-icccm4`" in sentence
    assert "dnf install glib2 xcb-util-wm`" in sentence


@linux_only
def test_nothing_is_missing_when_the_plugin_finds_its_libraries_elsewhere(monkeypatch, lacking):
    monkeypatch.setenv("DISPLAY", ":0")
    lacking("libxcb-cursor.so.0", plugin_loads=True)
    assert startup.missing_system_libraries() is None


@linux_only
def test_without_a_display_the_libraries_of_x_are_not_asked_for(lacking):
    lacking(*(library.soname for library in startup.PLATFORM["xcb"]))
    assert startup.missing_system_libraries() is None
    lacking("libEGL.so.1")
    assert "libegl1" in (startup.missing_system_libraries() or "")


@linux_only
def test_one_complete_platform_is_enough(monkeypatch, lacking):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    lacking("libwayland-client.so.0")
    assert startup.missing_system_libraries() is None
    monkeypatch.setenv("QT_QPA_PLATFORM", "wayland-egl")
    assert "libwayland-client0" in (startup.missing_system_libraries() or "")


@linux_only
def test_every_system_library_qt_links_to_is_known():
    if not shutil.which("readelf"):
        pytest.skip("readelf is not installed")
    plugin = startup._plugin("xcb")
    assert plugin is not None
    qt = plugin.parents[2]
    files = [
        *(qt / "plugins" / "platforms" / f"libq{name}.so" for name in startup.PLATFORM),
        *(
            qt / "lib" / f"libQt6{name}.so.6"
            for name in ("Core", "DBus", "Gui", "OpenGL", "Svg", "WaylandClient", "Widgets", "XcbQpa")
        ),
    ]
    output = subprocess.run(["readelf", "-d", *map(str, files)], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"NEEDED.*\[(.+?)\]", output))
    always_there = re.compile(r"lib(Qt6|icu|c\.|m\.|dl\.|rt\.|pthread|gcc_s|stdc\+\+)|ld-linux")
    system = {name for name in needed if not always_there.match(name)}
    known = {library.soname for group in (startup.CORE, *startup.PLATFORM.values()) for library in group}
    assert "libxcb-cursor.so.0" in system
    assert system <= known


@linux_only
def test_the_check_is_quick(monkeypatch):
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    startup.missing_system_libraries()
    start = time.perf_counter()
    startup.missing_system_libraries()
    assert time.perf_counter() - start < 0.05


@pytest.mark.parametrize("name", ["DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"])
def test_a_named_display_or_platform_counts_as_a_screen(monkeypatch, name):
    monkeypatch.setattr(sys, "platform", "linux")
    assert not startup.has_display()
    monkeypatch.setenv(name, "")
    assert not startup.has_display()
    monkeypatch.setenv(name, ":0")
    assert startup.has_display()


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_always_have_a_screen_and_their_libraries(monkeypatch, platform):
    monkeypatch.setattr(sys, "platform", platform)
    assert startup.has_display()
    assert startup.missing_system_libraries() is None
    assert startup.silent_display() is None


@linux_only
def test_a_display_that_does_not_answer_is_said_to_be_silent(monkeypatch):
    if not startup._loads("libxcb.so.1"):
        pytest.skip("libxcb is not installed")
    assert startup.silent_display() is None
    monkeypatch.setenv("DISPLAY", ":98765")
    assert "':98765'" in (startup.silent_display() or "")


def test_nothing_of_qt_is_imported():
    code = "import sys, app.startup as s; s.missing_system_libraries(); s.silent_display(); print(*sys.modules)"
    root = Path(startup.__file__).parents[1]
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ, cwd=root
    )
    assert not {"PySide6", "numpy", "pyqtgraph"} & set(found.stdout.split())


def test_the_readme_lists_every_package():
    words = (Path(__file__).parents[1] / "README.md").read_text("utf-8").split()
    for library in (*startup.CORE, *startup.PLATFORM["xcb"]):
        assert library.debian in words
        assert library.fedora in words
