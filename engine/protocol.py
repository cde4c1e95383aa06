"""Every command the app sends and every event the engine answers with: small frozen structs, as msgpack."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, Literal, TypeAlias

import msgspec

from engine.conditions import AnyCondition
from engine.datasets import Statistics
from engine.differences import Difference
from engine.export import Target
from engine.frames import Phase, Position, TensorInfo
from engine.gradcheck import Mode
from engine.recipe import Recipe
from engine.session_file import View
from engine.terms import Explanation
from engine.trainer import State


class Message(msgspec.Struct, frozen=True, tag=True):
    """A command or an event; its class name is its tag."""


class BreakInfo(msgspec.Struct, frozen=True):
    """A breakpoint as lists show it."""

    condition: AnyCondition
    title: str
    enabled: bool = True
    hits: int = 0
    kind: str | None = None  # of the layer it speaks of
    problem: str = ""  # a sentence where that layer is no more


# --- commands: app → engine ---------------------------------------------------------------------


class Use(Message, frozen=True):
    """Train by this recipe: at once where only live fields changed, else from a new start (or from `state`).

    A new start keeps the weights that fit; `fresh`: all are drawn from the recipe. `run` is the number of the run that
    is wanted back, if it is still there.
    """

    recipe: Recipe
    state: State | None = None
    run: int | None = None
    fresh: bool = False


class Trust(Message, frozen=True):
    """These files of own code may run, each in the state that has this fingerprint: the user said yes to it."""

    files: dict[str, str]


class Reload(Message, frozen=True):
    """Build the same network anew, since a file with own code changed; what still fits goes on from where it is."""


class Step(Message, frozen=True):
    """Compute the rest of, or the next: epoch, mini-batch, phase, or part of a phase; or go back to the one before."""

    what: Literal["epoch", "batch", "phase", "part"] = "batch"
    back: bool = False


class StepTo(Message, frozen=True):
    """Step to the next time that a phase has been computed, or back to the last time."""

    phase: Phase
    back: bool = False


class Seek(Message, frozen=True):
    """Show a position that has been computed before: a mini-batch whole, or up to the phase of this number."""

    step: int
    phase: int | None = None


class Play(Message, frozen=True):
    """Go on stepping mini-batches: `rate` a second, or as fast as can be; `steps` of them, or without end."""

    rate: float | None = None
    steps: int | None = None
    back: bool = False


class Pause(Message, frozen=True):
    """Stop after the mini-batch in work."""


class Restart(Message, frozen=True):
    """Back to step 0 with the same first weights, on a fork."""


class EditCell(Message, frozen=True):
    """Type over a cell of a parameter, of the mini-batch's inputs or of its labels; in the past, on a fork."""

    address: str
    index: tuple[int, ...]
    value: float


class MakeFork(Message, frozen=True):
    """Leave the path here; without a name it gets the next free one."""

    name: str | None = None


class Switch(Message, frozen=True):
    """Go on with another fork: at the present step, or at `step`."""

    fork: int
    step: int | None = None


class RenameFork(Message, frozen=True):
    """Give a fork another name."""

    fork: int
    name: str


class DropFork(Message, frozen=True):
    """Forget a fork."""

    fork: int


class Compare(Message, frozen=True):
    """Take the tensors of another fork at the same position off those of every frame at rest; None: as they are."""

    fork: int | None = None


class AddBreak(Message, frozen=True):
    """Another breakpoint."""

    condition: AnyCondition


class EnableBreak(Message, frozen=True):
    """Let the breakpoint of this number stop, or not."""

    number: int
    enabled: bool


class RemoveBreak(Message, frozen=True):
    """Take the breakpoint of this number away."""

    number: int


class KeepBreaks(Message, frozen=True):
    """The breakpoints of a run before this one, in place of those there are."""

    items: tuple[BreakInfo, ...]


class SetBudget(Message, frozen=True):
    """Bytes that the timeline may take."""

    budget: int


class SetThreads(Message, frozen=True):
    """Threads that a large network may take; None: every core. A run that has others goes on as a new one."""

    most: int | None = None


