"""Downloads over a network that lies, stalls, drips and breaks: nothing whole is lost, nothing broken is used."""

import gzip
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from helpers import until

from kdutils.datasets import CARDS
from kdutils.datasets import catalog as shelf
from kdutils.datasets import fetch as fetching
from kdutils.datasets.fetch import Download, fetch
from kdutils.datasets.files import File, Layout
from kdutils.errors import ParameterError

CONTENT = bytes(range(256)) * 40
FILE = File("set.bin", len(CONTENT), hashlib.md5(CONTENT).hexdigest())
PAGE = b"<html>Room number and name, please</html>"


def honest(request, start):
    status = 206 if start else 200
    request.says(status, ("Content-Length", str(len(CONTENT) - start)),
                 *[("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")] * (status == 206))
    request.puts(CONTENT[start:])


def page(request, start):
    request.says(200, ("Content-Length", str(len(PAGE))), ("Content-Type", "text/html"))
    request.puts(PAGE)


def endless(request, start):
    request.says(200)
    while True:
        request.puts(b"x" * 4096)


def far_too_long(request, start):
    request.says(200, ("Content-Length", str(300_000_000)))
    endless_part = b"x" * 4096
    while True:
        request.puts(endless_part)


def breaks(request, start):
    request.says(206 if start else 200, ("Content-Length", str(len(CONTENT) - start)))
    request.puts(CONTENT[start:start + 1000])


def at_another_place(request, start):
    request.says(206, ("Content-Length", str(len(CONTENT))), ("Content-Range", f"bytes 0-{len(CONTENT) - 1}/*"))
    request.puts(CONTENT)


def no_number(request, start):
    request.says(200, ("Content-Length", "abc"))
    request.puts(CONTENT)


@pytest.fixture
def get(liar, tmp_path):
    """get(answer, ...): fetch the file from addresses that answer so."""
    def run(*answers):
        names = [answer.__name__ for answer in answers]
        liar.answers |= dict(zip(names, answers, strict=True))
        return fetch(Download(FILE, tuple(liar.url + name for name in names)), tmp_path)
    return run


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def right(path, folder):
    assert path.read_bytes() == CONTENT and names(folder) == [FILE.path]


def test_more_than_the_catalogue_says_is_not_asked_for(get, liar, tmp_path, refuses):
    """Catches 3 MB that run to 300 MB."""
    with refuses("300,000,000 bytes instead of 10,240"):
        get(far_too_long)
    assert names(tmp_path) == []
    with refuses("too long", "10,241 bytes instead of 10,240", "deleted"):
        get(endless)
    assert names(tmp_path) == []


def test_the_next_address_is_asked_when_one_has_something_else(get, tmp_path):
    right(get(page, far_too_long, honest), tmp_path)


def test_a_part_survives_a_page_that_answers_in_its_place(get, liar, tmp_path, refuses):
    with refuses("could not be fetched", "1,000 of 10,240"):
        get(breaks)
    with refuses("web page"):
        get(page)
    assert names(tmp_path) == ["set.bin.part"]
    right(get(honest), tmp_path)
    assert liar.asked[-1] == ("honest", 1000), "it was continued"


def test_a_server_that_goes_on_at_another_place_is_passed_over(get, tmp_path, refuses):
    with refuses("1,000 of"):
        get(breaks)
    with refuses("goes on at bytes 0-", "instead of byte 1,000"):
        get(at_another_place)
    right(get(at_another_place, honest), tmp_path)


def test_a_server_that_sends_a_piece_at_a_time_is_asked_again(get, liar, tmp_path, refuses):
    """Catches good pieces that are thrown away as a file cut short, so that it never comes to its end."""
    def piece(request, start):
        end = min(start + 4000, len(CONTENT))
        request.says(206, ("Content-Length", str(end - start)), ("Content-Range", f"bytes {start}-{end - 1}/10240"))
        request.puts(CONTENT[start:end])

    with refuses("1,000 of"):
        get(breaks)
    for arrived in ("5,000", "9,000"):
        with refuses(f"the connection ended after {arrived} of 10,240 bytes", "continues"):
            get(piece)
    right(get(piece), tmp_path)
    assert [start for name, start in liar.asked if name == "piece"] == [1000, 5000, 9000]


