"""Pod Security Standards: every control of the level "restricted", which includes "baseline".

A check gets objects and names what is wrong with them.
"""

from collections.abc import Callable, Iterator
from typing import Any

from tests.manifests.builds import Object, Objects
from tests.manifests.objects import Pod, at, containers, pods

Check = Callable[[Objects], Iterator[str]]

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SELINUX = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
}
HANDLERS = ("startupProbe", "livenessProbe", "readinessProbe", "lifecycle.postStart", "lifecycle.preStop")


def _pods_keep(path: str, *allowed: Any) -> Check:
    def check(objects: Objects) -> Iterator[str]:
        return (f"{pod}: {path} is {at(pod.spec, path)}" for pod in pods(objects) if at(pod.spec, path) not in allowed)

    return check


def _containers_keep(path: str, *allowed: Any) -> Check:
    def check(objects: Objects) -> Iterator[str]:
        for pod, container in containers(objects):
            if at(container, path) not in allowed:
                yield f"{pod} {container['name']}: {path} is {at(container, path)}"

    return check


def _both_keep(path: str, *allowed: Any) -> Check:
    """In the pod's security context and in that of every container."""

    def check(objects: Objects) -> Iterator[str]:
        yield from _pods_keep(f"securityContext.{path}", *allowed)(objects)
        yield from _containers_keep(f"securityContext.{path}", *allowed)(objects)

    return check


def effective(pod: Pod, container: Object, path: str) -> Any:
    """Of a setting that a container takes from its pod unless it has one of its own."""
    own = at(container, f"securityContext.{path}")
    return at(pod.spec, f"securityContext.{path}") if own is None else own


def _in_effect(path: str, holds: Callable[[Any], bool]) -> Check:
    def check(objects: Objects) -> Iterator[str]:
        for pod, container in containers(objects):
            value = effective(pod, container, path)
            if not holds(value):
                yield f"{pod} {container['name']}: {path} is {value}"

    return check


def _volumes(objects: Objects) -> Iterator[str]:
    for pod in pods(objects):
        for volume in pod.spec.get("volumes", []):
            if kinds := set(volume) - {"name"} - VOLUMES:
                yield f"{pod}: volume {volume['name']} is a {kinds}"


def _capabilities(objects: Objects) -> Iterator[str]:
    for pod, container in containers(objects):
        capabilities = at(container, "securityContext.capabilities") or {}
        if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
            yield f"{pod} {container['name']}: capabilities {capabilities}"


def _host_ports(objects: Objects) -> Iterator[str]:
    for pod, container in containers(objects):
        yield from (f"{pod}: {port}" for port in container.get("ports", []) if port.get("hostPort", 0))


def _probes_of_hosts(objects: Objects) -> Iterator[str]:
    for pod, container in containers(objects):
        for handler in HANDLERS:
            for kind in ("httpGet", "tcpSocket"):
                if at(container, f"{handler}.{kind}.host"):
                    yield f"{pod} {container['name']}: {handler} names a host"


def _sysctls(objects: Objects) -> Iterator[str]:
    for pod in pods(objects):
        for sysctl in at(pod.spec, "securityContext.sysctls") or []:
            if sysctl["name"] not in SYSCTLS:
                yield f"{pod}: {sysctl['name']}"


CONTROLS: dict[str, Check] = {
    "no process of the host": _both_keep("windowsOptions.hostProcess", None, False),
    "no network of the host": _pods_keep("hostNetwork", None, False),
    "no processes of the host": _pods_keep("hostPID", None, False),
    "no memory of the host": _pods_keep("hostIPC", None, False),
    "not privileged": _containers_keep("securityContext.privileged", None, False),
    "no capabilities": _capabilities,
    "volumes of a restricted pod": _volumes,
    "no ports of the host": _host_ports,
    "no probes of other hosts": _probes_of_hosts,
    "AppArmor stays": _both_keep("appArmorProfile.type", None, "RuntimeDefault", "Localhost"),
    "SELinux's type stays": _both_keep("seLinuxOptions.type", None, *SELINUX),
    "SELinux's user and role stay": _both_keep("seLinuxOptions.user", None, ""),
    "/proc is masked": _containers_keep("securityContext.procMount", None, "Default"),
    "safe sysctls": _sysctls,
    "no escalation": _containers_keep("securityContext.allowPrivilegeEscalation", False),
    "non-root": _in_effect("runAsNonRoot", lambda value: value is True),
    "a numeric user other than root": _in_effect("runAsUser", lambda value: value == 65532),
    "seccomp": _in_effect("seccompProfile.type", lambda value: value in ("RuntimeDefault", "Localhost")),
}
