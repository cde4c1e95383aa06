"""What a user sees of the data: thumbnails with predictions, the decision boundary with its points, or a table."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import QObject, QPoint, QPointF, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QImage
from PySide6.QtWidgets import QApplication, QStyleOptionViewItem, QToolTip, QWidget
from pytestqt.qtbot import QtBot

from app import theme
from app.panels.data import GRID, DataPanel
from app.session import Session
from app.widgets.class_bars import ClassBars
from app.widgets.guesses import guesses
from app.widgets.plane import Plane, belief_image, class_colours
from app.widgets.thumbnails import Thumbnails
from engine.boundary import beliefs, points
from engine.describe import describe
from engine.frames import Frame, Picture, as_matrix
from engine.losses import Hinge
from engine.protocol import Built, FetchEnded, Fetching
from engine.recipe import Recipe
from engine.run import Run

from waiting import wait_for_step

CLASSES = tuple("0123456789")
RECIPES = Path(__file__).parents[1] / "resources" / "recipes"


@pytest.fixture(autouse=True)
def dark(qapp: QApplication) -> None:
    """Every test starts in the dark theme."""
    theme.apply(qapp, theme.DARK)


def frame_of(run: Run) -> Frame:
    """The frame of a run's position with what the data panel wants, as the engine would send it."""
    trainer, frame = run.trainer, run.trainer.frame()
    pictures = {}
    for address in ("data.x", "data.labels", "loss.p"):
        array, info = trainer.tensor(address), trainer.tensor_infos.get(address)
        if array is not None and info is not None:
            computed = info.made_by <= frame.position.phase
            pictures[address] = Picture(as_matrix(array).astype(np.float32), array.shape, computed)
    if trainer.network.shapes[0] == (2,):
        for address, array in (("data.boundary", beliefs(trainer, GRID)), ("data.points", points(trainer))):
            pictures[address] = Picture(array.astype(np.float32), array.shape, True)
    return Frame(frame.position, frame.phase, frame.epoch, frame.batch, frame.batches, frame.scalars, pictures)


class LinkStub(QObject):
    """No engine at all."""

    received = Signal(object)
    lost = Signal(str)

    def send(self, command: object) -> None:
        """Nowhere."""


@pytest.fixture
def panel(qtbot: QtBot, digits: Recipe) -> DataPanel:
    """The panel without a network yet."""
    panel = DataPanel(Session(LinkStub(), digits))  # type: ignore[arg-type]
    qtbot.addWidget(panel)
    panel.resize(290, 240)
    panel.show()
    return panel


def show(panel: DataPanel, run: Run) -> Built:
    network = describe(run)
    panel.build(network)
    panel.draw(frame_of(run))
    return network


def pixels(image: QImage) -> np.ndarray:
    """(rows, columns, 3) red, green, blue."""
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    lines = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return lines[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).astype(int)


def near(picture: np.ndarray, colour: str, within: int = 40) -> np.ndarray:
    """Which pixels have nearly this colour."""
    wanted = QColor(colour)
    return np.asarray(np.abs(picture - [wanted.red(), wanted.green(), wanted.blue()]).max(axis=-1) < within)


def tip_at(widget: QWidget, place: QPoint) -> str:
    """The tool tip that comes where the pointer rests."""
    QToolTip.hideText()
    QApplication.sendEvent(widget, QHelpEvent(QHelpEvent.Type.ToolTip, place, widget.mapToGlobal(place)))
    return QToolTip.text()


# --- what a sample is told to be ------------------------------------------------------------------


def test_a_right_guess_says_class_and_probability() -> None:
    p = np.full((1, 10), 0.02)
    p[0, 3] = 0.82
    (guess,) = guesses(np.array([3]), p, CLASSES, 1)
    assert (guess.text, guess.field) == ("3 82%", "good_text")


def test_a_wrong_guess_is_marked_by_more_than_colour() -> None:
    p = np.full((1, 10), 0.06)
    p[0, 1] = 0.46
    (guess,) = guesses(np.array([9]), p, CLASSES, 1)
    assert (guess.text, guess.field) == ("✗1/9 46%", "bad_text")
    assert "but it is 9" in guess.sentence


