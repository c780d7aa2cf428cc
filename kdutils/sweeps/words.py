"""A sweep in words: the values that a person types, and the script that a cluster's queue takes."""

import json
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from kdutils.errors import ParameterError, whole
from kdutils.sweeps.points import changed


def value_of(text: str) -> Any:
    """The value that a person means on the command line: JSON or Python's True, False and None, else the text."""
    try:
        return json.loads({"True": "true", "False": "false", "None": "null"}.get(text, text))
    except (ValueError, RecursionError):
        return text


def grid_of(experiment: str, base: Any, given: Iterable[str]) -> tuple[Any, dict[str, list]]:
    """`base` with what has one value, and the values of what has several; `given`: texts like temperature=1,4."""
    grid: dict[str, list] = {}
    for name, text in map(assignment, given):
        if name in grid:
            raise ParameterError(f"--set {name} must be given once, with all its values between commas, got it again "
                                 f"with {text!r}.")
        grid[name] = values_of(name, text, getattr(base, name, None))
        if not grid[name]:
            raise ParameterError(f"{name} of a sweep must have at least one value, got none.")
    base = changed(experiment, base, {name: values[0] for name, values in grid.items() if len(values) == 1})
    return base, {name: values for name, values in grid.items() if len(values) > 1}


def assignment(text: str) -> tuple[str, str]:
    """NAME=VALUES in its two parts."""
    name, equals, values = text.partition("=")
    if not (equals and name.strip() and values.strip()):
        raise ParameterError(f"--set takes NAME=VALUES, such as temperature=1,4, got {text!r}.")
    return name.strip(), values.strip()


def values_of(name: str, text: str, default: Any) -> list[Any]:
    """The values that --set gives a parameter: JSON, or words between commas; `default` tells what one value is."""
    value = value_of(text)
    if isinstance(default, tuple):
        if not isinstance(value, list):
            raise ParameterError(f"{name} is a list: write --set '{name}={json.dumps(default)}' for one value and "
                                 f"--set '{name}=[{json.dumps(default)}, ...]' for several, got {text!r}.")
        return value if value and all(isinstance(one, list) for one in value) else [value]
    if isinstance(value, list):
        return value
    return [value_of(one.strip()) for one in text.split(",")] if isinstance(value, str) else [value]


def slurm_script(experiment: str, options: Sequence[str], tasks: int, cores: int, gpu: bool) -> str:
    """A script for `sbatch`: an array of tasks, each of which does its part of the points. It is printed, never run.

    options: those of `kdutils sweep` that every task gets. cores: of one task. Time and memory are the reader's to set:
    nobody knows them before the first task has run.
    """
    whole("sbatch", tasks, 1, 10_000)
    command = shlex.join([sys.executable, "-m", "kdutils", "sweep", experiment, *options])
    kept = {name: os.environ[name] for name in ("KDUTILS_CACHE", "KDUTILS_DATA", "PYTHONPATH") if name in os.environ}
    return "\n".join([
        "#!/bin/bash",
        f"#SBATCH --job-name=kdutils-{experiment}",
        f"#SBATCH --array=1-{tasks}",
        f"#SBATCH --cpus-per-task={cores}",
        *["#SBATCH --gres=gpu:1"] * gpu,
        "#SBATCH --time=01:00:00   # look at this line and the next: they are guesses",
        "#SBATCH --mem=4G",
        "#SBATCH --output=%x-%A_%a.txt",
        "set -euo pipefail",
        f"cd {shlex.quote(os.getcwd())}",
        *[f"export {name}={shlex.quote(value)}" for name, value in kept.items()],
        "# Every task needs this folder and the cache: both must lie where all nodes see them.",
        f'{command} --part "$SLURM_ARRAY_TASK_ID/{tasks}"',
        "",
        "# When all tasks are done, the same command without --part finds every point and writes the table:",
        f"# {command}",
    ])
