"""Downloads a file with known contents: limited in size and time, and verified before it gets its name."""

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
# Time limits without data from the server, and in total.
IDLE_TIMEOUT_SECONDS = 30.0
MAX_SECONDS = 600.0


class DownloadError(Exception):
    """The download failed, or its contents are not the expected ones."""


@dataclass(frozen=True)
class Source:
    """URL of a file, and the SHA-256 of its contents in hexadecimal."""

    url: str
    sha256: str


def download(source: Source, target: Path, limit: int, longest: float = MAX_SECONDS) -> None:
    """Put the whole, verified file into its place, or do nothing.

    At most ``limit`` bytes are written in at most ``longest`` seconds, whatever the server sends.

    Raises:
        DownloadError: the server does not respond, or the contents are not those of ``source``.
    """
    # Under another name first, so that no other process finds a part of the file.
    part = target.with_name(f"{target.stem}-{uuid.uuid4().hex}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _removed_at_the_end(part):
            digest = _fetch(source.url, part, limit, time.monotonic() + longest)
            if digest != source.sha256:
                raise DownloadError(f"unexpected contents: the SHA-256 is {digest}")
            part.replace(target)
    except (OSError, http.client.HTTPException) as error:
        # The text of a file's error names a folder, which callers must not see.
        raise DownloadError(getattr(error, "strerror", None) or str(error)) from error


@contextmanager
def _removed_at_the_end(part: Path) -> Iterator[None]:
    try:
        yield
    finally:
        part.unlink(missing_ok=True)


def _fetch(url: str, part: Path, limit: int, end: float) -> str:
    """Return the SHA-256 of the bytes written to ``part``."""
    digest, size = hashlib.sha256(), 0
    response = urllib.request.urlopen(url, timeout=IDLE_TIMEOUT_SECONDS)  # noqa: S310  # nosec B310  # Keras's address
    with response, part.open("wb") as file:
        # Reads what is available, so that a slow server cannot delay the check of the time limit.
        while chunk := response.read1(CHUNK_BYTES):
            size += len(chunk)
            if size > limit:
                raise DownloadError(f"the file is larger than {limit} bytes")
            if time.monotonic() > end:
                raise DownloadError("exceeded the time limit")
            digest.update(chunk)
            file.write(chunk)
        os.fsync(file.fileno())
    return digest.hexdigest()
