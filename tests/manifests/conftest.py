"""A cluster of folders, processes or containers, and a database."""

from collections.abc import Iterator

import pytest

from loopbench_server.access.tokens import Role, new_token
from tests.manifests.kubelet import Server, ready
from tests.manifests.passed import Passed
from tests.manifests.running import AsProcesses, InContainers, Node, Runtime
from tests.support.certificates import Authority
from tests.support.containers import image
from tests.support.postgresql import Cluster, cluster, program

__all__ = ["image"]

Secrets = dict[str, dict[str, str]]


@pytest.fixture(scope="session")
def passed(request: pytest.FixtureRequest) -> Iterator[Passed]:
    """What --manifests asks for is told to it."""
    made = Passed()
    yield made
    if path := request.config.getoption("--manifests"):
        path.write_text(made.table())


@pytest.fixture(scope="module", params=["process", "container"])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    if request.param == "process":
        return AsProcesses()
    return InContainers(request.getfixturevalue("image"))


@pytest.fixture(scope="module")
def postgresql(runtime: Runtime) -> Iterator[Cluster]:  # noqa: ARG001  each has its own, and finds nothing trained
    if program("initdb") is None:
        pytest.skip("PostgreSQL is not installed")
    with cluster() as made:
        yield made


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def node(runtime: Runtime, secrets: Secrets, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    made = Node(runtime, tmp_path_factory.mktemp("node"), secrets)
    yield made
    made.end_all()


@pytest.fixture(scope="module")
def server(node: Node, request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server of the overlay that the test is parametrised by."""
    made = ready(node, request.param)
    yield made
    made.running.terminate()
    assert made.running.wait() == 0, made.running.errors()
    assert not [event for event in made.running.events() if event["level"] in ("error", "critical")]
