"""The user guide in a window of its own: the pages of docs/, which the wheel holds as resources/guide; no network."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from PySide6.QtCore import QEvent, QSize, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QImage, QResizeEvent, QTextDocument
from PySide6.QtWidgets import QDialog, QHBoxLayout, QTextBrowser, QVBoxLayout, QWidget

from app.widgets.buttons import push_button

ROOT = Path(__file__).parents[1]
FOLDERS = ROOT / "resources" / "guide", ROOT / "docs"  # of the wheel, of a clone
FIRST_PAGE = "guide/README.md"
TOUR = "guide/tour.md"
PANELS = "guide/panels.md"
FIRST_SIZE = QSize(860, 760)
MARGIN = 24  # pixels beside a picture


def folder() -> Path:
    """Where the pages are."""
    return next((folder for folder in FOLDERS if (folder / FIRST_PAGE).is_file()), FOLDERS[-1])


def slug(heading: str) -> str:
    """The anchor of a heading as GitHub makes it: "Loss & accuracy" → "loss--accuracy"."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


class Pages(QTextBrowser):
    """Shows Markdown files with their pictures, and follows links between them.

    A page is named by its path in the folder, perhaps with "#" and a heading's anchor.
    """

    turned = Signal(bool)  # whether there is a page to go back to

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("page of the guide")
        self.setOpenLinks(False)
        self._visited: list[str] = []
        self._document: QTextDocument | None = None  # the last one made here; the first is Qt's own
        self.anchorClicked.connect(self._follow)

    @property
    def page(self) -> str:
        """The page shown."""
        return self._visited[-1] if self._visited else ""

    def go(self, page: str) -> None:
        """Show a page; one that is not there leaves all as it is."""
        if (folder() / page.partition("#")[0]).is_file():
            self._visited.append(page)
            self._show()

    def back(self) -> None:
        """The page before."""
        if len(self._visited) > 1:
            self._visited.pop()
            self._show()

    def _follow(self, link: QUrl) -> None:
        """A link leads to the web, to another page from where this one is, or to a heading of this one."""
        if link.scheme():
            QDesktopServices.openUrl(link)
            return
        here = self.page.partition("#")[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(here), link.path())) if link.path() else here
        self.go(f"{path}#{link.fragment()}" if link.fragment() else path)

    def _show(self) -> None:
        path, _, anchor = self.page.partition("#")
        file = folder() / path
        text = file.read_text(encoding="utf-8")
        page, before = QTextDocument(self), self._document  # in the same one, letters of the page before would stay
        page.setDefaultFont(self.font())
        page.setDocumentMargin(MARGIN)
        page.setBaseUrl(QUrl.fromLocalFile(str(file)))
        page.setMarkdown(text)
        for name in re.findall(r"!\[.*?\]\((.*?)\)", text):
            url, picture = page.baseUrl().resolved(QUrl(name)), self._picture(file.parent / name)
            page.addResource(QTextDocument.ResourceType.ImageResource.value, url, picture)
        self.setDocument(page)
        self._document = page
        if before is not None:
            before.deleteLater()
        self.verticalScrollBar().setValue(0)
        self._scroll_to(anchor)
        self.turned.emit(len(self._visited) > 1)

    def _picture(self, file: Path) -> QImage:
        """No wider than the page."""
        image, room = QImage(str(file)), max(self.viewport().width() - 2 * MARGIN, 100)
        return image.scaledToWidth(room, Qt.TransformationMode.SmoothTransformation) if image.width() > room else image

    def _scroll_to(self, anchor: str) -> None:
        """Bring a heading to the top; Markdown's have no anchors in Qt."""
        block = self.document().begin()
        while anchor and block.isValid():
            if block.blockFormat().headingLevel() and slug(block.text()) == anchor:
                top = self.document().documentLayout().blockBoundingRect(block).top()
                self.verticalScrollBar().setValue(round(top))
                return
            block = block.next()

    def _show_again(self) -> None:
        """At the same place, in new colours or another width."""
        if self._visited:
            place = self.verticalScrollBar().value()
            self._show()
            self.verticalScrollBar().setValue(place)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Pictures as wide as there is room now."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._show_again()

    def changeEvent(self, event: QEvent) -> None:
        """Links have the colours of the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange) and hasattr(self, "_visited"):
            self._show_again()


class Guide(QDialog):
    """Stays open beside the window."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Nablascope: guide")
        self.resize(FIRST_SIZE)
        self.pages = Pages(self)
        self.back = push_button("Back", "The page before", self.pages.back)
        self.contents = push_button("Contents", "All pages of the guide", lambda: self.pages.go(FIRST_PAGE))
        self.close_button = push_button("Close", "Close the guide  (Esc)", self.close)
        self.back.setEnabled(False)
        self.pages.turned.connect(self.back.setEnabled)
        column, row = QVBoxLayout(self), QHBoxLayout()
        row.addWidget(self.back)
        row.addWidget(self.contents)
        row.addStretch(1)
        row.addWidget(self.close_button)
        column.addLayout(row)
        column.addWidget(self.pages)

    def go(self, page: str) -> None:
        """Open at a page."""
        self.show()
        self.raise_()
        self.activateWindow()
        self.pages.go(page)
        self.pages.setFocus()
