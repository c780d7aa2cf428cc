"""Downloads: asked for, shown with a progress bar, resumed where they broke off, checked before they count."""

import gzip
import http.client
import shutil
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from kdutils.datasets.files import File, complaint
from kdutils.errors import ParameterError

CHUNK = 1 << 18  # bytes


@dataclass(frozen=True)
class Download:
    """A file on the network: its addresses, the first of which that answers is used, and what it must be."""

    file: File
    urls: tuple[str, ...]


def fetch(download: Download, root: Path, known: Iterable[tuple[str, File]] = ()) -> Path:
    """The downloaded file, below `root`. It bears its name only once its size and checksum are right.

    What arrived before a break lies in NAME.part and is continued. A file of this name that is already there is used
    if it is the published one and otherwise refused, never overwritten: it is not ours.
    """
    path = root / download.file.path
    if path.exists():
        if wrong := complaint(download.file, root, known):
            raise ParameterError(f"{wrong}; delete it, or put the right one there, and run the command again.")
        return path
    part = path.with_name(f"{path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    for url in download.urls:
        try:
            _stream(url, part)
            break
        except (OSError, http.client.HTTPException) as error:
            failure = error
    else:
        raise ParameterError(f"{path.name} could not be fetched from {download.urls[-1]} ({failure}); check the "
                             "network and run the command again: it continues where it broke off.") from failure
    arrived = File(str(part.relative_to(root)), download.file.bytes, download.file.checksum)
    if wrong := complaint(arrived, root, known):
        part.unlink()
        raise ParameterError(f"{wrong}; it was deleted: run the command again, or fetch {url} by other means.")
    return part.replace(path)


def unpack(archive: Path, files: Iterable[File], root: Path, known: Iterable[tuple[str, File]] = ()) -> None:
    """Write those `files` that the archive (.tar.gz or .gz) holds below `root`; its other members are ignored.

    Members are found by their file name, so that no path written in an archive leads anywhere.
    """
    wanted = {PurePosixPath(file.path).name: file for file in files}
    try:
        for name, content in _members(archive):
            if file := wanted.get(name):
                part = root / f"{file.path}.part"
                part.parent.mkdir(parents=True, exist_ok=True)
                with part.open("wb") as target:
                    shutil.copyfileobj(content, target, CHUNK)
                if wrong := complaint(File(f"{file.path}.part", file.bytes, file.checksum), root, known):
                    part.unlink()
                    raise ParameterError(f"{archive} does not hold what it should ({wrong}); delete it and run the "
                                         "command again.")
                part.replace(root / file.path)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile) as error:
        raise ParameterError(f"{archive} cannot be unpacked ({error}); delete it and run the command again.") from error


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """File name and content of every member of an archive."""
    if archive.name.endswith(".tar.gz"):
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile():
                    yield PurePosixPath(member.name).name, tar.extractfile(member)
    else:
        with gzip.open(archive) as content:
            yield archive.stem, content


def _stream(url: str, part: Path) -> None:
    """Fetch `url` into `part`, after what is already there if the server can continue."""
    have = part.stat().st_size if part.exists() else 0
    with _answer(url, have) as response:
        if response.status != 206:  # the server sends all of it
            have = 0
        total = have + int(response.headers["Content-Length"]) if response.headers["Content-Length"] else None
        with part.open("ab" if have else "wb") as file, tqdm(
                total=total, initial=have, unit="B", unit_scale=True, desc=part.stem) as bar:
            while chunk := _read(response):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and part.stat().st_size < total:
        raise OSError(f"the connection ended after {part.stat().st_size:,} of {total:,} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    """The next bytes, also the last ones before a break, which some Pythons return and some raise."""
    try:
        return response.read(CHUNK)
    except http.client.IncompleteRead as broken:
        return broken.partial


@contextmanager
def _answer(url: str, have: int):
    headers = {"User-Agent": "kdutils"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        response = urllib.request.urlopen(url, timeout=60)  # nothing left to continue: from the start
    with response:
        yield response
