"""What the numbers of health mean: sentences that name the layer and the step, the worst first.

Bounds are those that practitioners read by (Glorot and Bengio 2010 for variances and saturation; Karpathy, CS231n, for
updates of about a thousandth of their parameter; McCandlish et al. 2018 for the gradient noise scale).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import inf, isfinite, log
from typing import Literal

import msgspec
import numpy as np

from engine.frames import Array
from engine.gradient_path import Passage, passages, worst
from engine.health import SELDOM, dead, update_ratio, variance
from engine.recipe import Recipe
from engine.timeline import Timeline

Severity = Literal["bad", "odd", "good"]
ORDER: dict[Severity, int] = {"bad": 0, "odd": 1, "good": 2}
VANISHING = 1e-7  # mean |g| of a tensor
EATEN = 0.1  # of the gradient is passed on, or less
BLOWN_UP = 10.0
DEAD = 0.5  # of the units
SATURATED = 0.5  # of the entries
LARGE_UPDATE, SMALL_UPDATE = 3e-2, 1e-5  # of the parameter; 1e-3 is healthy
SPREAD = 10.0  # between the variances of neighbouring layers
OSCILLATING = -0.5  # mean cosine between gradients of steps in a row
FIRST_LOSS = 0.3  # of ln K, that a fresh classifier's loss may be off
WORSE = 0.05  # of the loss, by which an update may make its own mini-batch worse
NOISY = 20.0  # times the mini-batch
LATELY = 10  # steps that are looked at together
MOST_OF_A_KIND = 2  # sentences; a tower of forty layers would fill the screen with one


class Verdict(msgspec.Struct, frozen=True):
    """A sentence with where it leads: the tensor and the step since when it has been so."""

    severity: Severity
    sentence: str
    tensor: str = ""  # its address; "" for none
    step: int = 0
    quantity: str = ""
    value: float = 0.0


def verdicts(history: Timeline, step: int, recipe: Recipe, titles: Sequence[str], classes: int = 0) -> list[Verdict]:
    """What is to be said of a step, the worst first; at least one sentence once a step was made.

    `titles` name the layers, such as "Dense 64→32"; `classes` is the number of the data's classes, 0 for none.
    """
    if not 1 <= step <= len(history):
        return []
    lost = _lost(history, step)
    if lost is not None:
        return [lost]
    names = [f"Layer {i} ({title})" for i, title in enumerate(titles)]
    sources: tuple[Iterator[Verdict], ...] = (
        _gradient_path(history, step, recipe, names),
        _vanishing(history, step, names),
        _dead_units(history, step, names),
        _saturation(history, step, names),
        _updates(history, step),
        _variances(history, step, names),
        _loss_at_start(history, classes),
        _oscillation(history, step),
        _loss_drop(history, step),
        _noise(history, step, recipe.batch_size),
    )
    found = [verdict for source in sources for verdict in _few(source)]
    found.sort(key=lambda verdict: ORDER[verdict.severity])
    if found and found[0].severity == "bad":  # of a gradient that is hardly there, noise says nothing
        found = [verdict for verdict in found if verdict.quantity != "noise_scale"]
    return found or [Verdict("good", "Gradients, activations and updates are of a healthy size.", step=step)]


def _few(source: Iterator[Verdict]) -> list[Verdict]:
    """The worst of a kind, and how many more there are."""
    found = sorted(source, key=lambda verdict: ORDER[verdict.severity])
    if len(found) <= MOST_OF_A_KIND:
        return found
    more, last = len(found) - MOST_OF_A_KIND, found[MOST_OF_A_KIND - 1]
    sentence = f"{last.sentence} And so {more} more{' layers' if more > 1 else ''}."
    return [*found[: MOST_OF_A_KIND - 1], msgspec.structs.replace(last, sentence=sentence)]


# --- since when -----------------------------------------------------------------------------------


def since(history: Timeline, step: int, holds: Callable[[int], bool]) -> int:
    """The first of the steps in a row, up to this one, at which it holds; found in few looks where it is long ago."""
    if step <= 1 or not holds(step):
        return step
    reach, good = 1, step
    while good - reach >= 1 and holds(good - reach):
        good -= reach
        reach *= 2
    bad = max(good - reach, 0)
    while good - bad > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if holds(middle) else (good, middle)
    return good


def _lost(history: Timeline, step: int) -> Verdict | None:
    """The first step whose numbers are NaN or infinite."""
    loss = history["loss"][:step]
    bad = np.flatnonzero(~np.isfinite(loss))
    if not len(bad) or (bad[0] > 0 and not np.isfinite(loss[: bad[0]]).any()):
        return None
    first = int(bad[0]) + 1
    row, tensor = history.at(first), "loss.p"
    for place, name in enumerate(history.columns):
        if name.startswith(("gradient.", "parameter.")) and not np.isfinite(row[place]):
            kind, _, address = name.partition(".")
            where, _, role = address.partition(".")
            tensor = f"{where}.grad_{role}" if kind == "gradient" else address
            break
    what = "NaN" if np.isnan(loss[bad[0]]) else "infinite"
    sentence = f"The loss is {what} from step {first:,} on: lower the learning rate, or clip the gradients."
    return Verdict("bad", sentence, tensor, first, "loss", float(loss[bad[0]]))


# --- who ate my gradient --------------------------------------------------------------------------


def _gradient_path(history: Timeline, step: int, recipe: Recipe, names: Sequence[str]) -> Iterator[Verdict]:
    """The layer that changes the size of the gradient most, and by which of its parts."""
    found = passages(history, step, recipe.layers)
    eater = worst(found)
    if eater is None or EATEN < eater.factor < BLOWN_UP:
        total = _total(found)
        if total is not None and not 1e-3 < total < 1e3:
            word = "dies" if total < 1 else "explodes"
            sentence = (
                f"The gradient {word} bit by bit: {total:.2g} of it arrives at the first layer, {_share(found, names)}."
            )
            yield Verdict("bad", sentence, "0.grad_y", step, "factor", total)
        return

    def holds(at: int) -> bool:
        factor = next((p.factor for p in passages(history, at, recipe.layers) if p.layer == eater.layer), 1.0)
        return not EATEN < factor < BLOWN_UP

    first = since(history, step, holds)
    yield Verdict(
        "bad", path_sentence(history, step, eater, names), f"{eater.layer}.grad_x", first, "factor", eater.factor
    )


def _share(found: Sequence[Passage], names: Sequence[str]) -> str:
    """Which part does it, and the worst layer, such as "by the slopes f′ (1e-05; weights Wᵀ: 3.1); worst is …"."""
    eater = worst(found)
    parts = {part: _total([p for p in found if p.part == part]) or 1.0 for part in ("Wᵀ", "f′", "own")}
    main = max(parts, key=lambda part: abs(log(parts[part])))
    named = {"Wᵀ": "the weights Wᵀ", "f′": "the slopes f′", "own": "layers of other kinds"}
    others = ", ".join(f"{named[p]} {v:.2g}" for p, v in parts.items() if p != main and v != 1.0)
    most = f"; most by {names[eater.layer].replace('Layer', 'layer')}: {eater.factor:.2g}" if eater is not None else ""
    return f"by {named[main]} ({parts[main]:.2g}{'; ' + others if others else ''}){most}"


def path_sentence(history: Timeline, step: int, eater: Passage, names: Sequence[str]) -> str:
    """Such as "Layer 3 (Sigmoid 16) eats the gradient: it passes on 0.08 of it, by its slope f′."."""
    name, factor = names[eater.layer], eater.factor
    how = {
        "Wᵀ": "by its weights Wᵀ",
        "f′": "by its slope f′",
        "own": "by what it does itself, neither weights nor a slope",
    }[eater.part]
    saturated = history.value(f"saturated.{eater.layer}", step)
    why = f"; {100 * saturated:.0f} % of its outputs are saturated" if saturated > SATURATED else ""
    if factor == 0:
        return f"{name} eats the whole gradient, {how}{why}."
    if factor < 1:
        return f"{name} eats the gradient: it passes on {factor:.2g} of it, {how}{why}."
    return f"{name} blows the gradient up {factor:.3g} times, {how}."


def _total(found: Sequence[Passage]) -> float | None:
    """The product of all factors; None where one is no number."""
    logs = [log(p.factor) if p.factor > 0 and isfinite(p.factor) else inf for p in found]
    return float(np.exp(sum(logs))) if logs and isfinite(sum(logs)) else None


# --- layer by layer -------------------------------------------------------------------------------


def _of_columns(history: Timeline, prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in history.columns if name.startswith(prefix)]


def _lately(history: Timeline, column: str, step: int) -> Array:
    return np.asarray(history.rows(max(step - LATELY, 0), step)[:, history.columns.index(column)])


def _vanishing(history: Timeline, step: int, names: Sequence[str]) -> Iterator[Verdict]:
    for address in _of_columns(history, "mean_gradient."):
        size = history.value(f"mean_gradient.{address}", step)
        where, _, role = address.partition(".")
        if size >= VANISHING or not isfinite(size) or role == "b":
            continue
        first = since(history, step, lambda at, a=address: history.value(f"mean_gradient.{a}", at) < VANISHING)  # type: ignore[misc]
        text = "is exactly 0" if size == 0 else f"has vanished: {size:.1g} on average"
        sentence = f"{names[int(where)]}: the gradient of {role} {text}; it learns nothing."
        yield Verdict("bad", sentence, f"{where}.grad_{role}", first, "mean_gradient", size)


def _dead_units(history: Timeline, step: int, names: Sequence[str]) -> Iterator[Verdict]:
    for layer in map(int, _of_columns(history, "alive.")):
        share = dead(history, layer, step)
        if share > DEAD:
            first = since(history, step, lambda at, i=layer: dead(history, i, at) > DEAD)  # type: ignore[misc]
            what = "all of its units are dead" if share == 1 else f"{100 * share:.0f} % of its units are dead"
            yield Verdict("bad", f"{names[layer]}: {what} in this mini-batch.", f"{layer}.y", first, "dead", share)


def _saturation(history: Timeline, step: int, names: Sequence[str]) -> Iterator[Verdict]:
    for layer in map(int, _of_columns(history, "saturated.")):
        share = history.value(f"saturated.{layer}", step)
        if share > SATURATED:
            column = f"saturated.{layer}"
            first = since(history, step, lambda at, c=column: history.value(c, at) > SATURATED)  # type: ignore[misc]
            sentence = f"{names[layer]}: {100 * share:.0f} % of its outputs are saturated; its slope there is nearly 0."
            yield Verdict("bad", sentence, f"{layer}.y", first, "saturated", share)


def _updates(history: Timeline, step: int) -> Iterator[Verdict]:
    """Updates too large or too small for their parameter; biases start at 0, so weights alone are looked at."""
    if step <= LATELY:
        return
    for address in _of_columns(history, "update."):
        if address.rpartition(".")[2] != "W":
            continue
        ratios = [update_ratio(history, address, at) for at in range(step - LATELY + 1, step + 1)]
        ratio = float(np.median(ratios))
        where, _, role = address.partition(".")
        if ratio > LARGE_UPDATE:
            severity: Severity = "bad" if ratio > 10 * LARGE_UPDATE else "odd"
            sentence = (
                f"Updates of {address} are {ratio:.2g} of its size; about 0.001 is healthy: lower the learning rate."
            )
            yield Verdict(severity, sentence, f"{where}.update_{role}", step, "update_ratio", ratio)
        elif 0 < ratio < SMALL_UPDATE:
            sentence = (
                f"Updates of {address} are only {ratio:.1g} of its size: it hardly learns; raise the learning rate."
            )
            yield Verdict("odd", sentence, f"{where}.update_{role}", step, "update_ratio", ratio)


def _variances(history: Timeline, step: int, names: Sequence[str]) -> Iterator[Verdict]:
    layers = list(map(int, _of_columns(history, "rms.")))[:-1]  # the last gives scores
    sizes = [(layer, variance(history, layer, step)) for layer in layers]
    known = [(layer, size) for layer, size in sizes if isfinite(size) and size > 0]
    for (before, small), (layer, large) in pairwise(known):
        factor = large / small
        if not 1 / SPREAD < factor < SPREAD:
            word = "grows" if factor > 1 else "shrinks"
            times = factor if factor > 1 else 1 / factor
            where = f"from layer {before} to {names[layer][0].lower()}{names[layer][1:]}"
            sentence = f"The variance {word} {times:.3g} times {where}: bad first weights."
            yield Verdict("odd", sentence, f"{layer}.y", step, "variance", factor)


# --- the whole step -------------------------------------------------------------------------------


def _loss_at_start(history: Timeline, classes: int) -> Iterator[Verdict]:
    first = history.value("loss", 1)
    if classes < 2 or not isfinite(first):
        return
    expected = log(classes)
    if abs(first - expected) > FIRST_LOSS * expected:
        sentence = (
            f"The first loss was {first:.3g}, but a network that knows nothing has ln {classes} = {expected:.3g}: "
            "look at the first weights and the labels."
        )
        yield Verdict("odd", sentence, "loss.p", 1, "loss", first)


def _oscillation(history: Timeline, step: int) -> Iterator[Verdict]:
    if "cosine" not in history.columns or step <= LATELY:
        return
    lately = _lately(history, "cosine", step)
    known = lately[~np.isnan(lately)]  # there is none where nothing learns, or all is zero
    mean = float(known.mean()) if known.size else 0.0
    if mean < OSCILLATING:
        sentence = f"Gradients turn back every step (cosine {mean:.2f}): the learning rate is too large; halve it."
        yield Verdict("bad", sentence, "", step, "cosine", mean)


def _loss_drop(history: Timeline, step: int) -> Iterator[Verdict]:
    """Whether the last step that was measured made the loss of its own mini-batch worse."""
    at = step // SELDOM * SELDOM
    drop = history.value("loss_drop", at) if at else 0.0
    if drop < 0:
        sentence = (
            f"The update of step {at:,} made the loss of its own mini-batch worse, by {-drop:.2g}: too large a step."
        )
        yield Verdict("bad", sentence, "", at, "loss_drop", drop)


def _noise(history: Timeline, step: int, batch: int) -> Iterator[Verdict]:
    at = step // SELDOM * SELDOM
    scale = history.value("noise_scale", at) if at else 0.0
    if scale > NOISY * batch:
        sentence = (
            f"The gradient is mostly noise (noise scale {scale:.0f}, mini-batch {batch}): a larger one would help."
        )
        yield Verdict("odd", sentence, "", at, "noise_scale", scale)
