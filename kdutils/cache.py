"""Teachers are paid for once: tensors kept on disk under the hash of everything that made them.

An entry is one safetensors file `<kind>-<key>.safetensors`, where the key hashes the recipe, the version of
torch and the source of the modules that train. A changed recipe or changed code is another key, never a stale hit.
The file says what it was made from and carries a checksum, so that a rotten or a misplaced one is rebuilt. Whoever
makes an entry holds the lock `.<kind>-<key>.lock`, which ends with its process: several tasks train a teacher once.
"""

import hashlib
import importlib.util
import json
import os
import stat
import warnings
import zlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache as memoise
from pathlib import Path
from uuid import uuid4

import torch
from filelock import Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from kdutils.folders import chosen
from kdutils.locks import alone, at, give_back

Tensors = dict[str, torch.Tensor]

# The code whose change can change a trained network.
_MAKERS = ("rng", "datasets", "networks", "objectives", "training")


# Seconds to wait for another process that makes the same entry. After that it is made twice rather than never.
PATIENCE = 3600.0


@dataclass(frozen=True)
class Entry:
    """One file of the cache."""

    kind: str
    key: str
    path: Path
    bytes: int
    made: datetime


def directory() -> Path | None:
    """Where the cache lies: KDUTILS_CACHE, else the user's cache folder; None where neither is known."""
    if folder := chosen("KDUTILS_CACHE"):
        return folder
    try:
        from platformdirs import user_cache_path
    except ImportError:  # a bare GPU machine: no folder is better than a guessed one
        return None
    try:
        folder = user_cache_path("kdutils", appauthor=False)
    except RuntimeError:  # a container's user may be nobody with a home
        return None
    return folder if folder.is_absolute() else None  # older versions of platformdirs say ~/.cache then


def load_or_make(kind: str, recipe: Mapping, make: Callable[[], Tensors], device: str = "cpu") -> Tensors:
    """Tensors of this recipe, from disk if they are there, else from `make()` and then kept.

    `recipe` must be JSON-simple and hold everything that decides the result. A file that is damaged or belongs to
    another recipe is rebuilt and one that cannot be written is left out, each with a warning: the cache never stands in
    the way. While another process makes the same entry, this one waits for it.
    """
    if (found := load(kind, recipe, device)) is not None:
        return found
    path = _path(kind, recipe)
    with _alone(path):
        with suppress(_Unusable):  # said above, if it was there above
            if path and os.path.exists(path):
                return _read(path, recipe, device)
        tensors = make()
        if path:
            _write(path, kind, recipe, tensors)
    return tensors


def load(kind: str, recipe: Mapping, device: str = "cpu") -> Tensors | None:
    """The tensors kept under this recipe; None if there are none, or, with a warning, if they cannot be used."""
    path = _path(kind, recipe)
    if path and os.path.exists(path):  # not path.exists(), which raises where the folder is closed to us
        try:
            return _read(path, recipe, device)
        except _Unusable as error:
            warnings.warn(f"The cached {kind} {path.name} cannot be used ({error}); it is rebuilt.", stacklevel=3)
    return None


def keep(kind: str, recipe: Mapping, tensors: Tensors) -> None:
    """Put tensors under this recipe, in place of what lay there; a folder that refuses them gives a warning."""
    if path := _path(kind, recipe):
        with _alone(path):
            _write(path, kind, recipe, tensors)


def key(recipe: Mapping) -> str:
    """16 hex digits of the recipe, torch's version and the training code."""
    return hashlib.sha256(_origin(recipe).encode()).hexdigest()[:16]


@memoise
def code_version() -> str:
    """12 hex digits over the source of the modules that decide what a training run gives."""
    root = Path(importlib.util.find_spec("kdutils").submodule_search_locations[0])
    files = [p for name in _MAKERS for p in ([root / f"{name}.py"] if (root / f"{name}.py").exists() else
                                             sorted((root / name).rglob("*.py")))]
    return hashlib.sha256(b"\0".join(p.read_bytes() for p in files)).hexdigest()[:12]


def entries() -> list[Entry]:
    """Everything in the cache, newest first."""
    return _entries("*-*.safetensors")


def unfinished() -> list[Entry]:
    """What processes left that ended while they wrote, and what others write just now; newest first."""
    return _entries(".*-*.safetensors.*")


