"""What a user sees and does in the Flow view, fed by a real run in this process, and once by a real engine."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QSize, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app import theme
from app.panel import find_panels
from app.panels.flow import FlowPanel
from app.session import Selection, Session
from app.widgets import flow_images
from app.widgets.flow_layout import FlowLayout
from app.widgets.flow_model import FlowModel, Row
from app.widgets.flow_rulers import decade_limit, extreme, tensor_limit
from app.widgets.flow_turns import WITHIN, edges
from app.widgets.flow_view import FlowView
from engine.describe import describe
from engine.frames import Frame, Position, TensorInfo
from engine.protocol import ForkInfo, LayerInfo, Paths
from engine.recipe import Recipe
from engine.run import Run

from flow_frames import advance, frame_of
from panel_tools import Desk

DIGITS = {
    "data": {"kind": "digits"},
    "layers": [{"kind": "dense", "units": 32}, {"kind": "relu"}, {"kind": "dense", "units": 10}],
    "loss": {"kind": "softmax_cross_entropy"},
    "optimizer": {"kind": "sgd", "lr": 0.1},
}


def deep(layers: int) -> Recipe:
    """A net of so many layers on the digits."""
    hidden = [{"kind": "dense", "units": 16}, {"kind": "relu"}] * layers
    return msgspec.convert({**DIGITS, "layers": [*hidden[: layers - 1], {"kind": "dense", "units": 10}]}, Recipe)


@pytest.fixture
def run() -> Run:
    """A run of 64-32-10 on the digits, at step 0, with gradients back to the data."""
    run = Run(msgspec.convert(DIGITS, Recipe))
    run.trainer.needs_input_gradient = True
    return run


@pytest.fixture
def view(qtbot: QtBot, run: Run) -> Iterator[FlowView]:
    """The view of that run, shown, dark."""
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, theme.DARK)
    view = FlowView()
    qtbot.addWidget(view)
    view.resize(900, 620)
    view.show()
    view.set_network(describe(run))
    yield view
    theme.apply(app, theme.DARK)


def picture(view: FlowView) -> QImage:
    """The view as an image."""
    return view.grab().toImage()


def inside(view: FlowView, address: str, image: QImage | None = None) -> np.ndarray:
    """The pixels of a tile, (rows, columns) as 0xAARRGGBB."""
    image = (image or picture(view)).convertToFormat(QImage.Format.Format_RGB32)
    rect = view.tile_rect(address)
    assert not rect.isEmpty()
    whole = np.frombuffer(image.constBits(), np.uint32).reshape(image.height(), image.bytesPerLine() // 4)
    return whole[rect.top() : rect.bottom() + 1, rect.left() : rect.right() + 1].copy()


def rgb(colour: str) -> int:
    """A theme's colour as a pixel."""
    return QColor(colour).rgb()


def strength(pixels: np.ndarray) -> float:
    """How far a tile stands out from the panel, 0 … 255."""
    colours = pixels.view(np.uint8).reshape(*pixels.shape, 4)[..., :3].astype(float)
    paper = np.array([rgb(theme.current().panel)], np.uint32).view(np.uint8)[:3]
    return float(np.abs(colours - paper).max(axis=-1).mean())


# --- what is shown ------------------------------------------------------------------------------


def test_a_mini_batch_fills_every_tile_of_the_panel(qtbot, session: Session):
    panel = FlowPanel(session)
    qtbot.addWidget(panel)
    panel.resize(900, 620)
    panel.show()
    qtbot.waitUntil(lambda: session.frame is not None and "0.W" in session.frame.tensors)
    before = picture(panel.view)
    session.step("batch")
    qtbot.waitUntil(lambda: session.frame is not None and session.frame.step == 1)
    model, after = panel.view.model, picture(panel.view)
    assert model is not None
    assert set(model.tiles) == {item.address for item in panel.wanted()}
    for address in model.tiles:
        assert not np.array_equal(inside(panel.view, address, before), inside(panel.view, address, after)), address


