"""A choice among all tensors of a network, grouped by layer."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QPaintEvent, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QComboBox, QSizePolicy, QStyle, QStyleOptionComboBox, QStylePainter, QWidget

from app.widgets.tensor_text import groups, shape_text
from engine.protocol import Built


class TensorBox(QComboBox):
    """Addresses with shapes under headings; `currentData` is the address."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("tensor")
        self.setToolTip("The tensor to look at; clicking a tile of the flow chooses it too")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMaxVisibleItems(24)

    def fill(self, network: Built) -> None:
        """The tensors of this network."""
        model = QStandardItemModel(self)
        bold = QFont(self.font())
        bold.setBold(True)
        for title, addresses in groups(network).items():
            heading = QStandardItem(title)
            heading.setFlags(Qt.ItemFlag.NoItemFlags)
            heading.setFont(bold)
            model.appendRow(heading)
            for address in addresses:
                item = QStandardItem(f"{address}   {shape_text(network.tensors[address].shape)}")
                item.setData(address, Qt.ItemDataRole.UserRole)
                model.appendRow(item)
        self.setModel(model)  # Qt deletes the one before, which is this box's child
        self.setCurrentIndex(-1)

    def choose(self, address: str) -> None:
        """Show this address as the chosen one."""
        self.setCurrentIndex(self.findData(address))

    def shown_text(self) -> str:
        """Where there is no room for the shape, the address alone: half a shape would be another one."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        edit = QStyle.SubControl.SC_ComboBoxEditField
        room = self.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, edit, self).width()
        text, address, metrics = self.currentText(), self.currentData(), self.fontMetrics()
        if not address or metrics.horizontalAdvance(text) <= room:
            return text
        return metrics.elidedText(address, Qt.TextElideMode.ElideRight, room)

    def paintEvent(self, event: QPaintEvent) -> None:
        """With the text that fits."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        option.currentText = self.shown_text()
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
