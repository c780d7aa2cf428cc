"""The command line `kdutils`. What a command needs is imported when it runs, so that --help answers at once."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdutils import __version__
from kdutils.errors import AbsentError, ParameterError, one_of

if TYPE_CHECKING:
    from kdutils.results import Results


class Commands(click.Group):
    """A wrong value is one sentence on stderr and exit status 2, never a traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except ParameterError as error:
            click.echo(str(error), err=True)
            context.exit(2)
        except BrokenPipeError:  # the reader of a pipe has seen enough, which click knows
            raise
        except OSError as error:  # a disk that is full, a folder that may not be written
            where = f" at {error.filename}" if error.filename else ""
            click.echo(f"The system refuses what is needed{where} ({error.strerror or error}).", err=True)
            context.exit(2)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kdutils")
def app() -> None:
    """An interactive course on knowledge distillation: look after it, run it, read its claims."""
    if hasattr(sys.stdout, "reconfigure"):  # a terminal or a pipe that knows no ✓ gets its number
        sys.stdout.reconfigure(errors="backslashreplace")


@app.command()
def doctor() -> None:
    """Check this machine. Exit status 1, with a remedy each, if something must be mended."""
    from kdutils.course import doctor

    checks = doctor.report()
    click.echo(doctor.table(checks))
    if doctor.failed(checks):
        raise SystemExit(1)


@app.command(short_help="Copy the notebooks into a folder and open JupyterLab.")
@click.argument("folder", default="kdutils-course", type=click.Path(path_type=Path, file_okay=False))
@click.argument("lab_args", nargs=-1, type=click.UNPROCESSED)
@click.option("--copy-only", is_flag=True, help="Open nothing.")
def start(folder: Path, lab_args: tuple[str, ...], copy_only: bool) -> None:
    """Copy the notebooks of the course into FOLDER (kdutils-course if none is given) and open them in JupyterLab.

    A notebook that you have changed is never written over. What follows after -- goes to JupyterLab:

    \b
    kdutils start
    kdutils start my-course -- --no-browser --port 8899
    """
    from kdutils.course import start

    copied = start.copy(folder)
    click.echo(f"{len(copied.written)} files copied into {folder}.")
    if copied.kept:
        click.echo(f"Yours stay as they are: {', '.join(copied.kept)}; rename them to get the course's beside them.")
    if not copy_only:
        raise SystemExit(start.open_lab(folder, lab_args))


@app.command()
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option("-p", "given", nargs=2, multiple=True, metavar="NAME VALUE",
              help="Set a parameter; may be repeated. A list is written as JSON: -p temperatures \"[1, 4, 16]\".")
@click.option("--profile", metavar="PROFILE", help="smoke, lecture or full.")
@click.option("--out", default="runs", type=click.Path(path_type=Path), show_default=True,
              help="Folder of the executed notebook and its HTML page.")
@click.option("--parameters", "only_list", is_flag=True,
              help="List the notebook's parameters, with their values, meanings and ranges; run nothing.")
def run(notebook: Path, given: tuple[tuple[str, str], ...], profile: str | None, out: Path, only_list: bool) -> None:
    """Run NOTEBOOK headless and scan it.

    Exit status 1 if any error came, seen or hidden; 2, before anything runs, for a parameter that it cannot run with.

    \b
    kdutils run notebooks/01_dark_knowledge.ipynb --parameters
    kdutils run notebooks/01_dark_knowledge.ipynb --profile smoke
    kdutils run notebooks/01_dark_knowledge.ipynb -p omitted 7 -p temperatures "[1, 4, 16]"
    """
    from kdutils.sweeps.words import value_of

    if only_list:
        from kdutils.course import knobs, runner

        click.echo(knobs.table(runner.read(notebook)))
        return

    parameters = {name: value_of(text) for name, text in given}
    if profile is not None:
        from kdutils.course.session import PROFILES

        parameters["profile"] = one_of("profile", profile, PROFILES)
    from kdutils.course import runner

    report = runner.run(notebook, parameters, out)
    click.echo(f"{notebook.name}: {'finished' if report.ok else 'FAILED'} after {report.seconds:.0f} s, "
               f"{report.bytes / 1e6:.2f} MB, {len(report.records)} records.")
    click.echo(f"{report.executed}\n{report.html}")
    for failure in report.failures:
        click.echo(failure, err=True)
    if not report.ok:
        raise SystemExit(1)


@app.command(short_help="Run an experiment for every combination of parameter values.")
@click.argument("experiment")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUES",
              help="One value, or several between commas: a point of the sweep for each. May be repeated. A parameter "
                   "that is a list itself takes JSON: one list, or a list of lists.")
@click.option("--profile", default="lecture", show_default=True, metavar="PROFILE",
              help="What is not set: smoke, lecture or full.")