def test_before_the_loss_only_the_truth_is_told() -> None:
    (guess,) = guesses(np.array([9]), None, CLASSES, 1)
    assert (guess.right, guess.text) == (None, "…/9")


def test_values_that_are_no_probabilities_are_not_given_in_percent() -> None:
    (guess,) = guesses(np.array([1]), np.array([[0.2, 1.31]]), ("no", "yes"), 1, sure=False)
    assert guess.text == "yes 1.31"


@pytest.mark.parametrize(("output", "text"), [(0.9, "yes 0.90"), (0.1, "✗no/yes 0.90")])
def test_a_single_output_says_one_of_two_classes(output: float, text: str) -> None:
    (guess,) = guesses(np.array([1]), np.array([[output]]), ("no", "yes"), 1, sure=False)
    assert guess.text == text


def test_a_prediction_that_is_no_number_is_wrong() -> None:
    bad, fine = guesses(np.array([0, 0]), np.array([[np.nan, 0.5], [0.9, 0.1]]), ("a", "b"), 2)
    assert (bad.right, bad.text) == (False, "✗ NaN")
    assert fine.right


# --- thumbnails -----------------------------------------------------------------------------------


def test_the_thumbnails_are_the_mini_batch_with_its_predictions(panel: DataPanel, digits: Recipe) -> None:
    run = Run(digits)
    for _ in range(60):
        run.step()
    show(panel, run)
    said, labels = panel.thumbnails._guesses, run.trainer.batch_labels
    assert labels is not None
    guessed = run.trainer.current.loss.p.argmax(axis=1)
    assert [g.right for g in said] == (guessed == labels).tolist()
    assert {g.right for g in said} == {True, False}
    shown = pixels(panel.thumbnails.viewport().grab().toImage())
    cell = panel.thumbnails.cell_rect(0)
    picture = shown[cell.top() : cell.top() + panel.thumbnails._picture.height(), cell.left() : cell.right() + 1]
    strip = picture.max(axis=2).max(axis=0) > 60  # where there is ink, left to right
    assert strip.any()
    assert not strip[:2].any()


def test_outputs_that_a_hinge_takes_are_no_percentages(panel: DataPanel, digits: Recipe) -> None:
    run = Run(msgspec.structs.replace(digits, loss=Hinge()))
    run.step()
    show(panel, run)
    assert not any("%" in guess.text for guess in panel.thumbnails._guesses)


def test_wrong_samples_are_red_and_right_ones_green_on_screen(panel: DataPanel, digits: Recipe) -> None:
    run = Run(digits)
    for _ in range(60):
        run.step()
    show(panel, run)
    shown = pixels(panel.thumbnails.viewport().grab().toImage())
    view = panel.thumbnails.viewport().rect()
    checked = 0
    for number, guess in enumerate(panel.thumbnails._guesses):
        cell = panel.thumbnails.cell_rect(number)
        if not view.contains(cell):
            continue
        label = shown[cell.top() + panel.thumbnails._picture.height() : cell.bottom(), cell.left() : cell.right()]
        red, green = (near(label, c).sum() for c in (theme.DARK.bad_text, theme.DARK.good_text))
        assert (green > red) == guess.right
        checked += 1
    assert checked >= 4


def test_before_any_mini_batch_it_says_what_to_do(panel: DataPanel, digits: Recipe) -> None:
    show(panel, Run(digits))
    assert "step once" in panel.thumbnails._message
    assert not len(panel.thumbnails._guesses)


def test_in_mid_forward_old_predictions_are_not_shown(panel: DataPanel, digits: Recipe) -> None:
    run = Run(digits)
    run.step()
    run.step_phase()
    show(panel, run)
    assert {g.right for g in panel.thumbnails._guesses} == {None}
    labels = run.trainer.batch_labels
    assert labels is not None
    assert panel.thumbnails._guesses[5].text == f"…/{labels[5]}"


