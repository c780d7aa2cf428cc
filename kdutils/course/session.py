"""How every notebook begins, keeps its numbers, and ends: `setup`, `record`, `finish`."""

import inspect
import math
import numbers
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, TypeVar

import torch

from kdutils import __version__
from kdutils.claims import Claim, findings, verdict
from kdutils.course import guard
from kdutils.course.waiting import Waiting
from kdutils.errors import ParameterError, one_of, whole
from kdutils.headless import headless
from kdutils.lessons import catalog
from kdutils.results import Results

PROFILES = ("smoke", "lecture", "full")
DEVICES = ("auto", "cpu", "cuda")
MAX_SEED = 2**31 - 1
RECORD = "application/vnd.kdutils.record+json"

T = TypeVar("T")


@dataclass(frozen=True)
class Session:
    """What `setup` settled: profile, seed, device ("cpu" or "cuda") and the number of torch's threads.

    params: the parameters of the lesson's experiment, None on a page without one.
    unlike: {name: (value, default)} of the page's parameters that differ from the run that its text describes.
    """

    profile: str
    seed: int
    device: str
    threads: int
    params: Any = None
    unlike: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    def pick(self, *, smoke: T, lecture: T, full: T) -> T:
        """The value for this session's profile."""
        return {"smoke": smoke, "lecture": lecture, "full": full}[self.profile]

    @property
    def seeds(self) -> int:
        """How many runs the first result of a page has per setting."""
        return self.pick(smoke=3, lecture=12, full=20)

    def scaled(self, experiment: ModuleType, full: int, **changes: Any) -> Any:
        """An experiment's parameters at this session's scale, seed and device; `full`: its seeds at that profile."""
        scale = self.pick(smoke=experiment.SMOKE, lecture=experiment.DEFAULT,
                          full=replace(experiment.DEFAULT, seeds=full))
        return replace(scale, seed=self.seed, device=self.device, **changes)

    def run(self, experiment: ModuleType, params: Any = None) -> Results:
        """The results of an experiment, by default of this page's; meanwhile the page says about how long it takes.

        Headless each part is printed before it starts. An interrupt keeps the parts that are finished.
        """
        params = self.params if params is None else params
        waiting = Waiting(experiment.work(params))
        with waiting as report:
            results = experiment.run(params, report)
            waiting.complete = results.complete
        return results


class UnfinishedError(RuntimeError):
    """A notebook reached its end with an error in a thread, or with a thread still running."""


def settle(profile: str = "lecture", seed: int = 0, device: str = "auto", threads: int = 1, lesson: str = "",
           **knobs: Any) -> Session:
    """What `setup` gives, checked, with nothing set, printed or trained: in well under a second.

    Parameters as for `setup`. Raises ParameterError, one sentence, for a value out of range.
    """
    profile = one_of("profile", os.environ.get("KDUTILS_PROFILE") or profile, PROFILES)
    seed, threads = whole("seed", seed, 0, MAX_SEED), whole("threads", threads, 1, 256)
    session = Session(profile, seed, _device(device, profile), threads)
    if not lesson:
        return session
    page = catalog.page(lesson)
    defaults = {name: one.default for name, one in list(inspect.signature(page).parameters.items())[1:]}
    values = {one_of("parameter", name, defaults): tuple(value) if isinstance(value, list) else value
              for name, value in knobs.items()}
    usual = {"profile": "lecture", "seed": 0} | defaults
    given = usual | {"profile": profile, "seed": seed} | values
    unlike = {name: (given[name], default) for name, default in usual.items() if given[name] != default}
    return replace(session, params=page(session, **values), unlike=unlike)


def setup(profile: str = "lecture", seed: int = 0, device: str = "auto", threads: int = 1, lesson: str = "",
          **knobs: Any) -> Session:
    """Settle profile, seed, device, threads and the lesson's parameters for this notebook, and print what was found.

    profile: "smoke" (seconds, for tests), "lecture" (the default) or "full"; the environment variable
        KDUTILS_PROFILE, where set, has the last word: a test can run a stored notebook quickly.
    seed: whole number >= 0; every random number of the page is derived from it.
    device: "auto" takes a GPU for the profile "full" only, since the small networks of the other profiles are
        quick on a CPU and give the same numbers on every machine; "cuda" insists on a GPU.
    threads: CPU threads of torch; 1 leaves a core for the browser, and a population is quick on one.
    lesson, knobs: a name of `catalog.LESSONS`, and the other parameters of its page; `session.params` is what its
        experiment is run with.
    Raises ParameterError, one sentence, for a value out of range, before anything is done.
    """
    session = settle(profile, seed, device, threads, lesson, **knobs)
    torch.set_num_threads(session.threads)
    torch.manual_seed(session.seed)  # for the reader's own lines; kdutils never draws from this generator
    _figure_style()
    guard.arm()
    print(_found(session))
    if session.unlike:
        print(described(session))
    return session


