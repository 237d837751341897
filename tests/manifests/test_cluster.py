"""What an API server decides about every build: schemas, Pod Security, warnings, and the effect of a second apply.

The tests need a cluster for tests, in which they create the namespace loopbench and delete it at the end. Nothing has
to run: the pods of the builds may wait for their image.
"""

import copy
import json
import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.manifests.builds import COMBINED, EMITTED, K8S, KUBECTL, OFFERED, Object, Objects, built
from tests.support.paths import ROOT

pytestmark = pytest.mark.cluster

VARIABLE = "LOOPBENCH_KUBECONFIG"
NAMESPACE = "loopbench"
WAIT_SECONDS = 300
# What an API server answers about a kind that it does not know.
UNKNOWN = ("no matches for kind", "could not find the requested resource")
# kubectl's patch of its selector always counts as a change.
ALWAYS_CONFIGURED = "poddisruptionbudget.policy/loopbench configured"


class Cluster:
    """kubectl with the kubeconfig of the tests."""

    def __init__(self, kubeconfig: str) -> None:
        self._kubeconfig = kubeconfig

    def kubectl(self, *words: str, objects: Objects = ()) -> subprocess.CompletedProcess[str]:
        """Run kubectl, with ``objects`` as its standard input."""
        command = [KUBECTL, f"--kubeconfig={self._kubeconfig}", *words]
        text = yaml.safe_dump_all(objects)
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=WAIT_SECONDS)

    def apply(self, objects: Objects, *flags: str) -> subprocess.CompletedProcess[str]:
        """Apply ``objects`` to the namespace; skip the test if the API server does not know a kind."""
        words = ("apply", f"--namespace={NAMESPACE}", "--filename=-", *flags)
        done = self.kubectl(*words, objects=objects)
        if any(text in done.stderr for text in UNKNOWN):
            pytest.skip(f"the cluster lacks definitions of Kueue or the Prometheus operator: {done.stderr.strip()}")
        return done

    def accepts(self, objects: Objects) -> str:
        """Errors and warnings of a strict dry run at the server; empty if there are none."""
        done = self.apply(objects, "--dry-run=server", "--validate=strict", "--warnings-as-errors")
        return done.stderr if done.returncode or done.stderr else ""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    kubeconfig = os.environ.get(VARIABLE)
    if not kubeconfig:
        pytest.skip(f"{VARIABLE} names no kubeconfig of a cluster for tests")
    made = Cluster(kubeconfig)
    assert made.kubectl("version").returncode == 0, f"the API server of {VARIABLE} does not answer"
    there = made.kubectl("get", "namespace", NAMESPACE, "--ignore-not-found", "--output=name")
    assert not there.stdout, f"the cluster has a namespace {NAMESPACE}, which these tests would delete"
    assert made.kubectl("apply", f"--filename={K8S / 'namespace.yaml'}").returncode == 0
    yield made
    made.kubectl("delete", "namespace", NAMESPACE, "--wait=true", f"--timeout={WAIT_SECONDS}s")


@pytest.mark.parametrize("build", [*OFFERED, *EMITTED, *COMBINED])
def test_the_server_accepts_every_build_without_a_warning(cluster: Cluster, build: str) -> None:
    assert cluster.accepts(built(build)) == ""


def documented_pod() -> Object:
    """The pod of docs/kubernetes.md that copies MNIST."""
    text = (ROOT / "docs" / "kubernetes.md").read_text()
    blocks = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    (pod,) = (block for block in blocks if block["kind"] == "Pod")
    return dict(pod)


def test_the_server_accepts_the_documented_pod(cluster: Cluster) -> None:
    assert cluster.accepts((documented_pod(),)) == ""


def changed_deployment(path: str, value: Any) -> Objects:
    """The cpu overlay's Deployment with ``value`` at ``path``."""
    (deployment,) = (copy.deepcopy(made) for made in built("overlays/cpu") if made["kind"] == "Deployment")
    *way, last = path.split(".")
    place = deployment
    for name in way:
        place = place[name]
    place[last] = value
    return (deployment,)


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("spec.template.spec.hostNetwork", True, "violate PodSecurity"),
        ("spec.template.spec.securityContext", {}, "violate PodSecurity"),
        ("spec.replica", 1, "unknown field"),
        ("spec.strategy.type", "Recreate", "may not be specified"),
    ],
)
def test_the_server_finds_a_fault(cluster: Cluster, path: str, value: Any, complaint: str) -> None:
    assert complaint in cluster.accepts(changed_deployment(path, value))


@pytest.mark.parametrize("build", OFFERED)
def test_a_second_apply_changes_nothing(cluster: Cluster, build: str) -> None:
    objects = built(build)
    try:
        first = cluster.apply(objects)
        assert first.returncode == 0, first.stderr
        diff = cluster.kubectl("diff", f"--namespace={NAMESPACE}", "--filename=-", objects=objects)
        assert (diff.returncode, diff.stdout) == (0, ""), diff.stderr
        again = cluster.apply(objects)
        lines = [line for line in again.stdout.splitlines() if line != ALWAYS_CONFIGURED]
        assert [line for line in lines if not line.endswith(" unchanged")] == []
    finally:
        if build != "namespace.yaml":
            # Claims keep their finalizer until their pods have ended, so nothing waits for them.
            words = ("delete", f"--namespace={NAMESPACE}", "--filename=-", "--ignore-not-found", "--wait=false")
            cluster.kubectl(*words, objects=objects)


def test_deleting_an_overlay_keeps_secrets_and_claims(cluster: Cluster) -> None:
    claim, overlay = built("claims/state.yaml"), built("overlays/laptop")
    secret = ("secret", "generic", "loopbench-store", "--from-literal=url=postgresql://db/runs")
    assert cluster.kubectl("create", f"--namespace={NAMESPACE}", *secret).returncode == 0
    assert cluster.apply((*claim, *overlay)).returncode == 0
    cluster.kubectl("delete", f"--namespace={NAMESPACE}", "--filename=-", f"--timeout={WAIT_SECONDS}s", objects=overlay)
    left = cluster.kubectl("get", f"--namespace={NAMESPACE}", "secret,persistentvolumeclaim", "--output=json")
    names = {made["metadata"]["name"] for made in json.loads(left.stdout)["items"]}
    assert {"loopbench-store", "loopbench-state"} <= names
