"""Every reference has a target: volumes, Secrets, selectors, ports, programs, queues."""

import itertools
import tomllib
from collections.abc import Iterator

from tests.manifests.builds import Object, Objects
from tests.manifests.objects import Check, Pod, at, containers, format_label, identity, of_kind, pods, quantity, selects
from tests.support.paths import ROOT

# Secrets that docs/kubernetes.md asks the user to create, with their keys.
USER_MADE = {
    ("Secret", "loopbench-store"): {"url"},
    ("Secret", "loopbench-tls"): {"tls.crt", "tls.key", "ca.crt"},
    ("Secret", "loopbench-tokens"): {"tokens"},
    ("Secret", "loopbench-client-token"): {"token"},
}
# Volume → kind of its object, field with the name, and whether it lists its keys.
SOURCES = {
    "secret": ("Secret", "secretName"),
    "configMap": ("ConfigMap", "name"),
    "persistentVolumeClaim": ("PersistentVolumeClaim", "claimName"),
}
KEY_SELECTORS = {"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"}
CLUSTER_WIDE = {"Namespace", "ClusterQueue", "ResourceFlavor", "WorkloadPriorityClass"}
QUEUE, FEWEST_PODS = "kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/job-min-parallelism"
PROGRAMS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


def _mounts_have_volumes(objects: Objects) -> Iterator[str]:
    for pod in pods(objects):
        mounts = [mount for container in pod.containers for mount in container.get("volumeMounts", [])]
        volumes = [volume["name"] for volume in pod.spec.get("volumes", [])]
        if {mount["name"] for mount in mounts} != set(volumes) or len(volumes) != len(set(volumes)):
            yield f"{pod}: mounts {sorted(mount['name'] for mount in mounts)} of volumes {sorted(volumes)}"


def _mounts_are_apart(objects: Objects) -> Iterator[str]:
    for pod, container in containers(objects):
        paths = sorted(f"{mount['mountPath']}/" for mount in container.get("volumeMounts", []))
        for first, second in itertools.pairwise(paths):
            if second.startswith(first):
                yield f"{pod} {container['name']}: {second} lies within {first}"


def _wanted(pod: Pod) -> Iterator[tuple[tuple[str, str], set[str]]]:
    """Objects that a pod references, with the required keys of each."""
    if account := pod.spec.get("serviceAccountName"):
        yield ("ServiceAccount", account), set()
    for volume in pod.spec.get("volumes", []):
        for source, (kind, field) in SOURCES.items():
            if held := volume.get(source):
                yield (kind, held[field]), {item["key"] for item in held.get("items", [])}
    for container in pod.containers:
        for variable in container.get("env", []):
            for source, kind in KEY_SELECTORS.items():
                if held := at(variable, f"valueFrom.{source}"):
                    yield (kind, held["name"]), {held["key"]}


def _named_objects_exist(objects: Objects) -> Iterator[str]:
    there = {identity(made): {*(made.get("data") or {}), *(made.get("stringData") or {})} for made in objects}
    there |= USER_MADE
    for pod in pods(objects):
        for wanted, keys in _wanted(pod):
            if wanted not in there or keys - there[wanted]:
                yield f"{pod}: {'/'.join(wanted)} with {keys} is nowhere"


def _selectors_match_templates(objects: Objects) -> Iterator[str]:
    for pod in pods(objects):
        if pod.lasts and not selects(pod.owner["spec"]["selector"], pod.labels):
            yield f"{pod}: does not select its own pods"


def _ports(pod: Pod) -> set[str | int]:
    ports = [port for container in pod.containers for port in container.get("ports", [])]
    return {port["containerPort"] for port in ports} | {port.get("name") for port in ports}


def _services_reach_ports(objects: Objects) -> Iterator[str]:
    for service in of_kind(objects, "Service"):
        targets = [pod for pod in pods(objects) if selects(service["spec"]["selector"], pod.labels)]
        for port in service["spec"]["ports"]:
            if not targets or any(port.get("targetPort", port["port"]) not in _ports(pod) for pod in targets):
                yield f"{format_label(service)}: {port['name']} reaches nothing"


def _probes_reach_ports(objects: Objects) -> Iterator[str]:
    for pod, container in containers(objects):
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            port = at(container, f"{kind}.grpc.port")
            if port and port not in _ports(pod):
                yield f"{pod} {container['name']}: the {kind} asks port {port}, which it does not have"


def _budgets_match(objects: Objects) -> Iterator[str]:
    for budget in of_kind(objects, "PodDisruptionBudget"):
        if not any(selects(budget["spec"]["selector"], pod.labels) for pod in pods(objects) if pod.lasts):
            yield f"{format_label(budget)}: is about no pods"


