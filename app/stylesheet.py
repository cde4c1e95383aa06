"""The one stylesheet of the application, made from a theme; what Fusion and the palette already do is not here.

Roles are dynamic properties (see `theme.mark`): QFrame card/chip, QLabel title/muted/error/good, buttons primary.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.theme import Theme

_ICONS = (Path(__file__).parents[1] / "resources" / "icons").as_posix()


def stylesheet(theme: Theme, point_size: float) -> str:
    """The stylesheet of a theme; `point_size` is the base font's, small titles are a little less."""
    t, small = theme, f"{point_size * 0.9:.2f}pt"
    return f"""
QMainWindow, QDialog {{ background: {t.window}; }}
QMainWindow::separator {{ background: {t.window}; width: 8px; height: 8px; }}
QMainWindow::separator:hover, QSplitter::handle:hover {{ background: {t.line}; }}
QSplitter::handle {{ background: {t.window}; }}
QSplitter::handle:horizontal {{ width: 8px; }}
QSplitter::handle:vertical {{ height: 8px; }}

QFrame[role="card"], QFrame[role="strip"] {{ background: {t.panel}; border: 1px solid {t.line}; border-radius: 8px; }}
QFrame[role="chip"] {{ background: {t.field}; border: 1px solid {t.line}; border-radius: 6px; }}
QLabel[role="title"] {{ color: {t.muted}; font-size: {small}; font-weight: bold; text-transform: uppercase; }}
QLabel[role="muted"] {{ color: {t.muted}; }}
QLabel[role="error"] {{ color: {t.bad_text}; font-size: {small}; }}
QLabel[role="bug"] {{ color: {t.bad_text}; font-weight: bold; }}
QLabel[role="alert"] {{ background: {t.bad_text}; color: {t.panel}; font-weight: bold; border-radius: 4px;
    padding: 1px 8px; }}
QToolButton[role="quiet"] {{ background: transparent; border: none; color: {t.muted}; padding: 0 4px; }}
QToolButton[role="tool"] {{ padding: 2px 4px; }}
QFileDialog QToolButton {{ padding: 2px; }}
QToolButton[role="quiet"]:hover {{ color: {t.text}; background: {t.lit}; }}
QLabel[role="good"] {{ color: {t.good_text}; }}

QDockWidget {{ color: {t.muted}; font-size: {small}; font-weight: bold; text-transform: uppercase; }}
QDockWidget::title {{ background: {t.panel}; border: 1px solid {t.line}; border-bottom: none; padding: 7px 9px;
    border-top-left-radius: 8px; border-top-right-radius: 8px; }}
QWidget[role="dock-title"] {{ background: {t.panel}; border: 1px solid {t.line}; border-bottom: none;
    border-top-left-radius: 8px; border-top-right-radius: 8px; }}
QDockWidget > QFrame[role="card"] {{ border-top: none; border-top-left-radius: 0; border-top-right-radius: 0; }}

QToolBar {{ background: {t.window}; border: none; padding: 0; spacing: 6px; }}
QStatusBar {{ background: {t.window}; color: {t.muted}; }}
QMenuBar {{ background: {t.window}; }}
QMenuBar::item {{ padding: 5px 9px; border-radius: 4px; background: transparent; }}
QMenuBar::item:selected {{ background: {t.lit}; }}
QMenu {{ background: {t.panel}; border: 1px solid {t.line}; padding: 4px; }}
QMenu::item {{ padding: 5px 24px 5px 12px; border-radius: 4px; }}
QMenu::icon {{ padding-left: 8px; }}
QMenu::item:selected {{ background: {t.lit}; }}
QMenu::item:disabled {{ color: {t.disabled}; }}
SearchMenu::item:disabled {{ color: {t.muted}; }}
QMenu::separator {{ height: 1px; background: {t.line}; margin: 4px 8px; }}
QToolTip {{ background: {t.panel}; color: {t.text}; border: 1px solid {t.line}; padding: 4px 6px; }}

QPushButton, QToolButton {{ background: {t.field}; color: {t.text}; border: 1px solid {t.line}; border-radius: 6px;
    padding: 4px 9px; }}
QPushButton:hover, QToolButton:hover {{ background: {t.lit}; border-color: {t.muted}; }}
QPushButton:pressed, QToolButton:pressed {{ background: {t.line}; }}
QPushButton:checked, QToolButton:checked {{ background: {t.lit}; border-color: {t.forward}; }}
QPushButton:focus, QToolButton:focus {{ border-color: {t.forward}; }}
QPushButton:disabled, QToolButton:disabled {{ color: {t.disabled}; border-color: {t.line}; }}
QPushButton[role="primary"], QToolButton[role="primary"] {{ background: {t.forward}; border-color: {t.forward};
    color: {t.on_accent}; }}
QPushButton[role="primary"]:focus, QToolButton[role="primary"]:focus {{ border-color: {t.text}; }}
QPushButton[role="primary"]:disabled, QToolButton[role="primary"]:disabled {{ background: {t.line};
    border-color: {t.line}; color: {t.muted}; }}
QPushButton[role="bug"] {{ background: {t.bad_text}; border-color: {t.bad_text}; color: {t.panel}; font-weight: bold; }}
QPushButton[role="quiet-badge"] {{ border-color: {t.muted}; font-weight: bold; }}
QToolButton::menu-indicator {{ image: none; }}

QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox {{ background: {t.field}; border: 1px solid {t.line};
    border-radius: 5px; padding: 3px 6px; selection-background-color: {t.forward};
    selection-color: {t.on_accent}; }}
QLineEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus {{ border-color: {t.forward}; }}
QLineEdit[invalid="true"] {{ border-color: {t.bad}; }}
QLineEdit:disabled, QSpinBox:disabled, QDoubleSpinBox:disabled, QComboBox:disabled {{ color: {t.disabled}; }}
QAbstractSpinBox {{ padding-right: 18px; }}
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button {{ border: none; width: 18px; background: transparent; }}
QAbstractSpinBox::up-button:hover, QAbstractSpinBox::down-button:hover {{ background: {t.lit}; }}
QAbstractSpinBox::up-arrow {{ image: url("{_ICONS}/arrow-up.svg"); width: 9px; height: 9px; }}
QAbstractSpinBox::down-arrow, QComboBox::down-arrow {{ image: url("{_ICONS}/arrow-down.svg"); width: 9px;
    height: 9px; }}
QComboBox::drop-down {{ border: none; width: 20px; }}
QComboBox QAbstractItemView {{ background: {t.panel}; border: 1px solid {t.line}; padding: 2px;
    selection-background-color: {t.lit}; selection-color: {t.text}; outline: none; }}

QCheckBox::indicator {{ width: 13px; height: 13px; border: 1px solid {t.muted}; border-radius: 3px;
    background: {t.field}; }}
QCheckBox::indicator:checked {{ background: {t.forward}; border-color: {t.forward};
    image: url("{_ICONS}/check-{t.name}.svg"); }}
QCheckBox::indicator:focus {{ border: 2px solid {t.forward}; width: 11px; height: 11px; }}
QCheckBox::indicator:checked:focus {{ border-color: {t.text}; }}
QCheckBox::indicator:disabled {{ border-color: {t.line}; }}
QCheckBox::indicator:checked:disabled {{ background: {t.disabled}; border-color: {t.disabled}; }}

QTableView, QTreeView, QListView {{ background: {t.panel}; alternate-background-color: {t.panel}; border: none;
    gridline-color: {t.line}; selection-background-color: {t.lit}; selection-color: {t.text}; }}
QHeaderView, QTableCornerButton::section {{ background: {t.panel}; border: none; }}
QHeaderView::section {{ background: {t.panel}; color: {t.muted}; border: none; border-bottom: 1px solid {t.line};
    padding: 4px 6px; }}
QScrollArea, QScrollArea > QWidget > QWidget[plain="true"] {{ background: transparent; border: none; }}
QScrollBar {{ background: transparent; border: none; margin: 0; }}
QScrollBar:vertical {{ width: 9px; }}
QScrollBar:horizontal {{ height: 9px; }}
QScrollBar::handle {{ background: {t.line}; border-radius: 3px; margin: 1px 2px 1px 1px; }}
QScrollBar::handle:vertical {{ min-height: 24px; }}
QScrollBar::handle:horizontal {{ min-width: 24px; }}
QScrollBar::handle:hover {{ background: {t.muted}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}

QProgressBar {{ background: {t.field}; border: 1px solid {t.line}; border-radius: 5px; text-align: center;
    color: {t.text}; min-height: 8px; }}
QProgressBar::chunk {{ background: {t.forward}; border-radius: 4px; }}
QTabBar::tab {{ color: {t.muted}; background: transparent; padding: 5px 12px; border: none;
    border-bottom: 2px solid transparent; }}
QTabBar[role="switch"]::tab {{ padding: 3px 8px; }}
QTabBar::tab:selected {{ color: {t.text}; border-bottom-color: {t.forward}; }}
QTabWidget::pane {{ border: none; }}
"""
