"""A real JupyterLab and a real browser for the tests of this folder.

One server for the whole session, on a free port, with a home, settings and a root folder of its own: nothing of the
user's JupyterLab is read or changed. One Chromium; each test gets a page of its own that writes down every console
error and every request to another host.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("jupyterlab", reason="JupyterLab is not installed: pip install 'kdutils[notebooks]'.")
sync_api = pytest.importorskip("playwright.sync_api",
                               reason="Playwright is not installed: pip install 'kdutils[test]'.")

sync_api.expect.set_options(timeout=30_000)     # Playwright waits for 5 s, too short for a busy machine

ROOT = Path(__file__).parents[2]
OURS = ("localhost", "127.0.0.1")
SLOW = "[anywidget] Failed to initialize model."    # said after two seconds, as on a busy machine; hear.js sees to it


@dataclass
class Lab:
    """A running JupyterLab: its address and the folder it serves."""

    url: str
    folder: Path

    def write(self, name: str, *cells: str) -> str:
        """Put a notebook with these code cells into the folder; returns the address that opens it alone on the page."""
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
        nbformat.write(notebook, self.folder / name)
        return f"{self.url}/doc/tree/{name}"


@pytest.fixture(scope="session")
def lab(tmp_path_factory) -> Iterator[Lab]:
    """JupyterLab with this interpreter's kernel, offline, with everything it writes in a temporary folder."""
    # A machine compiles the training kernels once: before the tests, not while one asks how soon a panel answers.
    # Without numba there are none, and torch trains.
    compile_all = "from kdutils.training.kernels import compiled as c; [c.kernel(name) for name in c.KERNELS]"
    subprocess.run([sys.executable, "-c", compile_all], env=_environment() | {"KDUTILS_ENGINE": "kernels"},
                   capture_output=True, timeout=400, check=False)
    with _server(tmp_path_factory, "--LabApp.expose_app_in_browser=True") as running:
        yield running


@pytest.fixture(scope="module")
def other_front_ends(tmp_path_factory) -> Iterator[Lab]:
    """The same for Notebook 7 and Voila, which are parts of JupyterLab's server. A server of their own: jupyter_server
    finds a font of JupyterLab in the folder of Notebook 7 once it was asked for there, and then refuses it."""
    with _server(tmp_path_factory, "--JupyterNotebookApp.expose_app_in_browser=True") as running:
        yield running


def _environment() -> dict[str, str]:
    """What a server and its kernels inherit: nothing of the user's settings."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "KDUTILS_"))}
    return environment | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "OMP_NUM_THREADS": "1", "KDUTILS_CACHE": os.environ["KDUTILS_CACHE"]}


@contextmanager
def _server(tmp_path_factory, *options: str) -> Iterator[Lab]:
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("notebooks")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = _environment() | {
        "HOME": str(home), "JUPYTER_CONFIG_DIR": str(home / "config"), "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"), "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"), "IPYTHONDIR": str(home / "ipython")}
    # The course's own, also where another version of it was installed. News and updates would leave the machine.
    defaults = json.loads((ROOT / "kdutils" / "course" / "jupyterlab_defaults.json").read_text())
    for name, values in defaults.items():
        package, _, plugin = name.partition(":")
        settings = home / "settings" / package / f"{plugin}.jupyterlab-settings"
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(json.dumps(values))
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}",
               "--ip=127.0.0.1", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}",
               "--IdentityProvider.token=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
               "--LabApp.news_url=None", "--MultiKernelManager.default_kernel_name=python3", *options]
    log = home / "jupyterlab.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=environment, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        _until_it_answers(url + "/api/status", server, log)
        yield Lab(url, folder)
    finally:
        server.terminate()      # the server ends its kernels first
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _until_it_answers(url: str, server: subprocess.Popen, log: Path, patience: float = 90) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text(errors='replace')[-3000:]}")


@dataclass
class Notebook:
    """An open notebook in the browser, and what must not happen in it."""

    page: object
    errors: list[str] = field(default_factory=list)     # console errors and uncaught exceptions
    foreign: list[str] = field(default_factory=list)    # requests to another host

    def open(self, url: str) -> None:
        """Show the notebook and wait for its kernel."""
        self.page.goto(url)
        self.page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=90_000)

    def run_all(self) -> None:
        """Run every cell, without waiting for the end."""
        # No value comes back: evaluate would wait for the cells.
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")

    def save(self) -> None:
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")

    def idle(self, timeout: float = 90_000) -> None:
        """Wait until the kernel has nothing to do."""
        self.page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'",
            timeout=timeout)

    def close(self) -> None:
        # The kernel would outlive the page.
        self.page.evaluate("async () => { await window.jupyterapp?.shell.currentWidget?.sessionContext?.shutdown(); }")
        self.page.context.close()

    def check(self) -> None:
        """No console error, no request that left this machine."""
        assert not self.errors, "\n".join(self.errors)
        assert not self.foreign, "\n".join(self.foreign)


@pytest.fixture(scope="session")
def new_notebook(browser) -> Callable[[], Notebook]:
    """Makes a fresh page of 1280 x 900 pixels, which its caller checks and closes."""
    def make() -> Notebook:
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.set_default_timeout(30_000)
        opened = Notebook(page)
        page.on("console", lambda message: opened.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: None if SLOW in str(error)
                else opened.errors.append(f"{error}\n{error.stack}"))
        page.on("request", lambda request: opened.foreign.append(request.url) if _foreign(request.url) else None)
        return opened

    return make


@pytest.fixture
def notebook(new_notebook) -> Iterator[Notebook]:
    """A fresh page of 1280 x 900 pixels; `check()` is called at the end of a test that passed."""
    opened = new_notebook()
    yield opened
    opened.close()


def _foreign(url: str) -> bool:
    address = urllib.request.urlparse(url)
    return address.scheme in ("http", "https", "ws", "wss") and address.hostname not in OURS
