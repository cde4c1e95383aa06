"""One mini-batch at a time: batch, forward, loss, backward, update, each of them a phase one can stop at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from math import prod
from typing import Any, Literal

import msgspec
import numpy as np

from engine.before import Before
from engine.datasets import scaled
from engine.frames import Frame, Phase, Position, TensorInfo
from engine.frozen import FrozenPart, frozen_parts
from engine.layers.base import Array
from engine.layers.custom import take_up_own_code
from engine.motion import Motion
from engine.network import DATA, SHUFFLE, Network, Pass, Slot, check_outputs, random_stream
from engine.penalties import Penalty, penalties_of
from engine.recipe import Recipe, only_live_fields_differ
from engine.spec import RecipeError
from engine.threads import BlasThreads, threads_for

NEIGHBOURS = frozenset({"x", "y", "grad_x", "grad_y"})  # roles of what goes through a layer
EVALUATE_AT_ONCE = 512  # samples; bounds the memory of an evaluation, and the time until something else has its turn


class State(msgspec.Struct, frozen=True):
    """All that a trainer needs to go on bit for bit: arrays as bytes, and its place."""

    recipe: Recipe
    step: int
    parameters: bytes
    optimizer_slots: bytes
    buffers: bytes = b""


class Computing:
    """A context for arithmetic, as a class: of a small step a generator would be a noticeable part."""

    def __init__(self, threads: BlasThreads) -> None:
        self._threads, self._errors = threads, np.errstate(all="ignore")

    def __enter__(self) -> None:
        self._threads.__enter__()
        self._errors.__enter__()

    def __exit__(self, *_: object) -> None:
        self._errors.__exit__(None, None, None)
        self._threads.__exit__()


class Trainer:
    """Trains the network of a recipe. Raises RecipeError where the recipe cannot be built.

    A large network takes every core, or `most_threads` of them, from its first step to its last.
    """

    def __init__(self, recipe: Recipe, most_threads: int | None = None) -> None:
        self.recipe = recipe
        take_up_own_code(recipe.layers)
        samples = self.samples = recipe.data.load(random_stream(recipe.seed, DATA))
        self.network = Network(recipe, samples.x.shape[1:])
        check_outputs(recipe, self.network.shapes, len(samples.classes))
        self._load_samples()
        self._check_first_values()
        self.network.initialize()
        self._threads = BlasThreads(self.threads_within(most_threads))
        self.step_count = 0
        self.needs_input_gradient = False  # whether backward goes on to the data itself
        self.keeps_before = True  # whether what the update overwrites is kept then, to be explained
        self.before = Before(self.network, recipe)
        kinds = ("", "grad", "update", *recipe.optimizer.slot_names)
        self._rows = {kind: row for row, kind in enumerate(kinds)}  # of the network's store
        self._stored: dict[str, tuple[int, Slot]] = {}  # where the tensors asked for lie in it, by address
        self.batch_labels: Array | None = None  # of the present mini-batch, (B,)
        self._open_phases()
        self._open_record()

    @property
    def threads(self) -> int:
        """How many threads its matrix products get."""
        return self._threads.count

    def threads_within(self, most: int | None) -> int:
        """How many threads they would get where `most` is the limit; None: every core."""
        return threads_for(self.network.multiply_adds * self.recipe.batch_size, most)

    def _load_samples(self) -> None:
        """Split the samples into a training and a validation part, in the recipe's dtype."""
        recipe, samples, dtype = self.recipe, self.samples, self.network.dtype
        x = np.ascontiguousarray(samples.x, dtype)
        if not np.isfinite(x).all():
            raise RecipeError("data: the samples hold NaN or infinity; clean them first")
        try:
            targets = recipe.loss.targets(samples.labels, samples.values, self.network.shapes[-1][0], dtype)
        except ValueError as error:
            raise RecipeError(f"loss ({recipe.loss.kind()}): {error}") from None
        order = random_stream(recipe.seed, DATA, 1).permutation(len(x)) if recipe.data.shuffle else np.arange(len(x))
        held_out = round(len(x) * recipe.data.validation)
        training, validation = order[: len(x) - held_out], order[len(x) - held_out :]
        if recipe.batch_size > len(training):
            raise RecipeError(
                f"batch_size: a mini-batch of {recipe.batch_size} is larger than the {len(training)} training "
                f"samples; set it to {len(training)} or less"
            )
        if samples.scale != "none":
            samples = self.samples = scaled(samples, training)
            x = np.ascontiguousarray(samples.x, dtype)
        self.x, self.targets = x[training], targets[training]
        self.x_validation, self.targets_validation = x[validation], targets[validation]
        labels = samples.labels
        self.labels = None if labels is None else labels[training].astype(np.intp)
        self.labels_validation = None if labels is None else labels[validation].astype(np.intp)
        whole, rest = divmod(len(training), recipe.batch_size)
        self.batches = whole + (rest > 0 and not recipe.data.drop_last)
        self._epoch_drawn = -1

    def _check_first_values(self) -> None:
        """Raise RecipeError where given first values do not fit their parameter."""
        for slot in self.network.slots:
            try:
                slot.parameter.initializer.check(slot.parameter.shape)
            except ValueError as error:
                kind = self.recipe.layers[slot.layer].kind()
                raise RecipeError(f"layers[{slot.layer}] ({kind}) {slot.role}: {error}") from None

    # --- phases -----------------------------------------------------------------------------------

    def _open_phases(self) -> None:
        """Name every phase of a mini-batch once, in order."""
        layers = self.recipe.layers
        self._forward: list[dict[str | None, Phase]] = []
        for i, spec in enumerate(layers):
            self._forward.append({part: Phase("forward", i, part) for part in spec.forward_parts or (None,)})
        self._backward: list[dict[str, Phase]] = []
        for i, spec in enumerate(layers):
            parts = spec.backward_parts(self.network.shapes[i])
            self._backward.append({part: Phase("backward", i, part) for part in parts})
        forward = [phase for steps in self._forward for phase in steps.values()]
        self.all_phases: list[Phase] = [Phase("batch"), *forward, Phase("loss")]
        for parts_of_layer in reversed(self._backward):
            self.all_phases.extend(parts_of_layer.values())
        self.all_phases.append(Phase("update"))
        self._number = {phase: i for i, phase in enumerate(self.all_phases)}
        self._batch_phase, self._loss_phase, self._update_phase = Phase("batch"), Phase("loss"), Phase("update")
        self.phase: Phase | None = None

    def phases(self, batch: tuple[Any, Any] | None = None) -> Iterator[Phase]:
        """Train on one mini-batch, phase by phase; each phase is yielded when it has been computed.

        `batch` is (x, y) of your own, x (B, *in), y labels (B,) or values (B, K); by default the next one of the data.
        Advance it inside `with trainer.computing():`, as `step` does, or numpy warns of every overflow.
        """
        run = self._draw(batch)
        self.phase = self._batch_phase
        yield self.phase

        y = run.x
        for layer, steps in zip(run.layers, self._forward, strict=True):
            if None in steps:
                y = layer.forward(y)
                self.phase = steps[None]
                yield self.phase
            else:
                for part in layer.forward_steps(y):
                    self.phase = steps[part]
                    yield self.phase
                y = layer.y

        self.loss = run.loss.forward(y, run.targets)
        gradient = run.loss.backward()
        self.phase = self._loss_phase
        yield self.phase

        for layer, named in zip(reversed(run.layers), reversed(self._backward), strict=True):
            for part in layer.backward(gradient):
                self.phase = named[part]
                yield self.phase
            if layer is not run.layers[0]:
                gradient = layer.grad_x

        self._update()
        self._record(run, y)
        self.phase = self._update_phase
        yield self.phase

    def _update(self) -> None:
        """Add the penalties to the gradients, clip them, and let the optimizer move the parameters."""
        network, recipe, step = self.network, self.recipe, self.step_count
        if self.needs_input_gradient and self.keeps_before:  # somebody looks, and may ask
            self.before.keep(step, recipe, self._penalties, self._frozen)
        else:
            self.before.step = -1
        if self._penalties:
            self.penalty = sum((penalty.add() for penalty in self._penalties), 0.0)
        for part in self._frozen:
            part.hide()
        recipe.clip.clip(network.gradients)
        self.lr = recipe.schedule.rate(recipe.optimizer.lr, step - 1)
        self._motion.move(recipe.optimizer, self._frozen, step, self.lr)

    def step(self, batch: tuple[Any, Any] | None = None) -> Frame:
        """Train on one whole mini-batch (see `phases`) and return its frame."""
        with self.computing():
            for _ in self.phases(batch):
                pass
        return self.frame()

    def computing(self) -> Computing:
        """What all arithmetic runs in: NaN and infinity are shown, not warned of; threads for the network's size."""
        return Computing(self._threads)

    def _draw(self, batch: tuple[Any, Any] | None) -> Pass:
        """Put the next mini-batch, or the given one, into its pass."""
        if batch is not None:
            x, targets, labels = self._encode(*batch)
            run = self.network.at(len(x))
            np.copyto(run.x, x)
            run.targets, self.batch_labels = targets, labels
        else:
            chosen = self._chosen(self.step_count)
            run = self.network.at(len(chosen))
            np.take(self.x, chosen, axis=0, out=run.x, mode="clip")
            if run.drawn_targets is None:
                run.drawn_targets = np.empty((len(chosen), *self.targets.shape[1:]), self.targets.dtype)
            run.targets = np.take(self.targets, chosen, axis=0, out=run.drawn_targets, mode="clip")
            self.batch_labels = None if self.labels is None else self.labels[chosen]
        run.layers[0].needs_grad_x = self.needs_input_gradient
        self.current = run
        self.step_count += 1
        if self.network.begins:
            self.network.begin(run, self.step_count)
        return run

    def _chosen(self, done: int) -> Array:
        """Which training samples are the mini-batch that follows `done` steps; each epoch has its own random stream."""
        epoch, number = divmod(done, self.batches)
        if epoch != self._epoch_drawn:
            self._epoch_drawn = epoch
            self._order = np.arange(len(self.x))
            if self.recipe.data.shuffle:
                random_stream(self.recipe.seed, SHUFFLE, epoch).shuffle(self._order)
        size = self.recipe.batch_size
        return self._order[number * size : (number + 1) * size]

    @property
    def chosen(self) -> Array:
        """Which training samples are in the mini-batch in work, (B,); at step 0 those of the first."""
        return self._chosen(max(self.step_count - 1, 0))

    def _encode(self, x: Any, y: Any) -> tuple[Array, Array, Array | None]:
        """x, targets and labels of a caller's own mini-batch. Raises ValueError where shapes or labels do not fit."""
        x = np.asarray(x, self.network.dtype)
        shape, outputs = self.network.shapes[0], self.network.shapes[-1][0]
        if x.shape[1:] != shape or not len(x):
            raise ValueError(f"batch: x has shape {x.shape}, but the network takes (B, {', '.join(map(str, shape))})")
        y = np.asarray(y)
        if len(y) != len(x):
            raise ValueError(f"batch: {len(x)} samples but {len(y)} targets; give one target a sample")
        labels = y.astype(np.intp) if y.ndim == 1 and y.dtype.kind in "iu" else None
        if labels is not None and (labels.min() < 0 or labels.max() >= max(outputs, 2)):
            raise ValueError(f"batch: the labels run from {labels.min()} to {labels.max()}; give 0 to {outputs - 1}")
        if labels is None and self.recipe.loss.needs_classes and y.shape == (len(x), outputs):
            labels = y.argmax(axis=1)
        values = None if labels is not None else y.reshape(len(x), -1)
        return x, self.recipe.loss.targets(labels, values, outputs, self.network.dtype), labels

    def minibatch(self, batch: tuple[Any, Any] | None = None) -> tuple[Array, Array]:
        """x (B, *in) and targets of the given mini-batch, else of the one in work, else of the next; nothing moves on.

        Raises ValueError where the given one does not fit.
        """
        if batch is not None:
            return self._encode(*batch)[:2]
        if self.phase is not None:
            return self.current.x, self.current.targets
        chosen = self._chosen(self.step_count)
        return self.x[chosen], self.targets[chosen]

    # --- what is recorded of every step -----------------------------------------------------------

    def _open_record(self) -> None:
        """One number a column, one row a step, then norms of parameter, gradient and update.

        `loss` is the data's alone, `penalty` that of the layers' l1 and l2; the gradient is what the optimizer got:
        with the penalty's, and clipped. `lr` is the rate that was used.
        """
        slots = self.network.slots
        addresses = [slot.address for slot in slots]
        self.columns = ["loss", "penalty", "accuracy", "lr"]
        self.columns += [f"{kind}.{a}" for kind in ("parameter", "gradient", "update") for a in addresses]
        self.record = np.full(len(self.columns), np.nan)
        self.loss = self.lr = float("nan")
        self._open_update()
        self._motion: Motion = Motion(self.network, self.record[4:].reshape(3, len(slots)))
        self.current = self.network.at(self.recipe.batch_size)

    def _open_update(self) -> None:
        """Find what the layers' specs ask of the update, as they are now: l1 and l2, and what is frozen."""
        self.penalty = 0.0
        self._penalties: list[Penalty] = penalties_of(self.network, self.recipe.layers)
        self._frozen: list[FrozenPart] = frozen_parts(self.network, self.recipe.layers)

    def _record(self, run: Pass, y: Array) -> None:
        """Note the numbers of the step just computed."""
        record = self.record
        record[0] = self.loss
        record[1] = self.penalty
        record[2] = run.loss.hit_share(y, self.batch_labels)
        record[3] = self.lr

    def frame(self) -> Frame:
        """The picture of the present position: scalars, no tensors."""
        epoch, number = divmod(max(self.step_count - 1, 0), self.batches)
        started = self.step_count > 0
        scalars = dict(zip(self.columns, self.record.tolist(), strict=True))
        scalars["loss"] = self.loss  # of the mini-batch in work, once it is computed
        return Frame(self.position, self.phase, epoch + started, number + started, self.batches, scalars)

    @property
    def position(self) -> Position:
        """Where the trainer is: mini-batch and phase just computed."""
        return Position(self.step_count, -1 if self.phase is None else self._number[self.phase])

    # --- tensors ----------------------------------------------------------------------------------

    @property
    def parameters(self) -> dict[str, Array]:
        """Copies of the parameters by address: {"0.W": (in, out), "0.b": (out,)}."""
        return {a: v.copy() for a, v in self.network.views(self.network.parameters).items()}

    @property
    def gradients(self) -> dict[str, Array]:
        """Copies of the gradients of the last backward, same keys and shapes as `parameters`."""
        return {a: v.copy() for a, v in self.network.views(self.network.gradients).items()}

    def set_parameters(self, values: Mapping[str, Any]) -> None:
        """Write parameters by address. Raises KeyError or ValueError, and then nothing is changed."""
        views = self.network.views(self.network.parameters)
        ready = {}
        for address, value in values.items():
            if address not in views:
                raise KeyError(f"no parameter {address!r}; there are {', '.join(views) or 'none'}")
            array = np.asarray(value, self.network.dtype)
            if array.shape != views[address].shape:
                raise ValueError(f"{address} has shape {views[address].shape}, but the value has {array.shape}")
            ready[address] = array
        for address, array in ready.items():
            views[address][...] = array

    def predict(self, x: Any) -> Array:
        """What the network believes of x (N, *in): probabilities or values, (N, out)."""
        x = np.asarray(x, self.network.dtype)
        if x.shape[1:] != self.network.shapes[0]:
            raise ValueError(f"x has shape {x.shape}, but the network takes (N, *{self.network.shapes[0]})")
        with self.computing():
            return self.current.loss.believe(self.network.apply(x))

    def evaluate(
        self, part: Literal["training", "validation"] = "validation", between: Callable[[], None] = lambda: None
    ) -> tuple[float, float]:
        """Loss and accuracy on the whole training or validation part; NaN where there is none.

        `between` is called between the pieces of a long one; it must leave the trainer as it is.
        """
        if part == "training":
            x, targets, labels = self.x, self.targets, self.labels
        else:
            x, targets, labels = self.x_validation, self.targets_validation, self.labels_validation
        if not len(x):
            return float("nan"), float("nan")
        total, right = 0.0, 0.0
        loss = self.network.at(self.recipe.batch_size).loss  # a "sum" is that of a mini-batch, here too
        for start in range(0, len(x), EVALUATE_AT_ONCE):
            if start:
                between()
            chosen = slice(start, start + EVALUATE_AT_ONCE)
            with self.computing():
                y = self.network.apply(x[chosen])
                total += float(loss.per_sample(y, targets[chosen]).sum(dtype=np.float64))
            right += len(y) * loss.hit_share(y, None if labels is None else labels[chosen])
        return total / len(x), right / len(x)

    def tensor(self, address: str) -> Array | None:
        """The tensor at an address (see `tensor_infos`), as the engine holds it; None where there is none."""
        if address in self._stored:
            row, slot = self._stored[address]
            return slot.view(self.network.store[row])
        where, _, role = address.partition(".")
        run, network = self.current, self.network
        if where == "data":
            return {"x": run.x, "labels": self.batch_labels, "targets": run.targets}.get(role)
        if where == "loss":
            return {"p": run.loss.p, "grad_y": run.loss.grad_y}.get(role)
        if not where.isdigit() or int(where) >= len(run.layers):
            return None
        index = int(where)
        if role in NEIGHBOURS:
            return self._beside(index, role)
        inner = run.layers[index].inner(role)
        if inner is not None:
            return inner
        for buffer in network.buffer_slots:
            if buffer.address == address:
                return buffer.view(network.buffers)
        found = self.of_parameter(index, role)
        if found is None:
            return None
        kind, slot = found
        if kind == "penalty":
            return next((p.added for p in self._penalties if p.address == address), None)
        row, _ = self._stored[address] = self._rows[kind], slot
        return slot.view(network.store[row])

    def _beside(self, index: int, role: str) -> Array:
        """What goes into a layer or comes out of it, forwards or backwards."""
        run = self.current
        if role == "y":
            return run.layers[index].y
        if role == "grad_x":
            return run.layers[index].grad_x
        if role == "x":
            return run.layers[index - 1].y if index else run.x
        return run.layers[index + 1].grad_x if index + 1 < len(run.layers) else run.loss.grad_y

    def of_parameter(self, layer: int, role: str) -> tuple[str, Slot] | None:
        """What a role of a layer is of a parameter, "" itself, "grad", "update", "penalty" or a slot's name; and whose.

        None: it is of no parameter.
        """
        for slot in self.network.slots_of(layer):
            kind = role.removesuffix(slot.role).removesuffix("_")
            if role == f"{kind}_{slot.role}".removeprefix("_") and (kind in self._rows or kind == "penalty"):
                return kind, slot
        return None

    @property
    def has_input_gradient(self) -> bool:
        """Whether the present mini-batch's backward goes on to the data itself, so that 0.grad_x stands."""
        return self.current.layers[0].needs_grad_x

    @cached_property
    def tensor_infos(self) -> dict[str, TensorInfo]:
        """Every tensor there is, by address, with shape and the phase that computes it."""
        b, shapes, last = self.recipe.batch_size, self.network.shapes, len(self.recipe.layers) - 1
        number = self._number
        made = {"data.x": TensorInfo((b, *shapes[0]), 0)}
        if self.labels is not None:
            made["data.labels"] = TensorInfo((b,), 0)
        for i in range(last + 1):
            steps = self._forward[i]
            made[f"{i}.x"] = TensorInfo((b, *shapes[i]), made[f"{i - 1}.y"].made_by if i else 0)
            for role, shape in self.recipe.layers[i].inner_shapes(shapes[i], b).items():
                made[f"{i}.{role}"] = TensorInfo(shape, number[steps[role]])
            forward = steps.get("y") or steps[None]
            for role, (shape, part) in self.recipe.layers[i].held(shapes[i], b).items():
                made[f"{i}.{role}"] = TensorInfo(shape, number[self._backward[i].get(part, forward)])
            made[f"{i}.y"] = TensorInfo((b, *shapes[i + 1]), number[forward])
            above = self._loss_phase if i == last else self._backward[i + 1]["grad_x"]
            made[f"{i}.grad_y"] = TensorInfo((b, *shapes[i + 1]), number[above])
            made[f"{i}.grad_x"] = TensorInfo((b, *shapes[i]), number[self._backward[i]["grad_x"]])
        for slot in self.network.slots:
            shape, i = slot.parameter.shape, slot.layer
            made[slot.address] = TensorInfo(shape, -1)
            made[f"{i}.grad_{slot.role}"] = TensorInfo(shape, number[self._backward[i][f"grad_{slot.role}"]])
            for kind in list(self._rows)[2:]:
                made[f"{i}.{kind}_{slot.role}"] = TensorInfo(shape, number[self._update_phase])
        made |= {slot.address: TensorInfo(slot.parameter.shape, -1) for slot in self.network.buffer_slots}
        for penalty in self._penalties:
            made[penalty.address] = TensorInfo(penalty.weights.shape, number[self._update_phase])
        for role in ("p", "grad_y"):
            made[f"loss.{role}"] = TensorInfo((b, prod(shapes[-1])), number[self._loss_phase])
        return made

    # --- going on elsewhere -----------------------------------------------------------------------

    def adopt(self, recipe: Recipe) -> bool:
        """Take a recipe that differs in live fields only, from the next step on; False where it differs in more."""
        if not only_live_fields_differ(self.recipe, recipe):
            return False
        self.recipe = self.network.recipe = recipe
        self._open_update()
        self.__dict__.pop("tensor_infos", None)
        return True

    def state(self) -> State:
        """Everything needed to go on bit for bit, here or in another process, from the last whole step."""
        network = self.network
        whole = self.phase in (None, self._update_phase)
        return State(
            self.recipe,
            self.step_count - (not whole),
            network.parameters.tobytes(),
            network.optimizer_slots.tobytes(),
            (network.buffers if whole else network.buffers_before).tobytes(),
        )

    def abandon(self) -> None:
        """Forget the mini-batch that is begun, as if it had never been drawn."""
        if self.phase not in (None, self._update_phase):
            self.network.buffers[...] = self.network.buffers_before
            self.step_count -= 1
            self.phase = None

    def restore(self, state: State) -> None:
        """Go back to a state of the same network. Raises ValueError where it is of another one."""
        network = self.network
        parameters = np.frombuffer(state.parameters, network.dtype)
        slots = np.frombuffer(state.optimizer_slots, network.dtype)
        buffers = np.frombuffer(state.buffers, network.dtype)
        if buffers.size != network.buffers.size:
            raise ValueError("the state belongs to a network of other shapes; restore it into its own")
        if parameters.size != network.parameters.size or slots.size != network.optimizer_slots.size:
            raise ValueError("the state belongs to a network of other shapes; restore it into its own")
        self.go_to(state.step, parameters, slots, buffers)

    def go_to(self, step: int, parameters: Array, slots: Array, buffers: Array) -> None:
        """Stand where `step` mini-batches have just been done, with these flat arrays of fitting sizes."""
        network = self.network
        network.store[1:3] = 0
        network.parameters[...] = parameters
        network.buffers[...] = buffers
        network.optimizer_slots[...] = slots.reshape(network.optimizer_slots.shape)
        self.step_count = step
        self.phase = None  # of the last mini-batch only the parameters are left
        self.record.fill(np.nan)
        self.loss = float("nan")