class WatchItem(msgspec.Struct, frozen=True):
    """One tensor wanted in frames, in at most rows × columns cells; "0.change_W": what a step changed in "0.W".

    `may_wait`: while a run plays at full speed it need not be in every frame.
    """

    address: str
    rows: int = 96
    columns: int = 96
    may_wait: bool = False


class Watch(Message, frozen=True):
    """The tensors wanted from now on."""

    items: tuple[WatchItem, ...]


class Taken(Message, frozen=True):
    """The last frame was taken; the next may come in so many seconds."""

    rest: float = 0.0


class ExportScript(Message, frozen=True):
    """Write a script, or where the path ends in .ipynb a notebook, that goes on from here."""

    path: str
    target: Target


class SaveWeights(Message, frozen=True):
    """Write parameters and buffers, as they are here, to an .npz or .safetensors file."""

    path: str


class LoadWeights(Message, frozen=True):
    """Take parameters and buffers from a file, in the past on a fork; `partly`: those that fit, where not all do."""

    path: str
    partly: bool = False


class SaveCurves(Message, frozen=True):
    """Write the scalars of every step of the present path to a .csv or .npz file."""

    path: str


class SaveTensor(Message, frozen=True):
    """Write a tensor as it is shown to a .csv or .npz file."""

    address: str
    path: str


class AskCell(Message, frozen=True):
    """Ask for the exact value of one entry."""

    address: str
    index: tuple[int, ...]


class AskWhole(Message, frozen=True):
    """Ask for every entry of a tensor, as it is shown and as the engine holds it."""

    address: str


class AskTerms(Message, frozen=True):
    """Ask what one entry is made of, here."""

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


class SaveSession(Message, frozen=True):
    """Write the session as it stands now into a file, while training goes on; SessionSaved tells how it went.

    `auto`: one of the app's own accord, with few keyframes.
    """

    path: str
    view: View
    auto: bool = False


class OpenSession(Message, frozen=True):
    """Go on with the session in a file, in place of all runs there are: SessionOpened, SessionAsks, or NotOpened."""

    path: str


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
    """A network stands: a new one at step 0 or at the state handed over, or that of a run that comes back."""

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
    run: int = 0  # its number; a run that was left may come back
    fork: int = 0  # the number of the path it is on
    sources: tuple[tuple[str, ...], ...] = ()  # the tensors that each phase reads, by address
    kept: tuple[int, int] | None = None  # layers that began with weights of the run before, of how many with weights


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


class Cure(msgspec.Struct, frozen=True):
    """A change that mends a chain of layers, such as "Insert Flatten": the recipe it leads to."""

    title: str
    recipe: Recipe


class BrokenChain(msgspec.Struct, frozen=True):
    """Layers that cannot follow each other: what `sentence` says of layer `at`, and the layers that stand before it."""

    recipe: Recipe
    at: int
    sentence: str
    layers: tuple[LayerInfo, ...]
    cures: tuple[Cure, ...]


class Refused(Message, frozen=True):
    """The recipe cannot be built; the run before it goes on. One sentence; and where its chain of layers breaks."""

    sentence: str
    broken: BrokenChain | None = None


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
    fork: int = 0  # the path that the frame is of
    history_fork: int = 0  # the path that the rows are of
    tip: Position = Position(0, -1)  # the last position computed on the frame's path
    compared: int = -1  # the fork whose tensors were taken off these; −1: none
    late: tuple[str, ...] = ()  # watched tensors that there was no time for: the picture that the app has still serves


class Playing(Message, frozen=True):
    """Whether the engine is stepping on its own now."""

    playing: bool


class ChangeInfo(msgspec.Struct, frozen=True, array_like=True):
    """A change made in mid-run: where in time, and in words."""

    step: int
    phase: int
    text: str


class ForkInfo(msgspec.Struct, frozen=True):
    """One path through time. A fork has the first `shared` steps in common with its parent."""

    number: int
    name: str
    run: int  # of which run it is: those of another one have another recipe
    parent: int  # −1: none
    start: Position  # where it leaves its parent
    shared: int
    first_step: int
    tip: Position  # as far as it has been computed
    changes: tuple[ChangeInfo, ...]
    doubtful_from: int | None  # the first step that came out otherwise when it was replayed


