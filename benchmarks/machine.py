"""The machine, and the versions of what is measured."""

import platform
from importlib.metadata import version

import psutil
from pydantic import BaseModel

from benchmarks.setting import ROOT, Setting
from loopbench_server.engine.environment import cpu_model

PACKAGES = ("tensorflow", "keras", "numpy", "grpcio")
PEERS = ROOT / "requirements" / "peers.txt"


class Machine(BaseModel):
    """The machine; ``peers`` are the pinned versions of their environment."""

    cpu: str
    cores: int
    memory_bytes: int
    platform: str
    python: str
    versions: dict[str, str]
    peers: list[str]


def measure(_: Setting) -> Machine:
    """Describe this machine."""
    return Machine(
        cpu=cpu_model(),
        cores=psutil.cpu_count() or 0,
        memory_bytes=psutil.virtual_memory().total,
        platform=platform.platform(),
        python=platform.python_version(),
        versions={package: version(package) for package in PACKAGES},
        peers=[line.strip() for line in PEERS.read_text().splitlines() if "==" in line],
    )
