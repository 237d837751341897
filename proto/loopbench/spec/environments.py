"""Environments reduced to what may change the final weights of a specification."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from loopbench.spec import Device, Environment, Run

# Digits of a commit that people read and type.
REVISION_DIGITS = 12
DIRTY = "-dirty"

Facts = tuple[tuple[str, str], ...]


class EnvironmentKey(NamedTuple):
    """Names and values that are the same for all runs of an environment.

    Attributes:
        hardware: device, processor and number of threads.
        software: versions by package, and the commit of the server as ``revision`` if it is known.
    """

    hardware: Facts
    software: Facts

    @property
    def facts(self) -> dict[str, str]:
        """Values of hardware and software by their names."""
        return dict(self.hardware + self.software)


def environment_key(environment: Environment) -> EnvironmentKey:
    """Return what two environments must share for their runs to end in the same bits."""
    return EnvironmentKey(_hardware(environment), _versions(environment) + _revision(environment.source_revision))


def installation_of(environment: Environment) -> Facts:
    """Return hardware and versions without the commit of the server, which a developer changes all the time."""
    return _hardware(environment) + _versions(environment)


def differing(keys: Collection[EnvironmentKey]) -> tuple[str, ...]:
    """Return the names of the facts in which environments differ."""
    names = dict.fromkeys(name for key in keys for name in key.facts)
    return tuple(name for name in names if len({key.facts.get(name) for key in keys}) > 1)


def differing_facts(runs: Iterable[Run]) -> tuple[str, ...]:
    """Return the names of the facts in which the environments of ``runs`` differ, of those that have a result."""
    return differing({environment_key(run.result.environment) for run in runs if run.result})


def _hardware(environment: Environment) -> Facts:
    gpu = (("gpu", environment.device_name),) if environment.device is Device.GPU else ()
    rest = (("processor", environment.cpu_model), ("threads", str(environment.threads)))
    return (("device", environment.device.lower()), *gpu, *rest)


def _versions(environment: Environment) -> Facts:
    return tuple(sorted(environment.versions.items()))


def _revision(text: str) -> Facts:
    commit = text.removesuffix(DIRTY)
    return (("revision", commit[:REVISION_DIGITS] + text[len(commit) :]),) if commit else ()
