"""The image that LOOPBENCH_IMAGE names, and an engine that runs it: docker, or podman."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import Deployment

USER = 65532
# The restrictions of Kubernetes for a pod. The mount over /tmp does not allow programs.
RESTRICTIONS = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
RESTRICTIONS += ["--tmpfs=/tmp:rw,noexec,nosuid,nodev,size=1g"]
# The engines' default limits are higher, and not every machine allows to set them.
LIMITS = ["--ulimit=nofile=16384:16384", "--ulimit=nproc=16384:16384"]
# The bits of numpy's matrix products depend on the kernels: the image gets the kernels chosen here.
BLAS = "OPENBLAS_"
# Machines without systemd have neither its control groups nor its journal.
PODMAN = ["podman", "--cgroup-manager=cgroupfs", "--events-backend=none"]


@cache
def engine() -> list[str] | None:
    """The beginning of the engine's commands, or None without a working engine."""
    runtime = ["--runtime=runc"] if shutil.which("runc") else []
    for words in (["docker"], [*PODMAN, *runtime]):
        if shutil.which(words[0]) and not subprocess.run([*words, "info"], capture_output=True, check=False).returncode:
            return words
    return None


@dataclass(frozen=True)
class Image:
    """An image and the beginning of the engine's commands."""

    name: str
    engine: list[str]

    def command(
        self,
        *words: str,
        flags: list[str] | None = None,
        mounts: Mapping[str, Path] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> list[str]:
        """The command that runs ``words`` in a new restricted container on this machine's network.

        ``mounts`` are folders of this machine by their paths inside, which options such as ``:ro`` may follow.
        """
        command = [*self.engine, "run", "--rm", "--network=host", "--log-driver=none", *RESTRICTIONS, *LIMITS]
        command += [f"--volume={folder}:{path}" for path, folder in (mounts or {}).items()]
        command += [f"--env={name}={value}" for name, value in (environment or {}).items()]
        return [*command, *(flags or []), self.name, *words]

    def run(self, *words: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        """Runs ``words`` to the end; ``settings`` as for :meth:`command`."""
        command = self.command(*words, **settings)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    def ask(self, *words: str) -> str:
        """Output of a command of the engine."""
        return subprocess.run([*self.engine, *words], capture_output=True, text=True, check=True).stdout.strip()

    @cached_property
    def described(self) -> dict[str, Any]:
        (described,) = json.loads(self.ask("image", "inspect", self.name))
        return dict(described)


def as_container(image: Image) -> Deployment:
    """A server of ``image``. Folders have the same paths inside and outside, so the same flags apply."""
    data = os.environ.get("LOOPBENCH_DATA_DIR")

    def command(folder: Path) -> list[str]:
        folder.chmod(0o777)  # the image's user is nobody on this machine
        mounts = {str(folder): folder} | ({data: Path(data)} if data else {})
        blas = {name: value for name, value in os.environ.items() if name.startswith(BLAS)}
        return image.command("loopbench-server", mounts=mounts, environment={"NO_COLOR": "1"} | blas)

    return command


@pytest.fixture(scope="session")
def image() -> Image:
    """The image that LOOPBENCH_IMAGE names; the test skips without it or without an engine."""
    name = os.environ.get("LOOPBENCH_IMAGE")
    if not name:
        pytest.skip("LOOPBENCH_IMAGE is not set: run make image IMAGE=loopbench:dev, then set it to loopbench:dev")
    words = engine()
    if not words:
        pytest.skip("neither docker nor podman works: run make podman")
    return Image(name, words)
