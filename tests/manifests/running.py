"""Runs a container as its manifest says: in the image, or as a process of this machine that finds the same."""

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

# As in the image.
ENVIRONMENT = {"HOME": "/home/loopbench", "XDG_STATE_HOME": "/var/lib", "LOOPBENCH_DATA_DIR": "/data"}
# In which the image is run anyway.
MOUNTED = {"/tmp"}  # noqa: S108  the container's own
# A pod has an address of its own; this machine's pods share one, and so take free ports.
EVERYWHERE = re.compile(r"0\.0\.0\.0:\d+")
PATIENCE = 300


@dataclass(frozen=True)
class Task:
    """What is to be run: words, variables, and folders by the paths that they are mounted at."""

    words: list[str]
    environment: dict[str, str]
    folders: dict[str, Path]
    root: Path


@dataclass(eq=False)
class Running:
    """A container that has been started. ``output`` and ``errors`` are files."""

    process: subprocess.Popen[bytes]
    folder: Path
    kill_all: list[str] | None

    def errors(self) -> str:
        return (self.folder / "errors").read_text()

    def output(self) -> str:
        return (self.folder / "output").read_text()

    def events(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        return json_lines(self.errors())

    def event(self, name: str) -> dict[str, Any] | None:
        return next((event for event in self.events() if event["event"] == name), None)

    def kill(self) -> None:
        """All of its processes at once, as where its node goes; it may have ended just before."""
        if self.kill_all:
            subprocess.run(self.kill_all, check=False, capture_output=True)
            self.process.wait(PATIENCE)
        else:
            os.killpg(self.process.pid, signal.SIGKILL)

    def terminate(self) -> None:
        """As the kubelet does first."""
        self.process.terminate()

    def wait(self) -> int:
        """The exit code that a pod's status shows: of a process that a signal killed, 128 and its number."""
        return self.code(self.process.wait(PATIENCE))

    @staticmethod
    def code(code: int) -> int:
        return code if code >= 0 else 128 - code


class Runtime(Protocol):
    """Starts tasks."""

    def start(self, task: Task, folder: Path) -> Running: ...


def _popen(command: list[str], folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with (folder / "output").open("wb") as output, (folder / "errors").open("wb") as errors:
        return subprocess.Popen(command, stdout=output, stderr=errors, env=environment, start_new_session=True)


class AsProcesses:
    """Of this checkout, with the folders' own paths in place of those inside."""

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
    """Of the image, restricted as the manifests have it."""

    image: Image

    def start(self, task: Task, folder: Path) -> Running:
        name = f"loopbench-test-{uuid.uuid4()}"
        mounts = {path: outside for path, outside in task.folders.items() if path not in MOUNTED}
        command = self.image.command(*task.words, flags=[f"--name={name}"], mounts=mounts, environment=task.environment)
        return Running(_popen(command, folder, os.environ), folder, [*self.image.engine, "kill", "-s", "KILL", name])


@dataclass
class Node:
    """Runs the pods of builds, and keeps what it has started.

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
        """Starts the only container of the build's only object of that ``kind``.

        ``names`` are what the cluster's network leads to, by what manifests call it; ``texts`` stand for those of the
        build's ConfigMaps and of Secrets; ``variables`` are what a controller adds to the environment.
        """
        pod, container = lone(build, kind)
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
        """What still runs is killed."""
        for running in self.started:
            if running.process.poll() is None:
                running.kill()
            running.process.wait(PATIENCE)


def lone(build: str, kind: str) -> tuple[Pod, Object]:
    """The pod of the build's only object of that ``kind``, and its only container."""
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
