"""The environment of a run."""

import platform
from pathlib import Path

import pytest

from loopbench.spec import Device
from loopbench_server.engine.environment import cpu_model, describe, driver_version
from loopbench_server.worker_config import WorkerConfig

DRIVER = """NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.161.08  Mon Feb 26 20:38:32 UTC 2024
GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)
"""


@pytest.mark.parametrize(("text", "found"), [(DRIVER, {"nvidia-driver": "535.161.08"}), ("NVRM version:", {})])
def test_the_version_of_the_driver(text: str, found: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "version").write_text(text)
    assert driver_version(tmp_path / "version") == found


def test_a_machine_without_a_driver_has_no_version(tmp_path: Path) -> None:
    assert driver_version(tmp_path / "version") == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fma avx avx2 avx512f\n", "AMD EPYC with AVX-512"),
        ("processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fma avx avx2\n", "AMD EPYC with AVX2"),
        ("model name\t: An old one\nflags\t\t: sse4_1\n", "An old one"),
        ("model name\t: Arm\nFeatures\t: fp asimd\n", "Arm with NEON"),
        ("", platform.processor() or platform.machine()),
    ],
)
def test_the_cpu_has_its_vector_instructions(text: str, found: str, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert cpu_model(tmp_path / "cpuinfo") == found


def test_the_revision_is_that_of_the_start_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPBENCH_SOURCE_REVISION", "after the start")
    assert describe(Device.CPU, WorkerConfig(source_revision="at the start")).source_revision == "at the start"