def _autoscalers_match(objects: Objects) -> Iterator[str]:
    there = {(made["apiVersion"], *identity(made)) for made in objects}
    for scaler in of_kind(objects, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        if (target["apiVersion"], target["kind"], target["name"]) not in there:
            yield f"{format_label(scaler)}: scales nothing"


def _policies_match(objects: Objects) -> Iterator[str]:
    """Policies in a build with pods; targets without pods may be applied later."""
    for policy in of_kind(objects, "NetworkPolicy"):
        chosen = [pod for pod in pods(objects) if selects(policy["spec"]["podSelector"], pod.labels)]
        if not chosen and not at(policy, "spec.podSelector.matchLabels.loopbench-client"):
            yield f"{format_label(policy)}: is about no pods"
        for rule in policy["spec"].get("ingress", []):
            for port in rule["ports"]:
                yield from (
                    f"{format_label(policy)}: {pod} has no {port}" for pod in chosen if port["port"] not in _ports(pod)
                )


def _namespaces_exist(objects: Objects) -> Iterator[str]:
    """Emitted objects and claims have no namespace; kubectl's option chooses it."""
    for made in objects:
        emitted = (made["metadata"].get("labels") or {}).get("app.kubernetes.io/managed-by") == "loopbench"
        chosen = emitted or made["kind"] == "PersistentVolumeClaim"
        right = {None} if made["kind"] in CLUSTER_WIDE else {"loopbench"} | ({None} if chosen else set())
        if made["metadata"].get("namespace") not in right:
            yield f"{format_label(made)}: is in the namespace {made['metadata'].get('namespace')}"


def _programs_exist(objects: Objects) -> Iterator[str]:
    for pod, container in containers(objects):
        if "command" in container or container["args"][0] not in PROGRAMS:
            yield f"{pod} {container['name']}: {container.get('command', container['args'])} is no program of the image"


def _queues_exist(objects: Objects) -> Iterator[str]:
    there = {identity(made) for made in objects}
    for queue in of_kind(objects, "LocalQueue"):
        if ("ClusterQueue", queue["spec"]["clusterQueue"]) not in there:
            yield f"{format_label(queue)}: {queue['spec']['clusterQueue']} is nowhere"
    for queue in of_kind(objects, "ClusterQueue"):
        yield from (f"{format_label(queue)}: {fault}" for fault in _check_groups(queue, there))


def _check_groups(queue: Object, there: set[tuple[str, str]]) -> Iterator[str]:
    for group in queue["spec"]["resourceGroups"]:
        for flavor in group["flavors"]:
            if ("ResourceFlavor", flavor["name"]) not in there:
                yield f"the flavor {flavor['name']} is nowhere"
            if [resource["name"] for resource in flavor["resources"]] != group["coveredResources"]:
                yield f"{flavor['name']} has other resources than are covered"
            if any(quantity(resource["nominalQuota"]) <= 0 for resource in flavor["resources"]):
                yield f"{flavor['name']} has no quota"


def _queues_take_pods(objects: Objects) -> Iterator[str]:
    """Kueue admits no pod with a resource that its queue does not list."""
    local = {queue["metadata"]["name"]: queue["spec"]["clusterQueue"] for queue in of_kind(objects, "LocalQueue")}
    covered = {
        queue["metadata"]["name"]: {
            name for group in queue["spec"]["resourceGroups"] for name in group["coveredResources"]
        }
        for queue in of_kind(objects, "ClusterQueue")
    }
    for pod, container in containers(objects):
        if queue := (pod.owner["metadata"].get("labels") or {}).get(QUEUE):
            asked = {*container["resources"]["requests"], *container["resources"]["limits"]}
            if left := asked - covered.get(local.get(queue, ""), set()):
                yield f"{pod}: the queue {queue} knows nothing of {left}"


def _quotas_admit_pods(objects: Objects) -> Iterator[str]:
    """Kueue admits a Job once its quota has room for all pods, or for the fewest with which the Job may start."""
    local = {queue["metadata"]["name"]: queue["spec"]["clusterQueue"] for queue in of_kind(objects, "LocalQueue")}
    quotas = {queue["metadata"]["name"]: _quotas(queue) for queue in of_kind(objects, "ClusterQueue")}
    for pod in pods(objects):
        queue = (pod.owner["metadata"].get("labels") or {}).get(QUEUE)
        if queue is None or pod.job is None:
            continue
        annotations: dict[str, str] = pod.owner["metadata"].get("annotations") or {}
        fewest = int(annotations.get(FEWEST_PODS) or pod.job["parallelism"])
        for name, amount in _requests(pod).items():
            quota = quotas[local[queue]].get(name, 0)
            if fewest * amount > quota:
                yield f"{pod}: {fewest} pods need {fewest * amount:g} {name}, and {queue} has {quota:g}"


def _quotas(queue: Object) -> dict[str, float]:
    """Quota of each resource, over all flavors."""
    found: dict[str, float] = {}
    for group in queue["spec"]["resourceGroups"]:
        for resource in itertools.chain.from_iterable(flavor["resources"] for flavor in group["flavors"]):
            found[resource["name"]] = found.get(resource["name"], 0) + quantity(resource["nominalQuota"])
    return found


def _requests(pod: Pod) -> dict[str, float]:
    """Amount of each resource that one pod requests."""
    found: dict[str, float] = {}
    for container in pod.containers:
        for name, amount in container["resources"]["requests"].items():
            found[name] = found.get(name, 0) + quantity(amount)
    return found


LINKS: dict[str, Check] = {
    "mounts have their volumes": _mounts_have_volumes,
    "mounts are apart": _mounts_are_apart,
    "what pods name exists": _named_objects_exist,
    "selectors match templates": _selectors_match_templates,
    "services reach ports": _services_reach_ports,
    "probes reach ports": _probes_reach_ports,
    "budgets are about pods": _budgets_match,
    "autoscalers scale something": _autoscalers_match,
    "network policies are about pods and their ports": _policies_match,
    "all is in the namespace": _namespaces_exist,
    "programs exist": _programs_exist,
    "queues and flavors exist": _queues_exist,
    "queues take what pods ask for": _queues_take_pods,
    "quotas admit the pods of a Job": _quotas_admit_pods,
}
