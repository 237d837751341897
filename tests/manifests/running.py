"""Runs a container as its manifest describes: in the image, or as an equivalent process of this machine."""

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.manifests.builds import Object, built
from tests.manifests.mounting import Held, mounted
from tests.manifests.objects import Pod, at, containers, identity
from tests.manifests.practices import variable
from tests.manifests.wiring import PROGRAMS
from tests.support.containers import Image
from tests.support.servers import json_lines

# The path in the image.
ENVIRONMENT = {"HOME": "/home/loopbench", "XDG_STATE_HOME": "/var/lib", "LOOPBENCH_DATA_DIR": "/data"}
# Variables that every container of the image has.
MOUNTED = {"/tmp"}  # noqa: S108  the container's own
# Each pod has its address in a cluster; here they share one address and use free ports.
EVERYWHERE = re.compile(r"0\.0\.0\.0:\d+")
TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class Task:
    """A command with its arguments, variables, and folders by their mount paths."""

    words: list[str]
    environment: dict[str, str]
    folders: dict[str, Path]
    root: Path


@dataclass(eq=False)
class Running:
    """A started container. ``output`` and ``errors`` are files."""

    process: subprocess.Popen[bytes]
    folder: Path
    kill_all: list[str] | None

    def errors(self) -> str:
        return (self.folder / "errors").read_text()

    def output(self) -> str:
        return (self.folder / "output").read_text()

    def events(self) -> list[dict[str, Any]]:
        """The lines of the container's log."""
        return json_lines(self.errors())

    def event(self, name: str) -> dict[str, Any] | None:
        return next((event for event in self.events() if event["event"] == name), None)

    def kill(self) -> None:
        """Kills all of its processes, like the loss of a node; they may have ended already."""
        if self.kill_all:
            subprocess.run(self.kill_all, check=False, capture_output=True)
            self.process.wait(TIMEOUT_SECONDS)
        else:
            os.killpg(self.process.pid, signal.SIGKILL)

    def terminate(self) -> None:
        """Sends SIGTERM, like the kubelet at first."""
        self.process.terminate()

    def wait(self) -> int:
        """The exit code as in a pod's status: 128 plus the number of a killing signal."""
        return self.code(self.process.wait(TIMEOUT_SECONDS))

    @staticmethod
    def code(code: int) -> int:
        return code if code >= 0 else 128 - code


class Runtime(Protocol):
    """A way to start tasks."""

    def start(self, task: Task, folder: Path) -> Running: ...


def _popen(command: list[str], folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with (folder / "output").open("wb") as output, (folder / "errors").open("wb") as errors:
        return subprocess.Popen(command, stdout=output, stderr=errors, env=environment, start_new_session=True)


class AsProcesses:
    """Runs tasks from this checkout, with the folders' real paths instead of the mount paths."""

    def start(self, task: Task, folder: Path) -> Running:
        program, *words = (self._outside(word, task) for word in task.words)
        environment = {name: str(task.root / path.strip("/")) for name, path in ENVIRONMENT.items()}
        environment |= {name: self._outside(value, task) for name, value in task.environment.items()}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LOOPBENCH_")}
        return Running(_popen([*self._program(program), *words], folder, kept | environment), folder, None)

    @staticmethod
    def _outside(text: str, task: Task) -> str:
        paths = "|".join(map(re.escape, task.folders))
        return re.sub(rf"(?<![\w/])({paths})(?=/|$)", lambda found: str(task.folders[found[1]]), text)

    @staticmethod
    def _program(name: str) -> list[str]:
        module, _, function = PROGRAMS[name].partition(":")
        return [sys.executable, "-c", f"import sys; from {module} import {function} as main; sys.exit(main())"]


@dataclass(frozen=True)
class InContainers:
    """Runs tasks in the image, restricted like in the manifests."""

    image: Image

    def start(self, task: Task, folder: Path) -> Running:
        name = f"loopbench-test-{uuid.uuid4()}"
        mounts = {path: outside for path, outside in task.folders.items() if path not in MOUNTED}
        command = self.image.command(*task.words, flags=[f"--name={name}"], mounts=mounts, environment=task.environment)
        return Running(_popen(command, folder, os.environ), folder, [*self.image.engine, "kill", "-s", "KILL", name])


@dataclass
class Node:
    """Runs the pods of builds and tracks them.

    ``secrets`` are the cluster's, by name and key.
    """

    runtime: Runtime
    folder: Path
    secrets: Mapping[str, Mapping[str, str]]
    started: list[Running] = field(default_factory=list)

    def run(
        self,
        build: str,
        kind: str,
        *,
        names: Mapping[str, str] | None = None,
        texts: Held | None = None,
        **variables: str,
    ) -> Running:
        """Starts the only container of the build's only object of a ``kind``.

        ``names`` are what the cluster's network leads to, by what manifests call it; ``texts`` stand for those of the
        build's ConfigMaps and of Secrets; ``variables`` are what a controller adds to the environment.
        """
        pod, container = only_container(build, kind)
        folder = self.folder / str(uuid.uuid4())
        root = folder / "root"
        root.mkdir(parents=True)
        held = {**_texts(build), **{("Secret", name): data for name, data in self.secrets.items()}, **(texts or {})}
        folders = mounted(pod.spec, container, held, root)
        environment = {entry["name"]: _value(container, entry, held) for entry in container.get("env", [])} | variables
        words = [_here(word, names or {}) for word in container["args"]]
        here = {name: _here(value, names or {}) for name, value in environment.items()}
        self.started.append(self.runtime.start(Task(words, here, folders, root), folder))
        return self.started[-1]

    def end_all(self) -> None:
        """Kills the remaining containers."""
        for running in self.started:
            if running.process.poll() is None:
                running.kill()
            running.process.wait(TIMEOUT_SECONDS)


def only_container(build: str, kind: str) -> tuple[Pod, Object]:
    """The pod of the build's only object of a ``kind``, and its only container."""
    ((pod, container),) = (found for found in containers(built(build)) if found[0].owner["kind"] == kind)
    return pod, container


def _texts(build: str) -> Held:
    return {identity(made): made["data"] for made in built(build) if made["kind"] == "ConfigMap"}


def _value(container: Object, entry: Object, held: Held) -> str:
    if secret := at(entry, "valueFrom.secretKeyRef"):
        return held["Secret", secret["name"]][secret["key"]]
    value = variable(container, entry["name"])
    assert value is not None
    return value


def _here(text: str, names: Mapping[str, str]) -> str:
    for name, address in names.items():
        text = text.replace(name, address)
    return EVERYWHERE.sub("127.0.0.1:0", text)
