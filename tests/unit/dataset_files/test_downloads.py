"""Downloads that break off, lie, or find something in their way."""

import gzip
import hashlib
import io
import tarfile
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from made_files import binary_file, made_cifar, made_idx

from kdutils import datasets
from kdutils.datasets import CARDS, load
from kdutils.datasets.fetch import Download, unpack
from kdutils.datasets.files import File

# Downloads --------------------------------------------------------------------------------------------------------

class Shelf:
    """A server on this machine that can break off, ignore ranges, or have another file than it should."""

    def __init__(self):
        shelf = self
        self.files, self.asked, self.break_after, self.ranges = {}, [], None, True

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name, wanted = self.path.lstrip("/"), self.headers["Range"]
                shelf.asked.append((name, wanted))
                if name not in shelf.files:
                    return self.send_error(404)
                content = shelf.files[name]
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and shelf.ranges else 0
                if start >= len(content) > 0:
                    return self.send_error(416)
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                self.wfile.write(content[start:][:shelf.break_after])

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def shelf(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    shelf = Shelf()
    yield shelf
    shelf.server.shutdown()
    shelf.server.server_close()


@pytest.fixture
def offered(shelf, publish, tmp_path, monkeypatch):
    """CIFAR-100 of thirteen images, offered by the server as the owners' archive and not on the disk."""
    contents = [binary_file(*part) for part in made_cifar([9, 4], 100)]
    for path in publish("cifar-100", 0, contents):
        path.unlink()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in [("fine_label_names.txt", b"apple"), ("train.bin", contents[0]), ("test.bin", contents[1]),
                              ("../../escaped.bin", b"x")]:
            member = tarfile.TarInfo(f"cifar-100-binary/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    archive = shelf.files["cifar-100-binary.tar.gz"] = packed.getvalue()
    known = File("cifar-100-binary.tar.gz", len(archive), hashlib.md5(archive).hexdigest())
    monkeypatch.setitem(CARDS, "cifar-100", replace(CARDS["cifar-100"], downloads=(
        Download(known, (shelf.url + "gone/away.tar.gz", shelf.url + known.path)),)))
    return tmp_path


def test_a_download_is_unpacked_checked_and_loaded(offered, shelf, capfd):
    assert datasets.get("cifar-100") == offered and datasets.available("cifar-100") and len(load("cifar-100")) == 13
    assert sorted(path.name for path in offered.rglob("*") if path.is_file()) == ["test.bin", "train.bin"]
    assert not list(offered.parent.rglob("escaped.bin")), "only what the layout names is written"
    assert "100%" in capfd.readouterr().err, "a bar was shown"
    asked = len(shelf.asked)
    assert datasets.get("cifar-100") == offered and len(shelf.asked) == asked, "nothing is fetched twice"


@pytest.mark.parametrize("ranges", [True, False], ids=["continued", "from the start"])
def test_a_download_that_breaks_off_goes_on(offered, shelf, refuses, ranges):
    """Catches a second half appended to a whole file where the server does not continue."""
    shelf.break_after, shelf.ranges = 1000, ranges
    with refuses("could not be fetched", "network", "continues", "1,000 of"):
        datasets.get("cifar-100")
    assert not datasets.available("cifar-100") and (offered / "cifar-100-binary.tar.gz.part").stat().st_size == 1000
    shelf.break_after = None
    datasets.get("cifar-100")
    assert shelf.asked[-1] == ("cifar-100-binary.tar.gz", "bytes=1000-") and len(load("cifar-100")) == 13


def test_a_part_that_is_whole_or_foreign_does_not_block(offered, shelf, refuses):
    part = offered / "cifar-100-binary.tar.gz.part"
    part.write_bytes(shelf.files[part.stem])
    datasets.get("cifar-100")
    assert len(load("cifar-100")) == 13


def test_a_foreign_part_is_thrown_away(offered, shelf, refuses):
    (offered / "cifar-100-binary.tar.gz.part").write_bytes(b"x" * 500)
    with refuses("cifar-100-binary.tar.gz.part", "MD5", "deleted"):
        datasets.get("cifar-100")
    datasets.get("cifar-100")
    assert len(load("cifar-100")) == 13


def test_what_is_not_the_published_file_never_gets_its_name(offered, shelf, refuses):
    whole = shelf.files["cifar-100-binary.tar.gz"]
    for content, words in [(whole[:-1] + b"x", ("MD5",)), (b"<html>gone</html>", ("web page",)),
                           (whole[:-9], ("cut short",))]:
        shelf.files["cifar-100-binary.tar.gz"] = content
        with refuses("cifar-100-binary.tar.gz", *words):
            datasets.get("cifar-100")
        assert not [path for path in offered.rglob("*") if path.is_file()]


def test_an_archive_that_is_there_is_used_or_named_but_never_overwritten(offered, shelf, refuses):
    """CIFAR-10's archive in the place of CIFAR-100's."""
    archive = offered / "cifar-100-binary.tar.gz"
    archive.write_bytes(b"mine")
    with refuses(str(archive), "cut short", "delete it"):
        datasets.get("cifar-100")
    assert archive.read_bytes() == b"mine" and not shelf.asked
    (known,) = CARDS["cifar-10"].downloads
    other = File(known.file.path, 4, hashlib.md5(b"mine").hexdigest())
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CARDS, "cifar-10", replace(CARDS["cifar-10"], downloads=(Download(other, known.urls),)))
        with refuses(str(archive), "cifar-10-binary.tar.gz of cifar-10"):
            datasets.get("cifar-100")
    archive.write_bytes(shelf.files[archive.name])
    datasets.get("cifar-100")
    assert len(load("cifar-100")) == 13 and archive.exists() and not shelf.asked, "what the reader fetched stays"


def test_wrong_files_in_the_way_are_named_and_left_alone(offered, shelf, refuses):
    mine = offered / "cifar-100-binary" / "train.bin"
    mine.write_bytes(b"mine")
    with refuses(str(mine), "cut short", "delete it"):
        datasets.get("cifar-100")
    assert mine.read_bytes() == b"mine" and not shelf.asked


def test_packed_files_are_fetched_and_unpacked_one_by_one(shelf, publish, tmp_path, monkeypatch):
    _, contents = made_idx()
    packed = [gzip.compress(content) for content in contents]
    paths = publish("mnist", 1, packed) + publish("mnist", 0, contents)
    for path in paths:
        path.unlink()
    files_ = CARDS["mnist"].layouts[1].files
    shelf.files = {Path(file.path).name: content for file, content in zip(files_, packed, strict=True)}
    monkeypatch.setitem(CARDS, "mnist", replace(CARDS["mnist"], downloads=tuple(
        Download(file, (shelf.url + Path(file.path).name,)) for file in files_)))
    datasets.get("mnist")
    assert len(load("mnist")) == 40 and len(shelf.asked) == 4 and not list(tmp_path.rglob("*.gz"))


def test_an_archive_that_holds_something_else_is_refused(tmp_path, refuses):
    """Catches members that are believed because the archive's own checksum was right, and half an archive."""
    wanted = File("set/part", 5, hashlib.md5(b"whole").hexdigest())
    for content, words in [(gzip.compress(b"wrong"), ("does not hold", "MD5")),
                           (gzip.compress(b"who"), ("does not hold", "cut short")),
                           (gzip.compress(b"whole")[:-6], ("cannot be unpacked",)),
                           (b"not packed", ("cannot be unpacked",))]:
        (tmp_path / "part.gz").write_bytes(content)
        with refuses("part.gz", "delete it", *words):
            unpack(tmp_path / "part.gz", [wanted], tmp_path)
        assert not (tmp_path / "set" / "part").exists()
    (tmp_path / "part.gz").write_bytes(gzip.compress(b"whole"))
    unpack(tmp_path / "part.gz", [wanted], tmp_path)
    assert (tmp_path / "set" / "part").read_bytes() == b"whole"


def test_a_server_that_is_not_there_is_one_sentence(offered, shelf, refuses):
    shelf.server.shutdown()
    shelf.server.server_close()
    with refuses("cifar-100-binary.tar.gz", "could not be fetched", "network"):
        datasets.get("cifar-100")


def test_a_folder_that_cannot_be_written_is_one_sentence(offered, monkeypatch, refuses):
    (offered / "file").write_text("")
    monkeypatch.setenv("KDUTILS_DATA", str(offered / "file"))
    with refuses("cifar-100", "cannot be written", "file"):
        datasets.get("cifar-100")
