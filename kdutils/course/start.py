"""The course for those who have neither git nor make: its notebooks copied out of the installed package.

A page that its reader has changed is never written over: the folder remembers in MANIFEST what each page was when it
was copied, so that an untouched page of an older version is renewed, and nothing else is.
"""

import hashlib
import importlib.util
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdutils import cache
from kdutils import pages as course_pages
from kdutils.errors import ParameterError
from kdutils.folders import environment

FIRST = "00_start_here.ipynb"
MANIFEST = ".kdutils.json"


@dataclass(frozen=True)
class Copied:
    """What was done, by the names of the pages: written, and left because they are the reader's by now."""

    written: tuple[str, ...]
    kept: tuple[str, ...]


def copy(folder: Path, pages: Path | None = None) -> Copied:
    """Put the notebooks and teaching notes of the course into `folder`, which is made if need be.

    pages: where they are taken from; those of the course if it is not given. Raises ParameterError where the folder
    cannot be written, and where it is that of the pages themselves: they are there already.
    """
    pages = course_pages.folder() if pages is None else pages
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.samefile(pages):
            return Copied((), ())
        before, now = _manifest(folder), {}
        written, kept = [], []
        for page in sorted([*pages.glob("*.ipynb"), *pages.glob("teaching/*.md")]):
            name, content = page.relative_to(pages).as_posix(), page.read_bytes()
            target = folder / name
            here = _digest(target.read_bytes()) if target.exists() else None
            now[name] = _digest(content)
            if here in (None, before.get(name)) and here != now[name]:
                cache.write_whole(target, lambda temporary, content=content: temporary.write_bytes(content))
                written.append(name)
            elif here != now[name]:
                kept.append(name)
                now[name] = before.get(name, "")
        text = json.dumps(now, indent=1)
        cache.write_whole(folder / MANIFEST, lambda temporary: temporary.write_text(text + "\n"))
    except OSError as error:
        raise ParameterError(f"the notebooks cannot be copied into {folder} ({error.strerror}).") from error
    return Copied(tuple(written), tuple(kept))


def open_lab(folder: Path, arguments: Sequence[str] = ()) -> int:
    """JupyterLab on `folder`, until it is ended; its exit status. arguments: more of its own command line."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise ParameterError("the notebooks are opened in JupyterLab, which is not installed: pip install "
                             "'kdutils[notebooks]'.")
    command = [sys.executable, "-m", "jupyterlab", "--LabApp.extension_manager=readonly",
               f"--LabApp.default_url=/lab/tree/{FIRST}", *arguments]
    with subprocess.Popen(command, cwd=folder, env=environment()) as lab:
        if threading.current_thread() is threading.main_thread():  # who ends this process, a service say, ends the lab
            signal.signal(signal.SIGTERM, lambda *_: lab.terminate())
        while True:
            try:
                return lab.wait()
            except KeyboardInterrupt:  # JupyterLab hears it too, and asks before it ends
                continue


def _manifest(folder: Path) -> Mapping[str, str]:
    """What each page was when it was copied; nothing where that is not known, and every page then is the reader's."""
    try:
        known = json.loads((folder / MANIFEST).read_text())
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
