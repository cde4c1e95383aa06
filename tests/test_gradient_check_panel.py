"""What a user learns from the gradient check panel, and that it never keeps them waiting."""

from __future__ import annotations

import math

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app import theme
from app.panels.gradient_check import GradientCheckPanel, gradient_of, summary
from app.session import Selection, Session
from app.widgets.check_pictures import magnified
from engine import gradcheck
from engine.host import describe_report
from engine.protocol import CancelCheck, Check, Checked, CheckProgress, Judged

from panel_tools import Desk
from waiting import wait_for_step

VERDICTS = (
    Judged("0.W", "pass", 4.2e-10, "768 of 768 entries agree"),
    Judged("0.b", "kink", 2e-8, "entry [4] sits on a kink"),
    Judged("2.W", "fail", 0.48, "60 of 120 entries differ"),
    Judged("2.b", "unresolvable", math.nan, "too small to tell"),
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
    assert panel.check_button.isVisible()
    assert not panel.table.isVisible()
    assert "F9" in panel.check_button.toolTip()


@pytest.mark.parametrize(("place", "mode"), list(enumerate(gradcheck.MODES)))
def test_the_button_checks_in_the_chosen_mode(panel: GradientCheckPanel, desk: Desk, qtbot: QtBot, place, mode):
    panel.mode_box.setCurrentIndex(place)
    qtbot.mouseClick(panel.check_button, Qt.MouseButton.LeftButton)
    assert desk.sent(Check) == [Check(mode)]


def test_while_checking_there_is_progress_and_a_way_out(panel: GradientCheckPanel, desk: Desk, qtbot: QtBot):
    height = panel.controls.height()
    qtbot.mouseClick(panel.check_button, Qt.MouseButton.LeftButton)
    assert panel.cancel_button.isVisible()
    desk.link.received.emit(CheckProgress(1234, 2778))
    assert panel.progress.value() == 1234
    assert panel.progress.text() == "1,234 of 2,778"
    assert panel.controls.height() == height
    qtbot.mouseClick(panel.cancel_button, Qt.MouseButton.LeftButton)
    assert desk.sent(CancelCheck)
    desk.link.received.emit(Checked("", 0, (), (), "cancelled", cancelled=True))
    assert panel.check_button.isVisible()
    assert panel.invitation.isVisible()
    desk.link.received.emit(CheckProgress(1300, 2778))
    assert panel.check_button.isVisible(), "late progress must not bring the bar back"


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
    assert panel.note.text() == "2.W: 60 of 120 entries differ"
    assert [item.address for item in panel.wanted()] == ["2.analytic_W", "2.numeric_W", "2.difference_W"]
    assert desk.session.selection is not None
    assert desk.session.selection.address == "0.W", "what nobody chose is not selected"


def test_choosing_a_row_selects_its_gradient_everywhere(panel: GradientCheckPanel, desk: Desk):
    desk.step(1)
    tell(desk)
    panel.table.selectRow(1)
    assert desk.session.selection == Selection("0.grad_b")
    assert panel.note.text() == "0.b: entry [4] sits on a kink"
    assert panel.wanted()[0].address == "0.analytic_b"
    assert gradient_of("data.x") == "0.grad_x"


def test_broken_contracts_and_the_copy_are_told(panel: GradientCheckPanel, desk: Desk):
    desk.step(1)
    said: list[str] = []
    panel.status_changed.connect(said.append)
    sentence = "layer 0 (dense): backward(2G) is not 2·backward(G)"
    tell(desk, VERDICTS[:1], (sentence,), "checked on a float64 copy of the float32 network")
    assert panel.contracts.isVisible()
    assert sentence in panel.contracts.text()
    assert panel.copy_note.text() == "checked on a float64 copy of the float32 network"
    assert said[-1] == "1 contract broken · step 1"
    tell(desk, VERDICTS[:1])
    assert not panel.contracts.isVisible()
    assert said[-1] == "all 1 pass · step 1"


def test_a_check_says_its_step_and_when_it_is_out_of_date(panel: GradientCheckPanel, desk: Desk):
    said: list[str] = []
    panel.status_changed.connect(said.append)
    desk.step(147)
    tell(desk)
    assert panel.about.text() == "step 147 · every entry"
    assert said[-1] == "1 of 4 fail · step 147"
    desk.step(1)
    assert panel.about.text() == "step 147 · out of date: the run is at step 148"
    assert said[-1].endswith("out of date")


def test_within_its_mini_batch_a_check_holds_until_the_update(panel: GradientCheckPanel, desk: Desk):
    desk.step(1)
    desk.run.step_phase()
    desk.show()
    tell(desk)
    desk.run.step_phase()
    desk.show()
    assert "out of date" not in panel.about.text()
    desk.step(1)
    assert "out of date" in panel.about.text()


def test_pictures_are_of_the_chosen_row_and_the_difference_says_its_factor(panel: GradientCheckPanel, desk: Desk):
    desk.step(5)
    really_check(desk)
    panel.table.selectRow(0)
    desk.show()
    assert [tile.shape for tile in panel.pictures.tiles] == [(64, 12)] * 3
    title = panel.pictures.titles[2].text()
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
    for widget in (panel.check_button, panel.mode_box, panel.cancel_button):
        assert widget.toolTip()
    assert panel.mode_box.accessibleName()
    assert panel.progress.accessibleName()
    assert panel.table.accessibleName()


def test_a_real_check_of_the_digits_passes_and_shows_pictures(session: Session, qtbot: QtBot):
    panel = shown(qtbot, session)
    session.step_batch()
    wait_for_step(qtbot, session, 1)
    qtbot.mouseClick(panel.check_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: panel.table.isVisible(), timeout=20_000)
    assert {row[1] for row in cells(panel)} == {"✓ pass"}
    qtbot.waitUntil(lambda: panel.pictures.tiles[2].shape != (0, 0), timeout=5000)
    panel.table.selectRow(2)
    address = panel.table.verdicts.rows[2].address
    assert session.selection == Selection(gradient_of(address))
    qtbot.waitUntil(lambda: panel.pictures.tiles[2].shape != (0, 0), timeout=5000)
