"""Rules for all pods of loopbench beyond Pod Security."""

import math
import re
from collections.abc import Iterator

from tests.manifests.builds import Object, Objects
from tests.manifests.objects import Check, Pod, at, containers, format_label, of_kind, pods, quantity, selects

IMAGE = re.compile(r"loopbench:(?P<tag>[\w.-]+)")
COMMON = {"app.kubernetes.io/name": "loopbench", "app.kubernetes.io/part-of": "loopbench"}
COMPONENTS = {"server", "sweep", "compare"}
RIGHTS = {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
# Bytes that all runs share: the server, TensorFlow's libraries and MNIST (BENCHMARKS.md, rounded up).
SHARED = 1.1e9
# Bytes of a process that waits for a run: on the CPU, and on a GPU with CUDA's libraries.
STANDBY, GPU_STANDBY = 0.1e9, 2e9
STANDBY_WORKERS = 2


def variable(container: Object, name: str) -> str | None:
    """Value of a container's variable; the kubelet rounds a CPU limit up to whole cores."""
    for entry in container.get("env", []):
        if entry["name"] == name and "valueFrom" in entry:
            limit = entry["valueFrom"]["resourceFieldRef"]["resource"].removeprefix("limits.")
            return str(math.ceil(quantity(container["resources"]["limits"][limit])))
        if entry["name"] == name:
            return str(entry["value"])
    return None


def servers(objects: Objects) -> Iterator[tuple[Pod, Object]]:
    return ((pod, held) for pod, held in containers(objects) if held["args"][0] == "loopbench-server")


def _read_only_root(objects: Objects) -> Iterator[str]:
    for pod, container in containers(objects):
        if at(container, "securityContext.readOnlyRootFilesystem") is not True:
            yield f"{pod} {container['name']}: writes to its root"


def _limits(objects: Objects) -> Iterator[str]:
    for pod, container in containers(objects):
        for kind in ("requests", "limits"):
            if lacking := {"cpu", "memory"} - set(at(container, f"resources.{kind}") or {}):
                yield f"{pod} {container['name']}: no {kind} of {lacking}"


def _scratch_is_bounded(objects: Objects) -> Iterator[str]:
    for pod in pods(objects):
        for volume in pod.spec.get("volumes", []):
            if "emptyDir" in volume and not at(volume, "emptyDir.sizeLimit"):
                yield f"{pod}: {volume['name']} may fill the node's disk"


def _probes(objects: Objects) -> Iterator[str]:
    for pod, container in containers(objects):
        services = [at(container, f"{kind}Probe.grpc.service") or "" for kind in ("startup", "liveness", "readiness")]
        asked = [bool(at(container, f"{kind}Probe.grpc")) for kind in ("startup", "liveness", "readiness")]
        if pod.lasts and (not all(asked) or services != ["", "", "loopbench.v1.BenchmarkService"]):
            yield f"{pod} {container['name']}: probes {asked} of {services}"


def _images(objects: Objects) -> Iterator[str]:
    for pod, container in containers(objects):
        match = IMAGE.fullmatch(container["image"])
        if not match or match["tag"] == "latest":
            yield f"{pod} {container['name']}: {container['image']} names a registry, no tag, or one that moves"


def _no_tokens(objects: Objects) -> Iterator[str]:
    for account in of_kind(objects, "ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield f"{format_label(account)}: hands out its token"
    for pod in pods(objects):
        projected = [
            source for volume in pod.spec.get("volumes", []) for source in at(volume, "projected.sources") or []
        ]
        if pod.spec.get("automountServiceAccountToken") is not False or any(
            "serviceAccountToken" in s for s in projected
        ):
            yield f"{pod}: gets a token"


def _no_rights(objects: Objects) -> Iterator[str]:
    return (format_label(made) for made in of_kind(objects, *RIGHTS))


def _no_service_links(objects: Objects) -> Iterator[str]:
    return (
        f"{pod}: gets variables of Services" for pod in pods(objects) if pod.spec.get("enableServiceLinks") is not False
    )


def _no_secrets(objects: Objects) -> Iterator[str]:
    return (f"{format_label(made)}: is committed" for made in of_kind(objects, "Secret"))


def _labels(objects: Objects) -> Iterator[str]:
    for pod in pods(objects):
        component = pod.labels.get("app.kubernetes.io/component")
        if not COMMON.items() <= pod.labels.items() or component not in COMPONENTS:
            yield f"{pod}: labels {pod.labels}"


def _drains_in_time(objects: Objects) -> Iterator[str]:
    for pod, container in servers(objects):
        drain = float(variable(container, "LOOPBENCH_DRAIN_SECONDS") or 30)
        if pod.spec.get("terminationGracePeriodSeconds", 30) < drain + 15:
            yield f"{pod}: is killed while it drains"


def _slots_are_cores(objects: Objects) -> Iterator[str]:
    for pod, container in servers(objects):
        slots = variable(container, "LOOPBENCH_SLOTS")
        if slots is None or float(slots) > quantity(container["resources"]["limits"]["cpu"]):
            yield f"{pod}: {slots} slots"


def _runs_fit_into_memory(objects: Objects) -> Iterator[str]:
    """The memory limit holds runs in all slots, as many evaluations, standby workers, and the shared part.

    A GPU has its own slot.
    """
    for pod, container in servers(objects):
        gpus = float(container["resources"]["limits"].get("nvidia.com/gpu", 0))
        slots = float(variable(container, "LOOPBENCH_SLOTS") or 0)
        standby = min(slots, float(variable(container, "LOOPBENCH_STANDBY_WORKERS") or STANDBY_WORKERS))
        needed = SHARED + standby * STANDBY + gpus * GPU_STANDBY
        needed += 2 * (slots + gpus) * float(variable(container, "LOOPBENCH_RUN_MEGABYTES") or 4_000) * 1e6
        if needed > quantity(container["resources"]["limits"]["memory"]):
            yield f"{pod}: would need {needed / 1e9:.1f} GB"


def _claims_of_one_pod(objects: Objects) -> Iterator[str]:
    claims = of_kind(objects, "PersistentVolumeClaim")
    lone = {claim["metadata"]["name"] for claim in claims if "ReadWriteMany" not in claim["spec"]["accessModes"]}
    for pod in pods(objects):
        used = {at(volume, "persistentVolumeClaim.claimName") for volume in pod.spec.get("volumes", [])} & lone
        spec = pod.owner["spec"]
        if used and (spec.get("replicas") != 1 or at(spec, "strategy.type") != "Recreate"):
            yield f"{pod}: several at once would want {used}"


def _updates_need_no_free_device(objects: Objects) -> Iterator[str]:
    """A device such as a GPU has one pod, and a cluster seldom has a free one."""
    for pod, container in containers(objects):
        devices = {name for name in at(container, "resources.requests") or {} if "/" in name}
        update = at(pod.owner["spec"], "strategy.rollingUpdate") or {"maxSurge": "25%"}
        recreates = at(pod.owner["spec"], "strategy.type") == "Recreate"
        if pod.lasts and devices and not recreates and (update.get("maxSurge") != 0 or not update["maxUnavailable"]):
            yield f"{pod}: an update waits until {devices} are free for a further pod"


def _autoscaled(objects: Objects) -> Iterator[str]:
    """An autoscaled server needs no replica count, which would fight the autoscaler, and a shared store."""
    for scaler in of_kind(objects, "HorizontalPodAutoscaler"):
        targets = {
            at(metric, "pods.metric.name"): at(metric, "pods.target.averageValue")
            for metric in scaler["spec"]["metrics"]
        }
        for pod, container in servers(objects):
            store = [entry for entry in container["env"] if entry["name"] == "LOOPBENCH_STORE_URL"]
            if "replicas" in pod.owner["spec"] or not store or "loopbench_queue_depth" not in targets:
                yield f"{format_label(scaler)}: cannot scale {pod}"
            if targets.get("loopbench_runs_running") != variable(container, "LOOPBENCH_SLOTS"):
                yield f"{format_label(scaler)}: takes away servers whose slots are all taken"


def _pods_are_denied_by_default(objects: Objects) -> Iterator[str]:
    policies = [made["spec"] for made in of_kind(objects, "NetworkPolicy")]
    denials = [spec for spec in policies if not {"ingress", "egress"} & set(spec) and len(spec["policyTypes"]) == 2]
    for pod in pods(objects):
        if not any(selects(spec["podSelector"], pod.labels) for spec in denials):
            yield f"{pod}: may call, and be called by, anybody"


def _pod_security_is_enforced(objects: Objects) -> Iterator[str]:
    for namespace in of_kind(objects, "Namespace"):
        for mode in ("enforce", "audit", "warn"):
            if namespace["metadata"]["labels"].get(f"pod-security.kubernetes.io/{mode}") != "restricted":
                yield f"{format_label(namespace)}: does not {mode}"


def _jobs_end(objects: Objects) -> Iterator[str]:
    for pod in pods(objects):
        if pod.job is None:
            continue
        actions = {rule["action"] for rule in at(pod.job, "podFailurePolicy.rules") or []}
        if (
            pod.spec.get("restartPolicy") != "Never"
            or "Ignore" not in actions
            or not actions & {"FailJob", "FailIndex"}
        ):
            yield f"{pod}: does not distinguish disruptions and permanent errors from retryable ones"
        if not pod.job.get("ttlSecondsAfterFinished"):
            yield f"{pod}: stays for ever"


PRACTICES: dict[str, Check] = {
    "a read-only root": _read_only_root,
    "requests and limits": _limits,
    "bounded scratch": _scratch_is_bounded,
    "probes": _probes,
    "images by a tag and without a registry": _images,
    "no tokens of the cluster": _no_tokens,
    "no rights": _no_rights,
    "no variables of Services": _no_service_links,
    "no secrets": _no_secrets,
    "labels": _labels,
    "time to drain": _drains_in_time,
    "a core a slot": _slots_are_cores,
    "memory for all runs": _runs_fit_into_memory,
    "a claim of one pod is mounted once": _claims_of_one_pod,
    "updates without a free device": _updates_need_no_free_device,
    "room for the autoscaler": _autoscaled,
    "denial by default": _pods_are_denied_by_default,
    "enforced Pod Security": _pod_security_is_enforced,
    "jobs come to an end": _jobs_end,
}
