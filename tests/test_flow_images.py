"""The Flow view's main states look as they did: compared with pictures in tests/images, within a tolerance.

After a change of the look that is meant, make them anew, look at each, and commit them with the change:
`NABLASCOPE_NEW_IMAGES=1 pytest -n 0 tests/test_flow_images.py`
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtGui import QFont, QFontInfo, QFontMetrics, QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app import theme
from app.widgets.flow_scales import Scales
from app.widgets.flow_view import FlowView
from engine.describe import describe
from engine.frames import Frame
from engine.recipe import Recipe
from engine.run import Run

from flow_frames import advance, frame_of

IMAGES = Path(__file__).parent / "images"
NEW = bool(os.environ.get("NABLASCOPE_NEW_IMAGES"))
FONT, PROBE, PROBE_WIDTH = "DejaVu Sans", "backward ‖grad_y‖ 1.24e-01", 186  # pixels at 10 points
SIZE = (640, 440)
BLOCK, LARGEST = 8, 10.0  # pixels each way that are averaged; how far two such means may lie apart, of 255

DENSE: list[dict[str, Any]] = [{"kind": "dense", "units": 24}, {"kind": "relu"}, {"kind": "dense", "units": 10}]
CONV: list[dict[str, Any]] = [
    {"kind": "reshape", "shape": [1, 8, 8]},
    {"kind": "conv2d", "filters": 6, "kernel": 3},
    {"kind": "relu"},
    {"kind": "flatten"},
    {"kind": "dense", "units": 10},
]
TOWER = [{"kind": "dense", "units": 16}, {"kind": "sigmoid"}] * 9 + [{"kind": "dense", "units": 10}]
RESIDUAL: list[dict[str, Any]] = [
    {"kind": "dense", "units": 12},
    {"kind": "residual", "layers": [{"kind": "dense", "units": 12}, {"kind": "tanh"}]},
    {"kind": "dense", "units": 10},
]

Pixels = NDArray[np.float64]


def pixels(image: QImage) -> Pixels:
    """Red, green and blue, (rows, columns, 3)."""
    image = image.convertToFormat(QImage.Format.Format_RGB32)
    whole = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine() // 4, 4)
    return whole[:, : image.width(), :3].astype(float)


def as_image(found: Pixels) -> QImage:
    """The picture of pixels, to be saved."""
    opaque = np.dstack([found, np.full(found.shape[:2], 255.0)]).astype(np.uint8)
    return QImage(opaque.tobytes(), found.shape[1], found.shape[0], QImage.Format.Format_RGB32).copy()


def apart(one: Pixels, other: Pixels) -> float:
    """The largest distance between the mean colours of a block in both pictures, 0 … 255; inf: of other sizes."""
    if one.shape != other.shape:
        return float("inf")
    rows, columns = one.shape[0] // BLOCK, one.shape[1] // BLOCK
    difference = (one - other)[: rows * BLOCK, : columns * BLOCK]
    means = difference.reshape(rows, BLOCK, columns, BLOCK, 3).mean(axis=(1, 3))
    return float(np.abs(means).max())


class Stage:
    """A Flow view on a net that can be led to a moment."""

    def __init__(self, qtbot: QtBot, layers: list[dict[str, Any]]) -> None:
        raw = {"data": {"kind": "digits"}, "layers": layers, "seed": 3, "optimizer": {"kind": "sgd", "lr": 0.1}}
        self.run = Run(msgspec.convert(raw, Recipe))
        self.run.trainer.needs_input_gradient = True
        self.view = FlowView()
        qtbot.addWidget(self.view)
        self.view.resize(*SIZE)
        self.view.show()
        self.view.set_network(describe(self.run))

    def train(self, steps: int) -> None:
        """Train so many mini-batches."""
        for _ in range(steps):
            self.run.step()

    def take(self, **replaced: Any) -> Pixels:
        """The picture of where the run stands."""
        return self.picture(frame_of(self.run, (256, 4096), **replaced))

    def picture(self, frame: Frame) -> Pixels:
        """The picture of a frame."""
        self.view.show_frame(frame)
        return pixels(self.view.grab().toImage())


def fresh(qtbot: QtBot) -> Pixels:
    return Stage(qtbot, DENSE).take()


def whole(qtbot: QtBot) -> Pixels:
    stage = Stage(qtbot, DENSE)
    stage.train(2)
    stage.view.mark("2.grad_W")
    return stage.take()


def mid_backward(qtbot: QtBot) -> Pixels:
    stage = Stage(qtbot, DENSE)
    stage.train(1)
    advance(stage.run, "backward 2 grad_W")
    return stage.take()


def sorted_samples(qtbot: QtBot) -> Pixels:
    stage = Stage(qtbot, DENSE)
    stage.view.sort(True)
    stage.train(2)
    return stage.take()


def conv(qtbot: QtBot) -> Pixels:
    stage = Stage(qtbot, CONV)
    stage.train(2)
    return stage.take()


def unfolded(qtbot: QtBot) -> Pixels:
    stage = Stage(qtbot, TOWER)
    stage.train(1)
    return stage.take()


def folded(qtbot: QtBot) -> Pixels:
    stage = Stage(qtbot, TOWER)
    stage.train(1)
    stage.view.fold_all()
    return stage.take()


def residual(qtbot: QtBot) -> Pixels:
    stage = Stage(qtbot, RESIDUAL)
    stage.train(2)
    return stage.take()


def no_number(qtbot: QtBot) -> Pixels:
    stage = Stage(qtbot, DENSE)
    stage.train(1)
    gradient = stage.run.trainer.tensor("1.grad_y")
    assert gradient is not None
    bad = gradient.copy()
    bad[:8], bad[8:12] = np.nan, np.inf
    frame = frame_of(stage.run, (256, 4096), **{"1_grad_y": bad})
    scalars = {**frame.scalars, "delta.1": float("nan"), "loss": float("inf")}
    return stage.picture(msgspec.structs.replace(frame, scalars=scalars))


def beyond(qtbot: QtBot) -> Pixels:
    stage = Stage(qtbot, DENSE)
    stage.view.scale(Scales(values_full=1.0, gradients_full=0.01, alone=frozenset({"2.y", "0.grad_W"})))
    stage.train(2)
    return stage.take()


STATES: dict[str, tuple[Callable[[QtBot], Pixels], theme.Theme]] = {
    "fresh-dark": (fresh, theme.DARK),
    "whole-dark": (whole, theme.DARK),
    "whole-light": (whole, theme.LIGHT),
    "mid-backward-light": (mid_backward, theme.LIGHT),
    "sorted-dark": (sorted_samples, theme.DARK),
    "conv-light": (conv, theme.LIGHT),
    "unfolded-dark": (unfolded, theme.DARK),
    "folded-dark": (folded, theme.DARK),
    "residual-light": (residual, theme.LIGHT),
    "no-number-dark": (no_number, theme.DARK),
    "beyond-dark": (beyond, theme.DARK),
}


@pytest.fixture
def stage_font(qapp: QApplication) -> Iterator[None]:
    """The font that the references are drawn with. Skips where this machine has it not, or draws it otherwise."""
    before, font = qapp.font(), QFont(FONT, 10)
    if QFontInfo(font).family() != FONT:
        pytest.skip(f"the references are drawn with {FONT}, which is not installed")
    found = QFontMetrics(font).horizontalAdvance(PROBE)
    if found != PROBE_WIDTH:
        pytest.skip(f"{FONT} is drawn otherwise here: a line is {found} pixels wide, in the references {PROBE_WIDTH}")
    qapp.setFont(font)
    yield
    theme.apply(qapp, theme.DARK)
    qapp.setFont(before)


def reference(name: str) -> Pixels:
    """The picture it is compared with."""
    image = QImage(str(IMAGES / f"{name}.png"))
    assert not image.isNull(), f"there is no reference {name}; see the head of this file"
    return pixels(image)


@pytest.mark.parametrize("name", STATES)
def test_a_state_looks_as_it_did(name: str, qtbot: QtBot, qapp: QApplication, stage_font: None, tmp_path: Path) -> None:
    make, look = STATES[name]
    theme.apply(qapp, look)
    found = make(qtbot)
    image = QImage(
        np.dstack([found, np.full(found.shape[:2], 255)]).astype(np.uint8).tobytes(), *SIZE, QImage.Format.Format_RGB32
    )
    if NEW:
        image.save(str(IMAGES / f"{name}.png"))
    image.save(str(tmp_path / f"{name}.png"))
    distance = apart(found, reference(name))
    assert distance <= LARGEST, f"a block differs by {distance:.1f} of 255: see {tmp_path}/{name}.png"


@pytest.mark.parametrize("address", ["0.W", "1.y", "0.grad_W", "2.grad_y", "2.b"])
def test_a_single_tile_in_other_colours_is_noticed(
    address: str, qtbot: QtBot, qapp: QApplication, stage_font: None
) -> None:
    theme.apply(qapp, theme.DARK)
    stage = Stage(qtbot, DENSE)
    stage.train(2)
    stage.view.mark("2.grad_W")
    tensor = stage.run.trainer.tensor(address)
    assert tensor is not None
    assert apart(stage.take(), reference("whole-dark")) <= LARGEST
    assert apart(stage.take(**{address.replace(".", "_"): -tensor}), reference("whole-dark")) > LARGEST


def test_edges_that_are_smoothed_otherwise_are_not(stage_font: None) -> None:
    for name in STATES:
        kept = reference(name)
        for shift, axis in ((1, 0), (-1, 1)):
            smoothed = 0.85 * kept + 0.15 * np.roll(kept, shift, axis)
            assert 0 < apart(smoothed, kept) <= LARGEST, name


def test_another_tolerance_would_not_do() -> None:
    one = np.zeros((16, 16, 3))
    assert apart(one, one + 5) == 5
    assert apart(one, one[:8]) == float("inf")
    spot = one.copy()
    spot[3, 3] = 255
    assert apart(one, spot) < LARGEST, "one pixel is none's business"
