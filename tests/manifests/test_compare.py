"""The Job that compares, run against the server of an overlay: how it ends decides what its controller does."""

import json

import pytest
import yaml

from loopbench_client.cli.exits import ExitCode
from tests.manifests.kubelet import COUNT, Server, reaction
from tests.manifests.mounting import Held
from tests.manifests.objects import at
from tests.manifests.running import Node, lone

SERVICE = "dns:///loopbench-headless:50051"
PLAN, TOKEN = ("ConfigMap", "loopbench-compare"), ("Secret", "loopbench-client-token")
on_cpu = pytest.mark.parametrize("server", ["overlays/cpu"], indirect=True)

# As docs/kubernetes.md tells it.
REACTIONS = {
    ExitCode.RUN_FAILED: COUNT,
    ExitCode.BAD_INPUT: "FailJob",
    ExitCode.UNAVAILABLE: COUNT,
    ExitCode.NOT_FOUND: "FailJob",
    ExitCode.REFUSED: COUNT,
    ExitCode.UNSUPPORTED: "FailJob",
    ExitCode.DEADLINE: COUNT,
    ExitCode.NOT_MET: "FailJob",
    ExitCode.NO_ACCESS: "FailJob",
    ExitCode.INTERRUPTED: COUNT,
}


def plan(**specs: dict[str, object]) -> str:
    return yaml.safe_dump({"seeds": 2, "defaults": {"dataset": "digits", "epochs": 2}, "specs": specs})


@on_cpu
def test_methods_that_agree_pass(server: Server, node: Node) -> None:
    compare = node.run("jobs/compare", "Job", names={SERVICE: server.address})

    assert compare.wait() == 0, compare.errors()
    assert {pair["verdict"] for pair in json.loads(compare.output())["pairs"]} == {"VERDICT_IDENTICAL"}


@on_cpu
def test_specs_that_differ_fail_the_job_at_once(server: Server, node: Node) -> None:
    text = plan(
        sgd={"optimizer": {"sgd": {"learning_rate": 0.01}}}, still={"optimizer": {"sgd": {"learning_rate": 1e-6}}}
    )
    compare = node.run("jobs/compare", "Job", names={SERVICE: server.address}, texts={PLAN: {"plan.yaml": text}})

    assert compare.wait() == ExitCode.NOT_MET, compare.errors()
    assert reaction(lone("jobs/compare", "Job")[0].owner["spec"], ExitCode.NOT_MET) == "FailJob"


@on_cpu
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ({PLAN: {"plan.yaml": plan(a={"epochs": -1}, b={})}}, ExitCode.BAD_INPUT),
        ({TOKEN: {"token": "of-somebody-else"}}, ExitCode.NO_ACCESS),
    ],
    ids=lambda value: value.name if isinstance(value, ExitCode) else "",
)
def test_what_is_refused_fails_the_job_at_once(server: Server, node: Node, text: Held, code: ExitCode) -> None:
    compare = node.run("jobs/compare", "Job", names={SERVICE: server.address}, texts=text)

    assert compare.wait() == code, compare.errors()


@pytest.mark.parametrize("code", [code for code in ExitCode if code])
def test_a_job_reacts_to_every_exit_code(code: ExitCode) -> None:
    assert reaction(lone("jobs/compare", "Job")[0].owner["spec"], code) == REACTIONS[code]


def test_a_disruption_is_no_failure() -> None:
    assert reaction(lone("jobs/compare", "Job")[0].owner["spec"], 143, disrupted=True) == "Ignore"


def test_the_nightly_job_is_the_same() -> None:
    nightly = lone("jobs/nightly", "CronJob")[0].owner

    assert at(nightly, "spec.jobTemplate.spec") == lone("jobs/compare", "Job")[0].owner["spec"]
