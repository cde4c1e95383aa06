"""What several tests need to wait for or look at."""

from pathlib import Path

from pytestqt.qtbot import QtBot

from app.session import Session


def wait_for_step(qtbot: QtBot, session: Session, step: int) -> None:
    """Wait until the frame of a completed step is shown, nothing playing."""

    def there() -> bool:
        frame = session.frame
        done = frame is not None and (frame.phase is None or frame.phase.kind == "update")
        return done and frame is not None and frame.step == step and not session.playing

    qtbot.waitUntil(there, timeout=10_000)


def shared_blocks_of(name: str) -> bool:
    """Whether a block of shared memory of this name is still listed."""
    return Path("/dev/shm", name.lstrip("/")).exists()
