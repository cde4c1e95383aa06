"""Makes the pictures of this folder anew, from the real window: `python docs/make_pictures.py`."""

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication

from app import cli, theme
from app.link import EngineLink
from app.session import Session
from app.widgets.flow_view import FlowView
from app.widgets.throttle import Throttle
from app.window import Window
from engine.conditions import DeadUnits
from engine.recipe import Recipe

HERE = Path(__file__).parent
SIZE = (1440, 900)
PANEL = (760, 560)
# Two of the four samples lie exactly where a ReLU without a bias has its corner.
ON_THE_CORNER: dict[str, Any] = {
    "name": "On the corner",
    "data": {"kind": "given", "x": [[0, 0], [1, 2], [0, 0], [2, -1]], "labels": [0, 1, 0, 1], "values": []},
    "layers": [{"kind": "dense", "units": 4}, {"kind": "relu"}, {"kind": "dense", "units": 2}],
    "batch_size": 4,
}

CONV: dict[str, Any] = {
    "name": "A small convolutional net",
    "data": {"kind": "digits"},
    "layers": [
        {"kind": "reshape", "shape": [1, 8, 8]},
        {"kind": "conv2d", "filters": 8, "kernel": 3},
        {"kind": "relu"},
        {"kind": "max_pool2d"},
        {"kind": "flatten"},
        {"kind": "dense", "units": 10},
    ],
}
TOWER: dict[str, Any] = {
    "name": "Forty layers",
    "data": {"kind": "digits"},
    "layers": [*[{"kind": "dense", "units": 16}, {"kind": "sigmoid"}] * 20, {"kind": "dense", "units": 10}],
}


class Studio:
    """A window on one recipe that can be led to a moment and pictured."""

    def __init__(self, app: QApplication, recipe: str | Recipe, look: theme.Mode) -> None:
        self.app = app
        self.link = EngineLink()
        self.session = Session(self.link, cli.find_recipe(recipe) if isinstance(recipe, str) else recipe)
        self.window = Window(self.session, self.link, theme.Appearance(app, look))
        self.window.resize(*SIZE)
        self.window.show()
        self.wait(lambda: self.session.frame is not None)

    def wait(self, done: Callable[[], bool], seconds: float = 30.0) -> None:
        """Let the window live until something is so."""
        end = time.monotonic() + seconds
        while not done() and time.monotonic() < end:
            self.app.processEvents()
            time.sleep(0.002)

    def rest(self, seconds: float = 0.7) -> None:
        """Let everything that takes turns be drawn."""
        self.wait(lambda: False, seconds)
        self.wait(lambda: not any(throttle.resting for throttle in self.window.findChildren(Throttle)))

    def train(self, steps: int) -> None:
        """Train so many mini-batches."""
        goal = self.session.frame.step + steps if self.session.frame else steps
        self.session.train(steps)
        self.wait(lambda: self._at(goal))

    def _at(self, step: int) -> bool:
        return self.session.frame is not None and self.session.frame.step == step and not self.session.playing

    def step_to(self, phase: str) -> None:
        """Go on part by part until the phase just computed is this one."""
        while str(self.session.frame.phase if self.session.frame else "") != phase:
            before = self.session.frame
            self.session.step("part")
            self.wait(lambda before=before: self.session.frame is not before)  # type: ignore[misc]

    def fork(self, at: int, steps: int) -> None:
        """Train, go back, change a weight, and train as far again."""
        self.train(steps)
        self.session.seek(at)
        self.wait(lambda: self._at(at))
        self.session.edit("0.W", (20, 3), 40.0)
        self.wait(lambda: self.session.fork == 1)
        self.train(steps - at)

    def fold(self) -> None:
        """Fold equal groups of layers in the Flow view."""
        view = self.window.findChild(FlowView)
        assert view is not None
        view.fold_all()

    def break_at(self, condition: DeadUnits, steps: int) -> None:
        """Train until a condition comes true, and show what was waited for."""
        self.session.add_break(condition)
        self.session.train(steps)
        self.wait(lambda: False, 0.5)
        self.wait(lambda: not self.session.playing)
        self.window.show_panel("breakpoints")
        self.window.show_panel("health")

    def check(self) -> None:
        """Check the gradients."""
        self.session.check("full")
        self.wait(lambda: self.session.last_check is not None)

    def take(self, name: str) -> None:
        """Save the window as a picture, and let it go."""
        self.rest()
        self.window.grab().save(str(HERE / f"{name}.png"))
        self.leave()

    def take_check(self, name: str) -> None:
        """Check, save the panel of the gradient check alone, and let the window go."""
        dock = self.window.docks["gradient_check"]
        dock.setFloating(True)
        dock.resize(*PANEL)
        self.check()
        self.rest(1.5)
        dock.grab().save(str(HERE / f"{name}.png"))
        self.leave()

    def leave(self) -> None:
        """Close window and engine."""
        self.window.close()
        self.link.close()
        self.window.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def main() -> int:
    """Every picture, one after the other."""
    app = QApplication([])
    for look in ("dark", "light"):
        studio = Studio(app, "digits", look)
        studio.train(147)
        studio.check()
        studio.take(f"digits-{look}")
        studio = Studio(app, "spirals", look)
        studio.train(1500)
        studio.take(f"spirals-{look}")
        studio = Studio(app, "digits", look)
        studio.train(146)
        studio.session.select("2.grad_W", (1, 3))
        studio.step_to("backward 2 grad_W")
        studio.take(f"mid-backward-{look}")
    for look in ("dark", "light"):
        studio = Studio(app, "digits", look)
        studio.fork(at=60, steps=150)
        studio.take(f"forks-{look}")
    studio = Studio(app, Recipe.from_builtins(CONV), "dark")
    studio.train(300)
    studio.take("conv-dark")
    studio = Studio(app, Recipe.from_builtins(TOWER), "dark")
    studio.train(30)
    studio.take("forty-layers-dark")
    studio = Studio(app, Recipe.from_builtins(TOWER), "dark")
    studio.fold()
    studio.train(30)
    studio.take("forty-layers-folded-dark")
    studio = Studio(app, "residual_with", "dark")
    studio.train(30)
    studio.take("residual-dark")
    studio = Studio(app, "deep_sigmoid", "light")
    studio.train(200)
    studio.window.presentation.begin("flow")
    studio.window.resize(*SIZE)
    studio.take("presentation-light")
    studio = Studio(app, "dead_relu_lr", "dark")
    studio.break_at(DeadUnits(above=0.5), steps=60)
    studio.take("breakpoint-dark")
    studio = Studio(app, "deep_sigmoid", "dark")
    studio.train(200)
    studio.take("vanishing-dark")
    for verdict, recipe, steps in (
        ("pass", "digits", 147),
        ("fail", "bug_bench_transposed", 20),
        ("kink", Recipe.from_builtins(ON_THE_CORNER), 1),
        ("unresolvable", "dead_relu_bias", 20),
    ):
        studio = Studio(app, recipe, "light")
        studio.train(steps)
        studio.take_check(f"verdict-{verdict}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
