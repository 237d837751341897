"""Which environments are the same for the bits of a run."""

from typing import Any

import pytest

from loopbench.spec import Device
from loopbench.spec.environments import environment_key
from tests.support.factories import make_environment

GPU = {"device": Device.GPU, "device_name": "H100"}


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({"versions": {"keras": "3.15.1", "tensorflow": "2.21.0"}}, True),
        ({"versions": {"keras": "3.12.0", "tensorflow": "2.21.0"}}, False),
        ({"versions": {"keras": "3.15.1"}}, False),
        ({"cpu_model": "another"}, False),
        ({"threads": 2}, False),
        ({"source_revision": "a" * 40}, False),
        (GPU, False),
        # The name of a CPU is that of the processor, and neither cores nor kernel decide a bit.
        ({"device_name": "another", "cpu_count": 64, "platform": "Linux-7"}, True),
    ],
)
def test_what_distinguishes_environments(fields: dict[str, Any], same: bool) -> None:
    assert (environment_key(make_environment(**fields)) == environment_key(make_environment())) is same


def test_gpus_are_distinguished_by_their_model() -> None:
    gpu, other = (environment_key(make_environment(**GPU | {"device_name": name})) for name in ("H100", "H200"))
    assert gpu != other
    assert dict(gpu.hardware) == {"device": "gpu", "gpu": "H100", "processor": "one", "threads": "1"}


@pytest.mark.parametrize("suffix", ["", "-dirty"])
def test_a_commit_has_twelve_digits(suffix: str) -> None:
    key = environment_key(make_environment(source_revision=f"{'0123456789' * 4}{suffix}"))
    assert key.facts["revision"] == f"012345678901{suffix}"
