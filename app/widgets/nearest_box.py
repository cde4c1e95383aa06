"""A field for a whole number in which a number beyond the range may be typed: it becomes the nearest within."""

from __future__ import annotations

from PySide6.QtGui import QValidator
from PySide6.QtWidgets import QSpinBox


class NearestBox(QSpinBox):
    """As QSpinBox, which swallows the digit that leads beyond its range: of 9999 typed where 2000 is the most, 999."""

    def validate(self, text: str, pos: int) -> object:
        """Digits beyond the range are not refused while they are typed."""
        found = super().validate(text, pos)
        state = found[0] if isinstance(found, tuple) else found
        refused = state == QValidator.State.Invalid and self._number(text) is not None
        return (QValidator.State.Intermediate, text, pos) if refused else found

    def fixup(self, text: str) -> str:
        """The nearest within the range."""
        number = self._number(text)
        return text if number is None else self.textFromValue(min(max(number, self.minimum()), self.maximum()))

    def _number(self, text: str) -> int | None:
        digits = text.removesuffix(self.suffix()).replace(self.locale().groupSeparator(), "").strip()
        return int(digits) if digits.isdecimal() else None
