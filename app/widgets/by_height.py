"""Extras of a panel that are shown as far as its height goes, so that its subject is never squeezed."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtWidgets import QWidget


def show_what_fits(room: int, extras: Iterable[tuple[QWidget, int, int]]) -> None:
    """Show each of these widgets whose height (with the gap before it) leaves so much of the room, in this order."""
    for widget, height, left in extras:
        fits = room - height >= left
        if widget.isHidden() == fits:
            widget.setVisible(fits)
        if fits:
            room -= height
