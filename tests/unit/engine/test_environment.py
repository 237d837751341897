"""The environment of a run."""

from pathlib import Path

import pytest

from loopbench_server.engine.environment import driver_version

DRIVER = """NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.161.08  Mon Feb 26 20:38:32 UTC 2024
GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)
"""


@pytest.mark.parametrize(("text", "found"), [(DRIVER, {"nvidia-driver": "535.161.08"}), ("NVRM version:", {})])
def test_the_version_of_the_driver(text: str, found: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "version").write_text(text)
    assert driver_version(tmp_path / "version") == found


def test_a_machine_without_a_driver_has_no_version(tmp_path: Path) -> None:
    assert driver_version(tmp_path / "version") == {}
