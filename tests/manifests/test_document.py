"""The commands in docs/kubernetes.md create what the manifests need."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.manifests.builds import KUBECTL, OFFERED, built
from tests.manifests.objects import containers, of_kind
from tests.manifests.wiring import USER_MADE
from tests.support.markdown import documents, shell_lines
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


def inside_the_cluster(line: str) -> list[str]:
    """Addresses of a command that only pods can resolve: names of Services, with or without a namespace."""
    services = "|".join(made["metadata"]["name"] for made in of_kind(built("overlays/cpu"), "Service"))
    return re.findall(rf"(?<![\w./-])(?:dns:///)?(?:{services})(?:\.[\w.-]+)?:50051\b", line)


@pytest.mark.parametrize("document", documents(), ids=str)
def test_commands_name_no_address_that_only_pods_resolve(document: Path) -> None:
    assert [found for line in shell_lines(document) for found in inside_the_cluster(line)] == []


def test_addresses_inside_the_cluster_are_found() -> None:
    assert inside_the_cluster("loopbench info --server dns:///loopbench-headless:50051") != []
    assert inside_the_cluster("loopbench info --server loopbench.loopbench.svc:50051") != []
    assert inside_the_cluster("loopbench info --server localhost:50051 # service/loopbench 50051") == []


def test_manifests_and_document_name_the_images_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = {container["image"] for build in OFFERED for _, container in containers(built(build))}

    assert images == {f"loopbench:{version}", f"loopbench:{version}-gpu"}
    assert {f"loopbench:{tag}" for tag in re.findall(r"loopbench:([\d.]+\d(?:-gpu)?)", TEXT)} == images
