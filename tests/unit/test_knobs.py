"""Parameters of the stored notebooks: what cannot be run is refused before a kernel is started, in one sentence."""

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from kdutils.cli import app
from kdutils.course.session import settle
from kdutils.errors import ParameterError
from kdutils.lessons import catalog

nbformat = pytest.importorskip("nbformat", reason="needs the notebook packages")
knobs = pytest.importorskip("kdutils.course.knobs", reason="needs the notebook packages", exc_type=ImportError)

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
BY_NUMBER = {path.name[:2]: path for path in NOTEBOOKS}

WRONG = [
    ("00", "transfer", 0, "transfer must be a whole number between 1 and 1200, got 0."),
    ("00", "transfer", 1201, "transfer must be a whole number between 1 and 1200, got 1201."),
    ("00", "transfer", 2.5, "transfer must be a whole number between 1 and 1200, got 2.5."),
    ("00", "transfer", "many", "transfer must be a whole number between 1 and 1200, got 'many'."),
    ("00", "temperature", 100, "temperature must be between 0.5 and 32, got 100."),
    ("00", "temperature", 0, "temperature must be between 0.5 and 32, got 0."),
    ("00", "temperature", True, "temperature must be between 0.5 and 32, got True."),
    ("00", "seed", -1, "seed must be a whole number between 0 and 2147483647, got -1."),
    (
        "00",
        "seed",
        1000000000000000000000000000000,
        "seed must be a whole number between 0 and 2147483647, got 1000000000000000000000000000000.",
    ),
    ("00", "profile", "smok", "profile must be one of smoke, lecture, full; got 'smok'."),
    ("01", "temperatures", 0, "temperatures must be a list of at least 1 value, such as [1, 4], got 0."),
    ("01", "temperatures", [], "temperatures must be a list of at least 1 value, such as [1, 4], got []."),
    ("01", "temperatures", "1 4", "temperatures must be a list of at least 1 value, such as [1, 4], got '1 4'."),
    ("01", "temperatures", "[1, 4", "temperatures must be a list of at least 1 value, such as [1, 4], got '[1, 4'."),
    ("01", "temperatures", [1, 0], "each of temperatures must be between 0.1 and 100, got 0."),
    ("01", "temperatures", [4, 4], "temperatures must be different values, got 4 twice."),
    (
        "01",
        "transfer_sizes",
        [50, 5000],
        "transfer images must be a whole number between 1 and 1200 (the pool of digits), got 5000.",
    ),
    ("01", "transfer_sizes", [], "transfer_sizes must be a list of at least 1 value, such as [1, 4], got []."),
    ("01", "omitted", 10, "omitted must be a whole number between 0 and 9, got 10."),
    ("01", "example_digit", -1, "example_digit must be a whole number between 0 and 9, got -1."),
    ("02", "etas", [], "etas must be a list of at least 1 value, such as [1, 4], got []."),
    ("02", "etas", [0, -1], "each of etas must be between 0 and 100, got -1."),
    ("02", "ranks", 1, "ranks must be a whole number between 2 and 10 (the classes), got 1."),
    ("02", "ranks", 11, "ranks must be a whole number between 2 and 10 (the classes), got 11."),
    ("02", "label_weight", 1.5, "label_weight must be between 0 and 1, got 1.5."),
    ("02", "example_digit", "three", "example_digit must be a whole number between 0 and 9, got 'three'."),
    ("03", "subclasses", 2.5, "subclasses must be a whole number between 1 and 20, got 2.5."),
    ("03", "subclasses", 21, "subclasses must be a whole number between 1 and 20, got 21."),
    ("03", "beta", -0.1, "beta must be between 0 and 100, got -0.1."),
    ("03", "t_aux", 0, "t_aux must be between 0.05 and 100, got 0."),
    ("03", "temperature", 20, "temperature must be between 0.5 and 16, got 20."),
    (
        "03",
        "transfer_sizes",
        [1],
        "transfer images must be a whole number between 2 and 1200 (one for each class, at most the pool), got 1.",
    ),
    ("03", "transfer_sizes", [], "transfer_sizes must be a list of at least 1 value, such as [1, 4], got []."),
    ("04", "widths", [32], "widths must be a list of at least 2 values, such as [1, 4], got [32]."),
    ("04", "widths", [128, 32], "widths must be in order, the smallest first, got [128, 32]."),
    ("04", "widths", [32, 40.5], "each of widths must be a whole number between 1 and 16384, got 40.5."),
    ("04", "m", [2], "m must be between 0.1 and 100, got [2]."),
    ("04", "temperatures", [4], "temperatures must be a list of at least 2 values, such as [1, 4], got [4]."),
    ("04", "m", 0, "m must be between 0.1 and 100, got 0."),
    ("04", "transfer", 0, "transfer must be a whole number between 1 and 1200, got 0."),
    ("04", "example_digit", 10, "example_digit must be a whole number between 0 and 9, got 10."),
    ("05", "gaze_sizes", [5], "each of gaze_sizes must be a whole number between 10 and 300, got 5."),
    ("05", "gaze_sizes", [10.5], "each of gaze_sizes must be a whole number between 10 and 300, got 10.5."),
    ("05", "gaze_sizes", 100, "gaze_sizes must be a list of at least 1 value, such as [1, 4], got 100."),
    ("05", "digit_sizes", [20, 2000], "each of digit_sizes must be a whole number between 10 and 1200, got 2000."),
    ("05", "views", [0], "each of views must be a whole number between 1 and 1000, got 0."),
    ("05", "views", [2, 2], "views must be different values, got 2 twice."),
    ("05", "share", 1.1, "share must be between 0 and 1, got 1.1."),
    ("05", "temperature", -2, "temperature must be between 0.1 and 100, got -2."),
    ("06", "few", 19, "few must be a whole number between 20 and 1200, got 19."),
    ("06", "noise", 2, "noise must be between 0 and 1, got 2."),
    ("06", "temperature", 0, "temperature must be between 0.1 and 100, got 0."),
    ("06", "lens", "CRD", "lens must be one of KD, BSS, FitNets, AT, FSP, RKD, SP, DML, ONE; got 'CRD'."),
]


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    monkeypatch.delenv("KDUTILS_PROFILE", raising=False)


