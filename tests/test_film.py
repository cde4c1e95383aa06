"""Films: every step once, colours true, the run where it was; given up, it leaves no file."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtWidgets import QMenu
from pytestqt.qtbot import QtBot

from app import theme
from app.export_menu import open_film_dialog, take_picture
from app.film_dialog import FilmDialog
from app.film_files import ApngWriter, GifWriter, nearest, palette_of
from app.window import Window

from waiting import wait_for_step

PAPER = 0x1B1F26


def pictures(count: int = 4) -> list[np.ndarray]:
    """Some that differ in a corner; two alike in a row."""
    rng = np.random.default_rng(3)
    first = np.full((30, 40), PAPER, np.uint32)
    first[:20, :20] = rng.integers(0, 1 << 24, (20, 20))
    found = [first]
    for number in range(1, count):
        found.append(found[-1].copy())
        if number != 2:
            found[-1][5 + number, 7:12] = theme.signed_table(theme.DARK)[100 + number] & 0xFFFFFF
    return found


def read(data: bytes) -> tuple[list[np.ndarray], list[float]]:
    """The pictures of a film as another program reads them, and how long each is seen."""
    shown, times = [], []
    with Image.open(io.BytesIO(data)) as film:
        assert film.info["loop"] == 0
        for number in range(film.n_frames):  # type: ignore[attr-defined]
            film.seek(number)
            rgb = np.asarray(film.convert("RGB"), np.uint32)
            shown.append(rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2])
            times.append(float(film.info["duration"]))
    return shown, times


def test_an_animated_png_has_every_colour_of_every_picture() -> None:
    data = io.BytesIO()
    writer = ApngWriter(data.write, 5, 4)
    for picture in pictures():
        writer.add(picture)
    writer.end()
    shown, times = read(data.getvalue())
    assert times == [200.0] * 4
    for picture, seen in zip(pictures(), shown, strict=True):
        assert np.array_equal(picture, seen)


def test_a_gif_has_the_paper_exactly_even_areas_even_and_other_colours_near() -> None:
    data = io.BytesIO()
    writer = GifWriter(data.write, 5, [PAPER], theme.signed_table(theme.DARK))
    for picture in pictures():
        writer.add(picture)
    writer.end()
    with Image.open(io.BytesIO(data.getvalue())) as film:
        assert film.info["duration"] == 200
    shown, times = read(data.getvalue())
    assert sum(times) == 800.0
    assert (shown[0][20:] == PAPER).all()
    assert (shown[0][:, 20:] == PAPER).all()
    last = shown[-1]
    assert len(np.unique(last[8, 7:12])) == 1
    apart = channels(last) - channels(pictures()[-1])
    assert np.sqrt((apart**2).sum(axis=-1)).max() < 60, "400 colours at random were brought down to 255"


def channels(pixels: np.ndarray) -> np.ndarray:
    return np.stack([pixels >> 16 & 255, pixels >> 8 & 255, pixels & 255], axis=-1).astype(float)


@pytest.mark.parametrize("look", [theme.DARK, theme.LIGHT])
def test_colours_of_heatmaps_are_kept_within_what_an_eye_tells(look: theme.Theme) -> None:
    table = np.array(theme.signed_table(look), np.uint32) & 0xFFFFFF
    paper = int(look.panel[1:], 16)
    palette = palette_of([paper], np.concatenate([table, np.arange(0, 1 << 24, 70_001, dtype=np.uint32)]))
    seen = palette[nearest(palette, table)]
    assert len(palette) <= 255
    assert seen[128] == paper, "zero is the paper, exactly"
    assert np.abs(channels(seen) - channels(table)).max() <= 24


def dialog_of(window: Window, path: Path) -> FilmDialog:
    """The dialog on every second step of the Flow view, its film begun."""
    dialog = open_film_dialog(window)
    assert dialog is not None
    dialog.what.setCurrentIndex(dialog.what.findData("health"))
    assert dialog.width_box.value() == window.panels["norms"].width(), "behind its tab it will have that one's place"
    dialog.what.setCurrentIndex(dialog.what.findData("flow"))
    dialog.first.setValue(1)
    dialog.every.setValue(2)
    dialog.film(str(path))
    return dialog


def test_a_film_shows_its_steps_and_leaves_the_run_where_it_was(window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    session = window.session
    assert open_film_dialog(window) is None, "before the first step there is nothing to film"
    session.train(6)
    wait_for_step(qtbot, session, 6)
    session.seek(5, 3)
    qtbot.waitUntil(lambda: session.frame is not None and session.frame.position == (5, 3))
    path = tmp_path / "ein Film – ü.png"

    dialog = dialog_of(window, path)
    with qtbot.waitSignal(dialog.filming.ended, timeout=20_000) as ended:
        seen: list[int] = []
        dialog.filming.progressed.connect(lambda _: seen.append(session.frame.step if session.frame else 0))
    assert ended.args == ["saved ein Film – ü.png: 3 pictures", False]
    assert seen == [1, 3, 5]
    shown = read(path.read_bytes())[0]
    assert len(shown) == 3
    view = window.panels["flow"].size()
    assert shown[0].shape[1] == view.width()
    assert shown[0].shape[0] > view.height(), "under a panel stands which step it is"
    assert (shown[0][view.height() :] != shown[1][view.height() :]).any()
    qtbot.waitUntil(lambda: session.frame is not None and session.frame.position == (5, 3))
    assert session.fork == 0
    assert len(session.history) == 6

    old = path.read_bytes()
    dialog = dialog_of(window, path)
    with qtbot.waitSignal(dialog.filming.ended, timeout=20_000) as ended:
        dialog.filming.progressed.connect(lambda _: dialog.leave.click())
    assert ended.args == ["the film was cancelled; no file was written", False]
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]
    qtbot.waitUntil(lambda: session.frame is not None and session.frame.position == (5, 3))

    dialog = dialog_of(window, tmp_path / "nowhere" / "film.gif")
    assert "cannot be written" in dialog.told.text()
    assert not dialog.filming.at_work
    dialog.first.setValue(2)
    assert dialog.told.property("role") == "muted", "an alarm is over once something else is chosen"
    dialog.reject()

    panels = next(menu for menu in window.menuBar().findChildren(QMenu) if menu.title() == "Picture of a pane&l")
    panels.aboutToShow.emit()
    assert len(panels.actions()) == len(window.panels)
    with qtbot.waitSignal(session.said, timeout=10_000) as said:
        take_picture(window, "health", str(tmp_path / "Health.svg"))
    assert said.args == ["saved Health.svg", False]
    assert window.panels["health"].seen
    assert "<text" in (tmp_path / "Health.svg").read_text()