def test_the_last_mini_batch_of_an_epoch_may_be_short(panel: DataPanel, digits: Recipe) -> None:
    run = Run(digits)
    for _ in range(run.trainer.batches):
        run.step()
    show(panel, run)
    assert len(panel.thumbnails._guesses) == 1438 % 32


def test_the_number_of_columns_follows_the_width(qtbot: QtBot) -> None:
    view = Thumbnails()
    qtbot.addWidget(view)
    view.set_classes(CLASSES)
    view.show_pictures(np.zeros((32, 8, 8)), guesses(None, None, CLASSES, 32))
    counts = []
    for width in (90, 200, 300, 600):
        view.resize(width, 200)
        view.show()
        counts.append(view.columns)
        cells = [view.cell_rect(n) for n in range(32)]
        assert max(cell.right() for cell in cells) < view.viewport().width()
        assert not any(a.intersects(b) for a, b in pairwise(cells))
    assert counts == sorted(counts)
    assert counts[0] == 1
    assert counts[-1] >= 8


def test_every_picture_can_be_scrolled_to(qtbot: QtBot) -> None:
    view = Thumbnails()
    qtbot.addWidget(view)
    view.resize(200, 120)
    view.set_classes(CLASSES)
    view.show_pictures(np.zeros((64, 8, 8)), guesses(None, None, CLASSES, 64))
    view.show()
    view.verticalScrollBar().setValue(view.verticalScrollBar().maximum())
    assert view.viewport().rect().contains(view.cell_rect(63))


def test_pointing_at_a_picture_tells_its_number_and_prediction(panel: DataPanel, digits: Recipe) -> None:
    run = Run(digits)
    run.step()
    show(panel, run)
    tip = tip_at(panel.thumbnails.viewport(), panel.thumbnails.cell_rect(2).center())
    assert tip.startswith("sample 2 of the mini-batch: predicted ")


def test_while_playing_pictures_change_a_few_times_a_second_and_the_last_is_shown(
    panel: DataPanel, digits: Recipe, qtbot: QtBot
) -> None:
    run = Run(digits)
    run.step()
    show(panel, run)
    panel.session.playing = True
    changes = 0
    before = panel.thumbnails._levels
    for _ in range(12):
        run.step()
        panel.draw(frame_of(run))
        qtbot.wait(10)
        changes += panel.thumbnails._levels is not before
        before = panel.thumbnails._levels
    assert changes <= 1
    run.step()
    panel.draw(frame_of(run))
    wanted = (np.clip(run.trainer.current.x, 0, 1) * 255).astype(np.uint8).reshape(-1, 8, 8)
    qtbot.waitUntil(lambda: np.array_equal(panel.thumbnails._levels, wanted), timeout=1000)


def test_a_mini_batch_too_large_to_send_is_said_to_be(panel: DataPanel, digits: Recipe) -> None:
    network = describe(Run(digits))
    huge = msgspec.structs.replace(network, recipe=msgspec.structs.replace(network.recipe, batch_size=100_000))
    panel.build(huge)
    assert panel.wanted() == ()
    assert "too large" in panel.thumbnails._message


# --- points in the plane --------------------------------------------------------------------------


def spirals() -> Recipe:
    return Recipe.from_file(RECIPES / "spirals.json")


def test_the_plane_has_the_colour_of_the_class_believed_there() -> None:
    p = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0.0]])
    shown = pixels(belief_image(p, theme.DARK)).reshape(4, 3)
    paper = np.array([0x1B, 0x1F, 0x26])
    for pixel, colour in zip(shown, class_colours(theme.DARK)[:3], strict=False):
        full = QColor(colour)
        toward = np.array([full.red(), full.green(), full.blue()]) - paper
        assert pixel - paper == pytest.approx(0.62 * toward, abs=1.5)
    assert shown[3].tolist() == paper.tolist()  # at a tie: the paper
    assert class_colours(theme.LIGHT)[:2] == (theme.LIGHT.forward, theme.LIGHT.backward)
    assert len(set(class_colours(theme.DARK))) == len(class_colours(theme.DARK))


def test_what_is_no_number_has_no_colour() -> None:
    shown = pixels(belief_image(np.full((4, 2), np.nan), theme.LIGHT))
    assert (shown == 255).all()