def clear() -> tuple[int, int]:
    """Delete every entry, and every unfinished file whose writer is gone; how many there were of each."""
    whole, halves = entries(), 0
    for entry in whole:
        entry.path.unlink(missing_ok=True)
    for entry in unfinished():
        with suppress(Timeout):
            lock = at(_lock(_whole(entry.path)))
            lock.acquire(blocking=False)
            entry.path.unlink(missing_ok=True)
            give_back(lock)
            halves += 1
    for left in _files(".*-*.lock"):
        with suppress(Timeout, OSError):
            lock = at(left)
            lock.acquire(blocking=False)
            give_back(lock)
    return len(whole), halves


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it: readers never see half a file.

    The file may be read by whom the umask lets read it, also where `write` (such as safetensors) is stricter.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode & 0o777
        write(temporary)
        temporary.chmod(mode)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


class _Unusable(Exception):
    """Why a file of the cache is not what its name says."""


def _path(kind: str, recipe: Mapping) -> Path | None:
    folder = directory()
    return folder / f"{kind}-{key(recipe)}.safetensors" if folder else None


def _origin(recipe: Mapping) -> str:
    """Everything that decides the tensors, as text."""
    return json.dumps({"recipe": recipe, "torch": torch.__version__, "code": code_version()}, sort_keys=True)


def _checksum(tensors: Tensors) -> str:
    """Over names, types, shapes and every bit. A CRC finds what rots, and costs a second where SHA-256 costs ten."""
    total = 0
    for name, tensor in sorted(tensors.items()):
        total = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode(), total)
        total = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy(), total)
    return f"{total:08x}"


def _read(path: Path, recipe: Mapping, device: str) -> Tensors:
    """The tensors of a file that is whole and was made from this recipe; else _Unusable."""
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise _Unusable(str(error)) from error
    if about.get("origin") != _origin(recipe):
        raise _Unusable("it was made from something else")
    if about.get("checksum") != _checksum(tensors):
        raise _Unusable("its content has changed since it was written")
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def _write(path: Path, kind: str, recipe: Mapping, tensors: Tensors) -> None:
    """Keep tensors, and remove what a process left that ended while it wrote them; for who holds the lock."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    about = {"origin": _origin(recipe), "checksum": _checksum(on_cpu)}
    try:
        for half in path.parent.glob(f".{path.name}.*"):
            half.unlink(missing_ok=True)
        write_whole(path, lambda target: save_file(on_cpu, target, about))
    except (OSError, SafetensorError) as error:  # a full disk is a SafetensorError
        where = f"{path.parent} ({getattr(error, 'strerror', error)})"
        warnings.warn(f"The {kind} cannot be kept in {where}; set KDUTILS_CACHE to a folder you may write.",
                      stacklevel=3)


def _alone(path: Path | None) -> AbstractContextManager:
    """One process at a time makes an entry."""
    return alone(_lock(path), PATIENCE) if path else nullcontext()


def _lock(path: Path) -> Path:
    """The lock file of an entry."""
    return path.with_name(f".{path.stem}.lock")


def _whole(half: Path) -> Path:
    """What an unfinished file was to become."""
    return half.with_name(half.name[1:].rpartition(".")[0])


def _date(seconds: float) -> datetime:
    """A file's date; a file system may hold one that is no date, by a clock that was wrong."""
    try:
        return datetime.fromtimestamp(seconds)
    except (ValueError, OverflowError, OSError):
        return datetime.max if seconds > 0 else datetime.min


def _files(pattern: str) -> list[Path]:
    folder = directory()
    return list(folder.glob(pattern)) if folder and os.path.isdir(folder) else []


def _entries(pattern: str) -> list[Entry]:
    found = []
    for path in _files(pattern):
        with suppress(OSError):  # gone in the meantime, or a link that leads nowhere
            kind, _, digest = path.name.removeprefix(".").partition(".")[0].rpartition("-")
            about = path.stat()
            if stat.S_ISREG(about.st_mode):  # a folder of this name is none of ours
                found.append(Entry(kind, digest, path, about.st_size, _date(about.st_mtime)))
    return sorted(found, key=lambda entry: entry.made, reverse=True)
