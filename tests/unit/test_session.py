"""setup, record and finish: what they settle, what they refuse, and what they do not let pass."""

import dataclasses
import math
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from kdutils.course import guard
from kdutils.course.session import Session, UnfinishedError, finish, record, settle, setup
from kdutils.errors import ParameterError
from kdutils.lessons import catalog
from kdutils.training.kernels import compiled


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """No variable of this machine, torch's threads put back, and nothing left in the guard."""
    for name in ("KDUTILS_PROFILE", "JPY_SESSION_NAME", "SERVER_SOFTWARE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KDUTILS_HEADLESS", "1")
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    monkeypatch.setattr(guard, "listening", False)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    guard.caught.clear()


def test_setup_settles_everything_and_says_so(capsys):
    session = setup("smoke", 7, "cpu", 2)
    assert session == Session("smoke", 7, "cpu", 2)
    assert torch.get_num_threads() == 2
    said = capsys.readouterr().out
    for word in ("Profile smoke", "seed 7", "CPU", "2 threads", "page headless", torch.__version__):
        assert word in said
    with pytest.raises(dataclasses.FrozenInstanceError):
        session.seed = 1


def test_the_first_cell_waits_for_nothing_it_does_not_need():
    """nbformat, which plotly's renderers import, took as long as torch; a reader's own figure stays a light one."""
    code = ("import sys; from kdutils.course.session import setup; setup('smoke'); "
            "from kdutils import live, plots; import plotly.graph_objects as go; "
            "assert not {'nbformat', 'jsonschema', 'sklearn.metrics', 'matplotlib.pyplot'} & set(sys.modules); "
            "import IPython.core.interactiveshell as shell; shell.InteractiveShell.instance(); "
            "assert set(go.Figure()._repr_mimebundle_()) == {'application/vnd.plotly.v1+json'}")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_pick_follows_the_profile():
    assert [setup(profile).pick(smoke=1, lecture=2, full=3) for profile in ("smoke", "lecture", "full")] == [1, 2, 3]


def test_the_environment_overrules_the_profile_of_the_page(monkeypatch):
    monkeypatch.setenv("KDUTILS_PROFILE", "smoke")
    assert setup("full").profile == "smoke"
    monkeypatch.setenv("KDUTILS_PROFILE", "quick")
    with pytest.raises(ParameterError, match="quick"):
        setup("full")


def test_auto_takes_a_gpu_for_full_only(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    assert [setup(profile).device for profile in ("smoke", "lecture", "full")] == ["cpu", "cpu", "cuda"]
    assert setup("smoke", device="cuda").device == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert setup("full").device == "cpu"


@pytest.mark.parametrize(("given", "sentence"), [
    ({"profile": "quick"}, "profile must be one of smoke, lecture, full; got 'quick'."),
    ({"seed": -1}, "seed must be a whole number between 0 and 2147483647, got -1."),
    ({"seed": 1.5}, "seed must be a whole number between 0 and 2147483647, got 1.5."),
    ({"device": "tpu"}, "device must be one of auto, cpu, cuda; got 'tpu'."),
    ({"threads": 0}, "threads must be a whole number between 1 and 256, got 0."),
])
def test_a_wrong_value_is_one_sentence(given, sentence):
    with pytest.raises(ParameterError) as error:
        setup(**given)
    assert str(error.value) == sentence


def test_cuda_without_a_gpu_is_one_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ParameterError, match=r"^device 'cuda' needs an NVIDIA GPU .*; choose 'auto' or 'cpu'\.$"):
        setup(device="cuda")


@pytest.mark.parametrize(("value", "line"), [
    (0.1234567, "x = 0.123457"), (3, "x = 3"), (True, "x = True"), (None, "x = None"), ("seen", "x = seen"),
    (np.float32(0.5), "x = 0.5"), (torch.tensor(2), "x = 2"), ([1, 0.25, None], "x = [1, 0.25, None]"),
])
def test_record_prints_one_line(capsys, value, line):
    record("x", value)
    record("y", value, quiet=True)
    assert capsys.readouterr().out == line + "\n"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.zeros(3), torch.zeros(2, 2), {"a": 1}, object()])
def test_record_refuses_what_a_test_could_not_read(value):
    with pytest.raises(ParameterError, match="^record accuracy takes"):
        record("accuracy", value)
    with pytest.raises(ParameterError, match="must be a word"):
        record("", 1)


def test_finish_needs_setup():
    with pytest.raises(ParameterError, match="call setup"):
        finish()


def test_finish_records_that_nothing_is_left(capsys):
    setup()
    finish()
    assert capsys.readouterr().out.endswith("finished = True\n")


def test_finish_waits_for_a_thread_that_is_ending():
    setup()
    threading.Thread(target=time.sleep, args=(0.3,)).start()
    finish()


def test_a_page_may_end_while_the_kernels_are_compiled(monkeypatch):
    """Catches a short first page that fails because the machine's first compile takes longer than the page."""
    monkeypatch.setattr(compiled, "kept", lambda name: False)   # which asks numba, also where there is none
    setup()
    may_end = threading.Event()
    compiler = compiled.Compiler("mlp", lambda: may_end.wait(60))
    compiler.start()
    try:
        assert not compiler.ready.is_set()
        finish()
    finally:
        may_end.set()
        assert compiler.ready.wait(60)


