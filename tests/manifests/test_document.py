"""The commands in docs/kubernetes.md create what the manifests need."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import yaml

from tests.manifests.builds import KUBECTL, OFFERED, built
from tests.manifests.objects import containers
from tests.manifests.security import CONTROLS
from tests.manifests.wiring import USER_MADE
from tests.support.paths import ROOT

TEXT = (ROOT / "docs" / "kubernetes.md").read_text()


def test_documented_secrets_are_the_ones_that_pods_use(tmp_path: Path) -> None:
    made = {}
    for line in re.findall(r"^kubectl -n loopbench create secret .*$", TEXT, re.MULTILINE):
        for file in re.findall(r"--from-file=[\w.]+=(\S+)", line):
            (tmp_path / file).write_text("of the user")
        _, *words = shlex.split(line)
        command = [KUBECTL, *words, "--dry-run=client", "--output=yaml"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        secret = yaml.safe_load(done.stdout)
        made["Secret", secret["metadata"]["name"]] = {*secret["data"]}

    assert made == USER_MADE


def test_the_documented_pod_is_admitted_to_the_namespace() -> None:
    blocks = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL))
    pods = tuple(block for block in blocks if block["kind"] == "Pod")

    assert len(pods) == 1
    assert [(name, found) for name, control in CONTROLS.items() for found in control(pods)] == []


def test_manifests_and_document_name_the_images_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = {container["image"] for build in OFFERED for _, container in containers(built(build))}

    assert images == {f"loopbench:{version}", f"loopbench:{version}-gpu"}
    assert {f"loopbench:{tag}" for tag in re.findall(r"loopbench:([\d.]+\d(?:-gpu)?)", TEXT)} == images
