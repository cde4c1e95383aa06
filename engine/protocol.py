"""Every command the app sends and every event the engine answers with: small frozen structs, as msgpack."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, TypeAlias

import msgspec

from engine.datasets import Statistics
from engine.differences import Difference
from engine.frames import Phase, TensorInfo
from engine.gradcheck import Mode
from engine.recipe import Recipe
from engine.trainer import State


class Message(msgspec.Struct, frozen=True, tag=True):
    """A command or an event; its class name is its tag."""


# --- commands: app → engine ---------------------------------------------------------------------


class Use(Message, frozen=True):
    """Train by this recipe: at once where only live fields changed, else from a new start (or from `state`)."""

    recipe: Recipe
    state: State | None = None


class Trust(Message, frozen=True):
    """These files of own code may run, each in the state that has this fingerprint: the user said yes to it."""

    files: dict[str, str]


class Reload(Message, frozen=True):
    """Build the same network anew, since a file with own code changed; what still fits goes on from where it is."""


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

    mode: Mode = "full"
    difference: Difference = "central"


class CancelCheck(Message, frozen=True):
    """Give the running check up."""


class AskEntry(Message, frozen=True):
    """Ask what the last check made of one entry of a tensor."""

    address: str
    index: tuple[int, ...]


class AskSweep(Message, frozen=True):
    """Ask how the error of a tensor that was checked depends on the step h."""

    address: str


class CheckLive(Message, frozen=True):
    """Check every n-th step from now on; `every` 0: as often as fits a tenth of the running time; None: never."""

    every: int | None = 0


class CancelFetch(Message, frozen=True):
    """Give the download up that the last recipe waits for; what has come of it is kept."""


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
    statistics: Statistics  # of the training part, as the network sees it
    last_batch: int  # samples in the last mini-batch of an epoch
    left_out: int  # samples that no mini-batch of an epoch holds


class Busy(Message, frozen=True):
    """The main loop is about to do something long, such as loading data; it may be still for so many seconds.

    `beat` is the one it is at: a Pong that tells of it is no sign that it has moved on.
    """

    seconds: float
    beat: int = -1


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
    """The live fields of this recipe hold from the next step on; with all of Built that hangs on them."""

    recipe: Recipe
    layers: tuple[LayerInfo, ...]
    tensors: dict[str, TensorInfo]
    loss_formulas: dict[str, str]
    update_formula: str


class Fetching(Message, frozen=True):
    """The last recipe waits for a file: bytes there are, of how many (0: not known). The run before it goes on.

    `name` is empty before the first byte. The end is told by FetchEnded, then Built or Refused.
    """

    name: str
    done: int
    total: int


class FetchEnded(Message, frozen=True):
    """Nothing is being fetched any more. `cancelled`: by CancelFetch; the recipe that wanted it is dropped."""

    cancelled: bool = False


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


class LiveChecked(msgspec.Struct, frozen=True, array_like=True):
    """What the live check says of one step."""

    step: int
    verdict: str
    error: float
    layer: int | None = None  # where it failed: the layer whose backward is wrong; one past the last: the loss
    tensor: str = ""  # the address of the first tensor that is wrong there
    sentence: str = ""  # for people, where it is no pass


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
    live: tuple[LiveChecked, ...] = ()  # the live checks made since the last frame


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


class NamedBug(msgspec.Struct, frozen=True):
    """A bug that the check found, as it is told."""

    slug: str
    title: str
    tensor: str  # the address that shows it, or the role
    sentence: str
    evidence: dict[str, str]
    confidence: float
    formula: str  # what should stand there


class Checked(Message, frozen=True):
    """The check has ended.

    Its pictures can be watched as `0.analytic_W`, `0.numeric_W`, `0.difference_W`, `0.error_W`, and `0.pairs_W`:
    (N, 4) analytic and numeric values of some entries, which entries (flat), and their verdicts' places in VERDICTS.
    """

    mode: str
    step: int
    tensors: tuple[Judged, ...]
    contracts: tuple[str, ...]
    note: str
    cancelled: bool = False
    difference: str = "central"
    bugs: tuple[NamedBug, ...] = ()


class Entry(Message, frozen=True):
    """One entry of a tensor at the point that was checked: values, and the losses on either side."""

    address: str
    index: tuple[int, ...]
    value: float
    analytic: float
    numeric: float  # NaN where it was not looked at
    verdict: str
    loss: float
    loss_up: float  # L(θ + h)
    loss_down: float  # L(θ − h)
    h: float
    flips: int  # decisions (masks, argmax, sides) that differ on either side; −1 where none are taken


class Sweep(Message, frozen=True):
    """The error of a tensor's numerical gradient against h, from large h to small; see gradcheck.ErrorCurve."""

    address: str
    h: tuple[float, ...]
    error: tuple[float, ...]
    rounding: tuple[float, ...]
    entries: int  # how many of the tensor's were looked at
    usual: float  # the h that checks take


class Saved(Message, frozen=True):
    """The state to go on from, should the engine die."""

    state: State


class Pong(Message, frozen=True):
    """The main loop's beat: a count that grows while it works; and the line of own code it is in, if so."""

    beat: int
    where: str = ""  # such as "homework.py, line 12"


Asked: TypeAlias = Watch | Taken | AskCell | AskEntry | AskSweep | Ping
Done: TypeAlias = Step | Play | Pause | Restart | Check | CancelCheck | CheckLive
Command: TypeAlias = Use | Trust | Reload | CancelFetch | Done | Asked | Quit
Told: TypeAlias = Ready | Busy | Fetching | FetchEnded | Refused | Failed | Playing | Pong
Event: TypeAlias = Told | Built | Adopted | FrameReady | Cell | CheckProgress | Checked | Entry | Sweep | Saved

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
