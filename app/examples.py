"""The recipes in the box as a menu: File → Examples, by what they show."""

from __future__ import annotations

import json
from functools import cache, partial
from importlib import resources
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QMenu

from engine.recipe import Recipe

if TYPE_CHECKING:
    from app.window import Window

GROUPS: dict[str, tuple[str, ...]] = {
    "Data to learn": ("digits", "spirals", "moons", "circles", "blobs", "xor"),
    "By hand": ("by_hand", "wrong_neuron_squared", "wrong_neuron_cross_entropy"),
    "Gradients that vanish": ("vanishing", "vanishing_cured", "deep_sigmoid", "residual_without", "residual_with"),
    "First weights": (
        *("zero_init", "constant_init", "exploding_init"),
        *("tanh_scale_small", "tanh_scale_right", "tanh_scale_large"),
    ),
    "Units that die, steps that explode": ("dead_relu_lr", "dead_relu_bias", "exploding_lr"),
    "What a network needs": ("spiral_linear", "spiral_hidden", "sanity_checks"),
    "Bugs that the loss hides": ("bug_bench", "bug_bench_transposed", "bug_bench_derivative"),
    "Notebooks": ("notebook_a", "notebook_b", "notebook_c", "notebook_d", "notebook_e"),
}


@cache
def titles() -> dict[str, str]:
    """What each recipe in the box is called, by its file's name."""
    folder = resources.files("resources").joinpath("recipes")
    files = [entry for entry in folder.iterdir() if entry.name.endswith(".json")]
    return {file.name.removesuffix(".json"): str(json.loads(file.read_bytes())["name"]) for file in files}


def examples_menu(window: Window, parent: QMenu) -> QMenu:
    """The menu; it is filled when it is first opened."""
    menu = QMenu("&Examples", parent)
    menu.menuAction().setToolTip("Open a recipe that comes with Nablascope")
    menu.aboutToShow.connect(partial(_fill, menu, window))
    return menu


def _fill(menu: QMenu, window: Window) -> None:
    if not menu.isEmpty():
        return
    known = titles()
    grouped = {name for names in GROUPS.values() for name in names}
    rest = tuple(sorted(known.keys() - grouped))
    for title, names in (*GROUPS.items(), ("More", rest)):
        if names:
            group = menu.addMenu(title)
            for name in names:
                group.addAction(known[name], partial(open_example, window, name))


def open_example(window: Window, name: str) -> None:
    """Train by a recipe in the box."""
    text = resources.files("resources").joinpath(f"recipes/{name}.json").read_bytes()
    window.say("", False)
    window.session.use(Recipe.from_json(text), fresh=True)
