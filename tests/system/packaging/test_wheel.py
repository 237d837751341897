"""The built wheel, installed alone in a new environment like a client's user does."""

import subprocess
import sys
import zipfile
from collections.abc import Iterable
from email import message_from_string
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.paths import ROOT


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    built = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("keras_loopbench-*.whl")
    return path


def required(requirements: Iterable[str]) -> dict[str, Distribution]:
    """Installed distributions of the requirements and of their dependencies."""
    waiting, found = [(Requirement(text), "") for text in requirements], dict[str, Distribution]()
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (requirement.marker and not requirement.marker.evaluate({"extra": extra})) or (name in found and not extra):
            continue
        found[name] = distribution(name)
        assert requirement.specifier.contains(found[name].version), f"{requirement}: {found[name].version} is installed"
        for inner in map(Requirement, found[name].requires or []):
            waiting += [(inner, of) for of in ("", *requirement.extras)]
    return found


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command folder of an environment with the wheel and its requirements.

    The requirements come from the environment of the tests, so that the test needs no package index.
    """
    folder = tmp_path_factory.mktemp("environment")
    made = run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    assert made.returncode == 0, made.stderr
    (packages,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        requirements = message_from_string(archive.read(metadata).decode()).get_all("Requires-Dist") or []
    for needed in required(requirements).values():
        for name in {file.parts[0] for file in needed.files or []} - {"..", "__pycache__"}:
            link = packages / name
            if not link.exists():
                link.symlink_to(str(needed.locate_file(name)))
    install = ("-m", "pip", "--python", folder / "bin/python", "install", "--quiet", "--no-index", "--no-deps", wheel)
    installed = run(sys.executable, *install, cwd=folder)
    assert installed.returncode == 0, installed.stderr
    return folder / "bin"


def test_wheel_has_the_required_files(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "loopbench/py.typed",
        "loopbench/v1/benchmark_service_pb2_grpc.py",
        "loopbench/v1/benchmark_service.proto",
        "loopbench_client/py.typed",
        "loopbench_client/cli/app.py",
        "loopbench_client/report/templates/page.html",
        "loopbench_diagnose/py.typed",
        "loopbench_server/engine/digits.npz",
    } <= names


def test_client_needs_no_tensorflow(environment: Path) -> None:
    code = """
import importlib.util
import loopbench.wire, loopbench_client, loopbench_client.cli
print([name for name in ("tensorflow", "keras", "numpy", "sqlalchemy") if importlib.util.find_spec(name)])
"""
    done = run(environment / "python", "-c", code, cwd=environment)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_command_line_runs(environment: Path) -> None:
    assert run(environment / "loopbench", "--help", cwd=environment).returncode == 0


def test_no_server_and_no_server_package_is_a_clear_error(environment: Path) -> None:
    done = run(environment / "loopbench", "train", "--dataset", "digits", cwd=environment)
    assert done.returncode == 3
    assert "extra 'server'" in done.stderr
    assert "Traceback" not in done.stderr