class Paths(Message, frozen=True):
    """All paths of all runs, and what the timeline holds of the present one."""

    current: int
    forks: tuple[ForkInfo, ...]
    keyframes: tuple[int, ...]  # steps of the present path, thinned for the screen
    nbytes: int
    budget: int
    notice: str = ""  # a sentence where the budget is too small
    trouble: str = ""  # a sentence once a replay came out otherwise


class Breaks(Message, frozen=True):
    """All breakpoints, in the order of their numbers."""

    items: tuple[BreakInfo, ...]


class Stopped(Message, frozen=True):
    """A breakpoint has stopped the run, at this position and tensor ("" where it waits for a phase)."""

    number: int
    sentence: str
    tensor: str
    step: int
    phase: int


class Terms(Message, frozen=True):
    """What one entry is made of at a position; without an explanation, `why` is a sentence."""

    address: str
    index: tuple[int, ...]
    step: int
    phase: int
    explanation: Explanation | None
    why: str = ""


class Written(Message, frozen=True):
    """Something was written to a file or taken from one; one sentence."""

    sentence: str


class FitsPartly(Message, frozen=True):
    """Some tensors of a file do not fit the network, as the sentence says, and nothing has changed; so many do fit."""

    path: str
    sentence: str
    fitting: int


class Cell(Message, frozen=True):
    """The exact value of one entry of a tensor as it is shown, and the sums of its row and column as a matrix."""

    address: str
    index: tuple[int, ...]
    value: float
    row_sum: float = math.nan
    column_sum: float = math.nan


class Whole(Message, frozen=True):
    """Every entry of a tensor as it is shown: the bytes of an array of this type and shape, row by row."""

    address: str
    shape: tuple[int, ...]
    dtype: str
    data: bytes
    step: int


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


class SessionSaved(Message, frozen=True):
    """A session was written, or was not: then there is a sentence, and what was there before is as it was."""

    path: str
    sentence: str = ""
    auto: bool = False
    seconds: float = 0.0


class SessionOpened(Message, frozen=True):
    """The session of a file takes the place of all runs; Rows of each path follow, then Built."""

    path: str
    view: View
    recipe: Recipe
    notice: str = ""  # a sentence where its data or its own code are no more what they were


class SessionAsks(Message, frozen=True):
    """The session in a file runs code of the user's own, in files that were not allowed to run as they are now."""

    path: str
    files: tuple[str, ...]


class NotOpened(Message, frozen=True):
    """A session's file cannot be opened; all is as it was. One sentence."""

    path: str
    sentence: str


class Rows(Message, frozen=True):
    """Rows of the timeline of a path that comes from a file: float64, after those it shares with its parent."""

    fork: int
    parent: int  # −1: none
    shared: int
    columns: tuple[str, ...]
    data: bytes


class Pong(Message, frozen=True):
    """The main loop's beat: a count that grows while it works; and the line of own code it is in, if so."""

    beat: int
    where: str = ""  # such as "homework.py, line 12"


Asked: TypeAlias = Watch | Taken | AskCell | AskWhole | AskEntry | AskSweep | AskTerms | Ping
Done: TypeAlias = Step | Play | Pause | Restart | Check | CancelCheck | CheckLive
Broken: TypeAlias = AddBreak | EnableBreak | RemoveBreak | KeepBreaks
Forked: TypeAlias = EditCell | MakeFork | Switch | RenameFork | DropFork | Compare
Travelled: TypeAlias = StepTo | Seek | SetBudget | Forked | Broken
Exported: TypeAlias = ExportScript | SaveWeights | LoadWeights | SaveCurves | SaveTensor
Filed: TypeAlias = SaveSession | OpenSession | Exported
Command: TypeAlias = Filed | Use | Trust | Reload | SetThreads | CancelFetch | Done | Travelled | Asked | Quit
Told: TypeAlias = Ready | Busy | Fetching | FetchEnded | Refused | Failed | Playing | Pong
Placed: TypeAlias = FrameReady | Paths | Breaks | Stopped | Terms | Cell | Whole | Saved | Written | FitsPartly
FiledEvent: TypeAlias = SessionSaved | SessionOpened | SessionAsks | NotOpened | Rows
Event: TypeAlias = FiledEvent | Told | Built | Adopted | Placed | CheckProgress | Checked | Entry | Sweep

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
