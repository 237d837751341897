"""The servers of two overlays, run as their Deployments describe, and the compare Job on one of them.

test_overlays shows that the third overlay, for GPUs, differs from the first in a few values alone.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from loopbench.spec import Dataset, RunSpec, RunState
from loopbench_client import Client, ServerUnavailableError, Tls, UnauthenticatedError, UnsupportedError
from loopbench_client.cli.exit_codes import ExitCode
from loopbench_server.security.tokens import Role, new_token
from tests.manifests.builds import built
from tests.manifests.kubelet import Server, ready
from tests.manifests.mounting import Held, project
from tests.manifests.objects import of_kind
from tests.manifests.practices import variable
from tests.manifests.running import Node

pytestmark = pytest.mark.slow

SPEC = RunSpec(dataset=Dataset.DIGITS, epochs=1)
SERVICE = "dns:///loopbench-headless:50051"
PLAN, TOKEN = ("ConfigMap", "loopbench-compare"), ("Secret", "loopbench-client-token")


@contextmanager
def started(node: Node, build: str) -> Iterator[Server]:
    """The server of the build within the block. It must exit cleanly and without an error in its log."""
    server = ready(node, build)
    yield server
    server.running.terminate()
    assert server.running.wait() == 0, server.running.errors()
    assert not [event for event in server.running.events() if event["level"] in ("error", "critical")]


@pytest.fixture(scope="module")
def cpu(node: Node) -> Iterator[Server]:
    with started(node, "overlays/cpu") as server:
        yield server


@pytest.fixture(scope="module")
def laptop(node: Node) -> Iterator[Server]:
    with started(node, "overlays/laptop") as server:
        yield server


@pytest.fixture(scope="module")
def ca(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("ca") / "ca.crt"
    file.write_text(node.secrets["loopbench-tls"]["ca.crt"])
    return file


def test_probes_succeed(cpu: Server, laptop: Server) -> None:
    for server in (cpu, laptop):
        assert server.probed("livenessProbe")
        assert server.probed("readinessProbe")


def test_health_port_serves_the_health_service_alone(cpu: Server, laptop: Server) -> None:
    for server in (cpu, laptop):
        with Client(server.health) as client, pytest.raises(UnsupportedError):
            client.get_server_info()


def test_server_trains_for_callers_with_access(cpu: Server, laptop: Server, node: Node, ca: Path) -> None:
    token = node.secrets["loopbench-client-token"]["token"]
    for server, caller in (
        (cpu, Client(cpu.address, token=token, tls=Tls(ca))),
        (laptop, Client(laptop.address)),
    ):
        with caller as client:
            run = client.train(SPEC)
            assert run.state is RunState.SUCCEEDED
            assert client.get_run(run.id).result == run.result
            assert str(client.get_server_info().limits.slots) == variable(server.container, "LOOPBENCH_SLOTS")


def test_cpu_overlay_requires_tls_and_a_token(cpu: Server, ca: Path) -> None:
    with Client(cpu.address) as client, pytest.raises(ServerUnavailableError):
        client.get_server_info()
    with Client(cpu.address, tls=Tls(ca)) as client, pytest.raises(UnauthenticatedError):
        client.train(SPEC)


def test_server_accepts_a_token_that_the_secret_gets_later(cpu: Server, node: Node, ca: Path) -> None:
    secret, token = new_token("late", Role.READ)
    (mounted,) = cpu.running.folder.glob("root/etc/loopbench/tokens")
    with Client(cpu.address, token=secret, tls=Tls(ca)) as client:
        with pytest.raises(UnauthenticatedError):
            [*client.list_runs()]
        project(mounted, {"tokens": node.secrets["loopbench-tokens"]["tokens"] + token.line}, 0o440, 65532)

        [*client.list_runs()]


def test_server_serves_the_metrics_of_its_autoscaler(cpu: Server) -> None:
    (scaler,) = of_kind(built("overlays/cpu"), "HorizontalPodAutoscaler")
    served = cpu.scraped().splitlines()

    names = [metric["pods"]["metric"]["name"] for metric in scaler["spec"]["metrics"]]
    assert {f"{name} 0.0" for name in names} <= {*served}


def test_claim_of_the_laptop_overlay_holds_the_runs(laptop: Server) -> None:
    assert (laptop.running.folder / "root/var/lib/loopbench/runs.db").is_file()


def plan(**specs: dict[str, object]) -> str:
    return yaml.safe_dump({"seeds": 2, "defaults": {"dataset": "digits", "epochs": 2}, "specs": specs})


def test_compare_job_passes_where_methods_agree(cpu: Server, node: Node) -> None:
    compare = node.run("jobs/compare", "Job", names={SERVICE: cpu.address})

    assert compare.wait() == 0, compare.errors()
    assert {pair["verdict"] for pair in json.loads(compare.output())["pairs"]} == {"VERDICT_IDENTICAL"}


DIFFERENT = plan(
    sgd={"optimizer": {"sgd": {"learning_rate": 0.01}}}, still={"optimizer": {"sgd": {"learning_rate": 1e-6}}}
)


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        ({PLAN: {"plan.yaml": DIFFERENT}}, ExitCode.NOT_MET),
        ({PLAN: {"plan.yaml": plan(a={"epochs": -1}, b={})}}, ExitCode.BAD_INPUT),
        ({TOKEN: {"token": "of-somebody-else"}}, ExitCode.NO_ACCESS),
    ],
    ids=lambda value: value.name if isinstance(value, ExitCode) else "",
)
def test_compare_job_ends_with_the_exit_code(cpu: Server, node: Node, texts: Held, code: ExitCode) -> None:
    compare = node.run("jobs/compare", "Job", names={SERVICE: cpu.address}, texts=texts)

    assert compare.wait() == code, compare.errors()
