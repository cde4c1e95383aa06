"""The window of the settings: a form that applies each at once, and a way back to how they were at first."""

from __future__ import annotations

from typing import cast

from PySide6.QtWidgets import QDialog, QHBoxLayout, QLabel, QSpinBox, QVBoxLayout, QWidget

from app import theme
from app.form import SpecForm
from app.settings import Preferences, Settings
from app.widgets.buttons import push_button

WIDTH = 420  # pixels
ABOUT = "Each applies at once and is kept for you. Point at one to see what it does."


class SettingsWindow(QDialog):
    """It stays open beside the main window, and follows what is set elsewhere."""

    def __init__(self, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Settings")
        self.setMinimumWidth(WIDTH)
        self._preferences = preferences
        self.form = SpecForm(Settings, self)
        self.form.edited.connect(preferences.use)
        self.form.set_spec(preferences.present)
        threads = self.form.controls()[Settings.__struct_fields__.index("threads")]
        cast(QSpinBox, threads).setSpecialValueText("every core")
        about = QLabel(ABOUT, self)
        about.setWordWrap(True)
        theme.mark(about, "muted")
        self.reset_button = push_button("Reset", "All settings as they were at first", preferences.reset)
        self.close_button = push_button("Close", "Close this window  (Esc)", self.close)
        column, row = QVBoxLayout(self), QHBoxLayout()
        row.addWidget(self.reset_button)
        row.addStretch(1)
        row.addWidget(self.close_button)
        column.addWidget(about)
        column.addWidget(self.form)
        column.addStretch(1)
        column.addLayout(row)
        preferences.changed.connect(self._show)
        self._show(preferences.present)

    def _show(self, settings: Settings) -> None:
        self.form.set_spec(settings)
        self.reset_button.setEnabled(settings != Settings())
