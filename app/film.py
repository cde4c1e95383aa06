"""A run as a film: its steps one after the other, each pictured once it is shown whole."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QFontMetrics, QImage, QPainter
from PySide6.QtWidgets import QApplication, QWidget

from app import theme
from app.film_files import ApngWriter, FilmWriter, GifWriter, Pixels
from app.pictures import image_of
from app.saving import SavedFile, SavingError
from app.settling import Settling
from app.widgets.numbers import count
from app.widgets.thumbnails import shades
from engine.frames import Frame
from engine.protocol import Built

if TYPE_CHECKING:
    from app.window import Window

KINDS = {"gif": "GIF film", "png": "animated PNG", "apng": "animated PNG"}  # by the file's ending
SMALLEST = 6.0  # points of the line under a panel
CANCELLED = "the film was cancelled; no file was written"


@dataclass(frozen=True)
class Reel:
    """What a film shows: which steps, of what, how fast and how large."""

    panel: str  # its name, "" for the whole window
    first: int
    last: int
    every: int
    rate: int  # pictures a second
    width: int  # pixels

    @property
    def steps(self) -> range:
        """Those pictured."""
        return range(self.first, self.last + 1, self.every)


class Filming(QObject):
    """Makes one film, then leads the run back to where it was. Nobody else may move the run meanwhile."""

    progressed = Signal(int)  # pictures taken
    ended = Signal(str, bool)  # one sentence, and whether something went wrong

    def __init__(self, window: Window, parent: QObject) -> None:
        super().__init__(parent)
        self._window, self._session = window, window.session
        self._settling = Settling(self._session, window, self)
        self._reel: Reel | None = None
        self._session.shown.connect(self._on_shown)
        self._session.built.connect(self._on_built)
        window.link.lost.connect(self._on_lost)
        self._session.said.connect(self._on_said)

    @property
    def at_work(self) -> bool:
        """Whether a film is being made."""
        return self._reel is not None

    def start(self, reel: Reel, path: str | Path) -> None:
        """Begin; `ended` says how it went. Raises SavingError where the file cannot be begun."""
        ending = Path(path).suffix[1:].lower()
        if ending not in KINDS:
            raise SavingError(f"{Path(path).name} names no kind of film; let it end in .gif, .png or .apng")
        if self._session.frame is None:
            raise SavingError("there is nothing to film yet; wait for the first picture")
        self._file = SavedFile(path)
        self._file.begin()
        self._reel, self._taken = reel, 0
        self._place = self._session.frame
        self._session.pause()
        self._window.say("", False)  # what was said before is no part of the film
        if reel.panel:
            self._window.show_panel(reel.panel)
        widget: QWidget = self._window.panels[reel.panel] if reel.panel else self._window
        self._widget = widget
        self._writer = self._make_writer(ending, reel)
        self._aim = -1
        self._seek()

    def _make_writer(self, ending: str, reel: Reel) -> FilmWriter:
        if ending != "gif":
            return ApngWriter(self._file.write, reel.rate, len(reel.steps))
        look = theme.current()
        values = [getattr(look, field.name) for field in fields(look)]
        names = [v for value in values for v in (value if isinstance(value, tuple) else (value,)) if v[:1] == "#"]
        likely = [*theme.signed_table(look), *shades(look).tolist()]
        rgb = [colour & 0xFFFFFF for colour in likely]
        return GifWriter(self._file.write, reel.rate, [int(name[1:], 16) for name in names], rgb)

    def cancel(self) -> None:
        """Give up: no file, and an old one of that name as it was."""
        self._stop(CANCELLED, wrong=False)

    # --- from step to step ------------------------------------------------------------------------

    def _seek(self) -> None:
        """On to the next step."""
        if self._reel is not None:
            self._aim = self._reel.steps[self._taken]
            self._session.seek(self._aim)

    def _on_shown(self, frame: Frame) -> None:
        if self._reel is not None and frame.step == self._aim and _is_whole(frame):
            self._aim = -1
            self._settling.wait(self._take)

    def _take(self) -> None:
        reel = self._reel
        assert reel is not None
        if not self._taken:
            self._size = _size(self._widget, reel.width)  # a panel that was just brought to the front has its size now
        try:
            self._writer.add(pixels_of(self._picture(reel)))
            self._taken += 1
            if self._taken == len(reel.steps):
                self._writer.end()
                self._file.commit()
        except SavingError as error:
            self._stop(str(error), wrong=True)
            return
        self.progressed.emit(self._taken)
        if self._taken < len(reel.steps):
            QTimer.singleShot(0, self, self._seek)  # so that Cancel is heard between any two
        else:
            pictures = "one picture" if self._taken == 1 else f"{count(self._taken)} pictures"
            self._leave(f"saved {self._file.path.name}: {pictures}", wrong=False)

    def _picture(self, reel: Reel) -> QImage:
        """What is shown; under a panel alone, which tells no step, the line that does."""
        image = image_of(self._widget, self._size)
        if not reel.panel:
            return image
        return captioned(image, self._window.transport.where.text(), image.width() / self._widget.width())

    # --- the end ----------------------------------------------------------------------------------

    def _on_built(self, _: Built) -> None:
        self._stop("the film was given up, since the network was built anew", wrong=True, back=False)

    def _on_lost(self, sentence: str) -> None:
        self._stop(f"the film was given up: {sentence}", wrong=True, back=False)

    def _on_said(self, sentence: str, wrong: bool) -> None:
        """The engine could not go to a step."""
        if wrong:
            self._stop(f"the film was given up: {sentence}", wrong=True)

    def _stop(self, sentence: str, *, wrong: bool, back: bool = True) -> None:
        if self._reel is not None:
            self._file.give_up()
            self._leave(sentence, wrong=wrong, back=back)

    def _leave(self, sentence: str, *, wrong: bool, back: bool = True) -> None:
        """Back to where the run stood, unless there is no such place any more."""
        self._reel = None
        self._settling.stop()
        del self._writer
        step, phase = self._place.position
        if back:
            self._session.seek(step, None if _is_whole(self._place) else phase)
        self.ended.emit(sentence, wrong)


def pixels_of(image: QImage) -> Pixels:
    """A picture of Format_RGB32 as 0xRRGGBB, (rows, columns), as a copy."""
    flat = np.frombuffer(image.constBits(), np.uint32).reshape(image.height(), image.width())
    return np.asarray(flat & np.uint32(0xFFFFFF))


def captioned(image: QImage, text: str, scale: float) -> QImage:
    """A picture with a line of text under it, in letters `scale` times as large as on screen."""
    look, font = theme.current(), theme.tabular(QApplication.font())
    font.setPointSizeF(max(font.pointSizeF() * scale, SMALLEST))
    line = round(1.6 * QFontMetrics(font).height())
    result = QImage(image.width(), image.height() + line, image.format())
    result.fill(look.panel)
    painter = QPainter(result)
    painter.drawImage(0, 0, image)
    painter.setFont(font)
    painter.setPen(look.color("muted"))
    place = QRect(line // 2, image.height(), image.width() - line // 2, line)
    painter.drawText(place, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)
    painter.end()
    return result


def _size(widget: QWidget, width: int) -> QSize:
    return QSize(width, max(1, round(width * widget.height() / widget.width())))


def _is_whole(frame: Frame) -> bool:
    """Whether all of a mini-batch is computed, or none was yet."""
    return frame.phase is None or frame.phase.kind == "update"
