"""Downloads from a server on loopback that means no good."""

import hashlib
import itertools
from pathlib import Path
from typing import Any

import pytest

from loopbench_server.engine.download import DownloadError, Source, download

CONTENT = bytes(range(256)) * 40


def source(web: Any, content: bytes = CONTENT) -> Source:
    return Source(web.url, hashlib.sha256(content).hexdigest())


def test_a_file_that_is_what_it_should_be_is_put_into_its_place(web: Any, tmp_path: Path) -> None:
    web.chunks = [CONTENT[:1_000], CONTENT[1_000:]]
    download(source(web), tmp_path / "new" / "file", limit=len(CONTENT))
    assert (tmp_path / "new" / "file").read_bytes() == CONTENT
    assert [*(tmp_path / "new").iterdir()] == [tmp_path / "new" / "file"]


def test_nothing_is_left_of_what_is_refused_and_what_was_there_stays(web: Any, tmp_path: Path) -> None:
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
def test_what_is_not_the_file_is_refused(
    web: Any, tmp_path: Path, chunks: Any, headers: dict[str, str], message: str
) -> None:
    web.chunks, web.headers = chunks, headers
    with pytest.raises(DownloadError, match=message):
        download(source(web), tmp_path / "file", limit=len(CONTENT))
    assert not [*tmp_path.iterdir()]


def test_a_server_that_dribbles_is_not_waited_for(web: Any, tmp_path: Path) -> None:
    web.chunks = itertools.repeat(b"x")
    with pytest.raises(DownloadError, match="time limit"):
        download(source(web), tmp_path / "file", limit=1 << 40, longest=0)
    assert not [*tmp_path.iterdir()]


def test_a_server_that_is_not_there_is_an_error_without_folders(tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        download(Source("http://127.0.0.1:1/file", ""), tmp_path / "file", limit=1)
    assert str(tmp_path) not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_not_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError) as caught:
        download(Source("http://127.0.0.1:1/file", ""), tmp_path / "file" / "file", limit=1)
    assert str(tmp_path) not in str(caught.value)