def test_a_click_selects_and_every_selection_is_marked(qtbot, session: Session):
    panel = FlowPanel(session)
    qtbot.addWidget(panel)
    panel.resize(900, 620)
    panel.show()
    qtbot.waitUntil(lambda: session.frame is not None and "0.W" in session.frame.tensors)
    rect = panel.view.tile_rect("2.W")
    corner = rect.bottomRight() - QPoint(1, 1)
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=corner)
    assert session.selection == Selection("2.W", (31, 15))
    assert panel.view.marked == "2.W"
    session.select("4.b")
    assert panel.view.marked == "4.b"
    assert "4.b" in panel.view.accessibleDescription()


def test_a_network_built_before_the_panel_is_shown_too(qtbot, session: Session):
    panel = FlowPanel(session)
    qtbot.addWidget(panel)
    assert panel.view.model is not None
    assert [column.title for column in panel.view.model.columns][-1] == "loss"


def test_the_phase_just_computed_is_lit(view, run):
    run.step()
    advance(run, "backward 2 grad_W")
    view.show_frame(frame_of(run))
    image, dark = picture(view), theme.DARK
    written, unlit = view.tile_rect("2.grad_W"), view.tile_rect("2.grad_b")
    assert image.pixel(written.left() - 2, written.center().y()) == rgb(dark.backward)
    assert image.pixel(unlit.right() + 2, unlit.center().y()) == rgb(dark.lit)
    beside = view.tile_rect("1.y")
    assert image.pixel(beside.left() - 3, beside.bottom() + 30) == rgb(dark.panel)


def test_a_forward_phase_is_blue(view, run):
    advance(run, "forward 1")
    view.show_frame(frame_of(run))
    rect = view.tile_rect("1.y")
    assert picture(view).pixel(rect.left() - 2, rect.center().y()) == rgb(theme.DARK.forward)


def test_what_is_not_computed_in_this_mini_batch_is_hatched_whatever_it_was_before(view, run):
    run.step()
    view.show_frame(frame_of(run))
    whole = inside(view, "2.y")
    advance(run, "forward 0")
    view.show_frame(frame_of(run))
    hatched = inside(view, "2.y")
    assert not np.array_equal(whole, hatched)
    dark = theme.DARK
    assert set(np.unique(hatched)) >= {rgb(dark.panel)}
    assert strength(hatched) < strength(np.full((1, 1), rgb(dark.hatch), np.uint32))
    assert (hatched != rgb(dark.panel)).any(), "zero would look the same"
    assert np.array_equal(hatched[:40, :40], inside(view, "1.y")[:40, :40])


def test_zero_has_the_colour_of_the_panel_in_both_themes(view, run, qapp):
    view.show_frame(frame_of(run))
    for look in (theme.LIGHT, theme.DARK):
        theme.apply(qapp, look)
        assert (inside(view, "0.b") == rgb(look.panel)).all(), "biases start at zero"
        assert strength(inside(view, "0.W")) > 20


def test_a_gradient_that_dies_on_its_way_left_fades(view, run):
    run.step()
    last = run.trainer.tensor("2.grad_y")
    assert last is not None
    flat = np.full_like(last, 0.5)
    frame = frame_of(run, **{"2_grad_y": flat, "1_grad_y": flat * 1e-2, "0_grad_y": flat * 1e-6})
    view.show_frame(frame)
    right, middle, left = (strength(inside(view, f"{i}.grad_y")) for i in (2, 1, 0))
    assert right > 1.5 * middle > 10
    assert left == 0


def test_equal_gradients_have_equal_colours_in_every_layer(view, run):
    run.step()
    view.show_frame(frame_of(run, **{f"{i}_grad_y": np.full((32, 10), 0.01) for i in range(3)}))
    assert len({int(inside(view, f"{i}.grad_y")[5, 5]) for i in range(3)}) == 1


def test_what_is_no_number_is_seen(view, run):
    run.step()
    poisoned = np.ones((32, 10))
    poisoned[0, 0] = np.nan
    frame = frame_of(run, **{"2_grad_y": poisoned})
    scalars = {**frame.scalars, "delta.2": float("nan"), "loss": float("inf")}
    view.show_frame(Frame(frame.position, frame.phase, 1, 1, 1, scalars, frame.tensors))
    tile = inside(view, "2.grad_y")
    assert tile[1, 1] == rgb(theme.DARK.alarm)
    assert tile[-2, -2] != rgb(theme.DARK.alarm)


