"""Folders that a person names, in the environment or on the command line: found, handed on, tried out."""

import os
import tempfile
from pathlib import Path

from kdutils.errors import ParameterError

CHOSEN = ("KDUTILS_CACHE", "KDUTILS_DATA")  # the variables that name one


def named(name: str, value: str | Path) -> Path:
    """The folder `value`, its ~ resolved; ParameterError, with the name of the setting, where there is no such home."""
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ParameterError(f"{name} must be a folder that can be found, got {str(value)!r}, a home that this system "
                             "does not know.") from None


def chosen(variable: str) -> Path | None:
    """The folder that an environment variable names, None where it names none."""
    value = os.environ.get(variable)
    return named(variable, value) if value else None


def environment() -> dict[str, str]:
    """The environment for a process that works elsewhere: what names a folder from here still names it there."""
    return dict(os.environ) | {variable: str(folder.absolute()) for variable in CHOSEN if (folder := chosen(variable))}


def tried_out(folder: Path) -> Path:
    """`folder`, made if need be; OSError where nothing can be written into it. Asked before work, not after it."""
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()
    return folder
