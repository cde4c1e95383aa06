"""What a check found besides numbers: bugs by name, with what should stand there, and the contracts that are broken."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QTextBrowser, QWidget

from app import theme as themes
from app.widgets.numbers import percent
from engine.protocol import NamedBug

GAP = "<p style='margin:0; font-size:6pt'>&nbsp;</p>"


class BugView(QTextBrowser):
    """The surest bug first; each a title, a sentence, its formula and the numbers that speak for it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bugs: tuple[NamedBug, ...] = ()
        self.contracts: tuple[str, ...] = ()
        self._compact = False
        self.setAccessibleName("bugs found")
        self.setOpenLinks(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.document().setDocumentMargin(8)
        self.setMinimumHeight(3 * self.fontMetrics().height())
        themes.mark(self, "chip")

    def show_bugs(self, bugs: tuple[NamedBug, ...], contracts: tuple[str, ...]) -> None:
        """Show these."""
        if (bugs, contracts) != (self.bugs, self.contracts):
            self.bugs, self.contracts = bugs, contracts
            self._tell()

    def be_compact(self, compact: bool) -> None:
        """No higher than the text needs, or as high as there is room."""
        self._compact = compact
        self._fit()

    def _tell(self) -> None:
        broken = "".join(map(_contract_as_html, self.contracts))
        self.setHtml(GAP.join([*map(_as_html, self.bugs), *([broken] if broken else [])]))
        self._fit()

    def _fit(self) -> None:
        height = round(self.document().size().height()) + 3
        self.setMaximumHeight(height if self._compact else 16777215)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The text's height follows its width."""
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme and the font size."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.PaletteChange) and hasattr(self, "bugs"):
            self._tell()


def evidence_text(bug: NamedBug) -> str:
    """Such as "2.W · factor 32 · residual 1e-12 · 98.0 % sure"."""
    parts = [bug.tensor] if bug.tensor else []
    parts += [f"{name} {value}" for name, value in bug.evidence.items()]
    return " · ".join([*parts, f"{percent(bug.confidence)} sure"])


def _contract_as_html(sentence: str) -> str:
    theme = themes.current()
    return (
        f"<p style='margin:0 0 4px 0; color:{theme.text}'><b style='color:{theme.bad_text}'>✗ contract broken</b> "
        f"{escape(sentence)}</p>"
    )


def _as_html(bug: NamedBug) -> str:
    theme, small = themes.current(), f"{themes.mono_font(0.9).pointSizeF():.2f}pt"
    family = themes.mono_font().family()
    return (
        f"<p style='margin:0 0 4px 0; color:{theme.bad_text}'><b>✗ {escape(bug.title)}</b></p>"
        f"<p style='margin:0 0 5px 0; color:{theme.text}'>{escape(bug.sentence)}</p>"
        f"<p style='margin:0 0 5px 0; color:{theme.text}; font-family:\"{family}\"'>{escape(bug.formula)}</p>"
        f"<p style='margin:0; color:{theme.muted}; font-size:{small}'>{escape(evidence_text(bug))}</p>"
    )