def described(session: Session) -> str:
    """Which run the page's text describes, and in what this one differs from it; empty where it does not.

    Figures, tables and the sentences under them come from the results of the run; the rest of a page is written once.
    """
    if not session.unlike:
        return ""
    other = "; ".join(f"{name} = {_given(value)}, in the text {_given(usual)}"
                      for name, (value, usual) in session.unlike.items())
    return (f"This run differs from the one that the text of this page describes: {other}. Figures, tables and the "
            "sentences under them are this run's; what the text says of outcomes and numbers may not hold here.")


def record(name: str, value: Any, quiet: bool = False) -> None:
    """Show one number of this page, and keep it in the executed notebook where the tests read it.

    value: a finite number, a truth value, a text, None, or a list of these; numpy and torch scalars are fine.
    quiet: keep it and show nothing, where a table or a figure shows it already.
    """
    if not isinstance(name, str) or not name.strip():
        raise ParameterError(f"the name of a record must be a word, got {name!r}.")
    value = _plain(name, value)
    shown = {} if quiet else {"text/plain": f"{name} = {_shown(value)}"}
    _display({RECORD: {"name": name, "value": value}} | shown)


def record_claims(results: Results, claims: Iterable[Claim]) -> None:
    """Keep the verdict of every claim, and the mean of every part that was measured, without showing them again."""
    for claim in claims:
        record(f"verdict_{claim.id}", verdict(claim, results), quiet=True)
        for finding in findings(claim, results):
            if finding.effect is not None:
                record(f"{claim.id}: {finding.part.says}", round(finding.effect.mean, 3), quiet=True)


def finish(session: Session | None = None) -> None:
    """Every notebook's last code cell: nothing may have failed unseen, and nothing may still be running.

    session: where given, the page says once more which of its parameters differ from the run that its text describes.
    Headless it raises UnfinishedError and so fails the run; on a live page it says the same in a line.
    """
    if not guard.armed():
        raise ParameterError("finish() closes a notebook that began with setup(); call setup() first.")
    if session is not None and session.unlike:
        print(described(session))
    watching = not headless()
    if complaints := guard.complaints(grace=0.0 if watching else 2.0):
        said = f"This notebook is not finished: {'; '.join(complaints)}."
        if not watching:
            raise UnfinishedError(said)
        print(said)
        return
    record("finished", True)


def _device(device: str, profile: str) -> str:
    one_of("device", device, DEVICES)
    if device == "cpu" or (device == "auto" and profile != "full"):
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise ParameterError("device 'cuda' needs an NVIDIA GPU that torch can use, and none was found; "
                             "choose 'auto' or 'cpu'.")
    return "cpu"


def _found(session: Session) -> str:
    cores = os.cpu_count() or 1
    where = f"GPU {torch.cuda.get_device_name()}" if session.device == "cuda" else "CPU"
    threads = f"{session.threads} thread{'s' * (session.threads > 1)} of {cores}"
    page = "headless" if headless() else "live"
    return (f"Profile {session.profile}, seed {session.seed}, {where}, {threads}, page {page}; "
            f"kdutils {__version__}, torch {torch.__version__}.")


def _figure_style() -> None:
    """Plotly figures in the one form that JupyterLab and the tests can both read.

    Said before plotly asks: its renderers import nbformat, for which a page's first cell would wait three seconds.
    """
    os.environ.setdefault("PLOTLY_RENDERER", "plotly_mimetype")


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(name, item) for item in value]
    if hasattr(value, "item"):  # numpy and torch scalars
        try:
            value = value.item()
        except (RuntimeError, ValueError):
            shape = tuple(value.shape)
            raise ParameterError(f"record {name} takes one number or a list, got an array of shape {shape}; "
                                 "use .tolist().") from None
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return float(value)
    raise ParameterError(f"record {name} takes a finite number, text, truth value or None, got {value!r}.")


def _given(value: Any) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _display(bundle: dict[str, Any]) -> None:
    ipython = sys.modules.get("IPython")  # a kernel has loaded it; a plain script prints instead
    if ipython and ipython.get_ipython():
        ipython.display.display(bundle, raw=True)
    elif "text/plain" in bundle:
        print(bundle["text/plain"])
