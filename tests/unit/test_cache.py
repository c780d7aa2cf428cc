"""The cache never gives another recipe's tensors and never stands in the way of an experiment."""

import os
import shutil
import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

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
def test_a_corrupt_file_is_made_anew_with_a_word(folder, damage):
    make = Maker()
    quietly("teachers", RECIPE, make)
    (path,) = folder.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match="cannot be read .* made anew") as caught:
        tensors = cache.load_or_make("teachers", RECIPE, make)
    assert make.calls == 2 and int(tensors["steps"]) == 2 and len(caught) == 1
    assert caught[0].filename == __file__, "the warning points at the caller"
    assert int(quietly("teachers", RECIPE, make)["steps"]) == 2 and make.calls == 2


def test_a_folder_that_cannot_be_made_is_left_out_with_a_word(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("KDUTILS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="cannot be kept in .*KDUTILS_CACHE"):
        tensors = cache.load_or_make("teachers", RECIPE, Maker())
    assert int(tensors["steps"]) == 1 and cache.entries() == [] and cache.clear() == 0
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
            assert int(tensors["steps"]) == 1 and cache.entries() == [] and cache.clear() == 0
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
    assert cache.entries() == [] and cache.clear() == 0


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
    assert cache.entries() == [] and cache.clear() == 0
    for i, kind in enumerate(("teachers", "long-tailed-teachers")):
        quietly(kind, RECIPE, Maker())
        os.utime(folder / f"{kind}-{cache.key(RECIPE)}.safetensors", (1e9 + i, 1e9 + i))
    (folder / "notes.txt").write_text("mine")
    newest, oldest = cache.entries()
    assert (newest.kind, oldest.kind) == ("long-tailed-teachers", "teachers") and oldest.key == cache.key(RECIPE)
    assert newest.bytes == newest.path.stat().st_size and newest.made > oldest.made
    assert cache.clear() == 2 and cache.entries() == [] and (folder / "notes.txt").exists()


def test_the_users_folder_is_used_where_none_is_chosen(monkeypatch):
    monkeypatch.delenv("KDUTILS_CACHE")
    assert cache.directory().name == "kdutils"
    monkeypatch.setenv("KDUTILS_CACHE", "~/somewhere")
    assert cache.directory().is_absolute() and cache.directory().name == "somewhere"


def test_files_are_safetensors_and_not_pickles(folder, tmp_path):
    quietly("teachers", RECIPE, Maker())
    (path,) = folder.iterdir()
    save_file({"logits": torch.arange(6.0).view(2, 3).T.contiguous(), "steps": torch.tensor([1])}, tmp_path / "plain")
    assert path.read_bytes() == (tmp_path / "plain").read_bytes()