def test_finish_names_a_thread_that_outlives_the_page(monkeypatch, capsys):
    setup()
    gate = threading.Event()
    thread = threading.Thread(target=gate.wait, name="trainer 7", daemon=True)
    thread.start()
    monkeypatch.setattr(guard.complaints, "__defaults__", (0.1,))
    try:
        with pytest.raises(UnfinishedError, match="the thread trainer 7 is still alive"):
            finish()
        monkeypatch.setenv("KDUTILS_HEADLESS", "0")  # a reader who is still training is told, not punished
        finish()
        assert "the thread trainer 7 is still alive" in capsys.readouterr().out
    finally:
        gate.set()
        thread.join()


def test_finish_names_what_was_raised_in_a_thread_and_goes_on_asking_until_setup():
    setup()
    thread = threading.Thread(target=lambda: 1 / 0, name="trainer")
    thread.start()
    thread.join()
    for _ in range(2):
        with pytest.raises(UnfinishedError, match="the thread trainer raised ZeroDivisionError: division by zero"):
            finish()
    setup()
    finish()


def test_finish_hears_of_errors_that_a_panel_caught_and_handed_to_the_hook():
    setup()
    error = RuntimeError("no gradient")
    threading.excepthook(threading.ExceptHookArgs((RuntimeError, error, None, threading.current_thread())))
    with pytest.raises(UnfinishedError, match="raised RuntimeError: no gradient"):
        finish()


def test_threads_of_the_kernel_are_nobodys_fault():
    """ZeroMQ starts one when a large figure is sent, progress bars start one each."""
    setup()
    kind = type("Keeper", (threading.Thread,), {"__module__": "zmq.utils.garbage"})
    gate = threading.Event()
    thread = kind(target=gate.wait, daemon=True)
    thread.start()
    try:
        finish()
    finally:
        gate.set()


@pytest.mark.parametrize(("lesson", "given", "said"), [
    ("start_here", {"transfer": 20}, "transfer = 20, in the text 100"),                 # the transfer task of the page
    ("start_here", {"transfer": 20, "temperature": 0.5}, "temperature = 0.5, in the text 4.0"),
    ("dark_knowledge", {"temperatures": [1, 4]}, "temperatures = [1, 4], in the text [1, 2, 4, 8, 16, 32]"),
    ("dark_knowledge", {"omitted": 7}, "omitted = 7, in the text 3"),
    ("tolerant_teachers", {"ranks": 3}, "ranks = 3, in the text 5"),
    ("tolerant_teachers", {"etas": [0, 1.0], "label_weight": 0.8}, "label_weight = 0.8, in the text 0.5"),
    ("subclass_distillation", {"subclasses": 3}, "subclasses = 3, in the text 5"),
    ("subclass_distillation", {"transfer_sizes": [50, 100]}, "transfer_sizes = [50, 100], in the text [20, 50"),
    ("spherical_distillation", {"m": 3.0}, "m = 3.0, in the text 2.0"),
    ("spherical_distillation", {"widths": [16, 64]}, "widths = [16, 64], in the text [32, 128, 512, 2048]"),
    ("extracurricular_learning", {"share": 0.5}, "share = 0.5, in the text 0.9"),
    ("extracurricular_learning", {"views": [1, 4]}, "views = [1, 4], in the text [1, 2, 5, 10, 50]"),
    ("beyond_compression", {"few": 60}, "few = 60, in the text 100"),
    ("beyond_compression", {"noise": 0.2, "lens": "AT"}, "lens = AT, in the text SP"),
])
def test_a_run_unlike_the_text_says_so_at_both_ends(lesson, given, said, capsys):
    """Catches prose that contradicts its own figures, with nothing on the page that says why."""
    session = setup(lesson=lesson, **given)
    finish(session)
    head, _, tail = capsys.readouterr().out.partition("\n")
    assert tail.count(said) == 2 and "the text says of outcomes and numbers may not hold here" in tail
    assert "lecture" in head
    assert session.params is not None


def test_a_run_like_the_text_says_nothing(capsys):
    finish(setup(lesson="start_here", transfer=100, temperature=4))
    assert "in the text" not in capsys.readouterr().out


@pytest.mark.parametrize(("mean", "low", "high", "n", "says"), [
    (3.2, 2.1, 4.3, 12, "end higher: +3.2"), (-0.9, -1.5, -0.3, 12, "end lower: -0.9"),
    (0.1, -0.5, 0.7, 12, "neither clearly higher nor clearly lower"), (1.0, math.nan, math.nan, 1, "has no interval")])
def test_the_first_gain_is_said_as_it_came_out(mean, low, high, n, says):
    """Catches 00's sentence that soft targets end higher, under a figure in which they end lower."""
    from kdutils.lessons.start_here.experiment import StartHere, outcome
    from kdutils.results import Effect

    said = outcome(Effect(mean, low, high, n), StartHere(transfer=20, temperature=0.5))
    assert said.startswith("With 20 images at T = 0.5 the students of soft targets") and says in said


def test_an_experiment_is_scaled_to_the_session():
    experiment = catalog.experiment("subclass_distillation.clicks")
    session = settle("smoke", 7)
    assert session.seeds == 3
    assert session.scaled(experiment, full=24) == dataclasses.replace(experiment.SMOKE, seed=7, device="cpu")
    full = dataclasses.replace(session, profile="full").scaled(experiment, full=24, rows=(100,))
    assert full == dataclasses.replace(experiment.DEFAULT, seeds=24, seed=7, rows=(100,))