def stored(number):
    return nbformat.read(BY_NUMBER[number], as_version=4)


@pytest.fixture(scope="module", autouse=True)
def imported():
    """What a kernel has imported when its setup cell begins to look."""
    for lesson in catalog.LESSONS:
        settle(lesson=lesson)


@pytest.mark.parametrize(("number", "name", "value", "sentence"), WRONG)
def test_what_cannot_be_run_is_refused_at_once_with_value_and_range(number, name, value, sentence):
    """Catches a page that hands a knob to its experiment, or to a panel, without a look at it."""
    began = time.perf_counter()
    with pytest.raises(ParameterError) as error:
        knobs.refuse(BY_NUMBER[number].name, stored(number), {"profile": "smoke"} | {name: value})
    assert time.perf_counter() - began < 1
    assert str(error.value) == sentence


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_page_is_described_by_its_own_defaults(path):
    """The defaults that a lesson's page compares a run with are those of the notebook: no stored run differs."""
    lesson = path.stem[3:]
    notebook = nbformat.read(path, as_version=4)
    values = {one.name: one.value for one in knobs.knobs(notebook)}
    assert settle(lesson=lesson, **values).unlike == {}
    knobs.refuse(path.name, notebook, {})
    assert all(one.meaning for one in knobs.knobs(notebook))


def test_what_differs_is_named():
    session = settle("smoke", lesson="dark_knowledge", temperatures=[1, 4], omitted=3)
    assert session.unlike == {"profile": ("smoke", "lecture"), "temperatures": ((1, 4), (1, 2, 4, 8, 16, 32))}
    with pytest.raises(ParameterError, match="parameter must be one of temperatures, .*; got 'temperature'"):
        settle(lesson="dark_knowledge", temperature=4)


def test_a_page_allows_what_its_panels_allow():
    """Catches a temperature that the parameters cell allows and a panel of the page refuses a minute later."""
    from kdutils.lessons.dark_knowledge.panels.temperature_lab import TemperatureLab
    from kdutils.lessons.subclass_distillation.panels.few_labels_race import FewLabelsRace
    from kdutils.lessons.subclass_distillation.panels.what_teacher_tells import WhatTheTeacherTells

    for lesson, panels in (
        ("start_here", [TemperatureLab]),
        ("subclass_distillation", [FewLabelsRace, WhatTheTeacherTells]),
    ):
        controls = [control for panel in panels for control in panel.controls if control.name == "temperature"]
        low, high = max(one.low for one in controls), min(one.high for one in controls)
        for value in (low, high):
            settle("smoke", lesson=lesson, temperature=value)
        for value in (low * 0.99, high * 1.01):
            with pytest.raises(ParameterError):
                settle("smoke", lesson=lesson, temperature=value)


@pytest.fixture
def no_kernel(monkeypatch):
    from kdutils.course import runner

    def started(*args, **kwargs):
        raise AssertionError("a kernel was started")

    monkeypatch.setattr(runner.papermill, "execute_notebook", started)


@pytest.mark.parametrize(("number", "name", "value", "sentence"), [
    *WRONG,
    ("01", "temperatures", "1,4", "temperatures must be a list of at least 1 value, such as [1, 4], got '1,4'."),
    ("01", "temperature", 4, "01_dark_knowledge.ipynb has no parameter temperature; it has profile, seed, "
                             "temperatures, transfer_sizes, omitted, example_digit."),
])
def test_the_command_says_the_sentence_alone_and_starts_nothing(number, name, value, sentence, no_kernel, tmp_path):
    """Catches a command that starts a kernel first, and one that says more than the sentence."""
    text = value if isinstance(value, str) else json.dumps(value)
    run = CliRunner().invoke(app, ["run", str(BY_NUMBER[number]), "--out", str(tmp_path / "out"), "-p", name, text])
    assert (run.exit_code, run.output) == (2, sentence + "\n")
    assert not (tmp_path / "out").exists()


def test_the_command_lists_the_parameters_and_says_how_a_list_is_written(no_kernel):
    listed = CliRunner().invoke(app, ["run", str(BY_NUMBER["01"]), "--parameters"])
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.output.splitlines()] == [
        "profile",
        "seed",
        "temperatures",
        "transfer_sizes",
        "omitted",
        "example_digit",
    ]
    assert "[50, 100, 1200]" in listed.output and "each 1 to 1200" in listed.output
    assert '-p temperatures "[1, 4, 16]"' in " ".join(CliRunner().invoke(app, ["run", "--help"]).output.split())


def test_a_call_that_only_the_notebook_can_work_out_is_left_to_it(tmp_path):
    cell = nbformat.v4.new_code_cell
    notebook = nbformat.v4.new_notebook(
        cells=[
            cell("seed = -1  # any\n", metadata={"tags": ["parameters"]}),
            cell("session = setup('smoke', seed * chosen())", metadata={"tags": ["setup"]}),
        ]
    )
    knobs.refuse("own.ipynb", notebook, {})
    notebook.cells[1].source = "session = setup('smoke', seed)"
    with pytest.raises(ParameterError, match="got -1"):
        knobs.refuse("own.ipynb", notebook, {})
    notebook.cells[0].source = "seed = ="
    with pytest.raises(ParameterError, match="is no Python"):
        knobs.refuse("own.ipynb", notebook, {})