def test_a_folder_in_the_way_is_no_fault_of_the_network(get, tmp_path):
    (tmp_path / "set.bin.part").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        get(honest)


def test_a_length_that_is_no_number_is_no_length(get, tmp_path):
    right(get(no_number), tmp_path)


@pytest.mark.parametrize("pause", [0.02, 600.0], ids=["drips", "stalls"])
def test_a_connection_that_stalls_or_drips_ends(get, tmp_path, monkeypatch, refuses, pause):
    """Whoever waits is not held for ever: it ends before the server does."""
    monkeypatch.setattr(fetching, "PATIENCE", 0.3)
    ended = threading.Event()

    def slow(request, start):
        request.says(200, ("Content-Length", str(len(CONTENT))))
        for byte in CONTENT:
            request.puts(bytes([byte]))
            if ended.wait(pause):
                break

    with ThreadPoolExecutor(1) as pool:
        fetched = pool.submit(get, slow)
        in_time = until(fetched.done, 60)
        ended.set()
        assert in_time
        with refuses("could not be fetched", "continues"):
            fetched.result()
    assert (tmp_path / "set.bin.part").stat().st_size > 0
    right(get(honest), tmp_path)


def test_a_full_disk_is_no_fault_of_the_network(get, liar, tiny_disk):
    big = File("big.bin", 1_000_000)

    def much(request, start):
        request.says(200, ("Content-Length", "1000000"))
        request.puts(b"x" * 1_000_000)

    liar.answers["much"] = much
    with pytest.raises(OSError, match="No space left"):
        fetch(Download(big, (liar.url + "much",)), tiny_disk)


def test_two_at_once_fetch_a_data_set_once_and_the_second_says_that_it_waits(liar, tmp_path, monkeypatch):
    """Catches a lock that is not taken, and a second one that fetches again what the first has brought."""
    said, begun, waited = [], threading.Event(), threading.Event()

    def slowly(request, start):
        begun.set()
        assert until(lambda: waited.is_set() or len(liar.asked) > 1)
        request.says(200, ("Content-Length", str(len(packed))))
        request.puts(packed)

    packed, liar.answers["slowly"] = gzip.compress(CONTENT), slowly
    archive = File("set.bin.gz", len(packed), hashlib.md5(packed).hexdigest())
    layout = Layout("one file", (FILE,), lambda paths: pytest.fail("nobody has loaded it"))
    monkeypatch.setitem(CARDS, "cifar-100", replace(CARDS["cifar-100"], layouts=(layout,), downloads=(
        Download(archive, (liar.url + "slowly",)),)))
    monkeypatch.setattr(shelf.tqdm, "write", lambda words, **_: (said.append(words), waited.set()))
    monkeypatch.setenv("KDUTILS_DATA", str(tmp_path))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(shelf.get, "cifar-100")
        assert begun.wait(60)
        second = pool.submit(shelf.get, "cifar-100")
        assert first.result() == second.result() == tmp_path
    assert said == ["Another process is fetching cifar-100; this one waits for it."] and len(liar.asked) == 1
    right(tmp_path / FILE.path, tmp_path)


def test_a_disagreeing_server_never_gets_a_wrong_file_its_name(get, liar, tmp_path):
    """Any order of faults, and a right file at the end."""
    for answers in [(breaks,), (page,), (breaks,), (at_another_place,), (endless, page), (breaks, breaks)]:
        with pytest.raises(ParameterError):
            get(*answers)
        assert FILE.path not in names(tmp_path)
    right(get(honest), tmp_path)
