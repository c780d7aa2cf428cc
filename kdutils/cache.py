"""Teachers are paid for once: tensors kept on disk under the hash of everything that made them.

An entry is one safetensors file `<kind>-<key>.safetensors`, where the key hashes the recipe, the version of
torch and the source of the modules that train. A changed recipe or changed code is another key, never a stale hit.
"""

import hashlib
import importlib.util
import json
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache as memoise
from pathlib import Path
from uuid import uuid4

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

Tensors = dict[str, torch.Tensor]

# The code whose change can change a trained network.
_MAKERS = ("rng", "datasets", "networks", "objectives", "training")


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
    if chosen := os.environ.get("KDUTILS_CACHE"):
        return Path(chosen).expanduser()
    try:
        from platformdirs import user_cache_path
    except ImportError:  # a bare GPU machine: no folder is better than a guessed one
        return None
    return user_cache_path("kdutils", appauthor=False)


def load_or_make(kind: str, recipe: Mapping, make: Callable[[], Tensors], device: str = "cpu") -> Tensors:
    """Tensors of this recipe, from disk if they are there, else from `make()` and then kept.

    `recipe` must be JSON-simple and hold everything that decides the result. A file that cannot be read is rebuilt
    and one that cannot be written is left out, each with a warning: the cache never stands in the way.
    """
    if (found := load(kind, recipe, device)) is not None:
        return found
    tensors = make()
    keep(kind, recipe, tensors)
    return tensors


def load(kind: str, recipe: Mapping, device: str = "cpu") -> Tensors | None:
    """The tensors kept under this recipe; None if there are none, or, with a warning, if they cannot be read."""
    path = _path(kind, recipe)
    if path and os.path.exists(path):  # not path.exists(), which raises where the folder is closed to us
        try:
            return load_file(path, device=device)
        except (SafetensorError, OSError, ValueError) as error:
            warnings.warn(f"The cached {kind} {path.name} cannot be read ({error}); it is made anew.", stacklevel=3)
    return None


def keep(kind: str, recipe: Mapping, tensors: Tensors) -> None:
    """Put tensors under this recipe, in place of what lay there; a folder that refuses them gives a warning."""
    if path := _path(kind, recipe):
        _write(path, kind, tensors)


def key(recipe: Mapping) -> str:
    """16 hex digits of the recipe, torch's version and the training code."""
    text = json.dumps({"recipe": recipe, "torch": torch.__version__, "code": code_version()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@memoise
def code_version() -> str:
    """12 hex digits over the source of the modules that decide what a training run gives."""
    root = Path(importlib.util.find_spec("kdutils").submodule_search_locations[0])
    files = [p for name in _MAKERS for p in ([root / f"{name}.py"] if (root / f"{name}.py").exists() else
                                             sorted((root / name).rglob("*.py")))]
    return hashlib.sha256(b"\0".join(p.read_bytes() for p in files)).hexdigest()[:12]


def entries() -> list[Entry]:
    """Everything in the cache, newest first."""
    folder = directory()
    found = [_entry(path) for path in folder.glob("*-*.safetensors")] if folder and os.path.isdir(folder) else []
    return sorted(found, key=lambda entry: entry.made, reverse=True)


def clear() -> int:
    """Delete every entry; returns how many there were."""
    gone = entries()
    for entry in gone:
        entry.path.unlink(missing_ok=True)
    return len(gone)


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it: readers never see half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own rather than mkstemp's file, which only its owner may read.
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _path(kind: str, recipe: Mapping) -> Path | None:
    folder = directory()
    return folder / f"{kind}-{key(recipe)}.safetensors" if folder else None


def _write(path: Path, kind: str, tensors: Tensors) -> None:
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        write_whole(path, lambda target: save_file(on_cpu, target))
    except (OSError, SafetensorError) as error:  # a full disk is a SafetensorError
        where = f"{path.parent} ({getattr(error, 'strerror', error)})"
        warnings.warn(f"The {kind} cannot be kept in {where}; set KDUTILS_CACHE to a folder you may write.",
                      stacklevel=4)


def _entry(path: Path) -> Entry:
    kind, _, digest = path.stem.rpartition("-")
    stat = path.stat()
    return Entry(kind, digest, path, stat.st_size, datetime.fromtimestamp(stat.st_mtime))
