"""Access to Kubernetes objects."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.manifests.builds import Object, Objects

# Yields the violations of a rule in the objects of a build.
Check = Callable[[Objects], Iterator[str]]
# Path of the pod template by kind.
TEMPLATES = {
    "Pod": "",
    "Deployment": "spec.template",
    "StatefulSet": "spec.template",
    "DaemonSet": "spec.template",
    "ReplicaSet": "spec.template",
    "Job": "spec.template",
    "CronJob": "spec.jobTemplate.spec.template",
}
UNITS = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def at(value: Any, path: str) -> Any:
    """Value at ``path``, such as ``spec.template``; None if a part of the path is missing."""
    for name in filter(None, path.split(".")):
        if value is None:
            return None
        value = value[int(name)] if isinstance(value, list) else value.get(name)
    return value


def quantity(text: Any) -> float:
    """A number of cores or bytes, such as 500m or 4Gi."""
    digits = str(text).rstrip("KMGimk")
    return float(digits) * UNITS[str(text)[len(digits) :]]


def of_kind(objects: Iterable[Object], *kinds: str) -> Iterator[Object]:
    return (made for made in objects if made["kind"] in kinds)


def identity(made: Object) -> tuple[str, str]:
    """Kind and name of an object."""
    return made["kind"], made["metadata"]["name"]


def format_label(made: Object) -> str:
    """Name of an object in messages."""
    return "/".join(identity(made))


def selects(selector: Object | None, labels: dict[str, str]) -> bool:
    """Whether a LabelSelector, or a Service's plain selector, matches ``labels``."""
    selector = selector or {}
    plain = selector if not {"matchLabels", "matchExpressions"} & set(selector) else selector.get("matchLabels", {})
    return all(labels.get(key) == value for key, value in plain.items()) and all(
        labels.get(rule["key"]) in rule["values"] for rule in selector.get("matchExpressions", [])
    )


@dataclass(frozen=True)
class Pod:
    """The pods of an object, described by their template."""

    owner: Object
    labels: dict[str, str]
    spec: Object

    @property
    def containers(self) -> list[Object]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def lasts(self) -> bool:
        """Whether the pod runs permanently."""
        return self.owner["kind"] in ("Deployment", "StatefulSet", "DaemonSet")

    @property
    def job(self) -> Object | None:
        """The spec of the pod's Job."""
        spec = self.owner["spec"]
        return {"Job": spec, "CronJob": at(spec, "jobTemplate.spec")}.get(self.owner["kind"])

    def __str__(self) -> str:
        return format_label(self.owner)


def pods(objects: Objects) -> list[Pod]:
    """The pods of all objects that create pods."""
    found = []
    for made in objects:
        if made["kind"] in TEMPLATES:
            template = at(made, TEMPLATES[made["kind"]])
            found.append(Pod(made, at(template, "metadata.labels") or {}, template["spec"]))
    return found


def containers(objects: Objects) -> Iterator[tuple[Pod, Object]]:
    return ((pod, container) for pod in pods(objects) for container in pod.containers)
