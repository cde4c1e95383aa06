"""How much memory training takes: all that numpy and Python hold and add during steps, but the data itself."""

import gc
import tracemalloc
from math import prod

from engine.layers.reshape import Flatten, Reshape
from engine.trainer import Trainer

from training_nets import Net, make_trainer

STEPS = 3


def data_bytes(trainer: Trainer) -> int:
    """The bytes of the dataset, as it was loaded and as it is trained on."""
    samples = trainer.samples
    arrays = [samples.x, samples.labels, samples.values, trainer.x, trainer.targets, trainer.labels]
    arrays += [trainer.x_validation, trainer.targets_validation, trainer.labels_validation, trainer._order]
    return sum({id(array): array.nbytes for array in arrays if array is not None}.values())


def step_bytes(net: Net) -> int:
    """The peak during steps of all that is allocated from the building of the trainer on, without the data."""
    gc.collect()
    tracemalloc.start()
    try:
        trainer = make_trainer(net)
        trainer.step()
        tracemalloc.reset_peak()
        for _ in range(STEPS):
            trainer.step()
        return tracemalloc.get_traced_memory()[1] - data_bytes(trainer)
    finally:
        tracemalloc.stop()


def needed_bytes(net: Net) -> int:
    """Parameters × 3 (with gradient and update) + activations × 2 (with gradient), float32.

    Activations are the input and all outputs; those that Flatten and Reshape give are views and count for nothing.
    """
    shape: tuple[int, ...] = (net.inputs,)
    activations, parameters = net.batch * net.inputs, 0
    for spec in net.layers:
        parameters += sum(parameter.size for parameter in spec.parameters(shape).values())
        shape = spec.output_shape(shape)
        if not isinstance(spec, Flatten | Reshape):
            activations += net.batch * prod(shape)
    return 4 * (3 * parameters + 2 * activations)
