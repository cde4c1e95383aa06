"""Whether a second thread pays: a recorded step on one thread against the same on every core, by the network's size.

What it shows decides `engine.threads.WORTH_SHARING`; the chosen number of threads must not be the slower one.
"""

import sys
from collections.abc import Callable, Iterator

from engine import threads
from engine.trainer import Trainer

import report
from training_nets import dense_net, make_trainer

CASES = [
    ((64, 32, 16, 10), 32),
    ((784, 100, 200, 10), 32),
    ((784, 64, 16, 10), 256),
    ((784, 256, 256, 10), 128),
    ((784, 512, 512, 10), 128),
    ((784, 1024, 1024, 10), 256),
]
ROUNDS = 9
PIECE = 2_000_000_000  # multiply-adds of a forward in one timed piece


def stepping(trainer: Trainer, count: int, steps: int) -> Callable[[], None]:
    """Some steps on so many threads."""

    def run() -> None:
        trainer._threads = threads.BlasThreads(count)
        for _ in range(steps):
            trainer.step()

    return run


def measure() -> Iterator[report.Figure]:
    """The speed on every core over that on one thread, and that of the choice over the other."""
    for sizes, batch in CASES:
        trainer = make_trainer(dense_net(sizes, batch))
        work = trainer.network.multiply_adds * batch
        steps = max(3, min(200, PIECE // work))
        alone, together = (stepping(trainer, count, steps) for count in (1, threads.cores()))
        speed = report.ratio_of_medians(alone, together, ROUNDS)
        name = f"{'-'.join(map(str, sizes))} B{batch}, {work / 1e6:.1f} M multiply-adds"
        yield report.figure(name, f"speed of {threads.cores()} threads over one", speed, "×", None, at_least=True)
        chosen = speed if threads.threads_for(work) > 1 else 1 / speed
        yield report.figure(name, "speed of the choice over the other", chosen, "×", 0.7, at_least=True)


if __name__ == "__main__":
    sys.exit(report.main("threads", measure))