def test_the_boundary_stands_as_the_points_do(panel: DataPanel) -> None:
    run = Run(spirals())
    for _ in range(400):
        run.step()
    show(panel, run)
    assert panel._stack.currentWidget() is panel.plane
    plot = panel.plane.plot_rect()
    assert plot.width() == plot.height()
    image = pixels(panel.plane._image)
    data = points(run.trainer)
    left, right, bottom, top = panel.plane._extent
    across = np.rint((data[:, 0] - left) / (right - left) * (GRID - 1)).astype(int)
    down = np.rint((top - data[:, 1]) / (top - bottom) * (GRID - 1)).astype(int)
    paper = np.array([0x1B, 0x1F, 0x26])
    colours = np.array([[QColor(c).red(), QColor(c).green(), QColor(c).blue()] for c in class_colours(theme.DARK)[:3]])
    toward = colours - paper
    leaning = (image[down, across] - paper) @ (toward / np.linalg.norm(toward, axis=1)[:, None]).T
    assert (leaning.argmax(axis=1) == data[:, 2]).mean() > 0.95


def test_points_are_drawn_in_their_place_and_colour(qtbot: QtBot) -> None:
    plane = Plane()
    qtbot.addWidget(plane)
    plane.resize(260, 260)
    plane.set_plane((-1.0, 1.0, -1.0, 1.0), ("a", "b"))
    plane.show_points(np.array([[0.5, 0.5, 0.0], [-0.5, -0.5, 1.0]]))
    shown = pixels(plane.grab().toImage())
    plot = plane.plot_rect()
    for x, y, colour in ((0.5, 0.5, theme.DARK.forward), (-0.5, -0.5, theme.DARK.backward)):
        down, across = plot.top() + (1 - y) / 2 * plot.height(), plot.left() + (x + 1) / 2 * plot.width()
        assert near(shown[int(down), int(across)], colour, 8)


def test_pointing_at_a_point_tells_its_number_and_values(panel: DataPanel) -> None:
    run = Run(spirals())
    show(panel, run)
    x, y = panel.plane.to_pixels(run.trainer.x[7:8])[0]
    number = panel.plane.point_at(QPointF(x, y))
    assert number is not None
    assert tip_at(panel.plane, QPoint(round(x), round(y))).startswith(f"training sample {number}: x₀ = ")
    assert panel.plane.point_at(QPointF(panel.plane.plot_rect().topLeft())) is None


def test_the_points_of_the_mini_batch_are_ringed_while_it_stands(panel: DataPanel) -> None:
    run = Run(spirals())
    run.step()
    show(panel, run)
    assert len(panel.plane._ringed) == 30
    panel.session.playing = True
    panel.draw(frame_of(run))
    assert len(panel.plane._ringed) == 0


def test_the_plane_follows_the_theme(panel: DataPanel, qapp: QApplication) -> None:
    run = Run(spirals())
    show(panel, run)
    theme.apply(qapp, theme.LIGHT)
    wanted = pixels(belief_image(beliefs(run.trainer, GRID), theme.LIGHT))
    assert np.abs(pixels(panel.plane._image) - wanted).max() <= 1
    theme.apply(qapp, theme.DARK)
    assert pixels(panel.plane._image).mean() < wanted.mean() - 60


# --- anything else --------------------------------------------------------------------------------


def test_other_data_is_a_table_of_its_first_values(panel: DataPanel, digits: Recipe) -> None:
    run = Run(digits)
    run.step()
    network = describe(run)
    panel.build(msgspec.structs.replace(network, data=msgspec.structs.replace(network.data, image_shape=None)))
    panel.draw(frame_of(run))
    assert panel._stack.currentWidget() is panel.table
    model = panel.table.values
    assert model.rowCount() == 32
    assert model.headerData(1, Qt.Orientation.Horizontal) == "x[0]"
    assert model.index(4, 3).data() == f"{run.trainer.current.x[4, 2]:+.3f}"
    guess = panel._guesses(frame_of(run), 32)[4]
    assert model.index(4, 0).data() == guess.text
    option = QStyleOptionViewItem()
    panel.table.itemDelegateForColumn(0).initStyleOption(option, model.index(4, 0))  # type: ignore[attr-defined]
    assert option.palette.text().color() == theme.DARK.color(guess.field)


