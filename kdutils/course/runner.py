"""Run a notebook headless, from the first cell to the last, and let no error hide.

papermill alone stays green when code raises inside an Output widget, inside a callback or in a thread. So the
notebook is executed with its widget state kept in memory, everything is scanned, the state is thrown away,
and what is left is saved as an executed notebook with an HTML page beside it.
"""

import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpecManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from kdutils.cache import write_whole
from kdutils.course import knobs
from kdutils.course.page import handout, page
from kdutils.course.scan import records, scan, strip, too_large
from kdutils.errors import ParameterError
from kdutils.folders import environment, tried_out

# What the kernel inherits: blocking cells, static figures, and no threads but those a notebook asks for.
ENVIRONMENT = {"KDUTILS_HEADLESS": "1", "OMP_NUM_THREADS": "1"}
# The kernel's own log is about its sockets and about the interrupt with which every run ends; errors come as outputs.
QUIET_KERNEL = ("--IPKernelApp.log_level=50",)


@dataclass(frozen=True)
class Report:
    """What came of a run. `failures`: a sentence each, none for a good run; a failed run is saved as well."""

    notebook: Path
    executed: Path
    html: Path
    seconds: float
    bytes: int
    records: dict[str, Any]
    failures: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.failures


def run(notebook: str | Path, parameters: Mapping[str, Any] | None = None, out_dir: str | Path = "runs", *,
        progress: bool = True, cell_timeout: int | None = None) -> Report:
    """Execute `notebook` with `parameters` and scan it; writes NAME.ipynb, NAME.html and NAME_handout.html
    into `out_dir`.

    parameters: values for the cell tagged `parameters`, JSON-simple.
    progress: a bar on stderr, one tick per cell.
    cell_timeout: seconds that one cell may take; None is without limit.
    Raises ParameterError if the notebook is missing, has no such parameter, or cannot be run with such a value,
    before a kernel is started; what goes wrong while it runs is in the report.
    """
    path, parameters = Path(notebook), dict(parameters or {})
    source = read(path)
    kernel_of(path.name, source)
    with _environment(parameters):
        knobs.refuse(path.name, source, parameters)
    out = _folder(Path(out_dir))
    started = time.perf_counter()
    executed, failures = _execute(path, source, parameters, progress, cell_timeout)
    seconds = time.perf_counter() - started
    failures += scan(executed, source)
    strip(executed)
    text = nbformat.writes(executed)
    size = len(text.encode())
    failures += too_large(executed, size, source)
    report = Report(path, out / path.name, out / f"{path.stem}.html", seconds, size, records(executed), tuple(failures))
    written = {report.executed: text, report.html: page(executed, path.stem)}
    if any("handout" in cell.metadata.get("tags", []) for cell in source.cells):
        written[out / f"{path.stem}_handout.html"] = handout(executed, path.stem)
    try:
        for file, content in written.items():
            write_whole(file, lambda target, content=content: target.write_text(content, encoding="utf-8"))
    except OSError as error:
        raise ParameterError(f"{path.name} has run and cannot be saved in {out} ({error.strerror}).") from error
    return report


def read(path: Path) -> NotebookNode:
    """The notebook at `path`, or ParameterError in one sentence."""
    if not os.path.isfile(path):  # not path.is_file(), which raises for a name that no file can have
        raise ParameterError(f"There is no notebook {path}.")
    try:
        notebook = nbformat.convert(nbformat.reader.reads(path.read_text(encoding="utf-8")), 4)
        nbformat.validate(notebook)
        return nbformat.v4.upgrade(notebook)  # cells of an older one have ids from now on
    except Exception as error:  # nbformat and jsonschema raise a dozen kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:80].rstrip(".")
        raise ParameterError(f"{path} cannot be read as a notebook: {reason}.") from error


def kernel_of(title: str, notebook: NotebookNode) -> str:
    """The kernel that a notebook asks for; ParameterError where it is not one of this machine's for Python."""
    name = notebook.metadata.get("kernelspec", {}).get("name", "")
    known = [one for one, about in KernelSpecManager().get_all_specs().items() if about["spec"]["language"] == "python"]
    if name not in known:
        raise ParameterError(f"{title} asks for the kernel {name!r}; those for Python on this machine are "
                             f"{', '.join(known) or 'none'}.")
    return name


def _execute(path: Path, source: NotebookNode, parameters: dict[str, Any], progress: bool,
             cell_timeout: int | None) -> tuple[NotebookNode, list[str]]:
    """The executed notebook, complete or as far as it came, and what stopped it."""
    failures = []
    logging.getLogger("papermill").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, _environment(parameters):
        target = Path(folder) / "executed.ipynb"
        bar = {"desc": path.stem, "leave": False} if progress else False
        try:
            papermill.execute_notebook(source, target, parameters, engine_name=_Engine.name, progress_bar=bar,
                                       cwd=path.resolve().parent, execution_timeout=cell_timeout,
                                       store_widget_state=True, extra_arguments=list(QUIET_KERNEL))
        except PapermillExecutionError:
            pass  # the scan finds the same error in its cell, and names it
        except CellTimeoutError:
            failures.append(f"A cell ran longer than {cell_timeout} seconds.")
        except DeadKernelError:
            failures.append("The kernel died; most often memory ran out.")
        return (nbformat.read(target, as_version=4) if target.exists() else source), failures


class _Engine(NBClientEngine):
    """papermill's engine, which would write the whole notebook before and after every cell: here it is written once,
    complete or as far as it came. On a page with many figures that is half of the work outside its kernel."""

    name = "kdutils"

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, **settings):
        target, nb_man.output_path = nb_man.output_path, None
        try:
            return super().execute_managed_notebook(nb_man, kernel_name, **settings)
        finally:
            nb_man.output_path = target
            nb_man.save()


papermill_engines.register(_Engine.name, _Engine)


@contextmanager
def _environment(parameters: Mapping[str, Any]) -> Iterator[None]:
    """Set what the kernel inherits; a profile given as a parameter is not overruled by KDUTILS_PROFILE."""
    former = dict(os.environ)
    os.environ.update(environment() | ENVIRONMENT)
    if "profile" in parameters:
        os.environ.pop("KDUTILS_PROFILE", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(former)


def _folder(path: Path) -> Path:
    """`path`, made and tried out before the run: minutes of work are not lost for want of a place."""
    try:
        return tried_out(path)
    except OSError as error:
        raise ParameterError(f"The run cannot be saved in {path} ({error.strerror}).") from error
