"""The server of every overlay, run as its Deployment says."""

from pathlib import Path

import pytest

from loopbench.spec import Dataset, RunSpec, RunState
from loopbench_client import Client, ServerUnavailableError, Tls, UnauthenticatedError, UnsupportedError
from loopbench_server.access.tokens import Role, new_token
from tests.manifests.builds import built
from tests.manifests.kubelet import Server
from tests.manifests.mounting import project
from tests.manifests.objects import of_kind
from tests.manifests.practices import variable
from tests.manifests.running import Node

SECURE = ["overlays/cpu", "overlays/gpu"]
SERVERS = [*SECURE, "overlays/laptop"]
SPEC = RunSpec(dataset=Dataset.DIGITS, epochs=1)

secure = pytest.mark.parametrize("server", SECURE, indirect=True)
every = pytest.mark.parametrize("server", SERVERS, indirect=True)


@pytest.fixture
def ca(node: Node, tmp_path: Path) -> Path:
    file = tmp_path / "ca.crt"
    file.write_text(node.secrets["loopbench-tls"]["ca.crt"])
    return file


def caller(server: Server, node: Node, ca: Path) -> Client:
    """Somebody whom the overlay lets in."""
    if "LOOPBENCH_INSECURE" in {entry["name"] for entry in server.container["env"]}:
        return Client(server.address)
    return Client(server.address, token=node.secrets["loopbench-client-token"]["token"], tls=Tls(ca))


@every
def test_it_stays_alive_and_ready(server: Server) -> None:
    assert server.probed("livenessProbe")
    assert server.probed("readinessProbe")


@every
def test_it_trains_for_those_it_lets_in(server: Server, node: Node, ca: Path) -> None:
    with caller(server, node, ca) as client:
        run = client.train(SPEC)
        assert run.state is RunState.SUCCEEDED
        assert client.get(run.id).result == run.result


@every
def test_it_trains_as_many_runs_at_once_as_the_manifest_has_cores_or_gpus_for(
    server: Server, node: Node, ca: Path
) -> None:
    with caller(server, node, ca) as client:
        assert str(client.server_info().limits.slots) == variable(server.container, "LOOPBENCH_SLOTS")


@secure
def test_it_wants_tls_and_a_token(server: Server, ca: Path) -> None:
    with Client(server.address) as client, pytest.raises(ServerUnavailableError):
        client.server_info()
    with Client(server.address, tls=Tls(ca)) as client, pytest.raises(UnauthenticatedError):
        client.train(SPEC)


@secure
def test_it_takes_a_token_that_is_added_to_the_secret(server: Server, node: Node, ca: Path) -> None:
    secret, token = new_token("late", Role.READ)
    (mounted,) = server.running.folder.glob("root/etc/loopbench/tokens")
    with Client(server.address, token=secret, tls=Tls(ca)) as client:
        with pytest.raises(UnauthenticatedError):
            [*client.list()]
        project(mounted, {"tokens": node.secrets["loopbench-tokens"]["tokens"] + token.line}, 0o440, 65532)

        [*client.list()]  # lets in


@secure
def test_it_serves_what_its_autoscaler_looks_at(server: Server) -> None:
    (scaler,) = of_kind(built("overlays/cpu"), "HorizontalPodAutoscaler")
    served = server.scraped().splitlines()

    names = [metric["pods"]["metric"]["name"] for metric in scaler["spec"]["metrics"]]
    assert {f"{name} 0.0" for name in names} <= {*served}


@pytest.mark.parametrize("server", ["overlays/laptop"], indirect=True)
def test_the_laptops_claim_holds_the_runs(server: Server) -> None:
    assert (server.running.folder / "root/var/lib/loopbench/runs.db").is_file()


@every
def test_the_port_of_the_probes_answers_nothing_else(server: Server) -> None:
    with Client(server.health) as client, pytest.raises(UnsupportedError):
        client.server_info()