# --- the data in numbers --------------------------------------------------------------------------


def recipe_of(data: dict[str, object], **changes: object) -> Recipe:
    """A small network on some data."""
    return msgspec.convert({"data": data, "layers": [{"kind": "dense", "units": 3}], **changes}, Recipe)


def test_the_data_is_told_of_as_the_network_sees_it_and_its_training_part_alone() -> None:
    run = Run(recipe_of({"kind": "blobs", "scale": "standardize", "imbalance": 0.5}))
    told, x, labels = describe(run).data, run.trainer.x, run.trainer.labels
    assert (told.training, told.validation) == (320, 80)
    assert told.statistics.count == 320
    assert told.statistics.per_class == tuple(np.bincount(labels))  # type: ignore[arg-type]
    assert (told.statistics.minimum, told.statistics.maximum) == (x.min(), x.max())
    assert told.statistics.mean == pytest.approx(0.0, abs=1e-6)
    assert told.statistics.std == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("drop", "size", "batches", "last", "left_out"),
    [(False, 7, 46, 5, 0), (True, 7, 45, 7, 5), (False, 32, 10, 32, 0), (True, 32, 10, 32, 0)],
)
def test_the_last_mini_batch_of_an_epoch_is_told_of(
    drop: bool, size: int, batches: int, last: int, left_out: int
) -> None:
    network = describe(Run(recipe_of({"kind": "blobs", "drop_last": drop}, batch_size=size)))
    assert (network.batches, network.data.last_batch, network.data.left_out) == (batches, last, left_out)


def test_the_facts_are_one_line_that_leaves_the_pictures_their_room(panel: DataPanel, digits: Recipe) -> None:
    show(panel, Run(digits))
    assert panel.facts.fold.text() == "▸ 1,438 + 359 samples · 45 batches"
    assert not panel.facts.bars.isVisible()
    assert panel.thumbnails.height() > 0.88 * panel.height()
    assert panel.thumbnails.width() == panel.width()
    assert panel.facts.fold.toolTip().splitlines() == [
        "1,438 samples to train, 359 to validate",
        "In an epoch: 45 batches of 32, the last of 30",
        panel.facts.spread.text,
    ]
    assert panel.facts.fold.accessibleDescription() == panel.facts.fold.toolTip().replace("\n", "; ")


def test_the_facts_unfold_by_click_and_by_key_into_all_there_is_to_say(
    panel: DataPanel, digits: Recipe, qtbot: QtBot
) -> None:
    run = Run(digits)
    show(panel, run)
    facts = panel.facts
    assert facts.fold.focusPolicy() & Qt.FocusPolicy.TabFocus
    qtbot.mouseClick(facts.fold, Qt.MouseButton.LeftButton)
    assert facts.fold.text().startswith("▾")
    assert facts.batches.isVisible()
    assert facts.batches.text() == "45 batches of 32, the last of 30"
    x = run.trainer.x
    assert facts.spread.text.split() == [
        *("x", "min", "0", "x", "max", "+1.0000"),
        *("x", "mean", f"{x.mean():+.4f}", "x", "std", f"{x.std():+.4f}"),
    ]
    assert facts.bars.isVisible()
    assert panel.thumbnails.isVisible()
    qtbot.keyClick(facts.fold, Qt.Key.Key_Space)
    assert not facts.bars.isVisible()


def test_batches_that_are_whole_or_leave_samples_out_are_told_so(panel: DataPanel) -> None:
    for data, size, text in (
        ({"kind": "blobs"}, 32, "10 batches of 32"),
        ({"kind": "blobs", "drop_last": True}, 7, "45 batches of 7, 5 samples left out"),
        ({"kind": "blobs"}, 320, "1 batch of 320"),
    ):
        panel.build(describe(Run(recipe_of(data, batch_size=size))))
        assert panel.facts.batches.text() == text


