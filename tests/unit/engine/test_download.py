"""Downloads from a faulty server on loopback."""

import hashlib
import itertools
from pathlib import Path
from typing import Any

import pytest

from loopbench_server.engine.download import DownloadError, Source, download

CONTENT = bytes(range(256)) * 40


def source(web: Any, content: bytes = CONTENT) -> Source:
    return Source(web.url, hashlib.sha256(content).hexdigest())


def test_a_valid_file_is_moved_into_place(web: Any, tmp_path: Path) -> None:
    web.chunks = [CONTENT[:1_000], CONTENT[1_000:]]
    download(source(web), tmp_path / "new" / "file", limit=len(CONTENT))
    assert (tmp_path / "new" / "file").read_bytes() == CONTENT
    assert [*(tmp_path / "new").iterdir()] == [tmp_path / "new" / "file"]


def test_a_refused_file_is_removed_and_the_existing_one_kept(web: Any, tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"before")
    web.chunks = [CONTENT]
    with pytest.raises(DownloadError):
        download(source(web, b"other"), target, limit=len(CONTENT))
    assert [*tmp_path.iterdir()] == [target]
    assert target.read_bytes() == b"before"


@pytest.mark.parametrize(
    ("chunks", "headers", "message"),
    [
        pytest.param([CONTENT, b"x"], {}, "larger than 10240 bytes", id="a byte too large"),
        pytest.param(itertools.repeat(b"x" * 4096), {}, "larger than 10240 bytes", id="endless"),
        pytest.param([CONTENT[::-1]], {}, "unexpected contents", id="other content"),
        pytest.param([CONTENT[:-1]], {}, "unexpected contents", id="cut off"),
        pytest.param([CONTENT[:-1]], {"Content-Length": str(len(CONTENT))}, "contents|IncompleteRead", id="short"),
        pytest.param([], {}, "unexpected contents", id="nothing"),
    ],
)
def test_a_wrong_file_is_refused(web: Any, tmp_path: Path, chunks: Any, headers: dict[str, str], message: str) -> None:
    web.chunks, web.headers = chunks, headers
    with pytest.raises(DownloadError, match=message):
        download(source(web), tmp_path / "file", limit=len(CONTENT))
    assert not [*tmp_path.iterdir()]


def test_a_slow_server_is_given_up(web: Any, tmp_path: Path) -> None:
    web.chunks = itertools.repeat(b"x")
    with pytest.raises(DownloadError, match="time limit"):
        download(source(web), tmp_path / "file", limit=1 << 40, longest=0)
    assert not [*tmp_path.iterdir()]


def test_an_absent_server_is_an_error_without_paths(tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        download(Source("http://127.0.0.1:1/file", ""), tmp_path / "file", limit=1)
    assert str(tmp_path) not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_not_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError) as caught:
        download(Source("http://127.0.0.1:1/file", ""), tmp_path / "file" / "file", limit=1)
    assert str(tmp_path) not in str(caught.value)
