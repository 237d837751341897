"""Every build passes every check and every schema, and every check finds its fault."""

from typing import Any

import pytest

from tests.manifests.builds import COMBINED, EMITTED, K8S, OFFERED, built, with_dependencies
from tests.manifests.faults import FAULTS, FORBIDDEN, POD, changed, faulty
from tests.manifests.practices import PRACTICES
from tests.manifests.schemas import VERSIONS, faults
from tests.manifests.security import CONTROLS, restricted
from tests.manifests.wiring import LINKS

CHECKS = CONTROLS | LINKS | PRACTICES


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


@pytest.mark.parametrize("path", FORBIDDEN)
def test_a_setting_that_pod_security_forbids_is_found(path: str) -> None:
    assert [*restricted(changed("overlays/cpu", "Deployment", f"{POD}.{path}", FORBIDDEN[path]))] != []


@pytest.mark.parametrize(
    "changes",
    [{"spec": {"replica": 1}}, {"kind": "Deploiment"}, {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "LocalQueue"}],
    ids=lambda changes: next(iter(changes)),
)
def test_schemas_reject_a_misspelled_field(changes: dict[str, Any]) -> None:
    (deployment,) = (made for made in built("overlays/cpu") if made["kind"] == "Deployment")

    assert [*faults(deployment | changes, VERSIONS[-1])] != []


def test_every_component_is_part_of_a_build() -> None:
    components = {file.parent.relative_to(K8S).as_posix() for file in K8S.glob("components/*/kustomization.yaml")}

    assert components <= {path for paths in COMBINED.values() for path in paths}
