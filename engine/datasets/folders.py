"""Pictures in a folder, a folder in it for each class."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from msgspec import Meta

from engine.datasets.pictures import MOST_CLASSES, PictureSpec
from engine.datasets.samples import Array, Samples
from engine.spec import RecipeError

if TYPE_CHECKING:
    from PIL.Image import Image

ENDINGS = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"))
MOST_PIXELS = 500_000_000  # of all pictures together: 4 GB of numbers
WHITE = 255.0
Side = Annotated[int, Meta(ge=1, le=1024)]


class PictureFolder(PictureSpec, frozen=True, kw_only=True):
    """Picture files in folders, one folder a class; made grey, scaled to 0–1."""

    path: Annotated[str, Meta(min_length=1, title="folder", description="The folder with a folder for each class")]
    size: (
        Annotated[tuple[Side, Side], Meta(title="size", description="Rows, columns: resize every picture to these")]
        | None
    ) = None

    def read(self, rng: np.random.Generator) -> Samples:
        """x (N, rows·columns), or (N, rows, columns) unflattened; classes and files in alphabetical order."""
        files = self._files()
        classes = sorted({file.parent.name for file in files})
        labels = np.array([classes.index(file.parent.name) for file in files], np.intp)
        return self.samples_of(self._pictures(files), labels, WHITE, tuple(classes))

    def _files(self) -> list[Path]:
        """All picture files, class by class."""
        try:
            folders = sorted(entry for entry in Path(self.path).iterdir() if entry.is_dir() and entry.name[0] != ".")
            files = [f for folder in folders for f in sorted(folder.iterdir()) if f.suffix.lower() in ENDINGS]
        except NotADirectoryError:
            raise RecipeError(
                f"data.path: {self.path} is a file; choose the folder with the classes' folders"
            ) from None
        except (OSError, ValueError) as error:
            reason, path = getattr(error, "strerror", None) or error, getattr(error, "filename", None) or self.path
            raise RecipeError(f"data.path: cannot read {path} ({reason}); check the path") from None
        if not files:
            raise RecipeError(f"data.path: {self.path} has no folders with pictures in them; make one for each class")
        if len(folders) > MOST_CLASSES:
            raise RecipeError(
                f"data.path: {self.path} has {len(folders):,} folders, more than {MOST_CLASSES:,} classes"
            )
        return files

    def _pictures(self, files: list[Path]) -> Array:
        """The pictures in grey, (N, rows, columns) bytes."""
        first = self._picture(files[0])
        if len(files) * first.size > MOST_PIXELS:
            raise RecipeError(
                f"data.size: {len(files):,} pictures of {first.shape[0]}×{first.shape[1]} pixels are too many; "
                "resize them to fewer"
            )
        pictures = np.empty((len(files), *first.shape), np.uint8)
        for number, file in enumerate(files):
            picture = self._picture(file)
            if picture.shape != first.shape:
                (a, b), (c, d) = first.shape, picture.shape
                raise RecipeError(
                    f"data.size: {files[0]} has {a}×{b} pixels, but {file} has {c}×{d}; give a size to resize them to"
                )
            pictures[number] = picture
        return pictures

    def _picture(self, file: Path) -> Array:
        """One picture in grey, (rows, columns) bytes."""
        from PIL import Image  # only where there are pictures to read

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a damaged header: the picture is read or refused
                with Image.open(file) as opened:
                    return np.asarray(self._resized(opened.convert("L")))
        except PermissionError as error:
            raise RecipeError(f"data.path: cannot read {file} ({error.strerror}); check its permissions") from None
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            raise RecipeError(f"data.path: {file} is not a picture that can be read; mend or remove it") from None

    def _resized(self, picture: Image) -> Image:
        if self.size is None:
            return picture
        rows, columns = self.size
        return picture.resize((columns, rows))
