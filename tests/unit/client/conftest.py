"""The fake service, clients of it, and a stand-in for the server's package."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.rpc import error_details_pb2, status_pb2
from typer.testing import CliRunner, Result

from loopbench import spec
from loopbench_client import AsyncClient, Client, retry
from loopbench_client.cli import app
from loopbench_client.comparing import training
from loopbench_client.report import Report, write_report
from tests.support.fake_service import FakeService, error_info, make_run, make_status, serving
from tests.support.pages import Page
from tests.support.paths import ROOT


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def address(service: FakeService) -> Iterator[str]:
    with serving(service) as at:
        yield at


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the client's pauses between attempts to a twentieth; their number stays the same."""
    for name in ("PAUSES", "PAUSES_FOR_A_LEASE", "PAUSES_FOR_A_WATCH"):
        monkeypatch.setattr(retry, name, tuple(pause / 20 for pause in getattr(retry, name)))


@pytest.fixture(autouse=True)
def _trains_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no run wait. The fake server has one slot, so it gets the runs in the order of the plan."""
    monkeypatch.setattr(training, "WAITING_PER_SERVER", 0)


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address) as made:
        yield made


@pytest.fixture
async def async_client(address: str) -> Any:
    async with AsyncClient(address) as made:
        yield made


@pytest.fixture
def make_served_run() -> Callable[..., spec.Run]:
    return make_run


@pytest.fixture
def status() -> Callable[..., status_pb2.Status]:
    return make_status


@pytest.fixture
def info() -> Callable[..., error_details_pb2.ErrorInfo]:
    return error_info


@pytest.fixture
def cli(address: str) -> Callable[..., Result]:
    """Runs ``loopbench`` with the given arguments against the fake server."""
    return lambda *words: CliRunner().invoke(app, words, env={"LOOPBENCH_SERVER": address, "COLUMNS": "200"})


EMBEDDED = f"""
import pathlib, sys
sys.path.append({str(ROOT)!r})
from tests.support.fake_service import FakeService, serving
pathlib.Path(__file__).with_name("arguments").write_text(" ".join(sys.argv[1:]))
with serving(FakeService()) as address:
    print("loopbench-server listening on", address, flush=True)
    sys.stdin.read()
pathlib.Path(__file__).with_name("drained").touch()
"""


@pytest.fixture
def server_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of a ``loopbench_server`` package that serves the fake service."""
    for name in ("loopbench_server", "tensorflow"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    main = tmp_path / "loopbench_server" / "__main__.py"
    main.write_text(EMBEDDED)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return main.parent


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Report], Page]:
    """Writes a report and reads its page."""
    return lambda report: Page(write_report(tmp_path / "report", report))
