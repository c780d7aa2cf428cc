"""Compiling the kernels: once per machine, beside whoever trains, and what becomes of it where that fails."""

import math
import shutil
import subprocess
import sys
import threading
import time
from types import ModuleType

import numpy as np
import pytest
import torch

from kdutils.networks import MLP, Population
from kdutils.objectives import hard_labels
from kdutils.training import Recipe, Task, fit
from kdutils.training.kernels import compiled

pytest.importorskip("numba", reason="the kernels need numba")


@pytest.fixture(autouse=True)
def kernels(monkeypatch):
    monkeypatch.setenv("KDUTILS_ENGINE", "kernels")


def trains() -> bool:
    """A population comes to its end, whatever trains it."""
    task = Task(torch.rand(20, 1, 8, 8), torch.arange(20) % 10, torch.arange(20).expand(2, -1), (0, 1))
    return fit(Population(MLP(), (0, 1)), task, hard_labels, recipe=Recipe(20))[-1].step == 20


def test_torch_trains_while_the_kernels_are_compiled_and_nobody_compiles_twice(monkeypatch):
    may_end, made = threading.Event(), []
    real = compiled.kernel()

    def slowly():
        made.append(threading.get_ident())
        may_end.wait(60)
        return real

    compiler = compiled.Compiler("mlp", slowly)
    monkeypatch.setitem(compiled.COMPILERS, "mlp", compiler)
    monkeypatch.setattr(compiled, "kept", lambda name: False)
    monkeypatch.setenv("KDUTILS_ENGINE", "auto")
    assert [compiled.kernel() for _ in range(3)] == [None] * 3 and not compiler.ready.is_set()
    assert trains(), "torch trains meanwhile"
    may_end.set()
    assert compiler.ready.wait(60) and compiled.kernel() is real and len(made) == 1


def test_a_compiler_that_fails_says_so_once_and_leaves_training_to_torch(monkeypatch):
    def fails():
        raise TypeError("no such processor")

    compiler = compiled.Compiler("mlp", fails)
    monkeypatch.setitem(compiled.COMPILERS, "mlp", compiler)
    with pytest.warns(UserWarning, match="no such processor"):
        assert compiled.kernel() is None
    assert compiled.kernel() is None and trains()


@pytest.mark.parametrize("engine, words", [("torch", "KDUTILS_ENGINE=torch"), ("kernels", "compiled")])
def test_the_doctor_says_what_trains(engine, words, monkeypatch):
    compiled.kernel()
    monkeypatch.setenv("KDUTILS_ENGINE", engine)
    assert words in compiled.state()


def test_without_numba_torch_trains(monkeypatch, refuses):
    monkeypatch.setattr(compiled.util, "find_spec", lambda name: None)
    with refuses("KDUTILS_ENGINE", "kernels"):
        compiled.kernel()
    monkeypatch.setenv("KDUTILS_ENGINE", "auto")
    assert compiled.kernel() is None and "not installed" in compiled.state()


def test_an_unknown_engine_is_refused(monkeypatch, refuses):
    monkeypatch.setenv("KDUTILS_ENGINE", "warp")
    with refuses("KDUTILS_ENGINE", "auto, torch, kernels", "warp"):
        compiled.kernel()


@pytest.fixture
def code():
    """The machine code of the kernel for perceptrons, as it lies in the cache."""
    compiled.kernel()
    return (compiled.folder() / "mlp.o").read_bytes()


def test_who_compiles_at_once_compiles_once_and_the_next_one_loads(code, tmp_path):
    begun = threading.Barrier(3)
    compiles, kernels = [], []

    def build(name, file):
        compiles.append(name)
        time.sleep(0.1)     # the others come meanwhile, if they do not wait
        file.write_bytes(code)

    def work():
        begun.wait(60)
        kernels.append(compiled.made("mlp", tmp_path / "kernels", build))

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert len(kernels) == 3 and compiles == ["mlp"]
    compiled.made("mlp", tmp_path / "kernels", lambda *asked: pytest.fail("it lies there"))


def test_a_damaged_file_is_compiled_again(code, tmp_path):
    file = tmp_path / "mlp.o"
    file.write_bytes(code[:-7])
    assert compiled.opened(file) is None
    compiled.made("mlp", tmp_path, lambda name, file: file.write_bytes(code))
    assert file.read_bytes() == code


def test_a_folder_that_refuses_is_left_out(code, tmp_path):
    (tmp_path / "file").touch()
    built = []

    def build(name, file):
        built.append(file)
        file.write_bytes(code)

    assert compiled.made("mlp", tmp_path / "file" / "kernels", build) and not built[0].is_relative_to(tmp_path / "file")


def test_a_compiler_that_ends_early_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled.sys, "executable", shutil.which("false"))
    with pytest.raises(RuntimeError, match="ended with 1"):
        compiled.build("mlp", tmp_path / "mlp.o")


def test_code_that_needs_the_system_is_refused(monkeypatch):
    """It would end the process that loads it, where the system has no such function."""
    from kdutils.training.kernels import build
    from kdutils.training.kernels.lanes import inner

    made = ModuleType("kdutils.training.kernels.made_up")
    made.train = inner(lambda out: out.fill(math.lgamma(out[0])))
    monkeypatch.setitem(sys.modules, made.__name__, made)
    monkeypatch.setitem(compiled.KERNELS, "made_up", (("f8", 1),))
    with pytest.raises(RuntimeError, match="lgamma"):
        build.object_code("made_up")


def test_whoever_trains_imports_no_numba_and_counts_no_other_threads():
    script = """if True:
        import sys, torch
        from kdutils.networks import MLP, Population
        from kdutils.objectives import hard_labels
        from kdutils.training import Task, fit
        from kdutils.training.kernels import compiled
        before = torch.get_num_threads()
        train = torch.arange(64).expand(2, -1)
        task = Task(torch.rand(64, 1, 8, 8), torch.arange(64) % 10, train, (0, 1))
        fit(Population(MLP(), (0, 1)), task, hard_labels)
        assert compiled.COMPILERS["mlp"].kernel and torch.get_num_threads() == before
        print(sorted(name for name in sys.modules if name.partition(".")[0] == "numba"))
    """
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=False)
    assert ended.stdout.strip() == "[]", ended.stderr


def test_an_array_of_another_kind_is_refused():
    """The code reads memory as it was told to."""
    with pytest.raises(TypeError, match="f4.*int64"):
        compiled.kernel()(0, 1, np.zeros(2, int), np.zeros((4, 2), int), np.zeros(64, int), *[None] * 15)
