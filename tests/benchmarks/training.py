"""Training steps with everything recorded, against PyTorch eager that records nothing, and against bare products.

One thread, float32. Recorded at each step: loss, accuracy, norms of gradient, parameters and update per tensor. Then
the memory of a step, against what parameters and activations need; and the accuracies that the notebooks reach.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator

from engine.layers.dropout import Dropout
from engine.layers.norm import BatchNorm, LayerNorm
from engine.threads import BlasThreads

import report
import training_accuracy
from training_memory import needed_bytes, step_bytes
from training_nets import CONV_NET, Net, bare_products, dense_net, make_trainer, torch_step

ROUNDS = 41
PIECE = 0.015  # seconds of steps in one timed piece, at least a step

AGAINST_TORCH = [
    (dense_net((64, 32, 16, 10), 32), 2.5),
    (dense_net((784, 100, 200, 10), 32), 1.3),
    (dense_net((784, 64, 16, 10), 256), 1.25),
    (dense_net((256, 128, 64, 32, 16, 8, 4), 32), 1.7),
    (CONV_NET, 0.4),
    *(
        (dense_net(sizes, 32, layer), 1.0)
        for layer in (BatchNorm(), LayerNorm(), Dropout())
        for sizes in ((64, 32, 16, 10), (784, 100, 200, 10))
    ),
]
LARGE = (784, 1024, 1024, 10), 256
MEMORY = [dense_net(*LARGE), dense_net((784, 100, 200, 10), 32), CONV_NET]


def speed(ours: Callable[[], object], rival: Callable[[], object]) -> float:
    """The time of the rival's step over that of ours, both on one thread."""
    with BlasThreads(1):
        ours(), rival()
        steps = max(1, round(PIECE / report.seconds(ours)))
        return 1 / report.ratio_of_medians(repeated(ours, steps), repeated(rival, steps), ROUNDS)


def repeated(step: Callable[[], object], steps: int) -> Callable[[], None]:
    """Many steps in one timed piece."""

    def many() -> None:
        for _ in range(steps):
            step()

    return many


def against_torch(net: Net, bar: float) -> report.Figure:
    """The speed of a step over that of PyTorch's."""
    found = speed(make_trainer(net).step, torch_step(net))
    return report.figure(net.name, "speed against PyTorch eager", found, "×", bar, at_least=True)


def measure() -> Iterator[report.Figure]:
    """A row per network and rival, per network's memory, and per notebook's accuracy."""
    if importlib.util.find_spec("torch"):
        for net, bar in AGAINST_TORCH:
            yield against_torch(net, bar)
    else:
        print("no comparison with PyTorch: it is not installed", file=sys.stderr)
    large = dense_net(*LARGE)
    found = speed(make_trainer(large).step, bare_products(*LARGE))
    yield report.figure(large.name, "speed against bare matrix products", found, "×", 0.88, at_least=True)
    for net in MEMORY:
        share = step_bytes(net) / needed_bytes(net)
        name = "memory of a step over parameters × 3 + activations × 2"
        yield report.figure(net.name, name, share, "×", 1.3, at_least=False)
    yield from training_accuracy.measure()


if __name__ == "__main__":
    sys.exit(report.main("training", measure))
