"""What to know before Qt is loaded: is there a screen, and has this system the libraries that Qt needs.

Without them Qt aborts the process with a page about platform plugins. Here the same facts become one sentence that
names the packages. Nothing here imports Qt, and when all is well it costs a few milliseconds.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SystemLibrary:
    """A shared library that Qt's wheels expect of the system, and the packages that bring it."""

    soname: str
    debian: str
    fedora: str


# What Qt's own libraries (QtCore, QtGui, QtDBus) need on every platform, the offscreen one too.
CORE = (
    SystemLibrary("libGL.so.1", "libgl1", "libglvnd-glx"),
    SystemLibrary("libEGL.so.1", "libegl1", "libglvnd-egl"),
    SystemLibrary("libX11.so.6", "libx11-6", "libX11"),
    SystemLibrary("libxkbcommon.so.0", "libxkbcommon0", "libxkbcommon"),
    SystemLibrary("libfontconfig.so.1", "libfontconfig1", "fontconfig"),
    SystemLibrary("libfreetype.so.6", "libfreetype6", "freetype"),
    SystemLibrary("libdbus-1.so.3", "libdbus-1-3", "dbus-libs"),
    SystemLibrary("libglib-2.0.so.0", "libglib2.0-0", "glib2"),
    SystemLibrary("libgthread-2.0.so.0", "libglib2.0-0", "glib2"),
    SystemLibrary("libz.so.1", "zlib1g", "zlib"),
    SystemLibrary("libzstd.so.1", "libzstd1", "libzstd"),
)
# What the platform plugins need besides.
PLATFORM = {
    "xcb": (
        SystemLibrary("libxcb-cursor.so.0", "libxcb-cursor0", "xcb-util-cursor"),
        SystemLibrary("libxcb-icccm.so.4", "libxcb-icccm4", "xcb-util-wm"),
        SystemLibrary("libxcb-image.so.0", "libxcb-image0", "xcb-util-image"),
        SystemLibrary("libxcb-keysyms.so.1", "libxcb-keysyms1", "xcb-util-keysyms"),
        SystemLibrary("libxcb-render-util.so.0", "libxcb-render-util0", "xcb-util-renderutil"),
        SystemLibrary("libxcb-util.so.1", "libxcb-util1", "xcb-util"),
        SystemLibrary("libxkbcommon-x11.so.0", "libxkbcommon-x11-0", "libxkbcommon-x11"),
        SystemLibrary("libX11-xcb.so.1", "libx11-xcb1", "libX11-xcb"),
        *(
            SystemLibrary(f"libxcb{part}", f"libxcb{part.replace('.so.', '')}", "libxcb")
            for part in ("-randr.so.0", "-render.so.0", "-shape.so.0", "-shm.so.0", "-sync.so.1", "-xfixes.so.0")
        ),
        SystemLibrary("libxcb-xkb.so.1", "libxcb-xkb1", "libxcb"),
        SystemLibrary("libxcb.so.1", "libxcb1", "libxcb"),
    ),
    "wayland": (
        SystemLibrary("libwayland-client.so.0", "libwayland-client0", "libwayland-client"),
        SystemLibrary("libwayland-cursor.so.0", "libwayland-cursor0", "libwayland-cursor"),
    ),
    "offscreen": (),
}


def has_display() -> bool:
    """Whether a window can be meant to appear: a display server is named, or a Qt platform was asked for."""
    if sys.platform != "linux":
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


def missing_system_libraries() -> str | None:
    """One sentence that names the missing libraries and the command that installs them, or None when Qt can start."""
    missing = missing_libraries()
    if not missing:
        return None
    names = _listed([library.soname for library in missing])
    debian = " ".join(dict.fromkeys(library.debian for library in missing))
    fedora = " ".join(dict.fromkeys(library.fedora for library in missing))
    return (
        f"Qt cannot start because this system lacks {names}: "
        f"install with `sudo apt install {debian}` (Debian, Ubuntu) or `sudo dnf install {fedora}` (Fedora)."
    )


def missing_libraries() -> tuple[SystemLibrary, ...]:
    """The libraries to install before Qt can start; none when any platform that Qt would try is complete."""
    if sys.platform != "linux":
        return ()
    wanting = [_missing_for(platform) for platform in _platforms()]
    return wanting[0] if wanting and all(wanting) else ()


def silent_display() -> str | None:
    """One sentence when DISPLAY names an X server that does not answer, which makes Qt abort; otherwise None."""
    if sys.platform != "linux" or _platforms() != ["xcb"]:
        return None
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return None
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(None, None))
    answers = not xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    if answers:
        return None
    display = os.environ.get("DISPLAY", "")
    return f"The display {display!r} named by DISPLAY does not answer: start an X server there, or unset DISPLAY."


def _platforms() -> list[str]:
    """The platform plugins that Qt would try here, best first."""
    asked = os.environ.get("QT_QPA_PLATFORM")
    if asked:
        return [name.split(":")[0].removesuffix("-egl") for name in asked.split(";")]
    order = [("DISPLAY", "xcb"), ("WAYLAND_DISPLAY", "wayland")]
    if os.environ.get("XDG_SESSION_TYPE") == "wayland":
        order.reverse()
    return [platform for variable, platform in order if os.environ.get(variable)] or ["offscreen"]


def _missing_for(platform: str) -> tuple[SystemLibrary, ...]:
    """What this platform lacks; none for a platform that is not known here.

    The plugin itself has the last word: where the libraries live beside Python (conda), it finds what a bare name
    does not.
    """
    missing = tuple(library for library in (*CORE, *PLATFORM.get(platform, ())) if not _loads(library.soname))
    plugin = _plugin(platform) if missing else None
    return () if plugin is None or _loads(str(plugin)) else missing


def _plugin(platform: str) -> Path | None:
    """The file of a platform plugin in PySide6's wheel, found without importing PySide6."""
    package = importlib.util.find_spec("PySide6")
    if package is None or package.origin is None:
        return None
    file = Path(package.origin).parent / "Qt" / "plugins" / "platforms" / f"libq{platform}.so"
    return file if file.exists() else None


def _loads(library: str) -> bool:
    """Whether the dynamic loader can open a library; Qt would open the same one a moment later."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _listed(names: Iterable[str]) -> str:
    """Names in a sentence: "a", "a and b", "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