def test_a_tensor_that_did_not_change_is_not_mapped_again(view, run, monkeypatch):
    mapped = []
    plain = flow_images.image_of

    def counting(keys, *more):
        mapped.append(keys.shape)
        return plain(keys, *more)

    monkeypatch.setattr(flow_images, "image_of", counting)
    run.step()
    view.show_frame(frame_of(run))
    picture(view)
    first = len(mapped)
    view.show_frame(frame_of(run))
    picture(view)
    assert first >= len(view.model.tiles)
    assert len(mapped) == first


def test_layers_of_any_kind_and_role_are_columns(qtbot, run):
    built = describe(run)
    strange = LayerInfo("norm_x", "Norm", "Norm 32", (32,), (32,), {"gamma": (32,), "beta": (32,), "U": (4, 4)}, 80, {})
    tensors = {
        **built.tensors,
        **{f"1.{r}": TensorInfo(s, -1) for r, s in strange.parameters.items()},
        **{f"1.grad_{r}": TensorInfo(s, 5) for r, s in strange.parameters.items()},
    }
    layers = (built.layers[0], strange, built.layers[2])
    model = FlowModel(msgspec.structs.replace(built, layers=layers, tensors=tensors))
    assert [tile.role for tile in model.columns[2].row(Row.PARAMETERS)] == ["U", "gamma", "beta"]
    layout = FlowLayout(model, QSize(900, 620))
    tiles = [layout.tiles[f"1.{role}"] for role in ("U", "gamma", "beta")]
    assert [a.right() < b.left() for a, b in pairwise(tiles)] == [True, True]
    assert tiles[0].width() > 3 * tiles[1].width()


def test_a_net_without_parameters_has_no_empty_rows(qtbot):
    recipe = {**DIGITS, "data": {"kind": "xor"}, "layers": [{"kind": "tanh"}], "batch_size": 4}
    model = FlowModel(describe(Run(msgspec.convert(recipe, Recipe))))
    assert list(model.rows) == [Row.ACTIVATIONS, Row.GRADIENTS]


@pytest.mark.parametrize("kind", find_panels(), ids=lambda kind: kind.name())
def test_every_panel_shows_a_net_without_parameters_through_a_mini_batch(qtbot, kind):
    desk = Desk(data={"kind": "xor"}, layers=[{"kind": "tanh"}], batch_size=4)
    paths = tuple(ForkInfo(n, f"path {n}", 0, -1, Position(0, -1), 0, 0, Position(1, 5), (), None) for n in (0, 1))
    desk.session.histories[1] = desk.session.history
    desk.session.paths = Paths(0, paths, (0,), 1000, 10**9)
    panel = kind(desk.session)
    qtbot.addWidget(panel)
    panel.resize(600, 400)
    panel.show()
    panel.build(desk.session.network)
    desk.step()
    for _ in desk.run.trainer.all_phases:
        desk.run.step_part()
        desk.show()
        panel.grab()


# --- layout -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [1, 2, 5, 12])
def test_up_to_twelve_layers_fit_without_scrolling(qtbot, layers):
    model = FlowModel(describe(Run(deep(layers))))
    layout = FlowLayout(model, QSize(900, 620))
    assert (layout.size.width(), layout.size.height()) == (900, 620)
    rects = list(layout.tiles.values())
    assert {rect.height() for rect in rects} == {layout.tile_height}
    assert not any(a.intersects(b) for i, a in enumerate(rects) for b in rects[:i])
    assert min(rect.left() for rect in rects) >= 0
    assert max(rect.right() for rect in rects) < 900
    assert layout.bottom <= 620


def test_a_larger_view_has_larger_tiles_in_its_middle(qtbot):
    model = FlowModel(describe(Run(deep(1))))
    small, large = (FlowLayout(model, QSize(*size)) for size in ((900, 620), (1900, 1000)))
    assert large.tile_height > 1.5 * small.tile_height
    assert large.tiles["0.y"].width() > 1.5 * small.tiles["0.y"].width()
    assert abs(large.spans[0].left - (1900 - large.spans[-1].right)) <= 2


