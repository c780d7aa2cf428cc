"""The cache never gives another recipe's tensors and never stands in the way of an experiment."""

import os
import shutil
import tempfile
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import until
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from kdutils import cache

RECIPE = {"network": "64-16-10", "seeds": [0, 1], "lr": 0.01}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KDUTILS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Maker:
    """Makes tensors that tell which call they come from."""

    calls = 0

    def __call__(self):
        self.calls += 1
        # A transposed view: what comes out of a network need not be contiguous, and may carry a graph.
        logits = self.calls * torch.arange(6.0).view(2, 3).requires_grad_()
        return {"logits": logits.T, "steps": torch.tensor([self.calls])}


def quietly(*arguments, **keywords):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return cache.load_or_make(*arguments, **keywords)


def test_the_second_time_nothing_is_made(folder, device):
    make = Maker()
    first = quietly("teachers", RECIPE, make, device)
    again = quietly("teachers", dict(reversed(RECIPE.items())), make, device)
    assert make.calls == 1 and set(first) == set(again) == {"logits", "steps"}
    assert torch.equal(again["logits"].cpu(), torch.arange(6.0).view(2, 3).T) and again["logits"].device.type == device
    assert not again["logits"].requires_grad and again["steps"].dtype == torch.int64


@pytest.mark.parametrize("other", [{"lr": 0.02}, {"seeds": [1, 0]}, {"network": "64-16-16-10"}, {"new": None}])
def test_another_recipe_is_another_entry(folder, other):
    make = Maker()
    for recipe in (RECIPE, RECIPE | other, RECIPE):
        quietly("teachers", recipe, make)
    quietly("students", RECIPE, make)
    assert make.calls == 3 and len(cache.entries()) == 3


def test_other_code_or_another_torch_is_another_entry(folder, monkeypatch):
    make = Maker()
    quietly("teachers", RECIPE, make)
    monkeypatch.setattr(cache, "code_version", lambda: "another")
    quietly("teachers", RECIPE, make)
    monkeypatch.setattr(torch, "__version__", "99.0")
    quietly("teachers", RECIPE, make)
    assert make.calls == 3


def test_every_file_that_trains_is_part_of_the_code_version(tmp_path, monkeypatch):
    """In a copy of the package, one more comment in any of these files gives another version."""
    shutil.copytree(Path(cache.__file__).parent, tmp_path / "kdutils", ignore=shutil.ignore_patterns("__pycache__"))
    where = SimpleNamespace(submodule_search_locations=[str(tmp_path / "kdutils")])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: where)
    version = cache.code_version.__wrapped__
    seen = {version()}
    assert seen == {version()}
    for maker in ("rng.py", "datasets/base.py", "datasets/transforms.py", "networks/small.py", "objectives/hinton.py",
                  "objectives/softmax.py", "training/loop.py", "training/optimizers.py"):
        with (tmp_path / "kdutils" / maker).open("a") as file:
            file.write("# more\n")
        assert version() not in seen, maker
        seen.add(version())
    (tmp_path / "kdutils" / "claims.py").write_text("")
    assert version() in seen, "what does not train must not cost the teachers"


@pytest.mark.parametrize("damage", [lambda whole: b"", lambda whole: whole[:40], lambda whole: whole[:-4],
                                    lambda whole: b"not safetensors at all" * 20])
def test_a_corrupt_file_is_rebuilt_with_a_word(folder, damage):
    make = Maker()
    quietly("teachers", RECIPE, make)
    (path,) = folder.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match="cannot be used .* is rebuilt") as caught:
        tensors = cache.load_or_make("teachers", RECIPE, make)
    assert make.calls == 2 and int(tensors["steps"]) == 2 and len(caught) == 1
    assert caught[0].filename == __file__, "the warning points at the caller"
    assert int(quietly("teachers", RECIPE, make)["steps"]) == 2 and make.calls == 2


