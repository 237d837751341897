"""Builds with one fault each, which show that every check works."""

import copy
from typing import Any

from tests.manifests.builds import Objects, with_dependencies
from tests.manifests.objects import format_label
from tests.manifests.wiring import QUEUE

POD = "spec.template.spec"
CONTAINER = f"{POD}.containers.0"
GONE = object()

# By the check that must find the fault: the build, the beginning of the name of the object to change, the path of the
# value to change, and the new value.
FAULTS: dict[str, tuple[str, str, str, Any]] = {
    "mounts have their volumes": ("overlays/cpu", "Deployment", f"{POD}.volumes.0", {"name": "other", "emptyDir": {}}),
    "mounts are apart": (
        "overlays/cpu",
        "Deployment",
        f"{CONTAINER}.volumeMounts.1.mountPath",
        "/etc/loopbench/tls/tokens",
    ),
    "what pods name exists": ("jobs/compare", "Job", f"{POD}.volumes.0.configMap.name", "plan"),
    "selectors match templates": ("overlays/cpu", "Deployment", "spec.selector.matchLabels.app", "loopbench"),
    "services reach ports": ("overlays/cpu", "Service/", "spec.ports.0.targetPort", "http"),
    "probes reach ports": ("overlays/cpu", "Deployment", f"{CONTAINER}.readinessProbe.grpc.port", 50053),
    "budgets are about pods": ("overlays/cpu", "PodDisruptionBudget", "spec.selector.matchLabels.app", "loopbench"),
    "autoscalers scale something": ("overlays/cpu", "HorizontalPodAutoscaler", "spec.scaleTargetRef.name", "server"),
    "network policies are about pods and their ports": (
        "overlays/cpu",
        "NetworkPolicy/loopbench-server",
        "spec.podSelector.matchLabels.app",
        "x",
    ),
    "all is in the namespace": ("overlays/cpu", "Service/", "metadata.namespace", "default"),
    "programs exist": ("overlays/cpu", "Deployment", f"{CONTAINER}.args.0", "loopbenchd"),
    "queues and flavors exist": ("kueue", "LocalQueue", "spec.clusterQueue", "default"),
    "queues take what pods ask for": ("sweep on GPUs", "Job", "metadata.labels", {QUEUE: "loopbench-cpu"}),
    "quotas admit the pods of a Job": ("sweep on GPUs", "Job", "metadata.annotations", {}),
    "a read-only root": ("overlays/cpu", "Deployment", f"{CONTAINER}.securityContext.readOnlyRootFilesystem", GONE),
    "requests and limits": ("overlays/cpu", "Deployment", f"{CONTAINER}.resources.limits.memory", GONE),
    "bounded scratch": ("jobs/compare", "Job", f"{POD}.volumes.3.emptyDir", {}),
    "probes": ("overlays/cpu", "Deployment", f"{CONTAINER}.readinessProbe.grpc.service", GONE),
    "images by a tag and without a registry": ("overlays/cpu", "Deployment", f"{CONTAINER}.image", "loopbench:latest"),
    "no tokens of the cluster": ("overlays/cpu", "ServiceAccount", "automountServiceAccountToken", GONE),
    "no rights": ("overlays/cpu", "ServiceAccount", "kind", "ClusterRoleBinding"),
    "no variables of Services": ("overlays/cpu", "Deployment", f"{POD}.enableServiceLinks", GONE),
    "no secrets": ("jobs/compare", "ConfigMap", "kind", "Secret"),
    "labels": ("overlays/cpu", "Deployment", "spec.template.metadata.labels", {}),
    "time to drain": ("overlays/cpu", "Deployment", f"{POD}.terminationGracePeriodSeconds", GONE),
    "a core a slot": ("overlays/cpu", "Deployment", f"{CONTAINER}.resources.limits.cpu", "500m"),
    "memory for all runs": ("overlays/cpu", "Deployment", f"{CONTAINER}.resources.limits.memory", "3Gi"),
    "a claim of one pod is mounted once": ("overlays/laptop", "Deployment", "spec.strategy", GONE),
    "updates without a free device": ("overlays/gpu", "Deployment", "spec.strategy", GONE),
    "room for the autoscaler": ("overlays/cpu", "Deployment", "spec.replicas", 2),
    "denial by default": ("overlays/cpu", "NetworkPolicy/loopbench-default", "spec.policyTypes", ["Ingress"]),
    "enforced Pod Security": ("namespace.yaml", "Namespace", "metadata.labels", {}),
    "jobs come to an end": ("jobs/compare", "Job", "spec.ttlSecondsAfterFinished", GONE),
}


def faulty(check: str) -> Objects:
    """The build with the fault that ``check`` must find."""
    return changed(*FAULTS[check])


def changed(build: str, name: str, path: str, new: Any) -> Objects:
    """The build with a new value at the path of the object with this name prefix."""
    objects = copy.deepcopy(with_dependencies(build))
    _change(next(made for made in objects if format_label(made).startswith(name)), path, new)
    return objects


def _change(value: Any, path: str, new: Any) -> None:
    *way, last = path.split(".")
    for name in way:
        value = value[int(name)] if isinstance(value, list) else value.setdefault(name, {})
    if new is GONE:
        del value[last]
    elif isinstance(value, list):
        value[int(last)] = new
    else:
        value[last] = new