def test_forty_layers_are_seen_at_a_glance_and_zoomed_in_the_lit_one_is_brought_into_view(view, qtbot):
    run = Run(deep(40))
    view.set_network(describe(run))
    view.show_frame(frame_of(run))
    bar = view.horizontalScrollBar()
    assert bar.maximum() == 0
    rects = [view.tile_rect(f"{layer}.y") for layer in range(40)]
    assert all(view.viewport().rect().contains(rect) for rect in rects)
    assert all(left.right() < right.left() for left, right in pairwise(rects))
    qtbot.keyClicks(view, "+++++++")
    assert bar.maximum() > 900
    assert bar.value() == 0
    advance(run, "forward 38")
    view.show_frame(frame_of(run))
    assert view.viewport().rect().contains(view.tile_rect("38.y"))
    run.step()
    moved = bar.value()
    view.show_frame(frame_of(run))
    assert bar.value() == moved, "playing does not scroll"
    qtbot.keyClicks(view, "0")
    assert bar.maximum() == 0


def test_a_tiny_view_scrolls_down_instead_of_squeezing(view, run):
    view.resize(400, 250)
    assert view.verticalScrollBar().maximum() > 0
    assert view.tile_rect("0.W").height() >= 30


# --- pointer and keys ---------------------------------------------------------------------------


def test_a_click_on_a_reduced_picture_names_no_entry(view, run, qtbot):
    run.step()
    view.show_frame(frame_of(run, **{"0_W": np.ones((400, 300))}))
    with qtbot.waitSignal(view.picked) as picked:
        qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=view.tile_rect("0.W").center())
    assert picked.args == ["0.W", None]


def test_a_click_on_a_bias_names_its_one_index(view, run, qtbot):
    view.show_frame(frame_of(run))
    with qtbot.waitSignal(view.picked) as picked:
        qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=view.tile_rect("0.b").bottomLeft())
    assert picked.args == ["0.b", (31,)]


def test_shift_and_arrows_walk_over_the_tiles_and_plain_arrows_are_left_alone(view, run, qtbot):
    view.picked.connect(lambda address, _: view.mark(address))
    view.mark("0.W")
    shift, walked = Qt.KeyboardModifier.ShiftModifier, []
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Up, Qt.Key.Key_Left):
        qtbot.keyClick(view, key, shift)
        walked.append(view.marked)
    assert walked == ["0.b", "0.grad_b", "2.grad_W", "2.grad_y", "2.grad_W", "0.grad_b"]
    qtbot.keyClick(view, Qt.Key.Key_Right)
    assert view.marked == "0.grad_b"


def test_the_walk_ends_at_the_edges(view):
    model = view.model
    assert model.neighbour("data.x", -1, 0) == "data.x"
    assert model.neighbour("data.x", 0, -1) == "data.x"
    assert model.neighbour("2.grad_y", 1, 0) == "2.grad_y"
    assert model.neighbour("no.such", 1, 0) in model.tiles


def test_a_tool_tip_says_address_shape_and_formula(view, run):
    run.step()
    view.show_frame(frame_of(run))
    text, rect = view.tip_at(view.tile_rect("2.grad_W").center())
    assert rect == view.tile_rect("2.grad_W")
    assert "2.grad_W" in text
    assert "32×10" in text
    assert "xᵀ·grad_y" in text
    assert view.tip_at(QPoint(1, 1))[0] == ""


def test_the_pointer_becomes_a_hand_over_a_tile(view, run, qtbot):
    qtbot.mouseMove(view.viewport(), view.tile_rect("0.y").center())
    assert view.viewport().cursor().shape() == Qt.CursorShape.PointingHandCursor
    qtbot.mouseMove(view.viewport(), QPoint(2, 2))
    assert view.viewport().cursor().shape() == Qt.CursorShape.ArrowCursor


# --- rulers -------------------------------------------------------------------------------------


@example([0.32] * 200)
@given(st.lists(st.floats(0.32, 0.99), min_size=1, max_size=200))
def test_a_ruler_does_not_flicker_while_sizes_stay_within_a_factor_of_three(sizes):
    for limit in (decade_limit(), tensor_limit()):
        limits = [limit.follow(size) for size in [0.995, *sizes]]
        assert set(limits) == {1.0}


