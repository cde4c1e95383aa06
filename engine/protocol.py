"""Every command the app sends and every event the engine answers with: small frozen structs, as msgpack."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, TypeAlias

import msgspec

from engine.frames import Phase, TensorInfo
from engine.recipe import Recipe
from engine.trainer import State


class Message(msgspec.Struct, frozen=True, tag=True):
    """A command or an event; its class name is its tag."""


# --- commands: app → engine ---------------------------------------------------------------------


class Use(Message, frozen=True):
    """Train by this recipe: at once where only live fields changed, else from a new start (or from `state`)."""

    recipe: Recipe
    state: State | None = None


class Step(Message, frozen=True):
    """Compute the rest of, or the next: mini-batch, phase, or part of a phase."""

    what: Literal["batch", "phase", "part"] = "batch"


class Play(Message, frozen=True):
    """Go on stepping mini-batches: `rate` a second, or as fast as can be; `steps` of them, or without end."""

    rate: float | None = None
    steps: int | None = None


class Pause(Message, frozen=True):
    """Stop after the mini-batch in work."""


class Restart(Message, frozen=True):
    """Back to step 0 with the same first weights."""


class WatchItem(msgspec.Struct, frozen=True):
    """One tensor wanted in frames, in at most rows × columns cells."""

    address: str
    rows: int = 96
    columns: int = 96


class Watch(Message, frozen=True):
    """The tensors wanted from now on."""

    items: tuple[WatchItem, ...]


class Taken(Message, frozen=True):
    """The last frame was taken; the next may come."""


class AskCell(Message, frozen=True):
    """Ask for the exact value of one entry."""

    address: str
    index: tuple[int, ...]


class Check(Message, frozen=True):
    """Check the gradients of the present mini-batch."""

    mode: Literal["full", "sampled", "projected"] = "full"


class CancelCheck(Message, frozen=True):
    """Give the running check up."""


class Ping(Message, frozen=True):
    """Is the engine's main loop alive?"""


class Quit(Message, frozen=True):
    """End the process."""


# --- events: engine → app -----------------------------------------------------------------------


class Ready(Message, frozen=True):
    """The engine process has started."""


class LayerInfo(msgspec.Struct, frozen=True):
    """What the screen says of one layer of the network built."""

    kind: str
    title: str
    caption: str
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    parameters: dict[str, tuple[int, ...]]
    parameter_count: int
    formulas: dict[str, str]
    multiply_adds: int = 0  # of the forward of one sample


class DataInfo(msgspec.Struct, frozen=True):
    """What the screen says of the data."""

    training: int
    validation: int
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    image_shape: tuple[int, int] | None
    extent: tuple[float, float, float, float] | None  # for points in the plane: left, right, bottom, top


class Busy(Message, frozen=True):
    """The main loop is about to do something long, such as loading data; it may be still for so many seconds."""

    seconds: float


class Built(Message, frozen=True):
    """A network stands at step 0 (or at the state handed over); history starts anew."""

    recipe: Recipe
    layers: tuple[LayerInfo, ...]
    data: DataInfo
    phases: tuple[Phase, ...]
    tensors: dict[str, TensorInfo]
    columns: tuple[str, ...]
    loss_title: str
    loss_convention: str
    loss_formulas: dict[str, str]
    update_formula: str
    batches: int
    step: int  # where it stands: 0, or the step of the state handed over


class Adopted(Message, frozen=True):
    """The live fields of this recipe hold from the next step on."""

    recipe: Recipe


class Refused(Message, frozen=True):
    """The recipe cannot be built; the run before it goes on. One sentence."""

    sentence: str


class Failed(Message, frozen=True):
    """A command could not be carried out; the run stands where it stood. One sentence."""

    sentence: str


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """Where one tensor lies in a frame's slot: float32, row by row."""

    address: str
    offset: int
    rows: int
    columns: int
    shape: tuple[int, ...]
    computed: bool


class FrameReady(Message, frozen=True):
    """A frame lies in a slot. `history_*`: rows of the timeline since the last frame, float64, in the same slot."""

    slot: int
    step: int
    phase: int
    epoch: int
    batch: int
    playing: bool
    scalars: dict[str, float]
    tensors: tuple[Packed, ...]
    history_first: int
    history_rows: int
    history_offset: int


class Playing(Message, frozen=True):
    """Whether the engine is stepping on its own now."""

    playing: bool


class Cell(Message, frozen=True):
    """The exact value of one entry, as the engine holds it."""

    address: str
    index: tuple[int, ...]
    value: float


class CheckProgress(Message, frozen=True):
    """How many entries of how many have been checked."""

    done: int
    total: int


class Judged(msgspec.Struct, frozen=True):
    """The verdict on one tensor."""

    address: str
    verdict: str
    error: float
    note: str


class Checked(Message, frozen=True):
    """The check has ended; its pictures can be watched as `0.analytic_W`, `0.numeric_W`, `0.difference_W`."""

    mode: str
    step: int
    tensors: tuple[Judged, ...]
    contracts: tuple[str, ...]
    note: str
    cancelled: bool = False


class Saved(Message, frozen=True):
    """The state to go on from, should the engine die."""

    state: State


class Pong(Message, frozen=True):
    """The main loop's beat: a count that grows while it works."""

    beat: int


Command: TypeAlias = Use | Step | Play | Pause | Restart | Watch | Taken | AskCell | Check | CancelCheck | Ping | Quit
Told: TypeAlias = Ready | Busy | Refused | Failed | Playing | Pong
Event: TypeAlias = Told | Built | Adopted | FrameReady | Cell | CheckProgress | Checked | Saved

encode = msgspec.msgpack.Encoder().encode


@cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    """Made when first used: a process decodes either commands or events, and a decoder takes its time to be made."""
    return msgspec.msgpack.Decoder(kind)


def decode_command(data: bytes) -> Command:
    """The command in a message."""
    command: Command = _decoder(Command).decode(data)
    return command


def decode_event(data: bytes) -> Event:
    """The event in a message."""
    event: Event = _decoder(Event).decode(data)
    return event
