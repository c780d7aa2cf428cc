"""The wheel carries the course: built here, put into a fresh environment, and started there."""

import json
import os
import socket
import subprocess
import sys
import sysconfig
import urllib.request
import venv
from pathlib import Path

import pytest
from helpers import until

pytest.importorskip("hatchling", reason="hatchling is not installed: pip install 'kdutils[test]'.")
pytest.importorskip("jupyterlab", reason="needs the notebook packages")

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))

# Everything that the lessons ship beside their code can be read from where the wheel was put.
READ = """
import sys
from pathlib import Path
import kdutils
from kdutils.lessons import catalog
assert Path(kdutils.__file__).is_relative_to(sys.prefix), kdutils.__file__
assert catalog.select(()), "no claims"
assert not any(catalog.recorded(claim.experiment).table.empty for claim in catalog.select(()))
from kdutils import pages
assert pages.folder().is_relative_to(sys.prefix), pages.folder()
assert pages.stage_lines(pages.note("01_dark_knowledge", ""), "Temperature lab"), "nothing is asked on the stage"
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The folder of the programs of an environment that has the wheel; all other packages are those of this one."""
    place = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)], cwd=ROOT, check=True,
                   capture_output=True, timeout=120)
    (wheel,) = place.glob("*.whl")
    venv.create(place / "env", with_pip=False)
    paths = {"base": str(place / "env"), "platbase": str(place / "env")}
    scheme = "venv" if "venv" in sysconfig.get_scheme_names() else None
    folders = sysconfig.get_paths(*filter(None, [scheme]), vars=paths)
    # What a .pth file names is searched last, and the .pth files in it, such as an editable kdutils's, are not read.
    (Path(folders["purelib"]) / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run([sys.executable, "-m", "pip", "--python", str(place / "env"), "install", "--no-index", "--no-deps",
                    "--no-compile", "--quiet", "--disable-pip-version-check", str(wheel)],
                   check=True, capture_output=True, timeout=120)
    return Path(folders["scripts"])


@pytest.fixture
def elsewhere(tmp_path):
    """The environment variables of someone who has no clone: no path to it, no settings of the course."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith(("KDUTILS_", "JUPYTER", "PYTHONPATH"))} | {
        "HOME": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path), "KDUTILS_CACHE": os.environ["KDUTILS_CACHE"]}


def test_records_claims_and_teaching_notes_travel_along(programs, elsewhere, tmp_path):
    run = subprocess.run([programs / "python", "-c", READ], env=elsewhere, cwd=tmp_path, capture_output=True, text=True,
                         timeout=120)
    assert run.returncode == 0, run.stderr


def test_start_copies_the_course_and_jupyterlab_shows_it(programs, elsewhere, tmp_path):
    """Catches a wheel without notebooks, and a JupyterLab that is opened on another folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [programs / "kdutils", "start", "mine", "--", "--no-browser", "--allow-root", f"--port={port}",
               "--ServerApp.port_retries=0", "--IdentityProvider.token="]

    def pages():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/contents", timeout=5) as answer:
                return sorted(item["name"] for item in json.load(answer)["content"] if item["type"] == "notebook")
        except OSError:
            return None

    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, env=elsewhere, cwd=tmp_path, stdout=log,
                                                                stderr=log, start_new_session=True) as started:
        try:
            assert until(lambda: pages() is not None or started.poll() is not None, 120)
            assert pages() == PAGES, (tmp_path / "log").read_text()
        finally:
            os.killpg(started.pid, 15)  # kdutils and the JupyterLab that it waits for
    assert (tmp_path / "mine" / "teaching" / "00_start_here.md").exists()
    again = subprocess.run([programs / "kdutils", "start", "mine", "--copy-only"], env=elsewhere, cwd=tmp_path,
                           capture_output=True, text=True, timeout=120)
    assert again.stdout == "0 files copied into mine.\n", again.stdout + again.stderr
