"""The engine of Nablascope: networks in NumPy whose training can be stepped, watched and checked. No screen."""

from engine.frames import Frame, Phase, Position
from engine.gradcheck import check
from engine.recipe import Recipe
from engine.run import Run
from engine.spec import RecipeError
from engine.timeline import RunError
from engine.trainer import Trainer

__all__ = ["Frame", "Phase", "Position", "Recipe", "RecipeError", "Run", "RunError", "Trainer", "check"]
