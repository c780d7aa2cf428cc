"""What the tests share: one torch thread, a cache of their own, made-up examples instead of random draws."""

import importlib.util
import os
import re
import threading
from contextlib import contextmanager

import pytest
import torch
from hypothesis import HealthCheck, settings

from kdutils.course.doctor import find_browser, usable_cores
from kdutils.errors import ParameterError

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]
NO_BROWSER = "No Chromium starts here: `make test` gets one, or does without if it is told BROWSER=none."

# The same examples every time and no deadline: a busy machine must not fail a test.
settings.register_profile("course", derandomize=True, deadline=None, max_examples=60,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("course")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """One worker a core that may really be used. More than eight only wait for the longest file."""
    return min(usable_cores(), 8)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A file stays in one worker, which makes its fixtures once; an executed page too. With xdist's own groups, which
    it writes into a test's id, pytest 9.2 no longer goes along: every test went its own way, without a word."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return Groups(config, log)


def group_of(nodeid: str) -> str:
    """The file of a test; for a test of a notebook the notebook too. A page that is executed belongs to its notebook
    and its parameters, whatever the file: it is executed once."""
    path, _, values = nodeid.partition("[")
    path = path.partition("::")[0]
    notebook = re.search(r"\d\d_[a-z_]+", values)
    if not notebook or "tests/notebooks/" not in path:
        return path
    if path.endswith(("test_papermill.py", "test_static_pages.py")):
        return f"{notebook[0]}, executed {'unlike' if 'unlike' in values else 'as stored'}"
    return f"{path}, {notebook[0]}"


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Without the notebook packages, as on a bare GPU machine, a file that imports what is absent is skipped, so that
    `pytest tests/unit -m gpu` runs the rest."""
    report = yield
    bare = report.failed and importlib.util.find_spec("ipywidgets") is None
    if bare and re.search("No module named '(?!kdutils)", report.longreprtext):
        report.outcome, report.longrepr = "skipped", (str(collector.path), None, "needs the notebook packages")
    return report


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Teachers are trained once per test session, in whichever worker needs them first, and never mix with the user's.

    A worker's temporary folder lies in that of the session, where all workers find the one cache.
    """
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDUTILS_CACHE", str(folder / "cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """The networks are small: more threads would only get into each other's way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests of a process, which Playwright does not start twice: the one that `kdutils doctor`
    finds, on the PATH or Playwright's own."""
    sync_api = pytest.importorskip("playwright.sync_api",
                                   reason="Playwright is not installed: pip install 'kdutils[test]'.")
    path = find_browser()
    if path is None:  # skipped only for a caller who said so: a green run means that the widgets were tried
        (pytest.skip if os.environ.get("BROWSER") == "none" else pytest.fail)(NO_BROWSER)
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request, monkeypatch):
    """Every device the core should give the same answers on; on a GPU in full single precision."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    return request.param


@pytest.fixture
def refuses():
    """`with refuses("alpha", "1.5"):` expects a ParameterError of one sentence that names these words."""

    @contextmanager
    def expect(*words):
        with pytest.raises(ParameterError) as caught:
            yield
        sentence = str(caught.value)
        assert re.fullmatch(r"[^\n]+\.", sentence) and not re.search(r"\. [A-Z]", sentence), sentence
        assert all(word in sentence for word in words), sentence

    return expect


@pytest.fixture
def no_thread_is_left(monkeypatch):
    """Panels end their threads, and none of these fails unheard."""
    from helpers import ours, until  # which need the notebook packages

    failed = []
    monkeypatch.setattr(threading, "excepthook", lambda args: failed.append(args.exc_value))
    yield
    assert until(lambda: not ours()), ours()
    assert not failed, failed
