"""Weights in files: parameters and buffers by address ("0.W"), as .npz or .safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from engine.files import FileError, as_npz, reason_of, write_whole
from engine.layers.base import Array, shape_text
from engine.network import Network

NPZ, SAFETENSORS = ".npz", ".safetensors"
TOLD = 3  # tensors that do not fit which are named


def of_network(network: Network) -> dict[str, Array]:
    """Parameters and buffers by address: views, not copies."""
    found = network.views(network.parameters)
    return found | {slot.address: slot.view(network.buffers) for slot in network.buffer_slots}


def save(path: Path, tensors: Mapping[str, Array]) -> None:
    """Write them in the format that the file's ending names. Raises FileError; then nothing has changed."""
    plain = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    if path.suffix == SAFETENSORS:
        from safetensors.numpy import save as packed  # only needed here

        write_whole({path: lambda file: file.write(packed(plain))})
    elif path.suffix == NPZ:
        write_whole({path: as_npz(plain)})
    else:
        raise FileError(f"{path} must end in {NPZ} or {SAFETENSORS}; choose another name")


def load(path: Path) -> dict[str, Array]:
    """Every tensor in a file by its name. Raises FileError, one sentence."""
    try:
        return _read(path)
    except FileError:
        raise
    except FileNotFoundError:
        raise FileError(f"{path} does not exist; check the path") from None
    except IsADirectoryError:
        raise FileError(f"{path} is a folder; choose a file of weights in it") from None
    except (OSError, MemoryError) as error:
        raise FileError(f"{path} cannot be read ({reason_of(error)}); choose another file") from None
    except Exception:  # the decoders have errors of many kinds
        raise FileError(f"{path} is no whole {path.suffix} file of numbers; choose another file") from None


def _read(path: Path) -> dict[str, Array]:
    if path.suffix == SAFETENSORS:
        from safetensors.numpy import load as unpacked  # only needed here

        return dict(unpacked(path.read_bytes()))
    with path.open("rb") as opened:  # which numpy leaves open where it is no archive
        arrays = np.load(opened, allow_pickle=False)
        if isinstance(arrays, np.ndarray):
            raise FileError(f"{path} holds one array without a name; choose a {NPZ} or {SAFETENSORS} file")
        return dict(arrays)


def fitting(network: Network, tensors: Mapping[str, Array]) -> tuple[dict[str, Array], list[str]]:
    """Those of a file's tensors that fit the network, by address, and for each of its tensors that none fits why."""
    fits, problems = {}, []
    for address, own in of_network(network).items():
        given = tensors.get(address)
        if given is None:
            problems.append(f"{address} is missing")
        elif given.dtype.kind not in "fiu":
            problems.append(f"{address} holds no real numbers")
        elif given.shape != own.shape:
            problems.append(f"{address} is {shape_text(given.shape)} there but {shape_text(own.shape)} here")
        else:
            fits[address] = given
    return fits, problems


def misfit(path: Path, problems: list[str]) -> str:
    """What does not fit, in one sentence without its end."""
    more = f" and {len(problems) - TOLD} more" if len(problems) > TOLD else ""
    return f"{path.name} does not fit this network: {', '.join(problems[:TOLD])}{more}"
