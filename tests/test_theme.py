"""Colours: legible text, zero as the colour of the paper, and a theme that reaches Qt and pyqtgraph."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from PySide6.QtCore import QEvent
from PySide6.QtGui import QColor, QIcon, QImage, QPalette
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from app import icons, theme
from app.theme import DARK, LIGHT, Theme

EVERY = list(theme.THEMES.values())
BOTH = pytest.mark.parametrize("look", EVERY, ids=[f"{look.name}, {look.colours}" for look in EVERY])


@BOTH
def test_small_text_is_legible_on_every_ground(look: Theme) -> None:
    for name in theme.text_fields():
        for ground in ("panel", "window", "lit", "field"):
            ratio = theme.contrast(getattr(look, name), getattr(look, ground))
            assert ratio >= 4.5, f"{look.name}: {name} on {ground} has only {ratio:.2f}"
    assert theme.contrast(look.on_accent, look.forward) >= 4.5


@BOTH
def test_bars_and_curves_stand_out_from_the_panel(look: Theme) -> None:
    for colour in (look.forward, look.backward, look.good, look.bad, *look.series):
        assert theme.contrast(colour, look.panel) >= 3.0, colour
    for first, second in combinations(look.series, 2):
        one, other = QColor(first), QColor(second)
        apart = sum(abs(getattr(one, c)() - getattr(other, c)()) for c in ("red", "green", "blue"))
        assert apart > 60, (first, second)


@BOTH
def test_zero_has_exactly_the_panels_colour(look: Theme) -> None:
    for table in (theme.signed_table(look), theme.magnitude_table(look)):
        assert len(table) == 256
        assert QColor.fromRgba(table[128]).name() == look.panel


@BOTH
def test_ends_of_the_tables_are_orange_below_and_blue_above_or_what_was_chosen_instead(look: Theme) -> None:
    signed, magnitude = theme.signed_table(look), theme.magnitude_table(look)
    assert (QColor.fromRgba(signed[1]).name(), QColor.fromRgba(signed[255]).name()) == (look.backward, look.forward)
    assert QColor.fromRgba(magnitude[1]).name() == QColor.fromRgba(magnitude[255]).name() == look.backward


@BOTH
def test_what_is_no_number_has_a_colour_that_nothing_else_has(look: Theme) -> None:
    alarm = QColor.fromRgba(theme.signed_table(look)[0])
    assert alarm.name() == "#ff00ff"
    assert theme.signed_table(look).count(alarm.rgba()) == 1


class _Listener(QLabel):
    seen: str = ""

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.PaletteChange:
            self.seen = theme.current().name
        super().changeEvent(event)


def test_a_widget_is_told_of_a_new_theme_and_asks_for_it(qtbot: Any, qapp: QApplication) -> None:
    label = _Listener("x")
    qtbot.addWidget(label)
    label.show()
    theme.apply(qapp, LIGHT)
    for look in (DARK, LIGHT, DARK):
        theme.apply(qapp, look)
        assert label.seen == look.name
        assert label.palette().color(QPalette.ColorRole.WindowText).name() == look.text


def test_disabled_text_differs_from_enabled(qapp: QApplication) -> None:
    palette = theme.palette(LIGHT)
    role = QPalette.ColorRole.Text
    assert palette.color(QPalette.ColorGroup.Disabled, role) != palette.color(QPalette.ColorGroup.Active, role)


def test_zoom_changes_the_size_of_letters_within_bounds(qtbot: Any, qapp: QApplication) -> None:
    appearance = theme.Appearance(qapp, "dark")
    label = QLabel("step 147")
    qtbot.addWidget(label)
    label.show()
    before = label.sizeHint().width()
    with qtbot.waitSignal(appearance.changed):
        appearance.set_point_size(20)
    assert label.sizeHint().width() > 1.7 * before
    appearance.set_point_size(500)
    assert appearance.point_size == 32
    appearance.set_point_size(theme.POINT_SIZE)
    appearance.setParent(None)


def test_the_chosen_mode_is_applied(qapp: QApplication) -> None:
    appearance = theme.Appearance(qapp, "light")
    assert theme.current() is LIGHT
    appearance.set_mode("dark")
    assert theme.current() is DARK
    appearance.set_mode("system")
    assert appearance.mode == "system"
    appearance.setParent(None)


def test_figures_have_one_width(qapp: QApplication) -> None:
    from PySide6.QtGui import QFontMetricsF

    for font in (theme.tabular(qapp.font()), theme.mono_font()):
        metrics = QFontMetricsF(font)
        assert len({metrics.horizontalAdvance(digit) for digit in "0123456789"}) == 1


@BOTH
def test_a_plot_takes_the_themes_colours(qtbot: Any, look: Theme) -> None:
    import pyqtgraph as pg

    plot = pg.PlotWidget()
    qtbot.addWidget(plot)
    plot.addLegend()
    plot.plot([1, 2, 3], name="loss")
    theme.restyle(plot, look)
    assert plot.backgroundBrush().color().name() == look.panel
    assert plot.getAxis("left").textPen().color().name() == look.muted
    written = plot.plotItem.legend.items[0][1].item.toHtml()
    assert look.muted in written
    plot.plotItem.legend.clear()  # whose labels are asked for their size while they are collected


def test_every_icon_draws_in_both_states(qapp: QApplication) -> None:
    for name in icons.names():
        icon = icons.icon(name, LIGHT)
        for mode in (QIcon.Mode.Normal, QIcon.Mode.Disabled):
            image = icon.pixmap(24, mode).toImage().convertToFormat(QImage.Format.Format_ARGB32)
            assert any(image.pixelColor(x, y).alpha() > 200 for x in range(24) for y in range(24)), name


def test_an_icon_has_the_colour_of_its_theme(qapp: QApplication) -> None:
    def strongest(look: Theme, mode: QIcon.Mode) -> str:
        image = icons.icon("add", look).pixmap(24, mode).toImage()
        return image.pixelColor(12, 12).name()

    assert strongest(DARK, QIcon.Mode.Normal) == DARK.text
    assert strongest(LIGHT, QIcon.Mode.Normal) == LIGHT.text
    assert strongest(LIGHT, QIcon.Mode.Disabled) == LIGHT.disabled


def test_an_unknown_icon_is_named_with_those_there_are(qapp: QApplication) -> None:
    with pytest.raises(KeyError, match=r"no icon is named 'paly'.*play"):
        icons.icon("paly", DARK)


def test_a_role_can_be_given_to_a_widget_already_on_screen(qtbot: Any, qapp: QApplication) -> None:
    theme.apply(qapp, DARK)
    window = QWidget()
    label = QLabel("x", window)
    qtbot.addWidget(window)
    window.show()
    theme.mark(label, "error")
    assert label.palette().color(QPalette.ColorRole.WindowText).name() == DARK.bad_text


def test_the_buttons_of_a_file_dialog_have_room_for_their_icons(qapp: QApplication, qtbot: QtBot) -> None:
    appearance = theme.Appearance(qapp, "dark")
    dialog = QFileDialog()
    qtbot.addWidget(dialog)
    dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
    dialog.show()
    button = dialog.findChild(QToolButton, "newFolderButton")
    assert button is not None
    picture = button.grab().toImage()
    ground = picture.pixelColor(4, 4)
    across = {
        x
        for x in range(4, button.width() - 4)
        for y in range(4, button.height() - 4)
        if picture.pixelColor(x, y) != ground
    }
    assert len(across) >= 12
    appearance.deleteLater()
