"""Every build passes every check and every schema, and every check finds its fault."""

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from tests.manifests.builds import COMBINED, EMITTED, K8S, OFFERED, Objects, built, with_dependencies
from tests.manifests.faults import FAULTS, faulty
from tests.manifests.objects import format_label, of_kind
from tests.manifests.practices import PRACTICES
from tests.manifests.schemas import VERSIONS, faults
from tests.manifests.wiring import LINKS

CHECKS = LINKS | PRACTICES


def violations(build: str) -> list[tuple[str, str]]:
    """Names of the failed checks with their findings."""
    return [(name, found) for name, check in CHECKS.items() for found in check(with_dependencies(build))]


def schema_faults(build: str) -> list[tuple[str, str]]:
    """Versions of Kubernetes whose schemas the build violates, with the findings."""
    return [(version, found) for version in VERSIONS for made in built(build) for found in faults(made, version)]


@pytest.mark.parametrize("build", [*OFFERED, *EMITTED])
def test_build_passes_every_check_and_schema(build: str) -> None:
    assert violations(build) == []
    assert schema_faults(build) == []


def test_every_combination_of_components_passes_every_check_and_schema() -> None:
    assert {build: found for build in COMBINED if (found := violations(build))} == {}
    assert {build: found for build in COMBINED if (found := schema_faults(build))} == {}


def test_every_check_detects_its_fault() -> None:
    assert set(FAULTS) == set(CHECKS)
    assert [name for name, check in CHECKS.items() if not [*check(faulty(name))]] == []


def owned_twice(builds: Mapping[str, Objects]) -> list[tuple[str, str, str]]:
    """Objects that two builds contain. Overlays are alternatives, so they may share objects."""
    labels = {name: {format_label(made) for made in objects} for name, objects in builds.items()}
    pairs = (
        pair for pair in itertools.combinations(builds, 2) if not all(name.startswith("overlays/") for name in pair)
    )
    return [(first, second, label) for first, second in pairs for label in sorted(labels[first] & labels[second])]


def test_every_object_belongs_to_one_build() -> None:
    assert owned_twice({build: built(build) for build in OFFERED}) == []


def test_an_object_of_two_builds_is_found() -> None:
    compare = built("jobs/compare")
    shared = tuple(made for made in compare if made["kind"] == "ConfigMap")

    assert owned_twice({"jobs/compare": compare, "jobs/other": shared}) == [
        ("jobs/compare", "jobs/other", "ConfigMap/loopbench-compare")
    ]


@pytest.mark.parametrize("build", [path for path in OFFERED if (K8S / path).is_dir()])
def test_deleting_a_build_keeps_the_namespace_and_all_data(build: str) -> None:
    assert [*of_kind(built(build), "Namespace", "PersistentVolumeClaim", "Secret")] == []


@pytest.mark.parametrize(
    "changes",
    [{"spec": {"replica": 1}}, {"kind": "Deploiment"}],
    ids=lambda changes: next(iter(changes)),
)
def test_schemas_reject_a_misspelled_field(changes: dict[str, Any]) -> None:
    (deployment,) = (made for made in built("overlays/cpu") if made["kind"] == "Deployment")

    assert [*faults(deployment | changes, VERSIONS[-1])] != []


def test_every_component_is_part_of_a_build() -> None:
    components = {file.parent.relative_to(K8S).as_posix() for file in K8S.glob("components/*/kustomization.yaml")}

    assert components <= {path for paths in COMBINED.values() for path in paths}
