"""A small choice for a panel's title bar."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QSizePolicy, QWidget


def quiet_choice(parent: QWidget, texts: Sequence[str], letters: int, name: str, tip: str) -> QComboBox:
    """One of these texts, of which so many letters are always seen; narrower where the window is."""
    choice = QComboBox(parent)
    choice.addItems(list(texts))
    choice.setProperty("role", "quiet")
    choice.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
    choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    choice.setMinimumContentsLength(letters)
    choice.setMinimumWidth(60)
    choice.setAccessibleName(name)
    choice.setToolTip(tip)
    choice.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return choice
