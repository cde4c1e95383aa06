"""What a user learns from the gradient check panel, and that it never keeps them waiting."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app import theme
from app.panels.gradient_check import GradientCheckPanel, gradient_of, summary
from app.planting import revealed
from app.session import Selection, Session
from app.widgets.check_pictures import magnified
from app.widgets.entry_facts import flips_text
from engine import gradcheck
from engine.checks import describe_report
from engine.protocol import (
    AskEntry,
    AskSweep,
    CancelCheck,
    Check,
    Checked,
    CheckProgress,
    Entry,
    Judged,
    NamedBug,
    Sweep,
)
from engine.verdicts import FAIL, PASS

from panel_tools import Desk
from waiting import wait_for_step

VERDICTS = (
    Judged("0.W", "pass", 4.2e-10, "768 of 768 entries agree"),
    Judged("0.b", "kink", 2e-8, "entry [4] sits on a kink"),
    Judged("2.W", "fail", 0.48, "60 of 120 entries differ"),
    Judged("2.b", "unresolvable", math.nan, "too small to tell"),
)

BUG = NamedBug(
    "missing-batch-mean",
    "The mean over the batch is missing",
    "2.W",
    "The gradient of W is the batch size times too large.",
    {"factor": "32"},
    0.98,
    "∂L/∂θ = 1/B · Σₙ ∂Lₙ/∂θ",
)


@pytest.fixture
def desk(qtbot: QtBot) -> Desk:
    return Desk()


def shown(qtbot: QtBot, session: Session) -> GradientCheckPanel:
    """The panel on a session whose network stands."""
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, theme.DARK)
    panel = GradientCheckPanel(session)
    qtbot.addWidget(panel)
    panel.build(session.network)
    panel.resize(350, 400)
    panel.show()
    return panel


@pytest.fixture
def panel(qtbot: QtBot, desk: Desk) -> GradientCheckPanel:
    return shown(qtbot, desk.session)


def tell(desk: Desk, verdicts: tuple[Judged, ...] = VERDICTS, contracts: tuple[str, ...] = (), note: str = "") -> None:
    """The engine reports a check of the present step."""
    desk.session.check("full")
    desk.link.received.emit(Checked("full", desk.run.trainer.step_count, verdicts, contracts, note))


def really_check(desk: Desk, mode: str = "full") -> None:
    """The engine checks in truth."""
    desk.report = gradcheck.check(desk.run.trainer, None, mode)  # type: ignore[arg-type]
    desk.session.check(mode)
    desk.link.received.emit(describe_report(desk.report, desk.run.trainer.step_count))
    desk.show()


def cells(panel: GradientCheckPanel) -> list[list[str]]:
    """The table as it reads."""
    model = panel.table.verdicts
    return [[model.index(r, c).data() for c in range(3)] for r in range(model.rowCount())]


def test_before_any_check_there_is_an_invitation_and_the_button(panel: GradientCheckPanel):
    assert panel.invitation.isVisible()
    assert panel.controls.check_button.isVisible()
    assert not panel.table.isVisible()
    assert "F9" in panel.controls.check_button.toolTip()


@pytest.mark.parametrize(("place", "mode"), list(enumerate(gradcheck.MODES)))
def test_the_button_checks_in_the_chosen_mode(panel: GradientCheckPanel, desk: Desk, qtbot: QtBot, place, mode):
    panel.controls.mode_box.setCurrentIndex(place)
    qtbot.mouseClick(panel.controls.check_button, Qt.MouseButton.LeftButton)
    assert desk.sent(Check) == [Check(mode)]


def test_while_checking_there_is_progress_and_a_way_out(panel: GradientCheckPanel, desk: Desk, qtbot: QtBot):
    height = panel.controls.height()
    qtbot.mouseClick(panel.controls.check_button, Qt.MouseButton.LeftButton)
    assert panel.controls.cancel_button.isVisible()
    desk.link.received.emit(CheckProgress(1234, 2778))
    assert panel.controls.progress.value() == 1234
    assert panel.controls.progress.text() == "1,234 of 2,778"
    assert panel.controls.height() == height
    qtbot.mouseClick(panel.controls.cancel_button, Qt.MouseButton.LeftButton)
    assert desk.sent(CancelCheck)
    desk.link.received.emit(Checked("", 0, (), (), "cancelled", cancelled=True))
    assert panel.controls.check_button.isVisible()
    assert panel.invitation.isVisible()
    desk.link.received.emit(CheckProgress(1300, 2778))
    assert panel.controls.check_button.isVisible(), "late progress must not bring the bar back"


def test_verdicts_are_words_with_signs_and_errors_are_short(panel: GradientCheckPanel, desk: Desk):
    desk.step(3)
    tell(desk)
    assert cells(panel) == [
        ["0.W", "✓ pass", "4e-10"],
        ["0.b", "△ kink", "2e-8"],
        ["2.W", "✗ fail", "0.48"],
        ["2.b", "○ unresolvable", "–"],
    ]
    assert panel.table.isVisible()


def test_the_worst_is_shown_first_with_its_sentence(panel: GradientCheckPanel, desk: Desk):
    desk.step(1)
    tell(desk)
    assert panel.results.note.text() == "2.W: 60 of 120 entries differ"
    assert [item.address for item in panel.wanted()] == [
        "2.analytic_W",
        "2.numeric_W",
        "2.difference_W",
        "2.error_W",
    ]
    assert desk.session.selection is not None
    assert desk.session.selection.address == "0.W", "what nobody chose is not selected"


def test_choosing_a_row_selects_its_gradient_everywhere(panel: GradientCheckPanel, desk: Desk):
    desk.step(1)
    tell(desk)
    panel.table.selectRow(1)
    assert desk.session.selection == Selection("0.grad_b")
    assert panel.results.note.text() == "0.b: entry [4] sits on a kink"
    assert panel.wanted()[0].address == "0.analytic_b"
    assert gradient_of("data.x") == "0.grad_x"


def test_broken_contracts_and_the_copy_are_told(panel: GradientCheckPanel, desk: Desk):
    desk.step(1)
    said: list[str] = []
    panel.status_changed.connect(said.append)
    sentence = "layer 0 (dense): backward(2G) is not 2·backward(G)"
    tell(desk, VERDICTS[:1], (sentence,), "checked on a float64 copy of the float32 network")
    assert panel.views.bug.isVisible()
    assert sentence in panel.views.bug.toPlainText()
    assert panel.results.copy_note.text() == "checked on a float64 copy of the float32 network"
    assert said[-1] == "1 contract broken"
    tell(desk, VERDICTS[:1])
    assert not panel.views.bug.isVisible()
    assert said[-1] == "all 1 pass · step 1"


def test_a_check_says_its_step_and_when_it_is_out_of_date(panel: GradientCheckPanel, desk: Desk):
    said: list[str] = []
    panel.status_changed.connect(said.append)
    desk.step(147)
    tell(desk)
    assert panel.results.about.text() == "step 147 · every entry"
    assert said[-1] == "1 of 4 fail · step 147"
    desk.step(1)
    assert panel.results.about.text() == "step 147 · out of date: the run is at step 148"
    assert said[-1].endswith("out of date")


def test_within_its_mini_batch_a_check_holds_until_the_update(panel: GradientCheckPanel, desk: Desk):
    desk.step(1)
    desk.run.step_phase()
    desk.show()
    tell(desk)
    desk.run.step_phase()
    desk.show()
    assert "out of date" not in panel.results.about.text()
    desk.step(1)
    assert "out of date" in panel.results.about.text()


def test_pictures_are_of_the_chosen_row_and_the_difference_says_its_factor(panel: GradientCheckPanel, desk: Desk):
    desk.step(5)
    really_check(desk)
    panel.table.selectRow(0)
    desk.show()
    assert [tile.shape for tile in panel.pictures.tiles] == [(64, 12)] * 4
    title = panel.pictures.titles[2].toolTip()
    assert title.startswith("difference × 1e")
    assert 5 <= int(title.rpartition("e")[2]) <= 14
    desk.show()
    panel.table.selectRow(1)
    desk.show()
    assert panel.pictures.tiles[0].shape == (1, 12)


def test_what_was_not_looked_at_is_hatched_not_zero_and_no_alarm(panel: GradientCheckPanel, desk: Desk):
    desk.step(5)
    really_check(desk, "sampled")
    panel.table.selectRow(0)
    desk.show()
    numeric = panel.pictures.tiles[1].grab().toImage()
    colours = {numeric.pixelColor(x, y).name() for x in range(numeric.width()) for y in range(numeric.height())}
    assert theme.DARK.alarm not in colours
    assert theme.DARK.hatch in colours
    really_check(desk, "projected")
    desk.show()
    assert panel.pictures.tiles[1].notice
    assert panel.pictures.tiles[0].shape == (64, 12)


def test_pictures_are_asked_for_only_until_they_have_come(panel: GradientCheckPanel, desk: Desk):
    desk.step(5)
    really_check(desk)
    assert panel.wanted() == ()
    desk.step(1)
    assert panel.pictures.tiles[1].shape == (64, 12), "they stay although the run went on"
    really_check(desk)
    panel.table.selectRow(1)
    assert panel.wanted()[0].address == "0.analytic_b"


def test_both_gradients_share_a_ruler_and_the_relative_error_has_its_own(panel: GradientCheckPanel, desk: Desk):
    desk.step(5)
    really_check(desk)
    assert panel.pictures.ruler.labels()[1][1] == "0"
    assert [text for _, text in panel.pictures.error_ruler.labels()] == ["1e-12", "1"]
    assert panel.pictures.error_ruler.isVisible()


def test_relative_errors_of_what_was_not_looked_at_are_hatched(panel: GradientCheckPanel, desk: Desk):
    desk.step(5)
    really_check(desk, "sampled")
    panel.table.selectRow(0)
    desk.show()
    picture = panel.pictures.tiles[3].grab().toImage()
    colours = {picture.pixelColor(x, y).name() for x in range(picture.width()) for y in range(picture.height())}
    assert theme.DARK.hatch in colours
    assert theme.DARK.alarm not in colours


@pytest.mark.parametrize(
    ("column", "first", "last"),
    [(0, "0.b", "2.W"), (1, "2.W", "0.W"), (2, "0.W", "2.b")],
    ids=["tensor", "verdict", "error"],
)
def test_the_table_sorts_by_any_column_and_keeps_the_chosen_row(
    panel: GradientCheckPanel, desk: Desk, column, first, last
):
    desk.step(1)
    tell(desk, VERDICTS[::-1])
    panel.table.selectRow(2)
    chosen = panel.table.current()
    panel.table.sortByColumn(column, Qt.SortOrder.AscendingOrder)
    assert (cells(panel)[0][0], cells(panel)[-1][0]) == (first, last)
    assert panel.table.current() == chosen
    panel.table.sortByColumn(column, Qt.SortOrder.DescendingOrder)
    assert cells(panel)[0][0] == (last if column < 2 else "2.W"), "what has no error stays last"
    panel.table.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
    assert [row[0] for row in cells(panel)] == ["2.b", "2.W", "0.b", "0.W"]


def test_a_clicked_entry_shows_both_gradients_both_losses_h_and_flips(
    panel: GradientCheckPanel, desk: Desk, qtbot: QtBot
):
    desk.step(5)
    really_check(desk)
    panel.table.selectRow(2)
    desk.show()
    tile = panel.pictures.tiles[3]
    spot = tile.cell_rect(4, 7).center().toPoint()
    qtbot.mouseClick(tile, Qt.MouseButton.LeftButton, pos=spot)
    assert desk.sent(AskEntry) == [AskEntry("2.W", (4, 7))]
    assert desk.session.selection == Selection("2.grad_W", (4, 7))
    assert [t.marked for t in panel.pictures.tiles] == [(4, 7)] * 4
    entry = Entry("2.W", (4, 7), 0.5, -0.125, -0.1250001, "pass", 2.0, 1.999999, 2.000001, 6.06e-6, 2)
    desk.link.received.emit(entry)
    texts = [label.text() for label in panel.entry.values]
    assert texts == ["−0.125", "−0.1250001", "1.999999", "2.000001", "6.06e-6", "2 masks flip: a kink"]
    assert panel.entry.isVisible()
    assert panel.entry.heading.text() == "2.W[4, 7]  ✓ pass · error 8e-7"
    qtbot.mouseClick(panel.entry.close_button, Qt.MouseButton.LeftButton)
    assert not panel.entry.isVisible()
    assert panel.table.isVisible()


def test_an_answer_about_another_entry_is_not_shown(panel: GradientCheckPanel, desk: Desk):
    desk.step(5)
    really_check(desk)
    panel.pictures.tiles[0].clicked.emit(1, 1)
    desk.link.received.emit(Entry("0.W", (1, 2), 0.5, 9.0, 9.0, "pass", 2.0, 2.0, 2.0, 6e-6, 0))
    assert panel.entry.values[0].text() == "…"


@pytest.mark.parametrize(
    ("flips", "words"), [(-1, "no masks behind it"), (0, "no mask flips"), (1, "1 mask flips: a kink")]
)
def test_flips_are_told_in_words(flips, words):
    assert flips_text(flips) == words


def test_right_entries_lie_on_the_diagonal_of_the_scatter(panel: GradientCheckPanel, desk: Desk):
    desk.step(5)
    really_check(desk)
    panel.views.choose("scatter")
    desk.show()
    assert panel.views.scatter is not None
    x, y = panel.views.scatter.points(PASS)
    assert len(x) == 64 * 12
    np.testing.assert_allclose(x, y, atol=1e-6)
    assert not len(panel.views.scatter.points(FAIL)[0])


def test_wrong_entries_of_the_scatter_are_red_and_off_it(panel: GradientCheckPanel, desk: Desk):
    desk.step(5)
    really_check(desk)
    report = desk.report.tensors["0.W"]
    bent = replace(report, analytic=2 * report.analytic, status=np.where(report.analytic != 0, FAIL, PASS))
    desk.report = replace(desk.report, tensors={"0.W": bent})
    desk.link.received.emit(describe_report(desk.report, 5))
    panel.views.choose("scatter")
    desk.show()
    assert panel.views.scatter is not None
    x, y = panel.views.scatter.points(FAIL)
    assert len(x)
    np.testing.assert_allclose(y, 2 * x, rtol=1e-5)


def test_the_error_against_h_is_asked_for_once_it_is_looked_at(panel: GradientCheckPanel, desk: Desk):
    desk.step(5)
    really_check(desk)
    assert not desk.sent(AskSweep)
    panel.views.choose("sweep")
    assert desk.sent(AskSweep) == [AskSweep("0.W")]
    panel.views.choose("pictures")
    panel.views.choose("sweep")
    assert len(desk.sent(AskSweep)) == 1
    curve = gradcheck.h_sweep(desk.run.trainer, "0.W")
    told = Sweep("0.W", *(tuple(a.tolist()) for a in (curve.h, curve.error, curve.rounding)), 20, 6e-6)
    desk.link.received.emit(told)
    assert panel.views.sweep is not None
    assert panel.views.sweep.shown == told
    panel.views.choose("pictures")
    panel.table.selectRow(1)
    desk.link.received.emit(told)
    assert len(desk.sent(AskSweep)) == 1


def test_a_bug_is_named_first_with_evidence_and_formula(panel: GradientCheckPanel, desk: Desk):
    desk.step(1)
    desk.session.check("full")
    desk.link.received.emit(Checked("full", 1, VERDICTS, (), "", bugs=(BUG,)))
    assert panel.views.bug.isVisible()
    text = panel.views.bug.toPlainText()
    for part in (BUG.title, BUG.sentence, BUG.formula, "factor 32", "98.0 % sure", "2.W"):
        assert part in text
    tell(desk, VERDICTS[:1])
    assert not panel.views.bug.isVisible()
    assert panel.pictures.isVisible()


def test_a_hidden_bug_is_not_named_before_it_is_revealed(qtbot: QtBot):
    desk = Desk(bugs=[{"layer": 2, "slug": "sign-flipped", "hidden": True}])
    panel = shown(qtbot, desk.session)
    desk.step(1)
    desk.session.check("full")
    desk.link.received.emit(Checked("full", 1, VERDICTS, (), "", bugs=(BUG,)))
    assert BUG.title not in panel.views.bug.toPlainText()
    assert not panel.views.bug.isVisible()
    desk.session.use(revealed(desk.session.recipe))
    panel.retell(desk.session.network)
    assert panel.views.bug.isVisible()
    assert BUG.title in panel.views.bug.toPlainText()


def test_for_a_large_network_a_sample_is_proposed_and_every_entry_may_still_be_chosen(qtbot: QtBot):
    desk = Desk(layers=[{"kind": "dense", "units": 3000}, {"kind": "relu"}, {"kind": "dense", "units": 10}])
    panel = shown(qtbot, desk.session)
    assert panel.controls.mode_box.currentData() == "sampled"
    assert "225,010" in panel.controls.mode_box.toolTip()
    qtbot.mouseClick(panel.controls.check_button, Qt.MouseButton.LeftButton)
    panel.controls.mode_box.setCurrentIndex(0)
    qtbot.mouseClick(panel.controls.check_button, Qt.MouseButton.LeftButton)
    assert [command.mode for command in desk.sent(Check)] == ["sampled", "full"]


def test_the_difference_can_be_chosen_and_is_shown_on_its_button(panel: GradientCheckPanel, desk: Desk):
    button = panel.controls.difference_button
    assert button.text() == "±h"
    button.menu().actions()[2].trigger()
    assert button.text() == "ih"
    assert [action.isChecked() for action in button.menu().actions()] == [False, False, True]
    desk.session.check()
    assert desk.sent(Check)[-1] == Check("full", "complex")


def test_where_there_is_room_every_view_is_shown_at_once(panel: GradientCheckPanel, desk: Desk, qtbot: QtBot):
    desk.step(5)
    really_check(desk)
    assert panel.views.scatter is None
    panel.resize(1000, 700)
    desk.show()
    assert panel.pictures.isVisible()
    assert panel.views.scatter is not None
    assert panel.views.sweep is not None
    assert panel.views.scatter.isVisible()
    assert panel.views.sweep.isVisible()
    assert panel.table.isVisible()
    assert not panel.views.switch.isVisible()
    assert panel.table.geometry().right() < panel.views.mapTo(panel, panel.views.rect().topLeft()).x()
    panel.resize(350, 300)
    assert panel.views.switch.isVisible()
    assert not panel.views.scatter.isVisible()


def test_a_check_does_not_make_the_panel_grow_at_the_cost_of_its_neighbours(panel: GradientCheckPanel, desk: Desk):
    panel.resize(340, 300)
    desk.step(5)
    really_check(desk)
    heights = {panel.minimumSizeHint().height()}
    for view in ("scatter", "sweep", "pictures"):
        panel.views.choose(view)
        heights.add(panel.minimumSizeHint().height())
    panel.pictures.tiles[0].clicked.emit(1, 1)
    heights.add(panel.minimumSizeHint().height())
    assert panel.height() == 300
    assert max(heights) <= 300


def test_where_there_is_little_room_a_plot_takes_the_place_of_the_table(panel: GradientCheckPanel, desk: Desk):
    panel.resize(340, 300)
    desk.step(5)
    really_check(desk)
    assert panel.table.isVisible()
    panel.views.choose("scatter")
    assert not panel.table.isVisible()
    panel.views.choose("pictures")
    assert panel.table.isVisible()


def test_a_new_network_was_not_checked(panel: GradientCheckPanel, desk: Desk):
    desk.step(1)
    tell(desk)
    desk.start()
    assert panel.invitation.isVisible()
    assert panel.wanted() == ()


def test_the_summary_is_short():
    check = Checked("full", 1, (VERDICTS[0], VERDICTS[1]), (), "")
    assert summary(check) == "1 of 2 pass"


@pytest.mark.parametrize(("largest", "power"), [(0.0, 0), (0.5, 0), (2.0, 0), (0.05, 1), (3e-9, 8)])
def test_a_difference_is_enlarged_as_far_as_the_ruler_goes(largest, power):
    assert magnified(1.0, largest) == power


def test_every_control_has_a_name_and_a_tip(panel: GradientCheckPanel):
    controls = panel.controls
    for widget in (controls.check_button, controls.mode_box, controls.cancel_button, controls.difference_button):
        assert widget.toolTip()
    assert controls.difference_button.accessibleName()
    assert panel.live.rate_box.toolTip()
    assert panel.live.rate_box.accessibleName()
    assert panel.live.strip.accessibleName()
    assert panel.controls.mode_box.accessibleName()
    assert panel.controls.progress.accessibleName()
    assert panel.table.accessibleName()


def test_a_real_check_of_the_digits_passes_and_shows_pictures(session: Session, qtbot: QtBot):
    panel = shown(qtbot, session)
    session.step("batch")
    wait_for_step(qtbot, session, 1)
    qtbot.mouseClick(panel.controls.check_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: panel.table.isVisible(), timeout=20_000)
    assert {row[1] for row in cells(panel)} == {"✓ pass"}
    qtbot.waitUntil(lambda: panel.pictures.tiles[2].shape != (0, 0), timeout=5000)
    panel.table.selectRow(2)
    address = panel.table.verdicts.rows[2].address
    assert session.selection == Selection(gradient_of(address))
    qtbot.waitUntil(lambda: panel.pictures.tiles[2].shape != (0, 0), timeout=5000)
