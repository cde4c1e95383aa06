"""Bugs in a recipe, as the bench plants them: where which can live, one planted or taken out, a hidden one guessed."""

from __future__ import annotations

import random
from typing import NamedTuple

import msgspec

from engine.bugs import CATALOGUE, PlantedBug
from engine.plants import plants_for
from engine.protocol import Built
from engine.recipe import Recipe

LOSS = -1


class Place(NamedTuple):
    """A layer, or the loss, with the bugs that can live there."""

    layer: int
    title: str
    slugs: tuple[str, ...]


def places(network: Built) -> tuple[Place, ...]:
    """Every place of a network where a bug can be planted."""
    recipe = network.recipe
    found = [
        Place(i, f"{i} {told.caption}", plants_for(spec, told.in_shape))
        for i, (spec, told) in enumerate(zip(recipe.layers, network.layers, strict=True))
    ]
    found.append(Place(LOSS, f"loss: {network.loss_title}", plants_for(recipe.loss, network.layers[-1].out_shape)))
    return tuple(place for place in found if place.slugs)


def title(slug: str) -> str:
    """A bug's name for people."""
    return CATALOGUE[slug].title if slug in CATALOGUE else slug


def planted(recipe: Recipe, layer: int, slug: str, *, hidden: bool = False) -> Recipe:
    """The recipe with this bug; one that was in the same place, and any hidden one, is taken out."""
    others = tuple(bug for bug in recipe.bugs if bug.layer != layer and not bug.hidden and not hidden)
    return msgspec.structs.replace(recipe, bugs=(*others, PlantedBug(layer=layer, slug=slug, hidden=hidden)))


def with_hidden(network: Built, rng: random.Random) -> Recipe:
    """The network's recipe with one bug, any that is possible anywhere, hidden; it is another than the last one."""
    before = [(bug.layer, bug.slug) for bug in network.recipe.bugs]
    possible = [(place.layer, slug) for place in places(network) for slug in place.slugs]
    layer = rng.choice(sorted({layer for layer, slug in possible if (layer, slug) not in before}))
    slug = rng.choice([slug for where, slug in possible if where == layer and (where, slug) not in before])
    return planted(network.recipe, layer, slug, hidden=True)


def without_bugs(recipe: Recipe) -> Recipe:
    """The recipe as it should be."""
    return msgspec.structs.replace(recipe, bugs=())


def revealed(recipe: Recipe) -> Recipe:
    """The recipe with every hidden bug in the open."""
    return msgspec.structs.replace(
        recipe, bugs=tuple(msgspec.structs.replace(bug, hidden=False) for bug in recipe.bugs)
    )


def hidden_bug(recipe: Recipe) -> PlantedBug | None:
    """The bug that is to be guessed, if there is one."""
    return next((bug for bug in recipe.bugs if bug.hidden), None)


def judge_guess(bug: PlantedBug, layer: int, slug: str) -> tuple[bool, str]:
    """Whether a guess is right, and what is said of it."""
    if (layer, slug) == (bug.layer, bug.slug):
        return True, "Right: this is the bug, and this is its place."
    if layer == bug.layer:
        return False, "The place is right, but the bug is another."
    if slug == bug.slug:
        return False, "The bug is right, but it is in another place."
    return False, "No: another bug, in another place."


def badge_text(recipe: Recipe, network: Built) -> tuple[str, str]:
    """What the badge says, and its tool tip; "" where there is no bug."""
    if not recipe.bugs:
        return "", ""
    if hidden_bug(recipe) is not None:
        return "? a bug is hidden", "Somewhere a bug is planted: find it, guess it, reveal it"
    if len(recipe.bugs) > 1:
        return f"✗ {len(recipe.bugs)} bugs planted", "\n".join(where(bug, network) for bug in recipe.bugs)
    return f"✗ bug in {short_place(recipe.bugs[0], network)}", where(recipe.bugs[0], network)


def short_place(bug: PlantedBug, network: Built) -> str:
    """Such as "2 Dense", or "loss"."""
    inside = 0 <= bug.layer < len(network.layers)
    return f"{bug.layer} {network.layers[bug.layer].title}" if inside else "the loss"


def where(bug: PlantedBug, network: Built) -> str:
    """Such as "2 Dense: The sign is flipped"."""
    return f"{short_place(bug, network)}: {title(bug.slug)}"
