"""A run as code: scripts that train the same network from where it stands, with PyTorch or with NumPy alone."""

from typing import Literal

Target = Literal["torch", "numpy"]
