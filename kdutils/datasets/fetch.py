"""Downloads: asked for, shown with a progress bar, resumed where they broke off, checked before they count."""

import errno
import gzip
import http.client
import math
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from kdutils.datasets.files import File, complaint
from kdutils.errors import ParameterError

CHUNK = 1 << 18  # bytes
PATIENCE = 60.0  # seconds in which something must come
SLOWEST = 500  # bytes per second, over that time
# The fault of the disk and not of the network.
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EISDIR, errno.ENOTDIR,
               errno.ELOOP, errno.ENAMETOOLONG)


@dataclass(frozen=True)
class Download:
    """A file on the network: its addresses, the first of which that answers is used, and what it must be."""

    file: File
    urls: tuple[str, ...]


def fetch(download: Download, root: Path, known: Iterable[tuple[str, File]] = ()) -> Path:
    """The downloaded file, below `root`. It bears its name only once its size and checksum are right.

    What arrived before a break lies in NAME.part and is continued. An address that does not answer, or has something
    else, is passed over for the next one. A file of this name that is already there is used if it is the published one
    and otherwise refused, never overwritten: it is not ours.
    """
    path = root / download.file.path
    if path.exists():
        if wrong := complaint(download.file, root, known):
            raise ParameterError(f"{wrong}; delete it, or put the right one there, and run the command again.")
        return path
    part = path.with_name(f"{path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    sentence, cause = "", None
    for url in download.urls:
        try:
            arrived = _stream(url, part, download.file.bytes)
        except (OSError, http.client.HTTPException) as error:
            if getattr(error, "errno", None) in OF_THE_DISK:
                raise
            cause, sentence = error, (f"{path.name} could not be fetched from {url} ({error}); check the network and "
                                      "run the command again: it continues where it broke off.")
            continue
        found = File(str(arrived.relative_to(root)), download.file.bytes, download.file.checksum)
        if not (wrong := complaint(found, root, known)):
            arrived.replace(path)
            part.unlink(missing_ok=True)
            return path
        arrived.unlink()
        cause, sentence = None, f"{wrong}; it was deleted: run the command again, or fetch {url} by other means."
    raise ParameterError(sentence) from cause


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
                    _copy(content, target, file.bytes)
                if wrong := complaint(File(f"{file.path}.part", file.bytes, file.checksum), root, known):
                    part.unlink()
                    raise ParameterError(f"{archive} does not hold what it should ({wrong}); delete it and run the "
                                         "command again.")
                part.replace(root / file.path)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
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


def _copy(content: IO[bytes], target: IO[bytes], size: int | None) -> None:
    """Copy to the end, or to one byte more than there should be."""
    left = math.inf if size is None else size + 1
    while left > 0 and (chunk := content.read(min(CHUNK, left))):
        target.write(chunk)
        left -= len(chunk)


def _stream(url: str, part: Path, size: int | None) -> Path:
    """Fetch `url` into `part`, after what is already there if the server can continue; where it arrived.

    A server that sends all of it instead fills a file of its own: if that is a page of a hotel's network, the part
    survives it. size: what the file has; more is not asked for, and not taken.
    """
    have = part.stat().st_size if part.exists() else 0
    with _answer(url, have) as response:
        start = have if response.status == 206 else 0
        place = response.headers["Content-Range"] if start else None
        if place and not place.startswith(f"bytes {start}-"):
            raise OSError(f"it goes on at {place} instead of byte {start:,}")
        length = response.headers["Content-Length"] or ""
        total = start + int(length) if length.isdecimal() else None
        if None not in (size, total) and total > size:
            raise OSError(f"it would send {total:,} bytes instead of {size:,}")
        target = part.with_name(f"again-{part.name}") if have and not start else part
        try:
            with target.open("ab" if start else "wb") as file, tqdm(
                    total=total or size, initial=start, unit="B", unit_scale=True, desc=part.stem) as bar:
                for chunk in _chunks(response, math.inf if size is None else size + 1 - start):
                    file.write(chunk)
                    bar.update(len(chunk))
            # A server may send less than the rest of a file: what it has sent is good.
            whole = size if start and size is not None else total
            if whole is not None and (arrived := target.stat().st_size) < whole:
                raise OSError(f"the connection ended after {arrived:,} of {whole:,} bytes")
        except BaseException:
            if target != part and target.stat().st_size > have:
                target.replace(part)
            elif target != part:
                target.unlink()
            raise
    return target


def _chunks(response: http.client.HTTPResponse, most: float) -> Iterator[bytes]:
    """The bytes as they come, at most so many; a connection that drips ends like one that stands still."""
    since, came = time.monotonic(), 0
    while most > 0 and (chunk := _read(response, int(min(CHUNK, most)))):
        yield chunk
        most -= len(chunk)
        came += len(chunk)
        if (now := time.monotonic()) - since > PATIENCE:
            if came < PATIENCE * SLOWEST:
                raise TimeoutError(f"only {came:,} bytes came in {now - since:.0f} s")
            since, came = now, 0


def _read(response: http.client.HTTPResponse, most: int) -> bytes:
    """The next bytes as soon as there are any, also the last ones before a break, which some Pythons raise."""
    try:
        return response.read1(most)
    except http.client.IncompleteRead as broken:
        return broken.partial


@contextmanager
def _answer(url: str, have: int):
    headers = {"User-Agent": "kdutils"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        response = urllib.request.urlopen(url, timeout=PATIENCE)  # nothing left to continue: from the start
    with response:
        yield response
