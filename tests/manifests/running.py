"""Runs a container as its manifest says: in the image, or as a process of this machine that finds the same."""

import json
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

from tests.containers import Image
from tests.manifests.builds import Object, Objects
from tests.manifests.mounting import Held, mounted
from tests.manifests.objects import Pod, at, pods
from tests.manifests.practices import variable
from tests.manifests.wiring import PROGRAMS

# As in the image.
ENVIRONMENT = {"HOME": "/home/loopbench", "XDG_STATE_HOME": "/var/lib", "LOOPBENCH_DATA_DIR": "/data"}
# A pod has an address of its own; this machine's pods share one, and so take free ports.
EVERYWHERE = re.compile(r"0\.0\.0\.0:\d+")
PATIENCE = 300


def held_by(objects: Objects, secrets: Mapping[str, Mapping[str, str]]) -> Held:
    """The ConfigMaps of ``objects``, and Secrets by their names."""
    maps = {("ConfigMap", made["metadata"]["name"]): made["data"] for made in objects if made["kind"] == "ConfigMap"}
    return maps | {("Secret", name): data for name, data in secrets.items()}


def pod_of(objects: Objects, kind: str) -> Pod:
    """The pod of the only object of that kind."""
    (found,) = (pod for pod in pods(objects) if pod.owner["kind"] == kind)
    return found


@dataclass(frozen=True)
class Task:
    """What is to be run: words, variables, and folders by the paths that they are mounted at."""

    words: list[str]
    environment: dict[str, str]
    folders: dict[str, Path]
    root: Path


@dataclass
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
        return [json.loads(line) for line in self.errors().splitlines() if line.startswith("{")]

    def event(self, name: str) -> dict[str, Any] | None:
        return next((event for event in self.events() if event["event"] == name), None)

    def kill(self) -> None:
        """All of its processes at once, as where its node goes."""
        if self.kill_all:
            subprocess.run(self.kill_all, check=True, capture_output=True)
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
        for path, folder in task.folders.items():
            text = re.sub(rf"(?<![\w/]){re.escape(path)}(?=/|$)", str(folder), text)
        return text

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
        # The image's runner mounts a /tmp of its own.
        mounts = {path: outside for path, outside in task.folders.items() if path != "/tmp"}
        command = self.image.command(*task.words, flags=[f"--name={name}"], mounts=mounts, environment=task.environment)
        return Running(_popen(command, folder, os.environ), folder, [*self.image.engine, "kill", "-s", "KILL", name])


@dataclass
class Node:
    """Runs pods of manifests: ``held`` are the texts of the cluster, ``names`` what its DNS and Services lead to."""

    runtime: Runtime
    folder: Path
    held: Held
    names: Mapping[str, str] = field(default_factory=dict)

    def run(self, pod: Pod, **variables: str) -> Running:
        """Starts the pod's only container; ``variables`` are those that its controller adds."""
        (container,) = pod.containers
        folder = self.folder / str(uuid.uuid4())
        root = folder / "root"
        root.mkdir(parents=True)
        folders = mounted(pod.spec, container, self.held, root)
        words = [self._here(word) for word in container["args"]]
        environment = {entry["name"]: self._here(self._value(container, entry)) for entry in container.get("env", [])}
        return self.runtime.start(Task(words, environment | variables, folders, root), folder)

    def _value(self, container: Object, entry: Object) -> str:
        if secret := at(entry, "valueFrom.secretKeyRef"):
            return self.held["Secret", secret["name"]][secret["key"]]
        value = variable(container, entry["name"])
        assert value is not None
        return value

    def _here(self, text: str) -> str:
        for name, address in self.names.items():
            text = text.replace(name, address)
        return EVERYWHERE.sub("127.0.0.1:0", text)
