"""The parameters of a stored notebook: which there are, and whether given ones can be run, told without a kernel."""

import ast
import io
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbformat import NotebookNode

from kdutils.course.session import settle
from kdutils.errors import ParameterError


@dataclass(frozen=True)
class Knob:
    """A line of the cell tagged `parameters`: a name, its value as it is written there, and its comment."""

    name: str
    written: str
    meaning: str

    @property
    def value(self) -> Any:
        """The value itself; ValueError if it is not plain."""
        return ast.literal_eval(self.written)


def knobs(notebook: NotebookNode) -> list[Knob]:
    """The parameters of a notebook, in its order. (papermill.inspect_notebook drops a line with ";" in its comment.)"""
    return [knob for cell in _tagged(notebook, "parameters") for knob in _knobs_of(cell.source)]


def _knobs_of(source: str) -> list[Knob]:
    try:
        lines = ast.parse(source).body
    except SyntaxError as error:
        raise ParameterError(f"The cell of parameters is no Python: {error.msg}, in line {error.lineno}.") from error
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    found = []
    for line in lines:
        names = [line.target] if isinstance(line, ast.AnnAssign) else getattr(line, "targets", [])
        found += [
            Knob(one.id, ast.unparse(line.value), comments.get(line.end_lineno, ""))
            for one in names
            if isinstance(one, ast.Name) and line.value
        ]
    return found


def table(notebook: NotebookNode) -> str:
    """A line for each parameter: name, value, meaning and range."""
    found = knobs(notebook)
    if not found:
        return "This notebook has no parameters."
    name, value = (max(len(getattr(one, field)) for one in found) for field in ("name", "written"))
    return "\n".join(f"{one.name:<{name}}  {one.written:<{value}}  {one.meaning}".rstrip() for one in found)


def refuse(title: str, notebook: NotebookNode, given: Mapping[str, Any]) -> None:
    """Raise ParameterError, one sentence, if the notebook could not run with the given parameters.

    A name that it does not have is refused here alone: papermill would let it pass. Values are looked at as the
    notebook's own setup cell looks at them: the arguments of its call of `setup` are worked out and handed to `settle`.
    """
    known = {one.name: one for one in knobs(notebook)}
    if unknown := [name for name in given if name not in known]:
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise ParameterError(f"{title} has no parameter {unknown[0]}; {has}.")
    if (call := _setup_call(notebook)) is None:
        return
    try:
        values = {name: one.value for name, one in known.items()} | dict(given)
        positional = [_worked_out(one, values) for one in call.args]
        named = {one.arg: _worked_out(one.value, values) for one in call.keywords}
    except (LookupError, TypeError, ValueError):  # a call that only the notebook itself can work out
        return
    settle(*positional, **named)


def _setup_call(notebook: NotebookNode) -> ast.Call | None:
    """The call of `setup` in the cell tagged so; None where it cannot be found, which the run itself will tell."""
    for cell in _tagged(notebook, "setup"):
        try:
            nodes = list(ast.walk(ast.parse(cell.source)))
        except SyntaxError:
            return None
        calls = [node for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup"]
        if calls:
            return calls[0]
    return None


def _tagged(notebook: NotebookNode, tag: str) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def _worked_out(node: ast.expr, values: Mapping[str, Any]) -> Any:
    return values[node.id] if isinstance(node, ast.Name) else ast.literal_eval(node)
