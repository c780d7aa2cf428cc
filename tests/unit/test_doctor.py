"""Each check of the doctor, on made-up machines: what it finds, and that a remedy stands beside every complaint."""

import json
import re

import pytest

from kdutils import datasets
from kdutils.course import doctor
from kdutils.course.doctor import Check


@pytest.fixture
def notebook_packages():
    """Skips on a bare machine, where the core is installed alone and the doctor complains with reason."""
    pytest.importorskip("jupyterlab", reason="needs the notebook packages")


def test_the_report_covers_what_breaks_and_this_machine_has_the_essentials(notebook_packages):
    checks = doctor.report()
    by_name = {check.name: check for check in checks}
    assert {"Python", "torch", "GPU", "threads", "engine", "data: digits", "cache", "notebook packages",
            "front end: plotly", "front end: anywidget", "front end: jupyterlab_widgets",
            "browser for tests"} <= set(by_name)
    for name in ("Python", "torch", "data: digits", "notebook packages"):
        assert by_name[name].status == "ok", by_name[name]
    for check in checks:
        assert check.status == "ok" or check.remedy, check
    text = doctor.table(checks)
    assert len(text.splitlines()) == len(checks) + sum(bool(check.remedy) for check in checks)


def test_failed_counts_failures_only():
    assert not doctor.failed([Check("a", "ok", ""), Check("b", "warn", "", "mend")])
    assert doctor.failed([Check("a", "ok", ""), Check("b", "fail", "", "mend")])


def test_a_look_that_breaks_is_a_finding(monkeypatch):
    def gpu():
        raise OSError("libcudart.so: cannot open shared object file")

    monkeypatch.setattr(doctor, "gpu", gpu)
    check = next(check for check in doctor.report() if check.name == "gpu")
    assert check.status == "fail" and "libcudart" in check.found and check.remedy


@pytest.mark.parametrize(("version", "status"), [
    ((3, 10, 9), "fail"), ((3, 11, 0), "ok"), ((3, 13, 9), "ok"), ((3, 14, 0), "fail")])
def test_python(version, status):
    assert doctor.python(version).status == status


def test_torchvision_of_another_torch_fails(monkeypatch):
    versions = {"torch": "2.12.0+cpu", "torchvision": "0.27.0"}
    monkeypatch.setattr(doctor, "version_of", versions.get)
    monkeypatch.setattr(doctor.metadata, "requires", lambda _: ["numpy", "torch==2.12.0", "pillow"])
    assert doctor.torch_pair().status == "ok"
    versions["torch"] = "2.11.0"
    check = doctor.torch_pair()
    assert check.status == "fail" and "built for torch 2.12.0" in check.found and check.remedy
    del versions["torchvision"]
    assert "torchvision absent" in doctor.torch_pair().found


@pytest.mark.parametrize(("cores", "quota", "omp", "status"), [
    (8, None, "", "ok"), (8, 2.0, "", "ok"), (8, 2.0, "8", "warn"), (2, None, "2", "ok"), (2, None, "4", "warn"),
    (1, None, "", "warn"), (8, 0.5, "1", "warn"), (4, None, "many", "ok")])
def test_threads(cores, quota, omp, status):
    assert doctor.threads(cores, quota, omp).status == status


def test_quota_of_a_container(tmp_path):
    assert doctor.cpu_quota(tmp_path) is None
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert doctor.cpu_quota(tmp_path) == 1.5
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert doctor.cpu_quota(tmp_path) is None
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("200000")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000")
    assert doctor.cpu_quota(tmp_path) == 2.0


def test_absent_data_are_optional_and_the_command_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("KDUTILS_DATA", str(tmp_path))
    datasets.catalog._load_from.cache_clear()
    checks = {check.name: check for check in doctor.data()}
    assert checks["data: digits"].status == "ok"
    assert checks["data: mnist"].status == "ok"
    assert "kdutils data get mnist" in checks["data: mnist"].found


def test_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("KDUTILS_CACHE", str(tmp_path / "new"))
    assert doctor.cache().status == "ok"
    (tmp_path / "file").touch()
    monkeypatch.setenv("KDUTILS_CACHE", str(tmp_path / "file"))
    check = doctor.cache()
    assert check.status == "fail" and "KDUTILS_CACHE" in check.remedy


def test_widgets(monkeypatch, notebook_packages):
    real = doctor.version_of
    monkeypatch.setattr(doctor, "version_of", lambda name: "7.0.1" if name == "ipykernel" else real(name))
    assert doctor.widgets().status == "fail"
    monkeypatch.setattr(doctor, "version_of", lambda name: None if name == "plotly" else real(name))
    assert "plotly absent" in doctor.widgets().found and doctor.widgets().status == "fail"


def test_front_ends(tmp_path, notebook_packages):
    """A stale copy in the first folder hides the good one; an empty set of folders has none."""
    here = {check.name: check for check in doctor.front_ends()}
    assert all(check.status == "ok" for check in here.values()), here
    assert [check.status for check in doctor.front_ends([tmp_path])] == ["fail"] * 3
    stale = tmp_path / "anywidget"
    stale.mkdir()
    (stale / "package.json").write_text(json.dumps({"version": "0.1.0"}))
    check = {c.name: c for c in doctor.front_ends([tmp_path, *doctor.labextension_folders()])}["front end: anywidget"]
    assert check.status == "fail" and "0.1.0" in check.found and str(stale) in check.remedy
    (stale / "package.json").write_text("{broken")
    check = {c.name: c for c in doctor.front_ends([tmp_path])}["front end: anywidget"]
    assert check.status == "fail" and "unreadable" in check.found


def test_browser(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    monkeypatch.delenv("KDUTILS_BROWSER", raising=False)
    check = doctor.browser()
    assert check.status == "warn" and "playwright install chromium" in check.remedy
    own = tmp_path / "chromium-1200/chrome-linux/chrome"
    own.parent.mkdir(parents=True)
    own.write_text("#!/bin/sh\nexit 127\n")
    own.chmod(0o755)
    assert doctor.find_browser() is None, "it is there but lacks a library"
    own.write_text("#!/bin/sh\nexit 0\n")
    assert doctor.find_browser() == str(own)
    monkeypatch.setenv("KDUTILS_BROWSER", str(tmp_path / "gone"))
    assert doctor.find_browser() is None


def test_the_remedy_installs_what_the_makefile_installs():
    from pathlib import Path

    extras = re.search(r"^EXTRAS := (.*)$", (Path(__file__).parents[2] / "Makefile").read_text(), re.M)[1]
    assert f".[{extras}]" in doctor.REINSTALL


def test_a_fresh_windows_is_told_of_the_runtime_and_no_other_error_is():
    """Catches an advice to install everything again where a library of the system is missing."""
    missing = OSError("[WinError 126] The specified module could not be found. Error loading c10.dll")
    assert "Visual C++" in doctor.remedy(missing)
    assert doctor.remedy(OSError("no space left")) == doctor.REINSTALL


def test_a_mac_with_an_intel_processor_is_told_that_there_is_no_torch(monkeypatch):
    assert doctor.intel_mac("darwin", "x86_64")
    assert not doctor.intel_mac("darwin", "arm64") and not doctor.intel_mac("linux", "x86_64")
    monkeypatch.setattr(doctor, "version_of", lambda package: None)
    monkeypatch.setattr(doctor, "intel_mac", lambda: True)
    assert doctor.torch_pair().remedy == doctor.NO_WHEEL
