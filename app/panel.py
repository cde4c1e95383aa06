"""What a panel is, and how panels are found: every module of app.panels holds one."""

from __future__ import annotations

import importlib
import pkgutil
from typing import ClassVar, Literal

from PySide6.QtCore import Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QWidget

from app.session import Session
from engine.frames import Frame
from engine.protocol import Built, WatchItem

Area = Literal["left", "centre", "right", "bottom", "strip"]  # strip: along the whole lower edge


class Panel(QWidget):
    """One subject on screen. It lays itself out in `build`, paints what `draw` gives it, and acts through the session.

    A panel watches tensors and draws only while it is seen: shown, and not behind another one's tab.
    """

    title: ClassVar[str]  # in its title bar
    hint: ClassVar[str] = ""  # two sentences for the "?" of its title bar
    area: ClassVar[Area]
    order: ClassVar[int] = 0  # among the panels of its area
    late: ClassVar[bool] = False  # made after the window's first frame: it needs a library that is slow to import

    tools: QWidget | None = None  # a small control for its title bar

    status_changed = Signal(str)  # a short text for the right end of its title bar

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.setObjectName(self.name())
        self.setAccessibleName(self.title)
        self._built_for: Built | None = None
        self._in_front = True
        session.built.connect(self._on_built)
        session.adopted.connect(self.retell)
        session.shown.connect(self._on_shown)

    @classmethod
    def name(cls) -> str:
        """The name of its module, such as "flow"."""
        return cls.__module__.rpartition(".")[2]

    def wanted(self) -> tuple[WatchItem, ...]:
        """The tensors this panel wants in frames now."""
        return ()

    def build(self, network: Built) -> None:
        """A network stands: lay out for it."""

    def draw(self, frame: Frame) -> None:
        """The cursor moved: show this frame."""

    def retell(self, network: Built) -> None:
        """Live fields of the network that stands were changed: say anew what hangs on them."""

    def rewatch(self) -> None:
        """Tell the session what is wanted now; to be called when `wanted` would answer otherwise than before."""
        shown = self.seen and self.session.network is not None
        self.session.watch(self, self.wanted() if shown else ())

    def rest(self) -> None:
        """The panel is no longer seen: stop what would go on by itself."""

    # --- whether it is seen -------------------------------------------------------------------

    @property
    def seen(self) -> bool:
        """Whether there is somebody to draw for."""
        return self.isVisible() and self._in_front

    def set_in_front(self, in_front: bool) -> None:
        """Its dock came before or behind the others that share its place, which Qt takes for visible all the same."""
        was_seen, self._in_front = self.seen, in_front
        if self.seen and not was_seen:
            self._appear()
        elif was_seen and not self.seen:
            self._disappear()

    def _on_built(self, network: Built) -> None:
        self._built_for = network
        self.build(network)
        self.rewatch()

    def _on_shown(self, frame: Frame) -> None:
        if self.seen:
            self.draw(frame)

    def showEvent(self, event: QShowEvent) -> None:
        """Watch again, and catch up with the frame shown."""
        super().showEvent(event)
        if self._in_front:
            self._appear()

    def hideEvent(self, event: QHideEvent) -> None:
        """What is not seen is not watched."""
        super().hideEvent(event)
        if self._in_front:
            self._disappear()

    def _appear(self) -> None:
        network = self.session.network
        if network is not None and self._built_for is None:  # made after the network
            self._on_built(network)
        self.rewatch()
        if self.session.frame is not None:
            self.draw(self.session.frame)

    def _disappear(self) -> None:
        self.rest()
        self.session.watch(self, ())


def find_panels() -> list[type[Panel]]:
    """The panel of every module of app.panels, by area and order."""
    import app.panels

    found = []
    for module in pkgutil.iter_modules(app.panels.__path__):
        names = vars(importlib.import_module(f"app.panels.{module.name}")).values()
        found += [
            kind
            for kind in names
            if isinstance(kind, type) and issubclass(kind, Panel) and kind.__module__.endswith(f".{module.name}")
        ]
    return sorted(found, key=lambda kind: (kind.area, kind.order))
