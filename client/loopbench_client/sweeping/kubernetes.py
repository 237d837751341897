"""A sweep as objects of Kubernetes: a ConfigMap with the sweep, and an Indexed Job."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import yaml

from loopbench.sweep import Sweep
from loopbench.text import counted
from loopbench_client.sweeping.options import JobOptions
from loopbench_client.sweeping.policy import HOPELESS, RETRIES, most_failed

# Enough to be quick, and few enough not to fill a small database with connections.
PARALLELISM = 8
# Seconds that a finished Job is kept, so that its logs can be read.
KEPT_SECONDS = 86_400
# Seconds from SIGTERM on: a cancelled run ends within one, unless the database does not answer for a moment.
GRACE_SECONDS = 45
CONTAINER = "sweep-index"
FILE, FOLDER, DATA_FOLDER = "sweep.json", "/etc/loopbench", "/data"
METRICS_PORT = 9464
# Numeric, as in the image.
USER = 65532
GPU = "nvidia.com/gpu"
# Folders to write to: where, and how much.
SCRATCH = {
    "state": ("/var/lib/loopbench", "1Gi"),
    "home": ("/home/loopbench", "256Mi"),
    "tmp": ("/tmp", "1Gi"),  # noqa: S108  # nosec B108  # the pod's own
}

Object = dict[str, Any]


class Memory(NamedTuple):
    """Of a pod, and in megabytes what its run may have to itself: that leaves room for the program and TensorFlow."""

    requests: str
    limits: str
    run_megabytes: int


ON_CPU = Memory("2Gi", "4Gi", 3_000)
# As in k8s/components/gpu: CUDA's libraries and contexts are a process's own.
ON_GPU = Memory("12Gi", "12Gi", 5_000)


def manifest(sweep: Sweep, options: JobOptions, made_by: str) -> str:
    """Both objects as YAML, with a comment that says by which command they were ``made_by``."""
    lines = (f"{counted(sweep.size, 'run')}. Made by:", *(f"  {line}" for line in made_by.splitlines()))
    comment = "".join(f"# {line}\n" for line in lines)  # also where a name on the command line has several lines
    return comment + "".join(f"---\n{_yaml(made)}" for made in (_config_map(sweep, options), _job(sweep, options)))


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as such."""


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
_Dumper.ignore_aliases = lambda *_: True  # type: ignore[method-assign]  # labels are written out at each place


def _yaml(made: Object) -> str:
    text: str = yaml.dump(made, Dumper=_Dumper, sort_keys=False, width=120)
    return text


def _metadata(sweep: Sweep, options: JobOptions) -> Object:
    namespace = {"namespace": options.namespace} if options.namespace else {}
    return {"name": sweep.full_name, **namespace, "labels": _labels(sweep)}


def _labels(sweep: Sweep) -> dict[str, str]:
    common = {
        "name": "loopbench",
        "instance": sweep.full_name,
        "component": "sweep",
        "part-of": "loopbench",
        "managed-by": "loopbench",
    }
    return {f"app.kubernetes.io/{key}": value for key, value in common.items()}


def _config_map(sweep: Sweep, options: JobOptions) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(sweep, options),
        "immutable": True,
        "data": {FILE: sweep.text},
    }


def _job(sweep: Sweep, options: JobOptions) -> Object:
    metadata = _metadata(sweep, options)
    if options.queue:
        metadata["labels"] |= {"kueue.x-k8s.io/queue-name": options.queue}
        # Kueue admits as many pods as the quota allows. By default it waits until the quota allows all of them.
        metadata["annotations"] = {"kueue.x-k8s.io/job-min-parallelism": "1"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            # Kueue lets it begin once there is quota.
            **({"suspend": True} if options.queue else {}),
            "completionMode": "Indexed",
            "completions": sweep.size,
            "parallelism": min(options.parallelism or PARALLELISM, sweep.size),
            "backoffLimitPerIndex": RETRIES,
            "maxFailedIndexes": most_failed(sweep.size),
            "podFailurePolicy": {"rules": [*_failure_rules()]},
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {"metadata": {"labels": _labels(sweep)}, "spec": _pod(sweep, options)},
        },
    }


def _failure_rules() -> Iterable[Object]:
    """The first that fits counts: what is hopeless stays so, even where the pod was disrupted as well."""
    codes = {"containerName": CONTAINER, "operator": "In", "values": [int(code) for code in HOPELESS]}
    yield {"action": "FailIndex", "onExitCodes": codes}
    yield {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def _pod(sweep: Sweep, options: JobOptions) -> Object:
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "automountServiceAccountToken": False,
        # The variables of a Service named loopbench would look like settings.
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **({"tolerations": [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]} if options.gpus else {}),
        "containers": [_container(options)],
        "volumes": [*_volumes(sweep, options)],
    }


def _container(options: JobOptions) -> Object:
    return {
        "name": CONTAINER,
        "image": options.image,
        "args": ["loopbench-sweep-index", "--sweep-file", f"{FOLDER}/{FILE}"],
        "env": [*_environment(options)],
        "ports": [{"name": "metrics", "containerPort": METRICS_PORT}],
        "resources": _resources(options.gpus),
        # So that the pod's status says in a line why it failed.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [*_mounts(options)],
    }


def _memory(gpus: int) -> Memory:
    return ON_GPU if gpus else ON_CPU


def _resources(gpus: int) -> Object:
    memory, devices = _memory(gpus), {GPU: str(gpus)} if gpus else {}
    return {
        kind: {"cpu": "1", "memory": amount, **devices}
        for kind, amount in (("requests", memory.requests), ("limits", memory.limits))
    }


def _environment(options: JobOptions) -> Iterable[Object]:
    yield {
        "name": "LOOPBENCH_STORE_URL",
        "valueFrom": {"secretKeyRef": {"name": options.store_secret, "key": "url"}},
    }
    yield {"name": "LOOPBENCH_METRICS_ADDRESS", "value": f"0.0.0.0:{METRICS_PORT}"}
    yield {"name": "LOOPBENCH_RUN_MEGABYTES", "value": str(_memory(options.gpus).run_megabytes)}
    if options.data_claim:
        yield {"name": "LOOPBENCH_DATA_DIR", "value": DATA_FOLDER}


def _mounts(options: JobOptions) -> Iterable[Object]:
    yield {"name": "sweep", "mountPath": FOLDER, "readOnly": True}
    if options.data_claim:
        yield {"name": "data", "mountPath": DATA_FOLDER, "readOnly": True}
    for name, (path, _) in SCRATCH.items():
        yield {"name": name, "mountPath": path}


def _volumes(sweep: Sweep, options: JobOptions) -> Iterable[Object]:
    yield {"name": "sweep", "configMap": {"name": sweep.full_name}}
    if options.data_claim:
        yield {"name": "data", "persistentVolumeClaim": {"claimName": options.data_claim, "readOnly": True}}
    for name, (_, size) in SCRATCH.items():
        yield {"name": name, "emptyDir": {"sizeLimit": size}}
