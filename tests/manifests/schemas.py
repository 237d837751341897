"""The schemas of Kubernetes, from the oldest version with all used fields to the newest."""

import json
from collections.abc import Iterator
from functools import cache

import kubernetes_validate  # type: ignore[import-untyped]  # the package ships no types

from tests.manifests.builds import Object
from tests.manifests.objects import format_label

# The first version that enables backoffLimitPerIndex by default; docs/kubernetes.md names it.
OLDEST = (1, 29)


def _version(name: str) -> tuple[int, ...]:
    return tuple(map(int, name.split(".")[:2]))


# Each version is listed twice, with lenient and with strict schemas.
VERSIONS = [*dict.fromkeys(name for name in kubernetes_validate.utils.all_versions() if _version(name) >= OLDEST)]

# APIs of Kueue and of the Prometheus operator. Only a cluster has their schemas: see test_cluster.py.
FOREIGN = {"kueue.x-k8s.io/v1beta2", "monitoring.coreos.com/v1"}


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
    """The faults of an object of Kubernetes. An unknown kind is a fault."""
    if made["apiVersion"] not in FOREIGN and (fault := _fault(json.dumps(made, sort_keys=True), version)):
        yield f"{format_label(made)}: {fault}"
