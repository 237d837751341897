"""A cluster of folders and processes: secrets, a database, and a runtime for containers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loopbench_client import Client, Tls
from loopbench_server.access.tokens import Role, new_token
from tests.certificates import Authority
from tests.containers import image
from tests.manifests.builds import surroundings
from tests.manifests.running import AsProcesses, InContainers, Node, Running, Runtime, held_by
from tests.postgresql import Cluster, cluster, program

__all__ = ["image"]

Secrets = dict[str, dict[str, str]]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    if program("initdb") is None:
        pytest.skip("PostgreSQL is not installed")
    with cluster() as made:
        yield made


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory, postgresql: Cluster) -> Secrets:
    """As docs/kubernetes.md has the user make them."""
    authority = Authority(tmp_path_factory.mktemp("secrets") / "ca")
    pair = authority.issue("server")
    secret, token = new_token("ci", Role.WRITE)
    certificates = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority.certificate}
    return {
        "loopbench-store": {"url": postgresql.url},
        "loopbench-tls": {name: path.read_text() for name, path in certificates.items()},
        "loopbench-tokens": {"tokens": f"{token.line}\n"},
        "loopbench-client-token": {"token": secret},
    }


@pytest.fixture(scope="session", params=["process", "container"])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    if request.param == "process":
        return AsProcesses()
    return InContainers(request.getfixturevalue("image"))


@pytest.fixture
def run(runtime: Runtime, secrets: Secrets, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Runs the pod of a build's only object of a kind; what still runs after the test is ended."""
