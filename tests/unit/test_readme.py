"""The READMEs say what is so: their links lead somewhere, their figures are the measured ones, their commands exist."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {path: (ROOT / path).read_text(encoding="utf-8")
         for path in ("README.md", "data/README.md", "kdutils/sweeps/README.md", "tests/benchmarks/README.md")}
README = PAGES["README.md"]
BENCHMARKS = PAGES["tests/benchmarks/README.md"]


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_are_there_and_pictures_are_small(page):
    for link, heading in re.findall(r"\]\((?!http)([^)#]+)#?([^)]*)\)", PAGES[page]):
        target = ROOT / Path(page).parent / link
        assert target.exists(), link
        assert not link.endswith(".png") or target.stat().st_size < 200_000, link
        assert not heading or heading in anchors(target.read_text(encoding="utf-8")), heading


def anchors(text: str) -> set[str]:
    """What the headings of a page in Markdown are called in links, by the usual rule of forges."""
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, re.M)}


def test_the_readme_leads_to_every_other_page():
    assert not [page for page in PAGES if page != "README.md" and f"({page})" not in README]


def test_the_table_of_speed_is_that_of_the_committed_results():
    spec = importlib.util.spec_from_file_location("speed_table", ROOT / "tests" / "benchmarks" / "speed_table.py")
    speed_table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(speed_table)
    assert speed_table.updated(BENCHMARKS) == BENCHMARKS, "run: python tests/benchmarks/speed_table.py"


def test_every_notebook_is_in_the_table_and_has_its_teaching_note():
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        assert f"(notebooks/{notebook.name})" in README, notebook.name
        assert (ROOT / "notebooks" / "teaching" / f"{notebook.stem}.md").exists(), notebook.name


TARGETS = sorted(set(re.findall(r"`?make (lab|test|fast|faults|fit|bench|pictures|clean)", README)))


@pytest.mark.parametrize("target", TARGETS)
def test_make_targets_exist(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target


def test_what_make_calls_beside_the_tests_could_start():
    """Benches and pictures run rarely: a fixture that moved away from them would be noticed by who needs them."""
    started = [sys.executable, "-m", "pytest", "--setup-plan", "-q", "-p", "no:cacheprovider",
               "tests/benchmarks/bench_labs.py", "tests/browser/take_pictures.py"]
    plan = subprocess.run(started, cwd=ROOT, capture_output=True, text=True, check=False)
    assert plan.returncode == 0, plan.stdout[-2000:] + plan.stderr[-2000:]


def test_commands_exist():
    from kdutils.cli import app

    for page in PAGES.values():
        for command in re.findall(r"(?:`|^)kdutils (\w+)", page, re.M):
            assert command in app.commands, command
