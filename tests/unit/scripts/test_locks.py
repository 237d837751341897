"""The images install the versions that the tests use."""

import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.paths import ROOT

EXTRAS = {
    "server": ["server", "postgresql", "report", "telemetry"],
    "gpu": ["server", "gpu", "postgresql", "report", "telemetry"],
}


def locked(name: str) -> dict[str, set[str]]:
    """Versions by package; several if they depend on the Python version."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "requirements" / f"{name}.lock").read_text().splitlines():
        if "==" in line and line[0].isalnum():
            requirement = Requirement(line.rstrip("\\ "))
            (version,) = requirement.specifier
            found.setdefault(requirement.name, set()).add(version.version)
    return found


def required(extras: list[str]) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(text for extra in extras for text in project["optional-dependencies"][extra])]
    return {canonicalize_name(Requirement(text).name) for text in texts}


@pytest.mark.parametrize("name", ["server", "gpu", "build"])
def test_images_have_the_versions_that_the_tests_run_with(name: str) -> None:
    ours = locked("dev")
    # The same code without and with the GPU libraries.
    ours["tensorflow-cpu"] = ours["tensorflow"]
    known = {package: versions for package, versions in locked(name).items() if not package.startswith("nvidia-")}
    assert {package: ours.get(package) for package in known} == known


@pytest.mark.parametrize("name", EXTRAS)
def test_images_have_everything_that_their_extras_require(name: str) -> None:
    assert required(EXTRAS[name]) - locked(name).keys() == set()
