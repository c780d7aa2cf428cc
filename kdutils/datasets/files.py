"""Files as their owners distribute them: known by size and checksum, and called by their name when they differ."""

import hashlib
import io
import pickle
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from kdutils.errors import ParameterError

# Hexadecimal digits of a published checksum tell which one it is.
_ALGORITHMS = {32: "md5", 40: "sha1", 64: "sha256"}


@dataclass(frozen=True)
class File:
    """One file of a data set.

    path: where it lies below the data folder; bytes: its size; checksum: the published MD5, SHA-1 or SHA-256.
    Where a size or a checksum was never published it is None and is not checked.
    """

    path: str
    bytes: int | None = None
    checksum: str | None = None

    def fits(self, root: Path) -> bool:
        """True if a file of this name and size is there: cheap, its content is not read."""
        path = root / self.path
        return path.is_file() and self.bytes in (None, path.stat().st_size)

    def holds(self, path: Path) -> bool:
        """True if the file at `path` has this size and this checksum."""
        if self.bytes not in (None, path.stat().st_size):
            return False
        return self.checksum is None or checksum(path, len(self.checksum)) == self.checksum


@dataclass(frozen=True)
class Layout:
    """One of the ways in which a data set is distributed.

    title: as the owners call it; files: all it takes; read: from the paths of these files, in this order, to the data.
    """

    title: str
    files: tuple[File, ...]
    read: Callable[[Sequence[Path]], Any]

    def fits(self, root: Path) -> bool:
        """True if every file is there with its size."""
        return all(file.fits(root) for file in self.files)

    def present(self, root: Path) -> list[File]:
        """The files that are there, whatever they hold."""
        return [file for file in self.files if (root / file.path).is_file()]


def checksum(path: Path, digits: int = 32) -> str:
    """MD5 (32 hexadecimal digits), SHA-1 (40) or SHA-256 (64) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(_ALGORITHMS[digits], usedforsecurity=False)).hexdigest()


def complaint(file: File, root: Path, known: Iterable[tuple[str, File]] = ()) -> str | None:
    """What is wrong with a file, as the middle of a sentence, or None if it is as published.

    `known` are the files of all data sets with the names of their sets, so that a file under another's name is
    recognised.
    """
    path = root / file.path
    if not path.is_file():
        return f"{path} is missing"
    if file.holds(path):
        return None
    size = path.stat().st_size
    sums = cache(partial(checksum, path))
    for owner, other in known:
        if other.checksum and other.bytes in (None, size) and other.checksum == sums(len(other.checksum)):
            return f"{path} is another file under this name: {Path(other.path).name} of {owner}"
    with path.open("rb") as content:
        start = content.read(64)
    if start[:2] == b"\x1f\x8b" and not file.path.removesuffix(".part").endswith("gz"):
        return f"{path} is still packed (gzip)"
    if start.lstrip()[:1] == b"<":
        return f"{path} is a web page, not data"
    if file.bytes is not None and size != file.bytes:
        return f"{path} is {'cut short' if size < file.bytes else 'too long'}: {size:,} bytes instead of {file.bytes:,}"
    name = _ALGORITHMS[len(file.checksum)].upper()
    return f"{path} is damaged or another file under this name: its {name} is not the published {file.checksum}"


def plain_pickle(path: Path) -> Any:
    """What a Python pickle holds, if that is only dictionaries, lists, texts, numbers and NumPy arrays.

    A pickle may name any function to be called on loading; all but those that rebuild an array are refused.
    Texts that Python 2 wrote become bytes.
    """
    try:
        return _Plain(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except ParameterError as error:
        raise ParameterError(f"{path} {error}") from None
    except Exception as error:  # a pickle that is cut short raises whatever the byte it ends in leads to
        raise ParameterError(f"{path} is not a whole pickle ({type(error).__name__}).") from error


class _Plain(pickle.Unpickler):
    """Rebuilds NumPy arrays, under their old and new addresses, and nothing else."""

    ALLOWED = {(f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")} | {
        ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise ParameterError(f"is a pickle that wants to call {module}.{name}, which no data set needs.")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)
