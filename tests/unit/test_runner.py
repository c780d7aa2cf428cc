"""`kdutils run` on tiny notebooks: a good one passes, and each way of failing unseen is found and named."""

import os

import pytest

from kdutils.errors import ParameterError

nbformat = pytest.importorskip("nbformat", reason="needs the notebook packages")
runner = pytest.importorskip("kdutils.course.runner", reason="needs the notebook packages", exc_type=ImportError)
scan = pytest.importorskip("kdutils.course.scan").scan
new_code_cell, new_markdown_cell, new_notebook = (
    nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell, nbformat.v4.new_notebook)

SETUP = "from kdutils.course.session import finish, record, setup\nsession = setup(profile, seed)"


def write(path, *sources, last="finish()"):
    """A notebook of the course's shape: title, parameters, setup, the given cells, finish()."""
    cells = [new_markdown_cell("# Tiny", id="title"),
             new_code_cell('profile = "smoke"\nseed = 0', id="parameters", metadata={"tags": ["parameters"]}),
             new_code_cell(SETUP, id="setup")]
    cells += [new_code_cell(source, id=f"step-{number}") for number, source in enumerate(sources, start=1)]
    cells += [new_code_cell(last, id="finish")] if last else []
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def run(path, parameters=None, **options):
    return runner.run(path, parameters, path.parent / "out", progress=False, **{"cell_timeout": 60} | options)


GOOD = """\
import ipywidgets
from IPython.display import display
slider = ipywidgets.FloatSlider(value=4)
display({**slider._repr_mimebundle_(), "text/html": "<b>a slider at 4</b>"}, raw=True)"""

WITNESS = """\
import os
from kdutils.headless import headless
record("headless", headless())
record("omp", os.environ["OMP_NUM_THREADS"])
record("cache", os.environ["KDUTILS_CACHE"])
record("profile", session.profile)
record("seed", session.seed)
record("folder", os.getcwd())"""


def test_a_good_notebook_is_saved_without_widget_state_and_with_its_page(tmp_path, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "as if started from a live notebook")
    monkeypatch.setenv("KDUTILS_PROFILE", "full")
    monkeypatch.setenv("KDUTILS_CACHE", "from/here")    # not from the notebook's folder, in which its kernel works
    path = write(tmp_path / "tiny.ipynb", GOOD, WITNESS, "raise ValueError('on purpose')")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[5].metadata["tags"] = ["raises-exception"]
    nbformat.write(notebook, path)

    report = run(path, {"profile": "smoke", "seed": 3})

    assert report.ok, report.failures
    assert report.records == {"headless": True, "omp": "1", "profile": "smoke", "seed": 3, "folder": str(tmp_path),
                              "cache": os.path.abspath("from/here"), "finished": True}
    stored = report.executed.read_text()
    assert report.bytes == len(stored.encode())
    assert "widgets" not in nbformat.reads(stored, as_version=4).metadata
    assert "application/vnd.jupyter" not in stored
    assert "output_path" not in stored
    page = report.html.read_text()
    assert "a slider at 4" in page and "<title>tiny</title>" in page


def test_the_page_leaves_out_what_a_notebook_folds(tmp_path):
    """Catches a page that prints the answer of a prediction above its question."""
    path = write(tmp_path / "tiny.ipynb", "print('seen ' + 'twice')  # the answer", "record('kept', 5, quiet=True)")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[3].metadata["jupyter"] = {"source_hidden": True}
    nbformat.write(notebook, path)
    report = run(path)
    page, stored = report.html.read_text(), nbformat.read(report.executed, as_version=4)
    assert "seen twice" in page and "# the answer" not in page
    assert report.records["kept"] == 5 and "kept = 5" not in page
    assert not any("folded" in cell.metadata.get("tags", []) for cell in stored.cells)