def test_a_folder_that_cannot_be_made_is_left_out_with_a_word(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("KDUTILS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="cannot be kept in .*KDUTILS_CACHE"):
        tensors = cache.load_or_make("teachers", RECIPE, Maker())
    assert int(tensors["steps"]) == 1 and cache.entries() == [] and cache.clear() == (0, 0)
    assert (tmp_path / "file").read_text() == "not a folder"


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="this system has no such permissions")
@pytest.mark.parametrize("mode", [0o555, 0o000], ids=["read only", "closed"])
def test_a_folder_without_permission_is_left_out_with_a_word(mode, monkeypatch):
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        monkeypatch.setenv("KDUTILS_CACHE", name)
        try:
            os.chmod(name, mode)
            if user == 0:
                os.seteuid(65534)  # nobody: root may write anywhere
            with pytest.warns(UserWarning, match="cannot be kept in .*[Pp]ermission denied.*KDUTILS_CACHE"):
                tensors = cache.load_or_make("teachers", RECIPE, Maker())
            assert int(tensors["steps"]) == 1 and cache.entries() == [] and cache.clear() == (0, 0)
        finally:
            os.seteuid(user)
            os.chmod(name, 0o755)


def test_a_full_disk_is_left_out_with_a_word(folder):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    big = {"logits": torch.zeros(100_000)}
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        with pytest.warns(UserWarning) as caught:
            tensors = cache.load_or_make("teachers", RECIPE, lambda: big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert torch.equal(tensors["logits"], big["logits"]) and "cannot be kept" in str(caught[0].message)
    assert list(folder.iterdir()) == []


def test_no_known_folder_means_no_cache(monkeypatch):
    monkeypatch.setattr(cache, "directory", lambda: None)
    make = Maker()
    assert [int(quietly("teachers", RECIPE, make)["steps"]) for _ in range(2)] == [1, 2]
    assert cache.entries() == [] and cache.clear() == (0, 0)


def test_a_maker_that_fails_or_is_interrupted_leaves_nothing(folder):
    for error in (ValueError, KeyboardInterrupt):
        def make(error=error):
            raise error("in the middle")

        with pytest.raises(error, match="in the middle"):
            cache.load_or_make("teachers", RECIPE, make)
    assert cache.entries() == []


def test_a_file_appears_whole_or_not_at_all(folder):
    path = folder / "teachers-0.safetensors"

    def half(target):
        target.write_bytes(b"half")
        assert not path.exists() and target.parent == folder, "beside the file, or renaming would not be atomic"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.write_whole(path, half)
    assert list(folder.iterdir()) == []
    cache.write_whole(path, lambda target: target.write_bytes(b"old"))
    with pytest.raises(KeyboardInterrupt):
        cache.write_whole(path, lambda target: (target.write_bytes(b"new"), (_ for _ in ()).throw(KeyboardInterrupt)))
    assert path.read_bytes() == b"old" and list(folder.iterdir()) == [path]


def test_entries_and_clear(folder):
    assert cache.entries() == [] and cache.clear() == (0, 0)
    for i, kind in enumerate(("teachers", "long-tailed-teachers")):
        quietly(kind, RECIPE, Maker())
        os.utime(folder / f"{kind}-{cache.key(RECIPE)}.safetensors", (1e9 + i, 1e9 + i))
    (folder / "notes.txt").write_text("mine")
    newest, oldest = cache.entries()
    assert (newest.kind, oldest.kind) == ("long-tailed-teachers", "teachers") and oldest.key == cache.key(RECIPE)
    assert newest.bytes == newest.path.stat().st_size and newest.made > oldest.made
    assert cache.clear() == (2, 0) and cache.entries() == [] and (folder / "notes.txt").exists()


def test_the_users_folder_is_used_where_none_is_chosen(monkeypatch):
    monkeypatch.delenv("KDUTILS_CACHE")
    assert cache.directory().name == "kdutils"
    monkeypatch.setenv("KDUTILS_CACHE", "~/somewhere")
    assert cache.directory().is_absolute() and cache.directory().name == "somewhere"


def test_files_are_safetensors_and_not_pickles(folder):
    quietly("teachers", RECIPE, Maker())
    (path,) = folder.iterdir()
    stored = load_file(path)
    assert torch.equal(stored["logits"], torch.arange(6.0).view(2, 3).T) and int(stored["steps"]) == 1


# What is not whole is not used -------------------------------------------------------------------------------------

def flipped(path):
    """One bit of the last number is another."""
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def without_logits(path):
    with safe_open(path, framework="pt") as file:
        about = file.metadata()
    save_file({"steps": torch.tensor([1])}, path, about)


def of_another_recipe(path):
    cache.keep("teachers", RECIPE | {"lr": 9}, {"logits": torch.zeros(7)})
    (other,) = set(path.parent.iterdir()) - {path}
    other.replace(path)


@pytest.mark.parametrize("damage", [flipped, without_logits, of_another_recipe,
                                    lambda path: save_file({"logits": torch.zeros(7)}, path)])
def test_a_changed_or_a_foreign_file_is_rebuilt_with_a_word(folder, damage):
    """Catches tensors that are used although they are not those that this recipe made."""
    make = Maker()
    quietly("teachers", RECIPE, make)
    (path,) = folder.iterdir()
    damage(path)
    with pytest.warns(UserWarning, match="cannot be used .* is rebuilt"):
        tensors = cache.load_or_make("teachers", RECIPE, make)
    assert make.calls == 2 and torch.equal(tensors["logits"], 2 * torch.arange(6.0).view(2, 3).T)
    quietly("teachers", RECIPE, make)
    assert make.calls == 2


def test_numbers_of_every_kind_keep_their_checksum(folder):
    tensors = {"none": torch.zeros(0, 3), "one": torch.tensor(3.0), "yes": torch.tensor([True]),
               "half": torch.ones(2, dtype=torch.bfloat16)}
    quietly("odd", RECIPE, lambda: tensors)
    again = quietly("odd", RECIPE, lambda: pytest.fail("it is there"))
    assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items())


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no umask")
@pytest.mark.parametrize("umask", [0o002, 0o027, 0o077])
def test_a_file_may_be_read_by_whom_the_umask_lets(folder, umask):
    """Catches a shared cache of which every file is its maker's alone."""
    before = os.umask(umask)
    try:
        quietly("teachers", RECIPE, Maker())
    finally:
        os.umask(before)
    (path,) = folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_what_a_killed_writer_left_is_seen_and_cleared_and_what_is_being_written_is_not(folder):
    quietly("teachers", RECIPE, Maker())
    (path,) = folder.iterdir()
    half = path.with_name(f".{path.name}.0123456789abcdef")
    half.write_bytes(b"half")
    (left,) = cache.unfinished()
    assert (left.kind, left.key, left.bytes) == ("teachers", cache.key(RECIPE), 4) and len(cache.entries()) == 1

    def clear_meanwhile():
        (folder / f".students-{cache.key(RECIPE)}.safetensors.1").write_bytes(b"being written")
        assert cache.clear() == (1, 1), "the entry and the half of nobody"
        return {"logits": torch.zeros(1)}

    quietly("students", RECIPE, clear_meanwhile)
    assert [entry.kind for entry in cache.entries()] == ["students"]
    assert cache.unfinished() == [], "who writes an entry removes what others left of it"
    assert len(list(folder.iterdir())) == 1, "no lock is left"


def test_threads_that_need_one_teacher_train_it_once(folder):
    """Catches tasks of a cluster that each train the teacher they share."""
    calls, begun = [], threading.Barrier(4)

    def make():
        calls.append(threading.get_ident())
        until(lambda: False, 0.3)       # long enough for the others to come
        return {"logits": torch.ones(3)}

    def ask():
        begun.wait()
        return cache.load_or_make("teachers", RECIPE, make)["logits"].sum()

    with ThreadPoolExecutor(4) as pool:
        assert [float(future.result()) for future in [pool.submit(ask) for _ in range(4)]] == [3.0] * 4
    assert len(calls) == 1 and len(list(folder.iterdir())) == 1


def test_a_lock_that_nobody_gives_back_is_not_waited_for_without_end(folder, monkeypatch):
    monkeypatch.setattr(cache, "PATIENCE", 0.2)

    def make():
        with ThreadPoolExecutor(1) as pool:  # another that needs the same while this one never ends
            assert float(pool.submit(cache.load_or_make, "teachers", RECIPE, other).result()["logits"]) == 2
        return {"logits": torch.tensor([1.0])}

    def other():
        return {"logits": torch.tensor([2.0])}

    assert float(quietly("teachers", RECIPE, make)["logits"]) == 1