def test_an_uneven_share_of_the_classes_is_seen_in_the_bars(panel: DataPanel) -> None:
    panel.resize(290, 400)
    run = Run(recipe_of({"kind": "blobs", "imbalance": 0.5, "validation": 0.0}, batch_size=10))
    show(panel, run)
    panel.facts.fold.setChecked(True)
    bars = panel.facts.bars
    counts = run.trainer.labels
    assert counts is not None
    assert bars.counts == tuple(np.bincount(counts)) == (229, 114, 57)
    heights = [bars.bar_rect(number).height() for number in range(3)]
    assert heights == pytest.approx([26, 26 * 114 / 229, 26 * 57 / 229])
    shown = pixels(bars.grab().toImage())
    for number, colour in enumerate(class_colours(theme.DARK)[:3]):
        bar = bars.bar_rect(number)
        drawn = near(shown[:, round(bar.center().x())], colour, 8)
        assert drawn.sum() == pytest.approx(bar.height(), abs=1.01), "as in the plane"
    place = bars.bar_rect(1).center().toPoint()
    assert tip_at(bars, place) == "class 1: 114 training samples, 28.5 %"
    assert "class 2: 57 training samples" in bars.accessibleDescription()


@pytest.mark.parametrize("classes", [2, 100])
def test_the_bars_of_few_and_many_classes_keep_to_their_place(qtbot: QtBot, classes: int) -> None:
    bars = ClassBars()
    qtbot.addWidget(bars)
    bars.resize(250, bars.sizeHint().height())
    bars.show_counts(range(classes), [str(number) for number in range(classes)], coloured=False)
    rects = [bars.bar_rect(number) for number in range(classes)]
    assert rects[0].height() == 0
    assert rects[1].height() >= 1
    assert all(a.right() <= b.left() for a, b in pairwise(rects))
    assert rects[-1].right() <= bars.width()
    assert max(rect.width() for rect in rects) <= 14
    bars.grab()


def test_data_without_classes_has_no_bars(panel: DataPanel) -> None:
    loss = {"kind": "mean_squared_error"}
    panel.build(describe(Run(recipe_of({"kind": "sine"}, layers=[{"kind": "dense", "units": 1}], loss=loss))))
    panel.facts.fold.setChecked(True)
    assert panel.facts.spread.isVisible()
    assert not panel.facts.bars.isVisible()


def test_before_the_first_network_a_download_is_told_of(panel: DataPanel) -> None:
    assert not panel.facts.isVisible()
    panel.session._on_event(Fetching("train-images-idx3-ubyte.gz", 1, 2))
    assert panel.thumbnails._message == "the data is being fetched"
    panel.session._on_event(FetchEnded(cancelled=True))
    assert panel.thumbnails._message == "no data yet"


# --- with the real engine -------------------------------------------------------------------------


def test_thumbnails_come_from_the_real_engine(session: Session, qtbot: QtBot) -> None:
    panel = DataPanel(session)
    qtbot.addWidget(panel)
    assert session.network is not None
    panel.build(session.network)
    panel.resize(300, 260)
    panel.show()
    session.step("batch")
    wait_for_step(qtbot, session, 1)
    qtbot.waitUntil(lambda: len(panel.thumbnails._guesses) == 32, timeout=5000)
    run = Run(session.recipe)
    run.step()
    guessed, labels = run.trainer.current.loss.p.argmax(axis=1), run.trainer.batch_labels
    assert [g.right for g in panel.thumbnails._guesses] == (guessed == labels).tolist()


def test_the_boundary_comes_from_the_real_engine(session: Session, qtbot: QtBot) -> None:
    panel = DataPanel(session)
    qtbot.addWidget(panel)
    panel.resize(300, 260)
    panel.show()
    with qtbot.waitSignal(session.built, timeout=10_000):
        session.use(spirals())
    qtbot.waitUntil(lambda: not panel.plane._image.isNull(), timeout=5000)
    assert panel.plane._image.width() == GRID
    assert len(panel.plane._points) == 360
