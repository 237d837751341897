"""The revision of the source code in results."""

from collections.abc import Iterator

import pytest

from loopbench_server.bootstrap import make_worker_config
from loopbench_server.config import Settings
from loopbench_server.revision import source_revision


@pytest.fixture(autouse=True)
def _forgets() -> Iterator[None]:
    source_revision.cache_clear()
    yield
    source_revision.cache_clear()


def test_workers_get_the_revision_of_the_start_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPBENCH_SOURCE_REVISION", "at the start")
    assert source_revision() == "at the start"
    monkeypatch.setenv("LOOPBENCH_SOURCE_REVISION", "after the start")
    assert make_worker_config(Settings(_cli_parse_args=[])).source_revision == "at the start"
