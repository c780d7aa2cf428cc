"""Is this machine ready for the course? One check per thing that breaks for real, each with its remedy."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from kdutils.folders import tried_out

Status = Literal["ok", "warn", "fail"]

REINSTALL = "Install the course's packages again: pip install -c constraints.txt -e '.[notebooks,cluster,test]'"

# Python package -> the folder of its half that runs in the browser, below share/jupyter/labextensions.
FRONT_ENDS = {
    "jupyterlab_widgets": "@jupyter-widgets/jupyterlab-manager",
    "anywidget": "anywidget",
    "plotly": "jupyterlab-plotly",
}


RUNTIME = ("Install Microsoft's Visual C++ runtime (x64; the package manager winget knows it as "
           "Microsoft.VCRedist.2015+.x64), then start again: torch needs it, and a fresh Windows has none.")
NO_WHEEL = "torch has no build for Macs with an Intel processor any more: use another machine."


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `remedy` is empty where there is nothing to do."""

    name: str
    status: Status
    found: str
    remedy: str = ""


def report() -> list[Check]:
    """Every check, in the order in which a reader would mend things. Takes seconds: torch is imported."""
    return [check for look in (python, torch_pair, gpu, threads, engine, data, cache, widgets, front_ends, browser)
            for check in _run(look)]


def failed(checks: Iterable[Check]) -> bool:
    """True if the course cannot run as it should."""
    return any(check.status == "fail" for check in checks)


def table(checks: Iterable[Check]) -> str:
    """The checks as lines of text: status, name, what was found, and the remedy under what needs one."""
    checks = list(checks)
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{check.status:<4}  {check.name:<{width}}  {check.found}")
        if check.remedy:
            lines.append(f"{'':<{width + 6}}  -> {check.remedy}")
    return "\n".join(lines)


def python(version: tuple[int, ...] = sys.version_info[:3]) -> Check:
    found = ".".join(map(str, version))
    if (3, 11) <= tuple(version[:2]) <= (3, 13):
        return Check("Python", "ok", found)
    return Check("Python", "fail", found, "Use Python 3.11, 3.12 or 3.13: make clean, then make lab.")


def torch_pair() -> Check:
    """torchvision is compiled for exactly one torch; its metadata say which."""
    torch, vision = version_of("torch"), version_of("torchvision")
    found = f"torch {torch or 'absent'}, torchvision {vision or 'absent'}"
    if not (torch and vision):
        return Check("torch", "fail", found, NO_WHEEL if intel_mac() else REINSTALL)
    wanted = next((match[1] for line in metadata.requires("torchvision") or ()
                   if (match := re.match(r"torch\s*==\s*([\w.]+)", line))), None)
    if wanted and torch.split("+")[0] != wanted:
        return Check("torch", "fail", f"{found}, which was built for torch {wanted}", REINSTALL)
    return Check("torch", "ok", found)


def intel_mac(system: str = sys.platform, machine: str = platform.machine()) -> bool:
    """Whether this is a Mac with an Intel processor."""
    return system == "darwin" and machine == "x86_64"


def remedy(error: BaseException) -> str:
    """What to do about an error while looking; WinError 126, a library that is not found, is the C++ runtime's."""
    return RUNTIME if getattr(error, "winerror", None) == 126 or "WinError 126" in str(error) else REINSTALL


def gpu() -> Check:
    """Never a failure: every notebook runs on a CPU."""
    import torch

    if torch.cuda.is_available():
        return Check("GPU", "ok", f"{torch.cuda.get_device_name()} (CUDA {torch.version.cuda})")
    return Check("GPU", "ok", "none; smoke and lecture do not need one, full takes patience")


def threads(cores: int | None = None, quota: float | None = None, omp: str | None = None) -> Check:
    """Cores that may really be used (affinity, container quota), against what OMP_NUM_THREADS asks for."""
    cores = cores or _cores()
    quota = quota or cpu_quota()
    omp = omp if omp is not None else os.environ.get("OMP_NUM_THREADS", "")
    usable = cores if quota is None else min(cores, quota)
    found = f"{cores} cores" + (f", {quota:g} of them by this container's quota" if usable < cores else "")
    found += f", OMP_NUM_THREADS={omp}" if omp else ""
    if omp.isdigit() and int(omp) > max(1.0, usable):
        fewer = f"Set OMP_NUM_THREADS to {max(1, int(usable))}: more threads than cores are slower."
        return Check("threads", "warn", found, fewer)
    if usable < 2:
        return Check("threads", "warn", found, "Give it two cores: with one the page lags during training.")
    return Check("threads", "ok", found)


def engine() -> Check:
    """What trains the small networks of panels and sweeps on the CPU."""
    from kdutils.training.kernels import compiled

    if compiled.installed():
        return Check("engine", "ok", compiled.state())
    return Check("engine", "warn", compiled.state(), "pip install -c constraints.txt numba  (live answers come several "
                                                     "times sooner with it)")


def data() -> Iterable[Check]:
    from kdutils import datasets

    for name, card in datasets.CARDS.items():
        if datasets.available(name):
            yield Check(f"data: {name}", "ok", "embedded" if card.embedded else f"in {datasets.root()}")
        elif card.embedded:
            yield Check(f"data: {name}", "fail", "cannot be read", REINSTALL)
        else:
            yield Check(f"data: {name}", "ok", f"optional, not in {datasets.root()}; {card.how}")


