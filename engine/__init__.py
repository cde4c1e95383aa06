"""The engine of Nablascope: networks in NumPy whose training can be stepped, watched and checked. No screen."""

from engine.frames import Frame, Phase, Position
from engine.gradcheck import check
from engine.recipe import Recipe
from engine.spec import RecipeError
from engine.trainer import Trainer

__all__ = ["Frame", "Phase", "Position", "Recipe", "RecipeError", "Trainer", "check"]
