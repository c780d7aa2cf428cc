"""`make test` gets a browser or says in one sentence that it cannot: it is never green with no widget tried."""

import importlib.util
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def get_browser(monkeypatch):
    """The script, on a machine without a browser, without administrators and without a way to get one."""
    spec = importlib.util.spec_from_file_location("get_browser", ROOT / "tests" / "browser" / "get_browser.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.commands, module.there = [], None
    monkeypatch.delenv("BROWSER", raising=False)
    monkeypatch.setattr(module, "find_browser", lambda: module.there)
    monkeypatch.setattr(module, "shutil", SimpleNamespace(which=lambda name: None))
    monkeypatch.setattr(module, "worked", lambda command: module.commands.append(command))
    return module


def test_a_browser_that_is_there_is_enough_and_none_is_none(get_browser, monkeypatch):
    get_browser.there = "chromium"
    get_browser.main()
    get_browser.there = None
    monkeypatch.setenv("BROWSER", "none")
    get_browser.main()
    assert get_browser.commands == []


def test_playwright_is_asked_first_and_debian_next(get_browser, monkeypatch, capsys):
    def worked(command):
        get_browser.commands.append(command[:2] + command[-2:])
        if command[-1] == "chromium" and "apt-get" in command:
            get_browser.there = "chromium"
        return command[0] == "sudo" or "apt-get" in command

    monkeypatch.setattr(get_browser, "worked", worked)
    monkeypatch.setattr(get_browser, "shutil", SimpleNamespace(which=lambda name: f"/bin/{name}"))
    monkeypatch.setattr(get_browser.os, "geteuid", lambda: 1000, raising=False)
    get_browser.main()
    last = [command[-2:] for command in get_browser.commands]
    assert last == [["install", "chromium"], ["-n", "true"], ["update", "-q"], ["--no-install-recommends", "chromium"]]
    assert get_browser.commands[-1][:2] == ["sudo", "-n"]
    said = capsys.readouterr().out
    assert "trying Playwright's own" in said and "trying Debian's package" in said


def test_without_any_way_it_ends_with_one_sentence(get_browser):
    with pytest.raises(SystemExit) as ended:
        get_browser.main()
    sentence = str(ended.value)
    assert "BROWSER=none" in sentence and "KDUTILS_BROWSER" in sentence and not re.search(r"[.!] [A-Z]|\n", sentence)
    assert len(get_browser.commands) == 1 and get_browser.commands[0][-2:] == ["install", "chromium"]


def test_the_makefile_gets_it_before_any_test_runs_and_ci_needs_no_line_of_its_own():
    recipe = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert recipe.index("get_browser.py") < recipe.index("pytest")
    assert "chromium" not in (ROOT / ".ci" / "run").read_text()