def cache() -> Check:
    from kdutils import cache

    folder = cache.directory()
    remedy = "Set KDUTILS_CACHE to a folder you may write; until then every teacher is trained anew."
    if folder is None:
        return Check("cache", "warn", "no folder is known", remedy)
    try:
        tried_out(folder)
    except OSError as error:
        return Check("cache", "fail", f"{folder} cannot be written ({error.strerror})", remedy)
    return Check("cache", "ok", str(folder))


def widgets() -> Check:
    """The Python half of the panels, and a kernel that brings a thread's updates to the page."""
    names = ("jupyterlab", "ipykernel", "ipywidgets", "anywidget", "plotly", "matplotlib")
    versions = {name: version_of(name) for name in names}
    found = ", ".join(f"{name} {version or 'absent'}" for name, version in versions.items())
    if None in versions.values():
        return Check("notebook packages", "fail", found, REINSTALL)
    if versions["ipykernel"].startswith("7.0."):
        lost = "ipykernel 7.0 loses updates that come from a thread: pip install -U ipykernel"
        return Check("notebook packages", "fail", found, lost)
    return Check("notebook packages", "ok", found)


def front_ends(folders: Iterable[Path] | None = None) -> Iterable[Check]:
    """Each widget package's half in the browser: there, and of the version that its Python half came with.

    JupyterLab serves the first folder that holds an extension: a stale copy in the user's home wins over
    the good one.
    """
    folders = list(labextension_folders() if folders is None else folders)
    for package, extension in FRONT_ENDS.items():
        name = f"front end: {package}"
        served = next((f / extension for f in folders if (f / extension / "package.json").exists()), None)
        if served is None:
            yield Check(name, "fail", f"{extension} is in none of JupyterLab's extension folders", REINSTALL)
            continue
        version, shipped = _package_version(served / "package.json"), _shipped_version(package, extension)
        if shipped and version != shipped:
            found = f"{extension} {version} in {served}, but {package} {version_of(package)} ships {shipped}"
            remedy = f"Remove {served}, then: pip install --force-reinstall --no-deps {package}"
            yield Check(name, "fail", found, remedy)
        else:
            yield Check(name, "ok", f"{extension} {version}")


def browser() -> Check:
    """Only the browser tests need one here; a reader's own browser shows the course."""
    if path := find_browser():
        return Check("browser for tests", "ok", path)
    return Check("browser for tests", "warn", "none found; `make test` gets one, which takes a network",
                 "python -m playwright install chromium  (or install Chromium or Chrome)")


def find_browser() -> str | None:
    """Path of the first Chromium that Playwright can drive and that starts; None if there is none."""
    return next((path for path in _browsers() if _starts(path)), None)


def _browsers() -> Iterator[str]:
    """The one that KDUTILS_BROWSER names; without that, those on the PATH, then Playwright's own."""
    if chosen := os.environ.get("KDUTILS_BROWSER"):
        yield from [chosen] * Path(chosen).is_file()
        return
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
    yield from filter(None, map(shutil.which, names))
    own = {"linux": Path.home() / ".cache", "darwin": Path.home() / "Library/Caches"}.get(
        sys.platform, Path(os.environ.get("LOCALAPPDATA", Path.home())))
    root = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or own / "ms-playwright")
    programs = ("chrome", "chrome.exe", "Chromium", "Google Chrome for Testing")
    yield from (str(path) for path in sorted(root.glob("chromium-*/chrome-*/**/*"), reverse=True)
                if path.name in programs and path.is_file())


def _starts(path: str) -> bool:
    """It may lack a library, or be a mere pointer to a snap. Windows is not asked: that would open a window."""
    if os.name == "nt":
        return True
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _run(look: Callable[[], Check | Iterable[Check]]) -> list[Check]:
    """The checks of one look; what breaks while looking (a torch that cannot be loaded) is a finding too."""
    try:
        found = look()
        return [found] if isinstance(found, Check) else list(found)
    except Exception as error:
        return [Check(look.__name__, "fail", f"{type(error).__name__}: {error}", remedy(error))]


def version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def usable_cores() -> int:
    """Cores that this process may keep busy, at least one: its affinity and its container's quota are respected."""
    return max(1, int(min(_cores(), cpu_quota() or _cores())))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Cores that a container may use (cgroup version 2, then 1); None without a limit."""
    try:
        limit, period = (root / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        limit, period = (int((root / f"cpu/cpu.cfs_{part}_us").read_text()) for part in ("quota", "period"))
        return None if limit <= 0 else limit / period
    except (OSError, ValueError):
        return None


def labextension_folders() -> list[Path]:
    if version_of("jupyter_core") is None:
        return []
    from jupyter_core.paths import jupyter_path

    return [Path(folder) for folder in jupyter_path("labextensions")]


def _shipped_version(package: str, extension: str) -> str | None:
    """Version of the front end as installed with the Python package; None where pip kept no list of files."""
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        return None
    wanted = f"share/jupyter/labextensions/{extension}/package.json"
    paths = [Path(file.locate()) for file in files if file.as_posix().endswith(wanted)]
    return next((_package_version(path) for path in paths if path.exists()), None)


def _package_version(path: Path) -> str:
    try:
        return str(json.loads(path.read_text(encoding="utf-8")).get("version", "of no version"))
    except (OSError, ValueError):
        return "unreadable"