@click.option("--workers", type=int, metavar="N", help="Processes at once.  [default: the cores of this machine]")
@click.option("--threads", default=1, show_default=True, metavar="N", help="CPU threads of torch in each of them.")
@click.option("--seeds-each", type=int, metavar="N", help="Split the seeds of each point into runs of at most N.")
@click.option("--part", metavar="I/N", help="Measure share I of N of the points alone; the command without it then "
                                            "writes the table.")
@click.option("--sbatch", type=int, metavar="N", help="Print a script for Slurm's queue, an array of N tasks; run "
                                                      "nothing.")
@click.option("--dask", metavar="ADDRESS", help="Run on the Dask cluster with this scheduler, such as tcp://host:8786.")
@click.option("--out", default="runs/sweep", type=click.Path(path_type=Path), show_default=True,
              help="Folder of the table, EXPERIMENT.json, and of the finished points.")
@click.option("--parameters", "only_list", is_flag=True,
              help="List what can be set, with its values at the profile; run nothing.")
def sweep(experiment: str, given: tuple[str, ...], profile: str, workers: int | None, threads: int,
          seeds_each: int | None, part: str | None, sbatch: int | None, dask: str | None, out: Path,
          only_list: bool) -> None:
    """Run EXPERIMENT for every combination of parameter values; with no lists, once.

    EXPERIMENT is a lesson (dark_knowledge), another experiment of one (subclass_distillation.mnist), or the dotted path
    of a module of your own on PYTHONPATH. Finished points are kept: the same command, after an
    interrupt or a crash, does the rest.

    \b
    kdutils sweep start_here --parameters
    kdutils sweep start_here
    kdutils sweep start_here --set temperature=1,4,16 --set transfer=50,100
    kdutils sweep dark_knowledge --profile lecture --set hidden=8,16 --set "transfer_sizes=[50, 100]"
    kdutils sweep start_here --set seeds=48 --seeds-each 12 --dask tcp://scheduler:8786
    kdutils sweep start_here --set seeds=48 --seeds-each 12 --sbatch 4 > sweep.sh
    """
    import inspect
    from contextlib import ExitStack

    from tqdm import tqdm

    from kdutils import sweeps
    from kdutils.sweeps import pool, words
    from kdutils.sweeps.explained import explained
    from kdutils.sweeps.points import points as points_of

    base = sweeps.parameters(experiment, profile)
    if only_list:
        click.echo(f"{inspect.getdoc(base)}\n")
        for name, meaning in explained(type(base)).items():
            value = getattr(base, name)
            said = f"{name}={value if isinstance(value, str) else json.dumps(value)}"
            click.echo(f"{said}  # {meaning}" if meaning else said)
        return
    base, grid = words.grid_of(experiment, base, given)
    if sbatch is not None:
        options = [*(f"--set={one}" for one in given), f"--profile={profile}", f"--threads={threads}", f"--out={out}",
                   f"--workers={workers or 1}", *([f"--seeds-each={seeds_each}"] if seeds_each is not None else [])]
        tasks = min(sbatch, len(points_of(experiment, grid, base, seeds_each)))
        gpu = str(getattr(base, "device", "cpu")).startswith("cuda")
        click.echo(words.slurm_script(experiment, options, tasks, threads * (workers or 1), gpu))
        return
    bars = []

    def progress(done: int, points: int) -> None:
        if not bars:  # nothing to draw before the first call: it comes when all values are found good
            bars.append(stack.enter_context(tqdm(desc=experiment, unit="point", initial=done, total=points)))
        bars[0].update(done - bars[0].n)

    failure = None
    with ExitStack() as stack:
        executor = stack.enter_context(pool.dask_client(dask)).get_executor() if dask is not None else None
        try:
            results = sweeps.sweep(experiment, grid, executor, out / "points",
                                   lambda line: tqdm.write(line, file=sys.stderr), threads, base=base, workers=workers,
                                   seeds_each=seeds_each, part=part, progress=progress)
        except sweeps.SweepError as error:
            failure, results = str(error), error.results
    if failure:
        click.echo(failure, err=True)
    if part is not None:
        click.echo(f"Part {part}: {len(results.table):,} rows in {out / 'points'}")
        raise SystemExit(1 if failure else 0)
    path = out / f"{experiment}.json"
    if results.table.empty:
        click.echo(f"Not complete: no rows, {path} is not written.")
        raise SystemExit(1)
    try:
        results.save(path)
    except OSError as error:
        raise ParameterError(f"the table cannot be written to {path} ({error.strerror}); what could be kept of its "
                             f"{len(results.table):,} rows lies in {out / 'points'}.") from error
    click.echo(f"{'' if results.complete else 'Not complete: '}{len(results.table):,} rows in {path}")
    if not results.complete:
        raise SystemExit(1)


@app.group()
def data() -> None:
    """The data sets of the course."""


