"""Pod Security's level "restricted", by the few settings of a pod that loopbench's manifests use.

Everything else is rejected, so a setting that the level forbids needs no separate rule.
"""

from collections.abc import Callable, Iterator

from tests.manifests.builds import Object, Objects
from tests.manifests.objects import pods

Check = Callable[[Objects], Iterator[str]]

POD_MUST = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
POD_MAY = POD_MUST | {"runAsGroup": 65532, "fsGroup": 65532, "fsGroupChangePolicy": "OnRootMismatch"}
CONTAINER_MUST = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
CONTAINER_MAY = CONTAINER_MUST | {"readOnlyRootFilesystem": True}
POD_FIELDS = {
    *("automountServiceAccountToken", "containers", "enableServiceLinks", "nodeSelector", "restartPolicy"),
    *("securityContext", "serviceAccountName", "terminationGracePeriodSeconds", "tolerations"),
    *("topologySpreadConstraints", "volumes"),
}
CONTAINER_FIELDS = {
    *("args", "env", "image", "livenessProbe", "name", "ports", "readinessProbe", "resources", "securityContext"),
    *("startupProbe", "terminationMessagePolicy", "volumeMounts"),
}
VOLUMES = {"name", "configMap", "emptyDir", "persistentVolumeClaim", "secret"}
# With a host in a probe the kubelet would call that host; a gRPC probe has none.
PROBES = {"grpc", "periodSeconds", "timeoutSeconds", "failureThreshold"}


def _settings(context: Object, must: Object, may: Object) -> Iterator[str]:
    for name in context.keys() | must.keys():
        if context.get(name) != may.get(name, "nothing"):
            yield f"securityContext.{name} is {context.get(name)}"


def _fields(what: str, value: Object, may: set[str]) -> Iterator[str]:
    yield from (f"{what} has {name}" for name in value.keys() - may)


def restricted(objects: Objects) -> Iterator[str]:
    """Settings of pods that the level may forbid."""
    for pod in pods(objects):
        found = [
            *_settings(pod.spec.get("securityContext", {}), POD_MUST, POD_MAY),
            *_fields("pod", pod.spec, POD_FIELDS),
        ]
        for volume in pod.spec.get("volumes", []):
            found += _fields("volume", volume, VOLUMES)
        for container in pod.containers:
            found += _settings(container.get("securityContext", {}), CONTAINER_MUST, CONTAINER_MAY)
            found += _fields("container", container, CONTAINER_FIELDS)
            for port in container.get("ports", []):
                found += _fields("port", port, {"name", "containerPort"})
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                found += _fields(probe, container.get(probe, {}), PROBES)
        yield from (f"{pod}: {fault}" for fault in found)


CONTROLS: dict[str, Check] = {"restricted pods": restricted}
