"""nbval, the second opinion: it reads the kernel's raw messages and sees errors that papermill lets pass."""

import os
import subprocess
import sys

import nbformat
from nbformat.v4 import new_code_cell, new_notebook


def nbval(path, tmp_path):
    """`pytest --nbval-lax` on one notebook, in a process of its own, at profile smoke."""
    environment = os.environ | {"KDUTILS_PROFILE": "smoke", "KDUTILS_HEADLESS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=120", "-q",
               "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={tmp_path}", str(path)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)


def test_every_cell_runs(notebook, tmp_path):
    result = nbval(notebook, tmp_path)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-1000:]


def test_an_error_inside_an_output_widget_is_seen(tmp_path):
    """What makes this second run worth its time: papermill alone is green on this notebook."""
    code = "import ipywidgets\nout = ipywidgets.Output()\nwith out:\n    raise ValueError('hidden')"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=[new_code_cell(code)], metadata={"kernelspec": kernel}), tmp_path / "bad.ipynb")
    result = nbval(tmp_path / "bad.ipynb", tmp_path)
    assert result.returncode == 1 and "hidden" in result.stdout
