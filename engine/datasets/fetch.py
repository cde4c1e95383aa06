"""Published datasets from the internet: hash checked, kept in a cache, gone on with where a download broke off."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.spec import RecipeError

Progress = Callable[[str, int, int], None]  # the file's name, bytes there are, bytes in all (0 where not known)
CHUNK = 1 << 16  # bytes at most between two looks at whether to stop
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416  # answers to a request that begins in the middle
PATIENCE = 20.0  # seconds without a byte before a server is given up
UNWRITABLE = frozenset((errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EROFS))


@dataclass(frozen=True)
class Source:
    """A set of four gzipped IDX files: where they are to be had, and the SHA-256 of each."""

    name: str
    title: str
    mirrors: tuple[str, ...]
    sha256: dict[str, str]


TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"

MNIST = Source(
    name="mnist",
    title="MNIST",
    mirrors=("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    sha256={
        TRAIN_IMAGES: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        TRAIN_LABELS: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        TEST_IMAGES: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        TEST_LABELS: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
)
FASHION_MNIST = Source(
    name="fashion_mnist",
    title="Fashion-MNIST",
    mirrors=(
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    sha256={
        TRAIN_IMAGES: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        TRAIN_LABELS: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        TEST_IMAGES: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        TEST_LABELS: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
)


class CancelledError(Exception):
    """The download was stopped on request; what has come so far is kept for the next time."""


def cache_folder(source: Source) -> Path:
    """Where fetched files are kept."""
    import platformdirs  # the system is asked only when such data is wanted

    return platformdirs.user_cache_path("nablascope") / source.name


def file_names(part: str) -> tuple[str, str]:
    """The published names of the pictures and the labels of a part, "train" or "test"."""
    return (TRAIN_IMAGES, TRAIN_LABELS) if part == "train" else (TEST_IMAGES, TEST_LABELS)


def find(part: str, folders: Iterable[Path]) -> tuple[Path, Path] | None:
    """Pictures and labels of a part in the first folder that has both, gzipped or plain; None where none has."""
    for folder in folders:
        found = [path for path in (_variant(folder, name) for name in file_names(part)) if path is not None]
        if len(found) == 2:
            return found[0], found[1]
    return None


def _variant(folder: Path, name: str) -> Path | None:
    """The file under its published name, without .gz, or with the dot that some unpackers put before idx."""
    plain = name.removesuffix(".gz")
    names = (name, plain, plain.replace("-idx", ".idx"), name.replace("-idx", ".idx"))
    return next((folder / n for n in names if (folder / n).is_file()), None)


def fetch(
    source: Source,
    part: str,
    folder: Path | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[Path, Path]:
    """Fetch the two files of a part into a folder, the cache by default, unless they are there.

    Raises RecipeError with one sentence where that fails, and CancelledError once `cancelled()` is true.
    """
    folder = folder or cache_folder(source)
    images, labels = (_fetch_file(source, name, folder, progress, cancelled) for name in file_names(part))
    return images, labels


def _fetch_file(
    source: Source, name: str, folder: Path, progress: Progress | None, cancelled: Callable[[], bool]
) -> Path:
    """One file from the first mirror that has it whole."""
    from http.client import HTTPException  # these bring ssl and requests with them, which takes a while

    import pooch

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None

    pooch.get_logger().setLevel("ERROR")  # it tells of every download on stderr
    failures: list[str] = []
    for mirror in source.mirrors:

        def download(url: str, output_file: Any, _: Any) -> None:
            _download(url, Path(output_file), folder / f"{name}.part", progress, cancelled)

        try:
            known = f"sha256:{source.sha256[name]}"
            return Path(pooch.retrieve(mirror + name, known, name, folder, downloader=download))
        except (OSError, HTTPException, ValueError) as error:
            if getattr(error, "errno", None) in UNWRITABLE:
                raise _unwritable(folder, error) from None
            failures.append(f"{urlsplit(mirror).hostname}: {_reason(error)}")
    raise RecipeError(
        f"data: cannot fetch {name} of {source.title} ({'; '.join(failures)}); "
        f"go online and try again, or put the file into {folder}"
    )


def _unwritable(folder: Path, error: Exception) -> RecipeError:
    reason = getattr(error, "strerror", None) or error
    return RecipeError(f"data: cannot write to {folder} ({reason}); see to that, or name a folder that holds the files")


def _reason(error: Exception) -> str:
    """Why a download failed, in a few words."""
    from urllib.error import HTTPError, URLError

    if isinstance(error, HTTPError):
        return f"the server answers {error.code}"
    if isinstance(error, URLError):
        return "no connection"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ValueError):  # pooch's, of another hash
        return "what it sent is not the known file"
    return str(error) or "the connection broke"


def _download(url: str, output: Path, part: Path, progress: Progress | None, cancelled: Callable[[], bool]) -> None:
    """Fetch a file, going on after the bytes that an earlier attempt left in `part`.

    Once it is cancelled it writes nothing more: another attempt may be at work by then.
    """
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    _stop_if(cancelled)
    have = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urlopen(request, timeout=PATIENCE) as answer:
            _stop_if(cancelled)
            start = have if answer.status == PARTIAL_CONTENT else 0
            total = start + int(answer.headers.get("Content-Length") or 0)
            done = start
            with part.open("ab" if start else "wb") as file:
                for chunk in _chunks(answer, total - start):
                    _stop_if(cancelled)
                    file.write(chunk)
                    file.flush()  # nothing is left to be written once it is cancelled
                    done += len(chunk)
                    if progress is not None:
                        progress(part.name.removesuffix(".part"), done, total)
    except HTTPError as error:
        error.close()
        if error.code != RANGE_NOT_SATISFIABLE:
            raise
        _stop_if(cancelled)
        part.unlink()  # it is not the beginning of that file: start again
        return _download(url, output, part, progress, cancelled)
    if done < total:
        raise ConnectionError(f"the connection broke after {done:,} of {total:,} bytes")
    _stop_if(cancelled)
    part.replace(output)
    return None


def _stop_if(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise CancelledError


def _chunks(answer: Any, size: int) -> Iterator[bytes]:
    """The bytes of an answer as they come, however slowly; `size` is how many, 0 where it does not say."""
    done = 0
    while (done < size or not size) and (chunk := answer.read1(CHUNK)):
        done += len(chunk)
        yield chunk
