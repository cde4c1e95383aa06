"""The beliefs panel: what the network takes samples for, where it is wrong, and what its units answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSignalBlocker, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QStackedLayout, QTabBar, QVBoxLayout, QWidget

from app import theme
from app.panel import Area, Panel
from app.session import Session
from app.widgets.beliefs_of_classes import BeliefsOfClasses
from app.widgets.numbers import count, percent, tiny
from app.widgets.text_line import TextLine
from app.widgets.throttle import Throttle
from app.widgets.unit_maps import Group
from engine.answers import MOST_CLASSES, MOST_OUTPUTS, MOST_SAMPLES, Part
from engine.beliefs import UnitLayer, unit_layers
from engine.frames import Frame
from engine.protocol import Built, WatchItem

if TYPE_CHECKING:
    from app.widgets.fit_plot import FitPlot

Array = NDArray[Any]
DRAWS = 3.0  # a second while playing: oftener the engine does not look
MISTAKES = 60  # samples that are shown
BOUNDARY, UNIT, CURVE = 64, 24, 200  # cells of a grid, each way; places along a curve
ROOMY, NARROW = 14, 28  # lines of text: from this height on, or below this width, the summary has its own line
PARTS: tuple[tuple[Part, str], ...] = (
    ("validation", "Samples that the network was never trained on"),
    ("training", "Samples that the network is trained on"),
)
SEVERAL = "Several yes-or-no answers a sample are neither classes nor values: nothing is compared here"
REFUSED = "The network cannot be asked about samples: a layer of its own code refused them"


class BeliefsPanel(Panel):
    """A view for classes, one for values, and a sentence where there is neither."""

    title: ClassVar[str] = "Beliefs"
    hint: ClassVar[str] = (
        "What the network believes where it stands: its worst mistakes and what it takes for what, its boundary and "
        "what each unit answers over the plane, or how values fit. Dropout is off, and nothing is learned by looking."
    )
    area: ClassVar[Area] = "bottom"
    order: ClassVar[int] = 3
    late: ClassVar[bool] = True

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.summary = TextLine("", self)
        self.summary.setAccessibleName("summary of the beliefs")
        self.classes = BeliefsOfClasses(self)
        self.fit: FitPlot | None = None  # made when first wanted: its library is slow to import
        self.message = QLabel("no network yet", self)
        self.message.setWordWrap(True)
        self.message.setAlignment(Qt.AlignmentFlag.AlignCenter)
        theme.mark(self.message, "muted")
        self._stack = QStackedLayout()
        self._stack.addWidget(self.message)
        self._stack.addWidget(self.classes)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 0, 9, 6)
        column.setSpacing(4)
        column.addWidget(self.summary)
        column.addLayout(self._stack, 1)
        self.tools = self._make_switch()
        self._network: Built | None = None
        self._frame: Frame | None = None
        self._units: list[UnitLayer] = []
        self._throttle = Throttle(self._show, self, DRAWS, takes_turns=True)
        self.classes.cell_chosen.connect(lambda _: self._ask_anew())
        self.classes.layer_chosen.connect(lambda layer: session.select(f"{layer}.y"))

    def _make_switch(self) -> QTabBar:
        self.switch = QTabBar(self)
        self.switch.setDrawBase(False)
        self.switch.setExpanding(False)
        self.switch.setUsesScrollButtons(False)
        self.switch.setElideMode(Qt.TextElideMode.ElideRight)  # in a narrow window
        self.switch.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.switch.setAccessibleName("part of the data")
        theme.mark(self.switch, "switch")
        for place, (part, tip) in enumerate(PARTS):
            self.switch.addTab(part)
            self.switch.setTabToolTip(place, tip)
        self.switch.currentChanged.connect(lambda _: self._ask_anew())
        return self.switch

    def minimumSizeHint(self) -> QSize:
        """As low as its neighbours: what does not fit scrolls."""
        return QSize(120, 60)

    @property
    def part(self) -> Part:
        """The part of the data that is looked at."""
        return PARTS[self.switch.currentIndex()][0]

    # --- what is asked ------------------------------------------------------------------------

    def wanted(self) -> tuple[WatchItem, ...]:
        """Counts, and what the view is made of."""
        network = self._network
        if network is None or self._kind == "neither":
            return ()
        wanted = {f"facts_{self.part}": 1}
        if self._kind == "values":
            wanted |= {f"values_{self.part}": MOST_SAMPLES}
            if network.data.shape == (1,):
                wanted["curve"] = CURVE
        else:
            wanted[f"confusion_{self.part}"] = MOST_CLASSES
            if network.data.extent is not None:
                wanted |= {"boundary": BOUNDARY, f"points_{self.part}": MOST_SAMPLES}
                wanted |= {f"units_{u.layer}": UNIT for u in self._units}
            else:
                wanted |= {f"mistakes_{self._chosen}": MISTAKES, f"inputs_{self._chosen}": MISTAKES}
        return tuple(WatchItem(f"beliefs.{name}", rows) for name, rows in wanted.items())

    @property
    def _chosen(self) -> str:
        """The part, and the cell of the confusion matrix whose samples are wanted."""
        cell = self.classes.confusion.cell
        return self.part if cell is None else f"{self.part}_{cell[0]}_{cell[1]}"

    @property
    def _kind(self) -> str:
        """What samples are told to be."""
        network = self._network
        assert network is not None
        return "classes" if network.data.classes else "values" if network.recipe.loss.takes == "values" else "neither"

    def _ask_anew(self) -> None:
        """Another part or cell: what is on screen is of the one before until it comes."""
        self.rewatch()
        if self.session.frame is not None:
            self.draw(self.session.frame)

    # --- drawing ------------------------------------------------------------------------------

    def build(self, network: Built) -> None:
        """Choose the view that fits the data; without a validation part there is the training part alone."""
        self._network, self._frame = network, None
        self._throttle.stop()
        sizes = [math.prod(layer.out_shape) for layer in network.layers]
        self._units = unit_layers(network.recipe.layers, sizes)
        held_out = network.data.validation > 0
        with QSignalBlocker(self.switch), QSignalBlocker(self.classes.confusion):
            if not held_out:
                self.switch.setCurrentIndex(1)
            elif not self.switch.isTabEnabled(0):
                self.switch.setCurrentIndex(0)
            self.switch.setTabEnabled(0, held_out)
            self.switch.setTabToolTip(0, PARTS[0][1] if held_out else "No samples are held out for validation")
            self.classes.confusion.choose(None)
            self.classes.set_data(network.data)
        self.switch.setEnabled(self._kind != "neither")
        self.summary.setText("")
        self.status_changed.emit("")
        self._explain(SEVERAL if self._kind == "neither" else "looking …")

    def draw(self, frame: Frame) -> None:
        """At rest at once; while playing a few times a second."""
        self._frame = frame
        self._throttle.ask(at_once=not self.session.playing)

    def rest(self) -> None:
        """What is not seen is not drawn, but caught up with."""
        self._throttle.stop()

    def _explain(self, sentence: str) -> None:
        self.message.setText(sentence)
        self._stack.setCurrentWidget(self.message)

    def _told(self, name: str) -> Array | None:
        """What came with the frame."""
        assert self._frame is not None
        picture = self._frame.tensors.get(f"beliefs.{name}")
        return None if picture is None else picture.values

    def _show(self) -> None:
        if self._frame is None or self._network is None or self._kind == "neither":
            return
        facts = self._told(f"facts_{self.part}")
        if facts is None:
            if any(name.startswith("beliefs.") for name in self._frame.tensors):
                return  # of what was asked for before
            self._explain("looking …")
            return
        if not len(facts):
            self.summary.setText("")
            self._explain(REFUSED)
            return
        self._summarize(*facts[0].tolist())
        if self._kind == "values":
            self._show_values()
        else:
            self._show_classes()

    def _summarize(self, step: float, looked: float, there: float, wrong: float, lost: float, loss: float) -> None:
        """How many are wrong, of how many, and what the loss is."""
        assert self._network is not None
        first = "" if looked == there else "the first "
        if self._kind == "classes":
            told = f"{count(int(wrong))} of {first}{count(int(looked))} wrong"
            share = f" ({percent(wrong / looked)})" if looked else ""
        else:
            told, share = f"{first}{count(int(looked))} samples", ""
        if lost:
            told += f" · {count(int(lost))} with no number"
        outputs, after = math.prod(self._network.layers[-1].out_shape), f"step {count(int(step))}"
        some = ""
        if self._kind == "values" and outputs > MOST_OUTPUTS:
            some = f" · {MOST_OUTPUTS} of {outputs} outputs"
        elif self._kind == "classes" and outputs > MOST_CLASSES:
            some = f" · no confusion matrix above {MOST_CLASSES} classes"
        self.summary.setText(f"{self.part}: {told}{share} · loss {tiny(loss)}{some}")
        self.status_changed.emit(f"after {after}" if self.summary.isVisibleTo(self) else f"{told} · {after}")

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A line of its own for the summary, where there is height or the title bar is too narrow for it."""
        super().resizeEvent(event)
        line = self.fontMetrics().height()
        wanted = self.height() > ROOMY * line or self.width() < NARROW * line
        if wanted != self.summary.isVisibleTo(self):
            self.summary.setVisible(wanted)
        self._throttle.ask()

    def _show_classes(self) -> None:
        network, view = self._network, self.classes
        assert network is not None
        view.show_matrix(self._told(f"confusion_{self.part}"))
        if network.data.extent is not None:
            self._show_plane(network)
        else:
            rows, inputs = self._told(f"mistakes_{self._chosen}"), self._told(f"inputs_{self._chosen}")
            if rows is not None and inputs is not None:
                sure = network.recipe.loss.takes != "values"
                cell = view.confusion.cell
                nothing = "no mistakes" if cell is None else f"no samples: {view.confusion.tell(cell)}"
                view.show_mistakes(rows, inputs, self.part, sure=sure, nothing=nothing)
        self._stack.setCurrentWidget(view)

    def _show_plane(self, network: Built) -> None:
        points = self._told(f"points_{self.part}")
        if points is not None:
            self.classes.show_plane(self._told("boundary"), points, self.part, self.classes.confusion.cell)
        groups = []
        for unit in self._units:
            values = self._told(f"units_{unit.layer}")
            if values is not None:
                groups.append(Group(unit.layer, network.layers[unit.layer].title, unit.units, values))
        self.classes.show_units(groups)

    def _show_values(self) -> None:
        values, curve = self._told(f"values_{self.part}"), self._told("curve")
        if values is None:
            return
        if self.fit is None:
            from app.widgets.fit_plot import FitPlot  # here, since pyqtgraph is slow to import

            self.fit = FitPlot()
            self._stack.addWidget(self.fit)
        outputs = (values.shape[1] - 1) // 2
        true, said = values[:, 1 : 1 + outputs], values[:, 1 + outputs :]
        if curve is not None:
            self.fit.show_curve(np.column_stack([values[:, 0], true]), curve)
        else:
            self.fit.show_scatter(true, said)
        self._stack.setCurrentWidget(self.fit)
