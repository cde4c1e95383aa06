"""The command line: its arguments, and `nablascope train`, which needs no window."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import NoReturn

from engine.export import Target
from engine.owncode import trust
from engine.recipe import Recipe
from engine.spec import RecipeError
from engine.subject import SubjectError
from engine.trainer import Trainer

SUFFIX = ".nabla"  # of a session's file
DEFAULT_RECIPE = "digits"
WITHOUT_DISPLAY = 300  # mini-batches trained for the picture when there is no display


def shipped_recipes() -> list[str]:
    """The names of the recipes that come with Nablascope."""
    folder = resources.files("resources").joinpath("recipes")
    return sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))


def find_recipe(name: str | None) -> Recipe:
    """The recipe in a file, or the shipped one of that name. Raises RecipeError with one sentence."""
    name = name or DEFAULT_RECIPE
    if name in shipped_recipes() and not Path(name).is_file():
        return Recipe.from_json(resources.files("resources").joinpath(f"recipes/{name}.json").read_bytes())
    return Recipe.from_file(name)


def is_session(name: str | None) -> bool:
    """Whether a session's file is named, and not a recipe. Raises RecipeError where it does not exist."""
    if name is None or Path(name).suffix.lower() != SUFFIX:
        return False
    if not Path(name).is_file():
        raise RecipeError(f"{name} does not exist, or is no file; check the path")
    return True


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments; leaves with exit code 2 and a sentence where they are wrong."""
    arguments = list(arguments)
    if arguments[:1] == ["train"]:
        return _train_parser().parse_args(arguments[1:])
    if arguments[:1] == ["check"]:
        from app.check_command import parser  # its half of the engine is only needed here

        return parser().parse_args(arguments[1:])
    if arguments[:1] == ["export"]:
        return _export_parser().parse_args(arguments[1:])
    return _window_parser().parse_args(arguments)


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 on, not {text!r}")
    return number


def _window_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nablascope",
        description="An oscilloscope for backpropagation. `nablascope train RECIPE` trains without a window, "
        "`nablascope check FILE.py` checks the gradients of your own code, "
        "`nablascope export RECIPE` writes it as a script.",
    )
    known = ", ".join(shipped_recipes())
    parser.add_argument(
        "recipe", nargs="?", metavar="RECIPE", help=f"a recipe's JSON file, a session's .nabla, or one of {known}"
    )
    parser.add_argument("--steps", type=_count, metavar="N", help="mini-batches to train at the start")
    _add_trust(parser)
    parser.add_argument("--screenshot", metavar="PNG", help="train, save the window as a picture, and end")
    parser.add_argument("--probe-start", action="store_true", help=argparse.SUPPRESS)  # for the start-up benchmark
    parser.set_defaults(command="window")
    return parser


def _train_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nablascope train", description="Train a recipe without a window.")
    parser.add_argument("recipe", metavar="RECIPE", help="a recipe's JSON file, or the name of a shipped one")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=_count, metavar="N", help="mini-batches to train")
    length.add_argument("--epochs", type=_count, metavar="N", help="passes over the training data")
    _add_trust(parser)
    parser.add_argument("--json", action="store_true", help="a line of JSON after each epoch and at the end")
    parser.set_defaults(command="train")
    return parser


def _export_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nablascope export", description="Write a recipe's training as a script.")
    parser.add_argument("recipe", metavar="RECIPE", help="a recipe's JSON file, or the name of a shipped one")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--torch", metavar="FILE", type=Path, help="a PyTorch script, .py, or notebook, .ipynb")
    target.add_argument("--numpy", metavar="FILE", type=Path, help="the same for NumPy alone")
    parser.add_argument("--steps", type=_count, metavar="N", default=0, help="mini-batches to train before")
    parser.set_defaults(command="export")
    return parser


def _add_trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="a Python file whose code the recipe may run",
    )


def train(arguments: argparse.Namespace) -> int:
    """Train, telling of it after each epoch and at the end; the exit code."""
    from tqdm import tqdm  # only needed here

    try:
        for file in arguments.trust:
            trust.allow(file)
        recipe = find_recipe(arguments.recipe)
        fetch_data(recipe)
        trainer = Trainer(recipe)
    except RecipeError as error:
        return refuse(error)
    except KeyboardInterrupt:
        return interrupted("before the first step; what was fetched is kept for the next time")
    steps = arguments.steps if arguments.steps is not None else arguments.epochs * trainer.batches
    hidden = arguments.json or not sys.stderr.isatty()
    try:
        with tqdm(total=steps, unit="step", disable=hidden, leave=False) as bar:
            for step in range(1, steps + 1):
                trainer.step()
                bar.update()
                if step % trainer.batches == 0 or step == steps:
                    bar.clear()
                    print(report(trainer, as_json=arguments.json), flush=True)
    except SubjectError as error:
        return refuse(f"own layer: {error}")
    except KeyboardInterrupt:
        return interrupted(f"at step {trainer.step_count}")
    return 0


def export(arguments: argparse.Namespace) -> int:
    """Write a script that goes on with a recipe after some steps, and its data beside it; the exit code."""
    from engine.export.moment import moment_of, refuse_what_cannot_be_written  # only needed here
    from engine.export.script import export as write

    try:
        recipe = find_recipe(arguments.recipe)
        refuse_what_cannot_be_written(recipe)
        fetch_data(recipe)
        trainer = Trainer(recipe)
        for _ in range(arguments.steps):
            trainer.step()
        target: Target = "torch" if arguments.torch else "numpy"
        files = write(moment_of(trainer), arguments.torch or arguments.numpy, target)
    except RecipeError as error:
        return refuse(error)
    except KeyboardInterrupt:
        return interrupted("before anything was written")
    print(*files, sep="\n")
    return 0


def fetch_data(recipe: Recipe) -> None:
    """Fetch what the data needs from the internet, if anything, with a bar for each file on stderr, or a line.

    Raises RecipeError with one sentence.
    """
    if not recipe.data.must_fetch():
        return
    from tqdm import tqdm

    bars: dict[str, tqdm[NoReturn]] = {}
    quiet = not sys.stderr.isatty()

    def tell(name: str, done: int, total: int) -> None:
        if name not in bars:
            bars[name] = tqdm(desc=name, total=total or None, unit="B", unit_scale=True, disable=quiet)
            if quiet:
                print(f"fetching {name}, {total / 1e6:.1f} MB", file=sys.stderr)
        bars[name].update(done - bars[name].n)

    try:
        recipe.data.fetch_files(tell)
    finally:
        for bar in bars.values():
            bar.close()


def report(trainer: Trainer, *, as_json: bool) -> str:
    """Where training stands, over the whole training and validation part, as a line of JSON or of text."""
    loss, accuracy = trainer.evaluate("training")
    _, validation = trainer.evaluate("validation")
    frame = trainer.frame()
    numbers = {
        "step": frame.step,
        "epoch": frame.epoch,
        "loss": loss,
        "train_accuracy": accuracy,
        "validation_accuracy": validation,
    }
    if as_json:
        return json_line(numbers)
    shown = [f"step {frame.step:>6}", f"epoch {frame.epoch:>3}", f"loss {loss:.4g}"]
    shown += [f"train {accuracy:.1%}"] if math.isfinite(accuracy) else []
    shown += [f"validation {validation:.1%}"] if math.isfinite(validation) else []
    return "   ".join(shown)


def json_line(numbers: dict[str, float]) -> str:
    """Numbers as one line of JSON; what is not finite becomes null, which every reader understands."""
    return json.dumps({name: value if math.isfinite(value) else None for name, value in numbers.items()})


def interrupted(where: str) -> int:
    """Say on stderr where Ctrl+C came; the exit code for it."""
    print(f"stopped {where}", file=sys.stderr)
    return 130


def refuse(error: Exception | str) -> int:
    """Say in one sentence on stderr why not; the exit code for it."""
    print(f"nablascope: {error}", file=sys.stderr)
    return 2
