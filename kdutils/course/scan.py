"""What hides in an executed notebook: errors inside widgets, tracebacks on stderr, pages that need a kernel.

All functions take the executed notebook as nbformat reads it, still with its widget state.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nbformat import NotebookNode

from kdutils.course.session import RECORD

MAX_BYTES = 1_000_000
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def records(notebook: NotebookNode) -> dict[str, Any]:
    """Everything that the notebook recorded, by name."""
    bundles = (output.get("data", {}).get(RECORD) for _, output in _outputs(notebook))
    return {bundle["name"]: bundle["value"] for bundle in bundles if bundle}


def scan(executed: NotebookNode, source: NotebookNode | None = None) -> list[str]:
    """One sentence for each thing that is wrong; cells are named as they stand in `source`, the stored notebook."""
    name = _namer(source or executed)
    state = executed.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    failures, shown = [], set()
    for cell in executed.cells:
        if "raises-exception" in cell.metadata.get("tags", []):
            continue
        failures += [f"{name(cell)} raised {_error(output)}." for output in cell.get("outputs", [])
                     if output.output_type == "error"]
        if printed := _traceback(cell.get("outputs", [])):
            failures.append(f"{name(cell)} printed a traceback to stderr: {printed}.")
    for cell, output in _outputs(executed):
        data = output.get("data", {})
        if WIDGET_VIEW in data:
            family = _family(state, data[WIDGET_VIEW]["model_id"])
            shown.update(family)
            failures += [f"{name(cell)} raised {error} inside a widget's output."
                         for model in family for error in _errors_of(state, model)]
            if not set(data) - {WIDGET_VIEW, "text/plain"}:
                failures.append(f"{name(cell)} shows a widget only: without a kernel nothing is seen there.")
    failures += [f"A widget that no cell shows raised {error}."
                 for model in state if model not in shown for error in _errors_of(state, model)]
    if records(executed).get("finished") is not True:
        failures.append("The notebook never reached finish(): its record 'finished' is missing.")
    return list(dict.fromkeys(failures))


def strip(executed: NotebookNode) -> None:
    """Take out, in place, what only a live kernel could use, and the paths of this machine."""
    executed.metadata.pop("widgets", None)
    told = executed.metadata.pop("papermill", {})
    kept = ("parameters", "duration", "version")
    executed.metadata["papermill"] = {key: told[key] for key in kept if key in told}
    for _, output in _outputs(executed):
        output.get("data", {}).pop(WIDGET_VIEW, None)
        output.get("metadata", {}).pop(WIDGET_VIEW, None)


def too_large(executed: NotebookNode, size: int, source: NotebookNode) -> list[str]:
    """One sentence if the notebook of `size` bytes is more than a page may weigh, naming the heaviest cell."""
    if size <= MAX_BYTES:
        return []
    heaviest = max(executed.cells, key=lambda cell: len(json.dumps(cell)))
    return [f"{_namer(source)(heaviest)} is the heaviest of an executed notebook of {size / 1e6:.1f} MB, "
            f"more than {MAX_BYTES / 1e6:g} MB."]


def _outputs(notebook: NotebookNode) -> Iterator[tuple[NotebookNode, NotebookNode]]:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            yield cell, output


def _namer(source: NotebookNode) -> Callable[[NotebookNode], str]:
    """Names a cell as the reader finds it: its place in the stored notebook, and its id."""
    place = {cell.get("id"): number for number, cell in enumerate(source.cells, start=1)}

    def name(cell: NotebookNode) -> str:
        number = place.get(cell.get("id"))
        return f"Cell {number} ({cell.id})" if number else "The cell of the given parameters"

    return name


def _error(output: Mapping[str, Any]) -> str:
    lines = _ANSI.sub("", str(output.get("evalue", ""))).strip().splitlines()
    return f"{output.get('ename', 'an error')}: {lines[0] if lines else ''}".rstrip(": .")


def _traceback(outputs: list[Mapping[str, Any]]) -> str:
    """The last line of what was printed to stderr, if a traceback is in it; a kernel may send it in pieces."""
    pieces = [output["text"] for output in outputs
              if output.get("output_type") == "stream" and output.get("name") == "stderr"]
    printed = _ANSI.sub("", "".join(pieces)).strip()
    return printed.splitlines()[-1].rstrip(".") if "Traceback (most recent call last)" in printed else ""


def _family(state: Mapping[str, Any], root: str) -> list[str]:
    """The widget model `root` and every model that it holds, found through the references in its state."""
    seen, todo = [], [root]
    while todo:
        model = todo.pop()
        if model not in seen:
            seen.append(model)
            todo += re.findall(r'"IPY_MODEL_([^"]+)"', json.dumps(state.get(model, {}).get("state", {})))
    return seen


def _errors_of(state: Mapping[str, Any], model: str) -> list[str]:
    """What went wrong inside one model, if it is an Output widget."""
    kept = state.get(model, {}).get("state", {}).get("outputs")
    outputs = [output for output in kept if isinstance(output, Mapping)] if isinstance(kept, list) else []
    raised = [_error(output) for output in outputs if output.get("output_type") == "error"]
    return raised + [printed for printed in [_traceback(outputs)] if printed]
