"""The schemas of Kubernetes, from the oldest version with all used fields to the newest."""

import json
from collections.abc import Iterator
from functools import cache

import kubernetes_validate  # type: ignore[import-untyped]  # the package ships no types

from tests.manifests.builds import Object
from tests.manifests.objects import at, format_label

# The first version that enables backoffLimitPerIndex by default; docs/kubernetes.md names it.
OLDEST = (1, 29)


def _version(name: str) -> tuple[int, ...]:
    return tuple(map(int, name.split(".")[:2]))


# Each version is listed twice, with lenient and with strict schemas.
VERSIONS = [*dict.fromkeys(name for name in kubernetes_validate.utils.all_versions() if _version(name) >= OLDEST)]

# Kinds of other projects have no schema in the package: their required fields with types.
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
    """The faults of an object. An unknown kind is a fault."""
    fields = BROUGHT.get((made["apiVersion"], made["kind"]))
    if fields is None:
        if fault := _fault(json.dumps(made, sort_keys=True), version):
            yield f"{format_label(made)}: {fault}"
        return
    for path, kind in fields.items():
        if not isinstance(at(made, path), kind):
            yield f"{format_label(made)}: {path} is no {kind.__name__}"
