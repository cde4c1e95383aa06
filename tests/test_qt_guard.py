"""A guard for the Qt binding: some of its releases drop references to None and True until Python aborts."""

import sys

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QApplication


class Speaker(QObject):
    """Something that says yes, no and nothing."""

    said = Signal(object)
    agreed = Signal(bool)


def test_signals_and_event_loops_lose_no_reference_to_none_or_true(qapp: QApplication) -> None:
    speaker, heard = Speaker(), 0

    def hear(_: object) -> None:
        nonlocal heard
        heard += 1

    speaker.said.connect(hear)
    speaker.agreed.connect(hear)
    before = [sys.getrefcount(thing) for thing in (None, True, False)]
    for _ in range(200):
        speaker.said.emit(None)
        speaker.agreed.emit(True)
        qapp.processEvents()
    after = [sys.getrefcount(thing) for thing in (None, True, False)]
    assert heard == 400
    # From Python 3.12 on these objects never die, and their counts, beyond 2**30, mean no number of references.
    lost = [then - now for now, then in zip(after, before, strict=True) if now < 2**30]
    assert all(count < 50 for count in lost), (before, after)
