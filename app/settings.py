"""What each user may set: one struct with defaults and limits, kept by QSettings; and what carries it out."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from PySide6.QtCore import QObject, QSettings, Signal

from app import colour_pairs
from app import theme as themes
from app.colour_pairs import ColourPair
from app.session import FRAME_RATE, Session
from engine.keyframes import DEFAULT_BUDGET
from engine.spec import Spec

MB = 1_000_000
GROUP = "settings"  # in QSettings
LiveCheck = Literal["as often as fits", "at every step", "every 10th step", "every 100th step", "never"]
EVERY: dict[LiveCheck, int | None] = {  # as Session.set_live takes it
    "as often as fits": 0,
    "at every step": 1,
    "every 10th step": 10,
    "every 100th step": 100,
    "never": None,
}


class Settings(Spec, frozen=True, kw_only=True):
    """All of them; each is applied at once."""

    theme: Annotated[
        themes.Mode, Meta(title="theme", description="Light, dark, or as the system has it  (Ctrl+T changes it)")
    ] = "dark"
    colours: Annotated[
        ColourPair,
        Meta(
            title="colours",
            description="Hues of positive and negative, of forward and backward, in every picture and legend; "
            "the second pair is for other eyes and for pale projectors",
        ),
    ] = colour_pairs.FIRST
    text_size: Annotated[
        int,
        Meta(
            ge=int(themes.SMALLEST),
            le=int(themes.LARGEST),
            title="text size, points",
            description="Everything grows and shrinks with it  (Ctrl + and Ctrl −)",
        ),
    ] = int(themes.POINT_SIZE)
    memory: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            title="timeline, MB",
            description="Memory for the past: with more, far places are nearer",
        ),
    ] = DEFAULT_BUDGET // MB
    threads: Annotated[
        int,
        Meta(
            ge=0,
            le=256,
            title="most threads",
            description="Cores that a large network may take; 0: all of them. A small one is quicker with one, and has "
            "one. A run keeps its number, so that its past comes back bit for bit: another number goes on as a new run",
        ),
    ] = 0
    frame_rate: Annotated[
        int,
        Meta(
            ge=1,
            le=240,
            title="frames a second",
            description="Pictures at most while training plays: fewer leave more of the machine to the training",
        ),
    ] = FRAME_RATE
    live_check: Annotated[
        LiveCheck,
        Meta(
            title="live check",
            description="How often gradients are checked while training plays; as often as fits: a tenth of the time",
        ),
    ] = "as often as fits"


def kept(store: QSettings | None) -> Settings:
    """The settings of this user; what was never set, or cannot be read, is as at first."""
    found: dict[str, Any] = {}
    for name in Settings.__struct_fields__:
        value = store.value(f"{GROUP}/{name}") if store is not None else None
        if value is not None:
            with suppress(msgspec.ValidationError, ValueError):
                found[name] = getattr(msgspec.convert({name: value}, Settings, strict=False), name)
    return Settings(**found)


def keep(store: QSettings, settings: Settings) -> None:
    """Write them down for this user."""
    for name in settings.__struct_fields__:
        store.setValue(f"{GROUP}/{name}", getattr(settings, name))


class Preferences(QObject):
    """The settings as they are in force. They live where they are used, in session and look: here is no second copy."""

    changed = Signal(object)  # Settings

    def __init__(self, session: Session, appearance: themes.Appearance, store: QSettings | None = None) -> None:
        super().__init__()
        self._session, self._look, self._store = session, appearance, store
        self._applying = False
        if store is not None:
            self.use(kept(store))
        session.tuned.connect(self._tell)
        appearance.changed.connect(self._tell)

    @property
    def present(self) -> Settings:
        """What is in force now, whichever control set it."""
        every = {number: words for words, number in EVERY.items()}
        return Settings(
            theme=self._look.mode,
            colours=self._look.colours,
            text_size=round(self._look.point_size),
            memory=max(1, round(self._session.budget / MB)),
            threads=self._session.most_threads or 0,
            frame_rate=self._session.frame_rate,
            live_check=every.get(self._session.live_every, "as often as fits"),
        )

    def use(self, settings: Settings) -> None:
        """Put settings in force, all at once."""
        now, look = self.present, self._look
        self._applying = True
        size = look.point_size if settings.text_size == now.text_size else settings.text_size
        look.use(settings.theme, settings.colours, size)
        if settings.memory != now.memory:
            self._session.set_budget(settings.memory * MB)
        self._session.set_most_threads(settings.threads or None)
        self._session.set_frame_rate(settings.frame_rate)
        self._session.set_live(EVERY[settings.live_check])
        self._applying = False
        self._tell()

    def reset(self) -> None:
        """All as at first."""
        self.use(Settings())

    def write(self) -> None:
        """Keep what is in force for the next time."""
        if self._store is not None:
            keep(self._store, self.present)

    def _tell(self) -> None:
        if not self._applying:
            self.changed.emit(self.present)
