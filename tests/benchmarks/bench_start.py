"""How long until something is there: a notebook's first run and its second, importing the package, and peak memory.

    python tests/benchmarks/bench_start.py [--profile smoke] [--notebook 00_start_here] [--rounds 1]

Every run is `kdutils run` in a process of its own, as a maintainer would call it: *cold* with an empty cache of
teachers, *warm* with the cache that the cold run has just filled; they take turns, and the figures are medians over the
rounds. At profile lecture one cold run is made, for its time and its memory. Peak memory is the largest resident set of
the notebook's kernel, as the system keeps it where it does (Linux), else as seen twenty times a second. Import times
are those of fresh interpreters, medians of five. Prints a table and writes results/start_cpu.json beside this file.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import click
import psutil

from kdutils.cache import write_whole
from kdutils.results import provenance

ROOT = Path(__file__).parents[2]
NOTEBOOKS = tuple(path.stem for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")))
IMPORTS = {"nothing": "pass", "torch": "import torch", "the core": "import kdutils.claims, kdutils.cohorts",
           "core and panels": "import kdutils.claims, kdutils.live, kdutils.course"}
REPEATS = 5
PROMISED = 1.1  # a warm start takes at most this many times a cold one


def import_seconds() -> dict[str, float]:
    """Median wall time of fresh interpreters that import this and end; the first of each pays the disk, uncounted."""
    took = {name: [] for name in IMPORTS}
    for _ in range(REPEATS + 1):
        for name, code in IMPORTS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
            took[name].append(time.perf_counter() - start)
    return {name: round(median(times[1:]), 3) for name, times in took.items()}


def run(notebook: str, profile: str, folder: Path) -> dict:
    """One `kdutils run` with the cache in `folder`: wall seconds, peak MB of its kernel and of all its processes."""
    command = [sys.executable, "-c", "from kdutils.cli import app; app()", "run",
               str(ROOT / "notebooks" / f"{notebook}.ipynb"), "--profile", profile, "--out", str(folder / "runs")]
    environment = os.environ | {"KDUTILS_CACHE": str(folder / "cache")}
    said = folder / "said.txt"
    start = time.perf_counter()
    with said.open("w") as output:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        kernel, together = watch(psutil.Process(process.pid))
    seconds = time.perf_counter() - start
    if process.wait() != 0:
        raise click.ClickException(f"{notebook} at profile {profile} failed:\n{said.read_text()}")
    return {"seconds": round(seconds, 2), "kernel_mb": round(kernel / 1e6), "together_mb": round(together / 1e6)}


def watch(runner: psutil.Process) -> tuple[int, int]:
    """Peak bytes of the largest child of a process, and of the process with all its children, until it ends."""
    kernel = together = 0
    while runner.is_running() and runner.status() != psutil.STATUS_ZOMBIE:
        try:
            children = [peak(child) for child in runner.children(recursive=True)]
            kernel = max(kernel, *children, 0)
            together = max(together, sum(children) + peak(runner))
        except psutil.NoSuchProcess:
            pass  # ended between two looks
        time.sleep(0.05)
    return kernel, together


def peak(process: psutil.Process) -> int:
    """The largest resident set so far, in bytes: Linux keeps it, elsewhere it is the present one."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
        return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
    except (OSError, StopIteration):
        return process.memory_info().rss


def measure(notebook: str, profiles: tuple[str, ...], rounds: int) -> dict:
    """Cold and warm runs of one notebook at profile smoke, and a cold one at each other profile."""
    row = {"notebook": notebook}
    for profile in profiles:
        runs = {"cold": [], "warm": []}
        for _ in range(rounds if profile == "smoke" else 1):
            with tempfile.TemporaryDirectory() as folder:
                for name in ("cold", "warm") if profile == "smoke" else ("cold",):
                    runs[name].append(run(notebook, profile, Path(folder)))
                    click.echo(f"{notebook}, {profile}, {name}: {runs[name][-1]}")
        row[profile] = {name: median(one["seconds"] for one in runs[name]) for name in runs if runs[name]} | {
            key: max(one[key] for kind in runs.values() for one in kind) for key in ("kernel_mb", "together_mb")}
        if runs["warm"]:
            row[profile]["cold_to_warm"] = round(median(
                cold["seconds"] / warm["seconds"] for cold, warm in zip(runs["cold"], runs["warm"], strict=True)), 2)
    return row


def report(imports: dict[str, float], rows: list[dict]) -> str:
    """The tables a reader sees."""
    lines = ["", *(f"importing {name:<16} {seconds:6.2f} s" for name, seconds in imports.items()), "",
             f"{'notebook':<28} {'profile':<8} {'cold, s':>8} {'warm, s':>8} {'kernel, MB':>11} {'together, MB':>13}"]
    for row in rows:
        for profile, found in row.items():
            if profile != "notebook":
                warm = f"{found['warm']:8.1f}" if "warm" in found else " " * 8
                lines.append(f"{row['notebook']:<28} {profile:<8} {found['cold']:8.1f} {warm} "
                             f"{found['kernel_mb']:>11,} {found['together_mb']:>13,}")
    return "\n".join(lines)


def compare(notebooks: tuple[str, ...] = NOTEBOOKS, profiles: tuple[str, ...] = ("smoke", "lecture"),
            rounds: int = 1, keep: bool = True) -> list[dict]:
    """Measure everything, print it and, unless it is a part of it only, keep the figures."""
    start = time.perf_counter()
    imports = import_seconds()
    rows = [measure(notebook, profiles, rounds) for notebook in notebooks]
    click.echo(report(imports, rows))
    if keep:
        made = provenance("cpu", time.perf_counter() - start) | {"threads": 1}  # what the runner gives its kernel
        text = json.dumps({"benchmark": "start", "provenance": made, "cores": psutil.cpu_count(), "rounds": rounds,
                           "imports": imports, "rows": rows}, indent=1)
        path = Path(__file__).parent / "results" / "start_cpu.json"
        write_whole(path, lambda target: target.write_text(text + "\n"))
    return rows


def test_a_second_start_is_no_slower_than_the_first():
    for row in compare(profiles=("smoke",), keep=False):
        assert row["smoke"]["cold_to_warm"] * PROMISED >= 1, row


@click.command()
@click.option("--notebook", "notebooks", multiple=True, type=click.Choice(NOTEBOOKS), help="These only; not kept.")
@click.option("--profile", "profiles", multiple=True, default=("smoke", "lecture"), show_default=True)
@click.option("--rounds", default=1, show_default=True, type=click.IntRange(1), help="Of cold and warm runs.")
def main(notebooks: tuple[str, ...], profiles: tuple[str, ...], rounds: int) -> None:
    """Cold and warm starts, import times and peak memory."""
    compare(notebooks or NOTEBOOKS, profiles, rounds, keep=not notebooks and set(profiles) == {"smoke", "lecture"})


if __name__ == "__main__":
    main()
