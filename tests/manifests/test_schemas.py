"""Every object against the schemas of Kubernetes, from the oldest version that knows what we use to the newest."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from tests.manifests.builds import COMBINED, EMITTED, OFFERED, Object, built
from tests.manifests.objects import at, label_of
from tests.manifests.passed import Passed

kubernetes_validate = pytest.importorskip("kubernetes_validate")

# The first whose Jobs have a limit of failures an index without being asked to; docs/kubernetes.md names it.
OLDEST = (1, 29)


def _version(name: str) -> tuple[int, ...]:
    return tuple(map(int, name.split(".")[:2]))


# Each is listed once for its lenient schemas, and once for its strict ones.
VERSIONS = [*dict.fromkeys(name for name in kubernetes_validate.utils.all_versions() if _version(name) >= OLDEST)]

# Kinds that others bring have no schema there: what each has to have, and of which type.
BROUGHT: dict[tuple[str, str], dict[str, type]] = {
    ("kueue.x-k8s.io/v1beta2", "ResourceFlavor"): {},
    ("kueue.x-k8s.io/v1beta2", "ClusterQueue"): {
        "spec.namespaceSelector": dict,
        "spec.preemption.withinClusterQueue": str,
        "spec.resourceGroups.0.coveredResources": list,
        "spec.resourceGroups.0.flavors.0.name": str,
        "spec.resourceGroups.0.flavors.0.resources": list,
    },
    ("kueue.x-k8s.io/v1beta2", "LocalQueue"): {"metadata.namespace": str, "spec.clusterQueue": str},
    ("kueue.x-k8s.io/v1beta2", "WorkloadPriorityClass"): {"value": int, "description": str},
    ("monitoring.coreos.com/v1", "PodMonitor"): {
        "spec.selector.matchLabels": dict,
        "spec.podMetricsEndpoints.0.port": str,
    },
    ("monitoring.coreos.com/v1", "PrometheusRule"): {"spec.groups.0.name": str, "spec.groups.0.rules": list},
}


@cache
def _fault(text: str, version: str) -> str | None:
    try:
        kubernetes_validate.validate(json.loads(text), version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{error.json_path}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        return str(error.message)
    return None


def faults(made: Object, version: str) -> Iterator[str]:
    """What is wrong with an object; a kind that is neither Kubernetes's nor in the table is wrong as well."""
    fields = BROUGHT.get((made["apiVersion"], made["kind"]))
    if fields is None:
        if fault := _fault(json.dumps(made, sort_keys=True), version):
            yield f"{label_of(made)}: {fault}"
        return
    for path, kind in fields.items():
        if not isinstance(at(made, path), kind):
            yield f"{label_of(made)}: {path} is no {kind.__name__}"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("build", [*OFFERED, *EMITTED])
def test_a_build_has_the_schema_of(build: str, version: str, passed: Passed) -> None:
    assert [fault for made in built(build) for fault in faults(made, version)] == []
    passed.schema(build, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_all_combinations_of_components_have_the_schema_of(version: str, passed: Passed) -> None:
    wrong = [(build, fault) for build in COMBINED for made in built(build) for fault in faults(made, version)]
    assert wrong == []
    for build in COMBINED:
        passed.schema(build, version)


@pytest.mark.parametrize(
    "changes",
    [{"spec": {"replica": 1}}, {"kind": "Deploiment"}, {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "LocalQueue"}],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_misspelt_is_found(changes: dict[str, Any]) -> None:
    (deployment,) = (made for made in built("overlays/cpu") if made["kind"] == "Deployment")

    assert [*faults(deployment | changes, VERSIONS[-1])] != []
