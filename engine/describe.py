"""What is told of a network that stands: its layers, its data, its phases and tensors."""

from __future__ import annotations

from dataclasses import replace

from engine import protocol
from engine.boundary import extent, is_plane
from engine.explain import sources_of
from engine.layers import LayerSpec, Parameter
from engine.layers.base import Shape
from engine.protocol import DataInfo, LayerInfo
from engine.run import Run


def describe_live(run: Run) -> protocol.Adopted:
    """The event that tells of live fields that changed: all that is said of the network and hangs on them."""
    trainer, recipe = run.trainer, run.trainer.recipe
    network = trainer.network
    layers = [
        layer_info(spec, network.shapes[i], network.shapes[i + 1], {s.role: s.parameter for s in network.slots_of(i)})
        for i, spec in enumerate(recipe.layers)
    ]
    return protocol.Adopted(
        recipe=recipe,
        layers=tuple(layers),
        tensors=trainer.tensor_infos,
        loss_formulas=recipe.loss.formulas,
        update_formula=recipe.optimizer.formulas.get("update", ""),
    )


def layer_info(spec: LayerSpec, into: Shape, out: Shape, parameters: dict[str, Parameter]) -> LayerInfo:
    """What the screen says of one layer."""
    shapes = {role: parameter.shape for role, parameter in parameters.items()}
    count = sum(parameter.size for parameter in parameters.values())
    return LayerInfo(
        spec.kind(), spec.label(), spec.caption(into), into, out, shapes, count, spec.formulas, spec.multiply_adds(into)
    )


def describe_data(run: Run) -> DataInfo:
    """What the screen says of the data."""
    trainer = run.trainer
    samples, size, count = trainer.samples, trainer.recipe.batch_size, len(trainer.x)
    rest = count % size
    dropped = rest if trainer.recipe.data.drop_last else 0
    return DataInfo(
        training=count,
        validation=len(trainer.x_validation),
        shape=trainer.network.shapes[0],
        classes=samples.classes,
        image_shape=samples.image_shape,
        extent=extent(trainer) if is_plane(trainer) else None,
        statistics=replace(samples, x=trainer.x, labels=trainer.labels, values=None).statistics(),
        last_batch=rest if rest and not dropped else size,
        left_out=dropped,
    )


def describe(run: Run) -> protocol.Built:
    """The event that tells of a network that stands."""
    trainer, live = run.trainer, describe_live(run)
    return protocol.Built(
        recipe=live.recipe,
        layers=live.layers,
        data=describe_data(run),
        phases=tuple(trainer.all_phases),
        tensors=live.tensors,
        columns=run.history.columns,
        loss_title=live.recipe.loss.title(),
        loss_convention=live.recipe.loss.averaging,
        loss_formulas=live.loss_formulas,
        update_formula=live.update_formula,
        batches=trainer.batches,
        step=trainer.step_count,
        kept=run.kept,
        sources=tuple(sources_of(trainer, phase) for phase in trainer.all_phases),
    )