@data.command("list")
def data_list() -> None:
    """Every data set: where it is, its size and licence."""
    from kdutils import datasets

    folder = datasets.root()
    for name, card in datasets.CARDS.items():
        there = "embedded" if card.embedded else datasets.state(name)
        size = f", {card.download_mb:g} MB to fetch" if card.downloads else ", from its owners" if card.by_hand else ""
        click.echo(f"{name:<14} {there:<9} {card.title}, {card.examples:,} examples{size}, {card.licence}")
    click.echo(f"Folder: {folder}")


@data.command("get")
@click.argument("name")
def data_get(name: str) -> None:
    """Fetch the data set NAME, with a progress bar and checksums."""
    from kdutils import datasets

    folder = datasets.get(name)
    click.echo(f"{name} is embedded; there is nothing to fetch." if datasets.CARDS[name].embedded
               else f"{name} is in {folder}.")


@app.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
@click.option("--measure", is_flag=True, help="Measure them now, on this machine, instead of reading the record.")
@click.option("--record", is_flag=True, help="With --measure: keep the results as the course's record.")
@click.option("--fresh", is_flag=True, help="Those asked again on seeds that nobody had looked at, on these seeds.")
def claims(ids: tuple[str, ...], as_json: bool, measure: bool, record: bool, fresh: bool) -> None:
    """Print claims and their verdicts. All of them, or those of the given IDs with what each part compares."""
    from kdutils.claims import plain
    from kdutils.lessons import catalog

    if record and not measure:
        raise ParameterError("--record keeps what --measure finds; give both.")
    chosen = catalog.select(ids)
    if fresh:
        chosen = [replace(claim, experiment=claim.fresh, fresh="") for claim in chosen if claim.fresh]
    results = {name: measured(name, record) if measure else recorded(catalog.recorded, name)
               for name in dict.fromkeys(claim.experiment for claim in chosen)}
    again = {claim.fresh: recorded(catalog.recorded, claim.fresh) for claim in chosen if claim.fresh}
    rows = [plain(claim, results[claim.experiment])
            | {"fresh": plain(claim, again[claim.fresh]) if claim.fresh else None} for claim in chosen]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        show(row, row["statement"], bool(ids))
        if row["fresh"]:
            show(row["fresh"], "The same on seeds that nobody had looked at.", bool(ids))
        click.echo()


@app.group()
def cache() -> None:
    """The trained teachers kept on this machine."""


@cache.command("list")
def cache_list() -> None:
    """Every entry, newest first."""
    from kdutils import cache

    entries = cache.entries()
    for entry in entries:
        click.echo(f"{entry.made:%Y-%m-%d %H:%M}  {entry.bytes / 1e6:8.2f} MB  {entry.kind}-{entry.key}")
    total = sum(entry.bytes for entry in entries) / 1e6
    click.echo(f"{len(entries)} entries, {total:.2f} MB, in {cache.directory() or 'no folder'}")
    if halves := cache.unfinished():
        total = sum(half.bytes for half in halves) / 1e6
        click.echo(f"{len(halves)} unfinished files, {total:.2f} MB: being written now, or left by a process that was "
                   "killed; `kdutils cache clear` removes the latter.")


@cache.command("clear")
def cache_clear() -> None:
    """Delete every entry, and what killed processes left. Teachers are trained anew when they are needed."""
    from kdutils import cache

    whole, halves = cache.clear()
    click.echo(f"{whole} entries{f' and {halves} unfinished files' if halves else ''} removed.")


def recorded(load: Callable[[str], "Results"], experiment: str) -> "Results | None":
    """The stored results of an experiment, or None where the course has none yet."""
    try:
        return load(experiment)
    except AbsentError:  # a record that is there and damaged is an error, and no missing one
        return None


def measured(experiment: str, record: bool) -> "Results":
    """Fresh results of an experiment, on one thread as in the notebooks; progress goes to stderr."""
    import torch

    from kdutils.folders import tried_out
    from kdutils.lessons import catalog

    path = catalog.recorded_at(experiment)
    if record:
        tried_out(path.parent)
    torch.set_num_threads(1)
    results = catalog.measure(experiment, lambda line: click.echo(line, err=True))
    if record:
        results.save(path)
    return results


def show(row: dict[str, Any], title: str, details: bool) -> None:
    """Print a claim as `claims.plain` gives it; details: also what each part compares, and its p."""
    from kdutils.claims import MARKS

    click.echo(f"{row['id']:<6} {MARKS[row['verdict']]} {row['verdict']:<26} {title}")
    for part in row["parts"]:
        click.echo(f"      {MARKS[part['verdict']]} {part['words']:<26} {part['says']}: {part['text']}; "
                   f"the claim says {part['rule']}")
        if details:
            p = "" if part["p"] is None else f"; p = {part['p']:.2g} (Holm)"
            click.echo(f"{'':<35} {part['compares']}; worth {part['worth']:g}{p}")
    origin = f"measured {row['date']} on {row['device']}" if row["date"] else "no results are stored"
    click.echo(f"{'':<35} {origin}; {row['source']}")
