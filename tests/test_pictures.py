"""Pictures of widgets: what is seen comes out, sharp, cut where the screen cuts it; files whole or not at all."""

import re
from base64 import b64decode
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PySide6.QtCore import QRect, QSize
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QScrollArea, QWidget
from pytestqt.qtbot import QtBot

from app.pictures import image_of, save_picture
from app.saving import SavedFile, SavingError, file_name
from app.widgets.sharpness import draw_part, is_vector, pixel_ratio


class Sample(QWidget):
    """Blue at the left, orange at the right, from one image of which each is a part; remembers how it was painted."""

    def paintEvent(self, event: QPaintEvent) -> None:
        image = QImage(2, 1, QImage.Format.Format_RGB32)
        image.setPixelColor(0, 0, QColor("#4aa8ff"))
        image.setPixelColor(1, 0, QColor("#ff9f43"))
        painter = QPainter(self)
        half = self.width() // 2
        draw_part(painter, QRect(0, 0, half, self.height()), image, QRect(0, 0, 1, 1))
        draw_part(painter, QRect(half, 0, half, self.height()), image, QRect(1, 0, 1, 1))
        self.vector, self.ratio = is_vector(painter), pixel_ratio(self)


@pytest.fixture
def board(qtbot: QtBot) -> QWidget:
    """A window 200×100 with a sample that is larger than the part that is seen of it, and a label."""
    board, sample = QWidget(), Sample()
    scroll = QScrollArea(board)
    scroll.setGeometry(0, 0, 100, 60)
    sample.setFixedSize(400, 400)
    scroll.setWidget(sample)
    QLabel("a < b", board).setGeometry(0, 70, 200, 20)
    board.resize(200, 100)
    qtbot.addWidget(board)
    board.show()
    return board


def test_a_png_is_painted_twice_as_finely_not_enlarged(board: QWidget, tmp_path: Path) -> None:
    save_picture(board, tmp_path / "board.png", "Board")
    image = QImage(str(tmp_path / "board.png"))
    assert image.size() == QSize(400, 200)
    assert image.pixelColor(10, 10) == QColor("#4aa8ff")
    sample = board.findChild(Sample)
    assert sample is not None
    assert sample.ratio == 2.0
    assert not sample.vector
    assert pixel_ratio(board) == 1.0, "the screen is painted as before"


def test_a_smaller_picture_is_the_mean_of_its_pixels(board: QWidget) -> None:
    assert image_of(board, QSize(100, 50)).size() == QSize(100, 50)


def test_an_svg_has_letters_parts_of_images_and_is_cut_where_the_screen_is(board: QWidget, tmp_path: Path) -> None:
    save_picture(board, tmp_path / "board.svg", "A < B & C")
    text = (tmp_path / "board.svg").read_text()
    root = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{space}title") == "A < B & C"
    assert [e.text for e in root.iter(f"{space}text")] == ["a < b"]
    images = [
        str(e.get("{http://www.w3.org/1999/xlink}href")).partition("base64,")[2] for e in root.iter(f"{space}image")
    ]
    colours = {QImage.fromData(b64decode(image)).pixelColor(0, 0).name() for image in images}
    assert {"#4aa8ff", "#ff9f43"} <= colours, "each part was drawn as itself"
    viewport = board.findChild(QScrollArea).viewport()  # type: ignore[union-attr]
    place, height = f"translate({viewport.x()},{viewport.y()})", f'height="{viewport.height()}"'
    cut = re.escape(place) + rf'">\n<clipPath id="w\d+"><rect width="\d+" {height}/>'
    assert re.search(cut, text), "the sample is cut where it is scrolled"
    assert re.search(r'font-family="[^"]+, sans-serif"', text)
    sample = board.findChild(Sample)
    assert sample is not None
    assert sample.vector


def test_a_pdf_is_one_page_of_the_widgets_size(board: QWidget, tmp_path: Path) -> None:
    save_picture(board, tmp_path / "board.pdf", "Board")
    data = (tmp_path / "board.pdf").read_bytes()
    assert data.startswith(b"%PDF")
    assert data.count(b"/MediaBox [0 0 150") == 1
    assert b"/Count 1" in data


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nowhere/a.png", "cannot be written"),
        ("n" * 300 + ".svg", "cannot be written"),
        ("a.jpeg", "let it end in one of .png, .svg, .pdf"),
        ("a", "names no kind of picture"),
    ],
)
def test_what_cannot_be_saved_is_told_in_one_sentence(board: QWidget, tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(SavingError) as told:
        save_picture(board, tmp_path / name, "Board")
    assert why in str(told.value)
    assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


def test_an_error_halfway_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "ein Name – mit ü.png"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), SavedFile(path) as file:
        file.write(b"half of the new" + None)  # type: ignore[operator]
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1
    with SavedFile(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


def test_a_title_becomes_a_file_name_that_every_system_takes() -> None:
    assert file_name("Digits, step 3: Loss/accuracy?", "png") == "Digits, step 3- Loss-accuracy-.png"
    assert file_name(" ... ", "gif") == "nablascope.gif"
    assert len(file_name("é" * 300, "svg").encode()) <= 204
