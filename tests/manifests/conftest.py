"""A cluster of folders, processes or containers, and a database."""

import itertools
from collections.abc import Iterator

import pytest

from loopbench_server.security.tokens import Role, new_token
from tests.manifests.running import AsProcesses, InContainers, Node, Runtime
from tests.support.certificates import Authority
from tests.support.containers import image
from tests.support.postgresql import Cluster, cluster, skip_without_postgresql

__all__ = ["image"]

Secrets = dict[str, dict[str, str]]
# Numbers of databases.
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module", params=["process", pytest.param("container", marks=pytest.mark.container)])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    if request.param == "process":
        return AsProcesses()
    return InContainers(request.getfixturevalue("image"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    skip_without_postgresql()
    with cluster() as made:
        yield made


@pytest.fixture(scope="module")
def store_url(runtime: Runtime, postgresql: Cluster) -> str:  # noqa: ARG001  each runtime has an empty database
    return postgresql.database(f"runs{next(NUMBERS)}")


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> Secrets:
    """The Secrets that docs/kubernetes.md asks the user to create."""
    authority = Authority(tmp_path_factory.mktemp("secrets") / "ca")
    pair = authority.issue("server")
    secret, token = new_token("ci", Role.WRITE)
    certificates = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority.certificate}
    return {
        "loopbench-store": {"url": store_url},
        "loopbench-tls": {name: path.read_text() for name, path in certificates.items()},
        "loopbench-tokens": {"tokens": f"{token.line}\n"},
        "loopbench-client-token": {"token": secret},
    }


@pytest.fixture(scope="module")
def node(runtime: Runtime, secrets: Secrets, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    made = Node(runtime, tmp_path_factory.mktemp("node"), secrets)
    yield made
    made.end_all()
