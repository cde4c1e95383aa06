"""Makes the gallery anew from the real window: `python docs/make_gallery.py`, or with names of recipes only those.

Every recipe of the classroom at the moment that shows what it is there for: dark and light, on a small screen and a
large one, and presented. The page that shows the pictures is written too.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from PySide6.QtWidgets import QApplication

from app import cli

from make_pictures import Studio

HERE = Path(__file__).parent / "gallery"
SIZES = {"small": (1280, 800), "large": (1920, 1080)}
QUALITY = 72  # of WebP: the pictures are many
OTHERS = {
    "light-small": "light",
    "dark-large": "large, dark",
    "light-large": "large, light",
    "light-presented": "presented",
}
HEAD = """# Gallery

The recipes of the classroom, each at the moment that shows what it is there for: `python docs/make_gallery.py` makes
this page and its pictures anew.
"""


class Show(NamedTuple):
    """A moment of a recipe, and what it shows."""

    recipe: str
    steps: int
    words: str
    panel: str = ""  # brought to the front of its tabs
    tensor: str = ""  # selected
    presented: str = "flow"
    checked: bool = False  # the gradients of that moment


SHOWS = (
    Show(
        "by_hand", 1, "One step that can be followed on paper: the loss falls from 0.298371 to 0.291028.", tensor="0.W"
    ),
    Show(
        "vanishing",
        200,
        "Six sigmoid layers: what is passed back shrinks by four orders of magnitude.",
        tensor="0.grad_W",
    ),
    Show(
        "vanishing_cured",
        200,
        "The same with ReLU and He initialisation: every layer gets its share.",
        tensor="0.grad_W",
    ),
    Show("wrong_neuron_squared", 150, "A badly wrong neuron under squared error: flat at first, learning is slow."),
    Show(
        "wrong_neuron_cross_entropy",
        50,
        "The same neuron under cross-entropy: the larger the error, the faster it learns.",
    ),
    Show(
        "zero_init",
        50,
        "All weights zero: every gradient of a weight is exactly zero, nothing is ever learned.",
        tensor="0.grad_W",
    ),
    Show("constant_init", 500, "All weights alike: the units of a layer stay copies of each other.", tensor="0.W"),
    Show(
        "exploding_init",
        4,
        "Weights too large in ten layers: not a number after a few steps.",
        "health",
        presented="health",
    ),
    Show(
        "exploding_lr",
        20,
        "A learning rate of 2: each step overshoots more than the last.",
        "health",
        presented="curves",
    ),
    Show("dead_relu_lr", 60, "A learning rate of 3 killed the ReLUs of the second layer.", "health", "3.y"),
    Show("dead_relu_bias", 50, "A first bias of −5: no ReLU ever opens, the loss stands still.", "health", "1.y"),
    Show("tanh_scale_small", 200, "Weights too small for tanh: gradients of one millionth.", tensor="0.grad_W"),
    Show("tanh_scale_right", 200, "Weights about right for tanh.", tensor="0.grad_W"),
    Show("tanh_scale_large", 200, "Weights too large for tanh: its units are saturated.", "health", "3.y"),
    Show(
        "spiral_linear",
        400,
        "A spiral without a hidden layer: half of it wrong, whatever one does.",
        "beliefs",
        presented="data",
    ),
    Show("spiral_hidden", 1500, "The same with a hidden layer of 100 ReLUs.", "beliefs", presented="beliefs"),
    Show(
        "sanity_checks", 300, "Twenty samples are learned by heart: what any classifier must be able to do.", "beliefs"
    ),
    Show("residual_without", 100, "Twenty tanh layers: nothing of the gradient reaches the first.", tensor="0.grad_W"),
    Show("residual_with", 100, "The same with skips around them: the gradient arrives.", tensor="0.grad_W"),
    Show(
        "bug_bench",
        300,
        "A network whose backward pass is right.",
        "gradient_check",
        presented="gradient_check",
        checked=True,
    ),
    Show(
        "bug_bench_transposed",
        300,
        "W not transposed in backward: it learns all the same, the check names the bug.",
        "gradient_check",
        presented="gradient_check",
        checked=True,
    ),
    Show(
        "bug_bench_derivative",
        300,
        "The derivative of tanh taken twice: it learns all the same, the check names the bug.",
        "gradient_check",
        presented="gradient_check",
        checked=True,
    ),
)


def pictures(app: QApplication, show: Show) -> None:
    """All pictures of one moment."""
    studio = Studio(app, show.recipe, "dark")
    studio.train(show.steps)
    if show.tensor:
        studio.session.select(show.tensor)
    if show.checked:
        studio.check()
    if show.panel:
        studio.window.show_panel(show.panel)
    for look in ("dark", "light"):
        studio.window.appearance.set_mode(look)
        for size, pixels in SIZES.items():
            studio.window.resize(*pixels)
            save(studio, f"{show.recipe}-{look}-{size}")
    studio.window.presentation.begin(show.presented)
    save(studio, f"{show.recipe}-light-presented")
    studio.leave()


def save(studio: Studio, name: str) -> None:
    """The window as it is once everything in it has been drawn."""
    studio.rest()
    if not studio.window.grab().toImage().save(str(HERE / f"{name}.webp"), "WEBP", QUALITY):
        raise OSError(f"cannot write {name}.webp to {HERE}: is there room, and may it be written to?")


def page() -> str:
    """The gallery as a page of the guide."""
    parts = [HEAD]
    for show in SHOWS:
        title, stem = cli.find_recipe(show.recipe).name, f"gallery/{show.recipe}"
        links = [f"[{words}]({stem}-{name}.webp)" for name, words in OTHERS.items()]
        parts.append(f"## {title}\n\n{show.words}\n\n![{title}]({stem}-dark-small.webp)\n\n{' · '.join(links)}\n")
    return "\n".join(parts)


def on_a_screen(width: int, height: int) -> None:
    """Let Qt paint for a screen of this size."""
    screens = Path(tempfile.mkdtemp()) / "screens.json"
    screens.write_text(json.dumps({"screens": [{"name": "gallery", "width": width, "height": height}]}))
    os.environ["QT_QPA_PLATFORM"] = f"offscreen:configfile={screens}"


def main() -> int:
    """The recipes asked for, or all of them."""
    HERE.mkdir(exist_ok=True)
    on_a_screen(*SIZES["large"])
    app = QApplication([])
    for show in SHOWS:
        if not sys.argv[1:] or show.recipe in sys.argv[1:]:
            pictures(app, show)
    (HERE.parent / "gallery.md").write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
