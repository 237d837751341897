"""Contents of the image."""

import tomllib
from dataclasses import dataclass

import pytest

from tests.support.containers import USER, Image
from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LABELS = "org.opencontainers.image."
# Variables of the base image beside those of the image.
BASE = {"GPG_KEY", "LANG", "PYTHON_SHA256", "PYTHON_VERSION"}
OWN = {"HOME", "LOOPBENCH_DATA_DIR", "LOOPBENCH_SOURCE_REVISION", "PATH", "PYTHONDONTWRITEBYTECODE", "XDG_STATE_HOME"}
COMPILERS = ("cc", "c++", "gcc", "g++", "clang", "cpp", "as", "ld", "make", "rustc", "nvcc")
STICKY = {"/tmp", "/var/tmp", "/run/lock"}  # noqa: S108  where the base image has them

# As the image's user: a variable, the compilers on the path, and the modules without bytecode.
QUESTIONS = f"""
echo "$LOOPBENCH_SOURCE_REVISION"
for program in {" ".join(COMPILERS)}; do command -v $program; done | tr '\\n' ' '; echo
python - <<'END'
import importlib.util, os, sys
import loopbench_server.app, loopbench_server.engine.training, loopbench_server.workers.process, loopbench_client.cli
sources = [m.__file__ for m in list(sys.modules.values()) if str(getattr(m, "__file__", "")).endswith(".py")]
print(len(sources), [path for path in sources if not os.path.exists(importlib.util.cache_from_source(path))])
END
"""


@dataclass(frozen=True)
class File:
    """A file of the image as root sees it."""

    path: str
    kind: str
    mode: int
    user: int

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@pytest.fixture(scope="module")
def files(image: Image) -> list[File]:
    """Everything in the image."""
    command = ("find", "/", "-xdev", "-path", "/proc", "-prune", "-o", "-printf", r"%y %m %U %p\0")
    done = image.run(*command, flags=["--user=0"])
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split(" ", 3) for line in done.stdout.split("\0") if line]
    found = [File(path, kind, int(mode, 8), int(user)) for kind, mode, user, path in lines]
    assert len(found) > 10_000
    return found


@pytest.fixture(scope="module")
def answers(image: Image) -> list[str]:
    """Lines printed by the queries."""
    done = image.run("sh", "-c", QUESTIONS)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_an_init_is_process_one_and_the_server_its_program(image: Image) -> None:
    config = image.described["Config"]
    assert (config["Entrypoint"], config["Cmd"]) == (["tini", "--"], ["loopbench-server"])
    assert config["User"] == f"{USER}:{USER}"
    assert config.get("StopSignal") in ("SIGTERM", "15")
    assert set(config["ExposedPorts"]) == {"50051/tcp", "50052/tcp", "9464/tcp"}


def test_labels_state_the_source(image: Image, answers: list[str]) -> None:
    labels = {name: value for name, value in image.described["Config"]["Labels"].items() if name.startswith(LABELS)}
    assert labels[f"{LABELS}title"] == "loopbench"
    assert labels[f"{LABELS}description"] == PROJECT["description"]
    assert labels[f"{LABELS}version"] == PROJECT["version"]
    assert all(labels[f"{LABELS}{name}"] for name in ("revision", "created"))
    assert answers[0] == labels[f"{LABELS}revision"]


def test_environment_has_the_required_variables_and_no_secret(image: Image) -> None:
    assert {entry.partition("=")[0] for entry in image.described["Config"]["Env"]} <= BASE | OWN


def test_no_file_grants_root(files: list[File]) -> None:
    assert [file.path for file in files if file.kind == "f" and file.mode & 0o6000] == []


def test_only_temporary_folders_are_world_writable(files: list[File]) -> None:
    assert {file.path for file in files if file.kind != "l" and file.mode & 0o002} <= STICKY | {"/dev"}
    assert {file.path for file in files if file.user == USER} == {"/home/loopbench", "/var/lib/loopbench"}


def test_there_is_no_compiler(files: list[File], answers: list[str]) -> None:
    programs = [file.path for file in files if file.kind == "f" and file.mode & 0o001 and file.name in COMPILERS]
    assert programs == []
    assert answers[1].split() == []


def test_no_build_files_remain(files: list[File]) -> None:
    paths = {file.path: file for file in files}
    wheels = [path for path in paths if path.endswith(".whl") and "/ensurepip/" not in path]
    assert [path for path in wheels if not path.startswith("/usr/share/")] == []
    assert [path for path in paths if path.startswith("/root/.cache/")] == []
    lists = [path for path, file in paths.items() if path.startswith("/var/lib/apt/lists/") and file.kind == "f"]
    assert lists == []
    assert "/build" not in paths


def test_every_module_is_compiled(answers: list[str]) -> None:
    number, _, missing = answers[2].partition(" ")
    assert missing == "[]"
    assert int(number) > 2_000
