"""The user guide in a window of its own: the pages of docs/, which the wheel holds as resources/guide; no network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSize, Qt, QUrl
from PySide6.QtGui import QImage, QResizeEvent, QTextCursor, QTextDocument
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
    """Shows Markdown files with their pictures, and follows links between them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("page of the guide")
        self.setOpenExternalLinks(True)
        self.document().setDocumentMargin(MARGIN)

    def go(self, page: str) -> None:
        """Show a page, given as its path in the folder, perhaps with "#" and a heading's anchor."""
        path, _, anchor = page.partition("#")
        url = QUrl.fromLocalFile(str(folder() / path))
        url.setFragment(anchor)
        self.setSource(url, QTextDocument.ResourceType.MarkdownResource)

    def doSetSource(
        self, name: QUrl | str, kind: QTextDocument.ResourceType = QTextDocument.ResourceType.UnknownResource
    ) -> None:
        """Show a page from its heading on; a link that leads out of the guide leaves all as it is."""
        name = QUrl(name)
        file = Path(name.toLocalFile())
        if name.isLocalFile() and file.suffix == ".md" and file.is_file():
            super().doSetSource(name, QTextDocument.ResourceType.MarkdownResource)
            self._scroll_to(name.fragment())

    def _scroll_to(self, anchor: str) -> None:
        """Bring a heading to the top; Markdown's have no anchors in Qt."""
        block = self.document().begin()
        while anchor and block.isValid():
            if block.blockFormat().headingLevel() and slug(block.text()) == anchor:
                self.moveCursor(QTextCursor.MoveOperation.End)  # so that the heading comes to the top, not into view
                self.setTextCursor(QTextCursor(block))
                top = self.document().documentLayout().blockBoundingRect(block).top()
                self.verticalScrollBar().setValue(round(top))
                return
            block = block.next()

    def loadResource(self, kind: int, name: QUrl | str) -> Any:
        """Pictures no wider than the page."""
        if kind != QTextDocument.ResourceType.ImageResource.value:
            return super().loadResource(kind, name)
        image = QImage(self.source().resolved(QUrl(name)).toLocalFile())
        room = max(self.viewport().width() - 2 * MARGIN, 100)
        return image.scaledToWidth(room, Qt.TransformationMode.SmoothTransformation) if image.width() > room else image

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Pictures as wide as there is room now."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width() and not self.source().isEmpty():
            place = self.verticalScrollBar().value()
            self.reload()
            self.verticalScrollBar().setValue(place)


class Guide(QDialog):
    """Stays open beside the window."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Nablascope: guide")
        self.resize(FIRST_SIZE)
        self.pages = Pages(self)
        self.back = push_button("Back", "The page before  (Alt+Left)", self.pages.backward)
        self.contents = push_button("Contents", "All pages of the guide", lambda: self.pages.go(FIRST_PAGE))
        self.close_button = push_button("Close", "Close the guide  (Esc)", self.close)
        self.back.setEnabled(False)
        self.pages.backwardAvailable.connect(self.back.setEnabled)
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
