"""Environments reduced to what may change the final weights of a specification."""

from typing import NamedTuple

from loopbench.spec import Device, Environment

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
    return EnvironmentKey(hardware_of(environment), versions_of(environment) + _revision(environment.source_revision))


def hardware_of(environment: Environment) -> Facts:
    """Return device, processor and number of threads, by their names."""
    gpu = (("gpu", environment.device_name),) if environment.device is Device.GPU else ()
    rest = (("processor", environment.cpu_model), ("threads", str(environment.threads)))
    return (("device", environment.device.lower()), *gpu, *rest)


def versions_of(environment: Environment) -> Facts:
    """Return the versions, in the order of the packages."""
    return tuple(sorted(environment.versions.items()))


def _revision(text: str) -> Facts:
    commit = text.removesuffix(DIRTY)
    return (("revision", commit[:REVISION_DIGITS] + text[len(commit) :]),) if commit else ()
