"""The name of a file to write: its ending, what is asked before another file goes, and what may be dropped."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtWidgets import QFileDialog, QWidget
from pytestqt.qtbot import QtBot

from app import choose_file
from app.actions import take_dropped
from app.choose_file import ask_where, with_ending
from app.film_dialog import FILMS
from app.widgets.nearest_box import NearestBox
from engine.protocol import LoadWeights


@pytest.mark.parametrize(
    ("typed", "kind", "path"),
    [
        ("/a.b/film", 0, "/a.b/film.gif"),
        ("/a/film", 1, "/a/film.png"),
        ("/a/film.png", 0, "/a/film.png"),
        ("/a/FILM.GIF", 1, "/a/FILM.GIF"),
        ("/a/net v1.2", 0, "/a/net v1.2.gif"),
    ],
)
def test_a_path_without_an_ending_of_its_kinds_takes_that_of_the_kind_chosen(typed: str, kind: int, path: str) -> None:
    assert with_ending(typed, FILMS[kind], FILMS) == path


def test_a_file_that_only_its_ending_tells_is_not_replaced_unasked(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net v1.2.nabla").touch()
    parent, asked, typed = QWidget(), [], ["net v1.2", "net v1.3", "net v1.2"]
    qtbot.addWidget(parent)

    def type_a_name(dialog: QFileDialog) -> int:
        dialog.selectFile(str(tmp_path / typed.pop(0)))
        return 1

    def answer(parent: QWidget, title: str, text: str, *_: str) -> bool:
        asked.append(text)
        return len(asked) > 1

    monkeypatch.setattr(QFileDialog, "exec", type_a_name)
    monkeypatch.setattr(choose_file, "confirmed", answer)
    monkeypatch.setattr(choose_file, "_last_folder", [""])
    question, kinds = "net v1.2.nabla is there already.", ("Sessions (*.nabla)",)
    assert ask_where(parent, "Save", "net", kinds) == str(tmp_path / "net v1.3.nabla"), "after a no, another name"
    assert asked == [question]
    assert choose_file._last_folder == [str(tmp_path)], "the next file is proposed there"
    assert ask_where(parent, "Save", "net", kinds) == str(tmp_path / "net v1.2.nabla")
    assert asked == [question] * 2


@pytest.mark.parametrize(
    ("dropped", "heard"),
    [
        (["/a/weights.npz"], LoadWeights("/a/weights.npz")),
        (["/a/W.SAFETENSORS"], LoadWeights("/a/W.SAFETENSORS")),
        (["/a/run.NABLA"], "/a/run.NABLA"),
        (["/a/notes.txt"], "weights (.npz, .safetensors) can be dropped here, not notes.txt"),
        ([""], "can be dropped here, not this"),
        (["/a/one.nabla", "/a/two.nabla"], "several files were dropped and none was opened"),
    ],
)
def test_one_session_or_file_of_weights_may_be_dropped_and_of_others_it_is_told_why_not(
    dropped: list[str], heard: object
) -> None:
    got: list[Any] = []
    said = SimpleNamespace(emit=lambda sentence, wrong: got.append(sentence))
    session = SimpleNamespace(exchange=got.append, said=said)
    window: Any = SimpleNamespace(session=session, files=SimpleNamespace(open=got.append))
    take_dropped(window, dropped)
    assert len(got) == 1
    assert heard in got[0] if isinstance(heard, str) else heard == got[0]


def test_a_number_typed_beyond_the_range_becomes_the_nearest_within(qtbot: QtBot) -> None:
    box = NearestBox()
    qtbot.addWidget(box)
    box.setRange(10, 2898)
    box.setGroupSeparatorShown(True)
    box.setSuffix(" px")
    for typed, value in (("99999", 2898), ("3", 10), ("1500", 1500), ("12,345", 2898)):
        box.selectAll()
        qtbot.keyClicks(box.lineEdit(), typed)
        box.interpretText()
        assert box.value() == value
        assert box.lineEdit().text() == f"{value:,} px"