HIDDEN = [  # a cell, and the sentence that must name it
    ("import ipywidgets\nshown = ipywidgets.Output()\nwith shown:\n    raise ValueError('hidden')", None),
    ("from IPython.display import display\n"
     "display({**ipywidgets.VBox([shown])._repr_mimebundle_(), 'text/html': 'x'}, raw=True)",
     "Cell 5 (step-2) raised ValueError: hidden inside a widget's output."),
    ("unseen = ipywidgets.Output()\nwith unseen:\n    raise ValueError('unseen')",
     "A widget that no cell shows raised ValueError: unseen."),
    ("ipywidgets.IntSlider()", "Cell 7 (step-4) shows a widget only: without a kernel nothing is seen there."),
    ("import traceback\ntry:\n    {}['lost']\nexcept KeyError:\n    traceback.print_exc()",
     "Cell 8 (step-5) printed a traceback to stderr: KeyError: 'lost'."),
    ("print('x' * 1_200_000)",
     "Cell 9 (step-6) is the heaviest of an executed notebook of 1.2 MB, more than 1 MB."),
    ("import threading, time\nhurt = threading.Thread(target=lambda: 1 / 0, name='trainer')\nhurt.start()", None),
    ("threading.Thread(target=time.sleep, args=(60,), name='forever', daemon=True).start()", None),
]


def test_what_papermill_does_not_see_fails_the_run_and_is_named(tmp_path):
    report = run(write(tmp_path / "tiny.ipynb", *(source for source, _ in HIDDEN)))
    assert not report.ok
    for _, sentence in HIDDEN:
        assert sentence is None or sentence in report.failures, report.failures
    assert ("Cell 12 (finish) raised UnfinishedError: This notebook is not finished: the thread trainer raised "
            "ZeroDivisionError: division by zero; the thread forever is still alive.") in report.failures
    assert report.executed.exists() and report.html.exists()


def test_an_error_and_a_missing_finish_fail_the_run(tmp_path):
    report = run(write(tmp_path / "tiny.ipynb", "raise ValueError('too hot')", last=None))
    assert report.failures == ("Cell 4 (step-1) raised ValueError: too hot.",
                               "The notebook never reached finish(): its record 'finished' is missing.")


def test_a_slow_cell_fails(tmp_path):
    report = run(write(tmp_path / "slow.ipynb", "import time\ntime.sleep(30)"), cell_timeout=4)
    assert "A cell ran longer than 4 seconds." in report.failures


def test_wrong_input_is_one_sentence(tmp_path):
    with pytest.raises(ParameterError, match=r"^There is no notebook .*gone\.ipynb\.$"):
        runner.run(tmp_path / "gone.ipynb")
    (tmp_path / "broken.ipynb").write_text("{not json")
    with pytest.raises(ParameterError, match="cannot be read as a notebook"):
        runner.run(tmp_path / "broken.ipynb")
    with pytest.raises(ParameterError, match=r"^tiny.ipynb has no parameter sead; it has profile, seed\.$"):
        runner.run(write(tmp_path / "tiny.ipynb"), {"sead": 1})


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(ParameterError, match="cannot be saved"):
        runner.run(write(tmp_path / "tiny.ipynb"), None, tmp_path / "taken")


def test_scan_names_tracebacks_with_colours_and_errors_deep_in_widgets():
    """The state as ipywidgets stores it: a box that holds an Output, whose outputs hold the error."""
    state = {"box": {"state": {"children": ["IPY_MODEL_out"]}},
             "out": {"state": {"outputs": [{"output_type": "error", "ename": "E", "evalue": "deep\nmore"}]}}}
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "box"}, "image/png": ""}
    red = "\x1b[31mTraceback\x1b[39m (most recent call last)\n\x1b[31mE\x1b[0m: red\n"
    cells = [new_code_cell("a", id="one", outputs=[nbformat.v4.new_output("display_data", data=view)]),
             new_code_cell("b", id="two", outputs=[nbformat.v4.new_output("stream", name="stderr", text=red)])]
    widgets = {"application/vnd.jupyter.widget-state+json": {"state": state}}
    assert set(scan(new_notebook(cells=cells, metadata={"widgets": widgets}))) == {
        "Cell 1 (one) raised E: deep inside a widget's output.",
        "Cell 2 (two) printed a traceback to stderr: E: red.",
        "The notebook never reached finish(): its record 'finished' is missing."}
