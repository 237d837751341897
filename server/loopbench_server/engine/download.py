"""A download of a file whose content is known: capped, timed, and verified before it has its name."""

import hashlib
import http.client
import os
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHUNK_BYTES = 1 << 16
# Without a word from the server, and altogether.
IDLE_TIMEOUT_SECONDS = 30.0
MAX_SECONDS = 600.0


class DownloadError(Exception):
    """The download failed, or is not what it should be."""


@dataclass(frozen=True)
class Source:
    """Where a file is, and the SHA-256 of what it holds, in hexadecimal."""

    url: str
    sha256: str


def download(source: Source, target: Path, limit: int, longest: float = MAX_SECONDS) -> None:
    """Puts the file into its place, whole and verified, or does nothing.

    No more than ``limit`` bytes are written, and no more than ``longest`` seconds taken, whatever the server sends.

    Raises:
        DownloadError: nobody answers, or the content is not that of ``source``.
    """
    # Under another name first: whoever else looks for the file must not find half of it.
    part = target.with_name(f"{target.stem}-{uuid.uuid4().hex}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _removed_at_the_end(part):
            digest = _fetch(source.url, part, limit, time.monotonic() + longest)
            if digest != source.sha256:
                raise DownloadError(f"it is another file, or only a part: its SHA-256 is {digest}")
            part.replace(target)
    except (OSError, http.client.HTTPException) as error:
        # A file's error would name a folder of the server's, which is no business of a caller's.
        raise DownloadError(getattr(error, "strerror", None) or str(error)) from error


@contextmanager
def _removed_at_the_end(part: Path) -> Iterator[None]:
    try:
        yield
    finally:
        part.unlink(missing_ok=True)


def _fetch(url: str, part: Path, limit: int, end: float) -> str:
    """The SHA-256 of what was written to ``part``."""
    digest, size = hashlib.sha256(), 0
    answer = urllib.request.urlopen(url, timeout=IDLE_TIMEOUT_SECONDS)  # noqa: S310  # nosec B310  # Keras's address
    with answer, part.open("wb") as file:
        # As much as there is, so that a server that dribbles cannot hold up the look at the clock.
        while chunk := answer.read1(CHUNK_BYTES):
            size += len(chunk)
            if size > limit:
                raise DownloadError(f"it is larger than {limit} bytes")
            if time.monotonic() > end:
                raise DownloadError("it takes too long")
            digest.update(chunk)
            file.write(chunk)
        os.fsync(file.fileno())
    return digest.hexdigest()
