"""While a run plays at full speed the columns of the Flow view take turns: each frame paints what there is time for."""

from __future__ import annotations

from app.widgets.flow_layout import FlowLayout

WITHIN = 0.003  # seconds of a frame for the Flow view
MOST = 12  # frames until every column had its turn
MEMORY = 0.1  # of a new measurement in the cost that is remembered


class Turns:
    """Remembers what painting all columns costs, and whose turn it is."""

    def __init__(self) -> None:
        self._cost = 0.0  # seconds to paint them all
        self._next = 0

    def spent(self, seconds: float, share: float) -> None:
        """A painting of this share of the columns took so long."""
        cost = seconds / max(share, 1 / MOST)
        self._cost += MEMORY * (cost - self._cost) if self._cost else cost

    def take(self, layout: FlowLayout) -> range:
        """The next group of columns."""
        columns = len(layout.spans)
        groups = min(max(round(self._cost / WITHIN), 1), MOST, columns)
        turn = self._next % groups
        self._next = turn + 1
        return range(turn * columns // groups, (turn + 1) * columns // groups)


def edges(layout: FlowLayout, columns: range) -> tuple[int, int]:
    """From which pixel of the content to which some columns take, with half of the gaps beside them."""
    first, last = columns.start, columns.stop
    left = 0 if first == 0 else layout.spans[first].left - layout.gap // 2
    right = layout.size.width() if last == len(layout.spans) else layout.spans[last].left - layout.gap // 2
    return left, right
