"""Data to learn from, one source a file: the digits in the box, sets made on the spot, files, published sets."""

from typing import TYPE_CHECKING, Union

from engine.spec import import_all, members

# The order of these is that of the menu.
# isort: off
from engine.datasets.base import DataSpec
from engine.datasets.shipped import Digits
from engine.datasets.points import Blobs, Circles, Moons, PointSpec, RandomLabels, Spirals, Xor
from engine.datasets.curves import CurveSpec, Polynomial, Sine, Step
from engine.datasets.idx import FashionMnist, Idx, Mnist, read_idx
from engine.datasets.tables import Csv, Npz
from engine.datasets.folders import PictureFolder
from engine.datasets.given import Given
from engine.datasets.preprocessing import scaled
from engine.datasets.samples import Samples, Statistics

# isort: on

import_all(__name__, __path__)

if TYPE_CHECKING:
    AnyData = DataSpec
else:
    AnyData = Union[members(DataSpec)]

__all__ = [
    "AnyData",
    "Blobs",
    "Circles",
    "Csv",
    "CurveSpec",
    "DataSpec",
    "Digits",
    "FashionMnist",
    "Given",
    "Idx",
    "Mnist",
    "Moons",
    "Npz",
    "PictureFolder",
    "PointSpec",
    "Polynomial",
    "RandomLabels",
    "Samples",
    "Sine",
    "Spirals",
    "Statistics",
    "Step",
    "Xor",
    "read_idx",
    "scaled",
]
