"""Every notebook, headless, at profile smoke: as stored, then with other parameters and every exercise solved."""

import re

import nbformat
import pytest

from kdutils.course.scan import MAX_BYTES
from kdutils.course.session import settle
from kdutils.lessons import catalog

SECONDS = 60  # on two cores that have nothing else to do

# The second set of parameters: every one unlike the stored ones. A notebook that is not named gets another seed.
UNLIKE = {
    "00_start_here": {"seed": 11, "transfer": 50, "temperature": 8.0},
    "01_dark_knowledge": {"seed": 11, "temperatures": [1, 5, 20], "transfer_sizes": [50, 400], "omitted": 8,
                          "example_digit": 7},
    "02_tolerant_teachers": {"seed": 11, "etas": [0, 1.0], "ranks": 3, "label_weight": 0.8, "example_digit": 8},
    "03_subclass_distillation": {"seed": 11, "subclasses": 3, "beta": 0.3, "t_aux": 1.0, "transfer_sizes": [40, 200],
                                 "temperature": 2.0, "example_digit": 7},
    "04_spherical_distillation": {"seed": 11, "widths": [16, 64], "temperatures": [2, 8], "m": 3.0, "transfer": 60,
                                  "example_digit": 8},
    "05_extracurricular_learning": {"seed": 11, "gaze_sizes": [60, 200], "digit_sizes": [30, 100], "views": [1, 4],
                                    "share": 0.7, "temperature": 4.0},
    "06_beyond_compression": {"seed": 11, "few": 60, "noise": 0.2, "temperature": 2.0, "lens": "RKD"},
}


@pytest.fixture(params=["stored", "unlike"])
def report(request, notebook, execute):
    if request.param == "stored":
        return execute(notebook, profile="smoke")
    return execute(notebook, solved=True, profile="smoke", **UNLIKE.get(notebook.stem, {"seed": 11}))


def test_the_page_is_complete_small_and_quick(report, worked):
    assert report.ok, "\n".join(report.failures)
    assert report.bytes <= MAX_BYTES
    # What a page works is its own; what it waits may be the machine's.
    took = f"{report.seconds:.0f} s, {worked[report.executed]:.0f} of work; the slowest:\n{slowest(report.executed)}"
    assert worked[report.executed] <= SECONDS and report.seconds <= 4 * SECONDS, took
    assert report.html.stat().st_size > 10_000


def test_numbers_are_recorded(report):
    assert report.records["finished"] is True
    assert len(report.records) > 1, "the page records no number that a test could hold it to"


def test_stubs_are_not_done_yet_and_solutions_are_right(notebook, report, request):
    """Run All goes on past every stub and says so; with the solutions in place every check is content."""
    wanted = "right" if "unlike" in request.node.callspec.id else "not done yet"
    said = {}
    for cell in nbformat.read(report.executed, as_version=4).cells:
        for tag in cell.metadata.get("tags", []):
            if tag.startswith("check:"):
                said[tag] = " ".join(output.get("data", {}).get("text/plain", "") for output in cell.outputs)
    assert said, "the page checks no exercise"
    for name, text in said.items():
        assert f": {wanted}." in text, f"{name}: {text}"


def test_every_part_that_an_experiment_reports_is_foreseen(notebook, report, request):
    """Catches a share that is missing, by which the bar and the time left of all parts behind it would be wrong."""
    given = UNLIKE.get(notebook.stem, {}) if "unlike" in request.node.callspec.id else {}
    lesson, said = notebook.stem[3:], {}
    session = settle("smoke", lesson=lesson, **given)
    for cell in nbformat.read(report.executed, as_version=4).cells:
        for name, asked in re.findall(r"= session\.run\((\w+)(?:, (.+))?\)$", cell.source, re.MULTILINE):
            module = catalog.experiment(lesson if name in ("experiment", lesson) else f"{lesson}.{name}")
            params = eval(asked, {"session": session, name: module}) if asked else session.params
            lines = "".join(one.get("text", "") for one in cell.outputs if one.output_type == "stream").splitlines()
            said[cell.id] = len(lines), len(module.work(params))
    assert said and all(reported == foreseen for reported, foreseen in said.values()), said


def slowest(executed, count: int = 5) -> str:
    """The cells that took longest, one per line."""
    told = [(cell.metadata.get("papermill", {}).get("duration") or 0, cell.id)
            for cell in nbformat.read(executed, as_version=4).cells]
    return "\n".join(f"{seconds:6.1f} s  {name}" for seconds, name in sorted(told, reverse=True)[:count])