@given(st.lists(st.floats(1e-12, 1e12), min_size=1, max_size=50))
def test_a_ruler_always_holds_the_size(sizes):
    for limit in (decade_limit(), tensor_limit()):
        assert all(limit.follow(size) >= size * (1 - 1e-5) for size in sizes)


def test_a_ruler_comes_down_when_the_sizes_have_long_been_small():
    limit = decade_limit()
    limit.follow(0.5)
    limits = [limit.follow(1e-3) for _ in range(600)]
    assert limits[20] == 1.0
    assert limits[-1] <= 0.1


def test_no_number_moves_no_ruler():
    limit = tensor_limit()
    assert limit.follow(0.7) == limit.follow(float("nan")) == limit.follow(float("inf")) == limit.follow(0.0)
    assert extreme(np.array([[np.nan, -3.0], [np.inf, 2.0]])) == 3.0


def test_sorted_by_class_a_click_still_leads_to_the_sample_that_is_shown(qtbot):
    desk = Desk()
    panel = FlowPanel(desk.session)
    qtbot.addWidget(panel)
    panel.resize(900, 600)
    panel.show()
    desk.session.sort_by_class(True)
    desk.step(1)
    order = np.argsort(desk.run.trainer.batch_labels, kind="stable")
    view = panel.view
    tile = view.tile_rect("1.y")
    with qtbot.waitSignal(view.picked) as picked:
        qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=tile.topLeft())
    assert picked.args == ["1.y", (order[0], 0)]
    desk.session.sort_by_class(False)
    with qtbot.waitSignal(view.picked) as picked:
        qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=tile.topLeft())
    assert picked.args == ["1.y", (0, 0)]


def test_an_arrow_is_as_wide_as_what_is_passed_on(qtbot):
    desk = Desk()
    panel = FlowPanel(desk.session)
    qtbot.addWidget(panel)
    panel.resize(900, 600)
    panel.show()
    desk.scalars = {"rms.data": 1.0, "rms.0": 1.0, "rms.1": 1 / 30, "rms.2": 3.0}
    desk.step(1)
    images = panel.view._images
    assert images.activity("rms.2") == 1
    assert 1 > images.activity("rms.0") > images.activity("rms.1") > 0
    desk.scalars = {"rms.data": 1.0, "rms.0": np.inf, "rms.1": 0.0, "rms.2": 1.0}
    desk.step(1)
    assert images.activity("rms.0") == 1
    assert images.activity("rms.1") == 0
    panel.view.viewport().grab()


def test_what_is_late_in_a_frame_is_shown_as_it_was(qtbot):
    desk = Desk()
    panel = FlowPanel(desk.session)
    qtbot.addWidget(panel)
    panel.resize(900, 600)
    panel.show()
    desk.step(1)
    panel.view.viewport().grab()
    images, frame = panel.view._images, desk.session.frame
    first = {a: images.image(a).copy() for a in ("0.y", "1.y")}
    desk.step(1)
    fresh = dict(desk.session.frame.tensors) | {"0.y": frame.tensors["0.y"]}
    panel.view.show_frame(msgspec.structs.replace(desk.session.frame, tensors=fresh))
    panel.view.viewport().grab()
    assert images.image("0.y") == first["0.y"]
    assert images.image("1.y") != first["1.y"]


def test_at_full_speed_columns_take_turns_and_at_rest_all_are_painted(qtbot):
    desk = Desk()
    panel = FlowPanel(desk.session)
    qtbot.addWidget(panel)
    panel.resize(900, 600)
    panel.show()
    view = panel.view
    desk.step(1)
    picture(view)
    view._turns._cost = 3 * WITHIN  # as if painting all of them took three frames' time
    desk.session.playing = True
    layout = view._layout
    turns = [view._turns.take(layout) for _ in range(6)]
    assert [i for columns in turns[:3] for i in columns] == list(range(len(layout.spans)))
    assert turns[:3] == turns[3:]
    pixels = [edges(layout, columns) for columns in turns[:3]]
    assert pixels[0][0] == 0
    assert pixels[-1][1] == layout.size.width()
    assert all(before[1] == after[0] for before, after in pairwise(pixels))
    desk.session.playing = False
    desk.step(1)
    shown = {a: view._images.picture(a).values for a in view.model.tiles}
    picture(view)
    assert all(view._images._shown[a].values is values for a, values in shown.items())
