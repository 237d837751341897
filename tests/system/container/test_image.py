"""What is in the image, and what is not."""

import tomllib

import pytest

from tests.support.containers import USER, Image
from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LABELS = "org.opencontainers.image."
# What the base image says of its Python beside what the image itself has to say.
BASE = {"GPG_KEY", "LANG", "PYTHON_SHA256", "PYTHON_VERSION"}
OWN = {"HOME", "LOOPBENCH_DATA_DIR", "LOOPBENCH_SOURCE_REVISION", "PATH", "PYTHONDONTWRITEBYTECODE", "XDG_STATE_HOME"}
COMPILERS = ("cc", "c++", "gcc", "g++", "clang", "cpp", "as", "ld", "make", "rustc", "nvcc")
STICKY = {"/tmp", "/var/tmp", "/run/lock"}  # noqa: S108  where the base image has them

MODULES = """
import importlib.util, os, sys
import loopbench_server.app, loopbench_server.engine.training, loopbench_server.runs.worker, loopbench_client.cli
sources = [m.__file__ for m in list(sys.modules.values()) if str(getattr(m, "__file__", "")).endswith(".py")]
print(len(sources), [path for path in sources if not os.path.exists(importlib.util.cache_from_source(path))])
"""


def found(image: Image, *expression: str) -> set[str]:
    """Paths of the image, as its root sees them."""
    command = ("find", "/", "-xdev", "-path", "/proc", "-prune", "-o", *expression, "-print")
    done = image.run(*command, flags=["--user=0"])
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.splitlines())


def test_an_init_is_process_one_and_the_server_its_program(image: Image) -> None:
    config = image.described["Config"]
    assert (config["Entrypoint"], config["Cmd"]) == (["tini", "--"], ["loopbench-server"])
    assert config["User"] == f"{USER}:{USER}"
    assert config.get("StopSignal") in ("SIGTERM", "15")
    assert set(config["ExposedPorts"]) == {"50051/tcp", "50052/tcp", "9464/tcp"}


def test_labels_say_what_it_was_made_of(image: Image) -> None:
    labels = {name: value for name, value in image.described["Config"]["Labels"].items() if name.startswith(LABELS)}
    assert labels[f"{LABELS}title"] == PROJECT["name"]
    assert labels[f"{LABELS}description"] == PROJECT["description"]
    assert labels[f"{LABELS}version"] == PROJECT["version"]
    assert all(labels[f"{LABELS}{name}"] for name in ("revision", "created"))
    revision = image.run("sh", "-c", "echo $LOOPBENCH_SOURCE_REVISION").stdout.strip()
    assert revision == labels[f"{LABELS}revision"]


def test_environment_holds_what_it_has_to_and_no_secret(image: Image) -> None:
    assert {entry.partition("=")[0] for entry in image.described["Config"]["Env"]} <= BASE | OWN


def test_nobody_gets_the_rights_of_root(image: Image) -> None:
    assert found(image, "-type", "f", "-perm", "/6000") == set()


def test_nothing_is_open_to_all_but_folders_of_temporary_files(image: Image) -> None:
    assert found(image, "-not", "-type", "l", "-perm", "/o+w") <= STICKY | {"/dev"}
    assert found(image, "-uid", str(USER)) == {"/home/loopbench", "/var/lib/loopbench"}


@pytest.mark.parametrize("program", COMPILERS)
def test_there_is_no_compiler(image: Image, program: str) -> None:
    assert found(image, "-name", program, "-type", "f", "-perm", "/o+x") == set()
    assert image.run("sh", "-c", f"command -v {program}").stdout == ""


def test_nothing_is_left_of_the_build(image: Image) -> None:
    assert found(image, "-name", "*.whl", "-not", "-path", "*/ensurepip/*", "-not", "-path", "/usr/share/*") == set()
    assert found(image, "-path", "/root/.cache/*") == set()
    assert found(image, "-path", "/var/lib/apt/lists/*", "-type", "f") == set()
    assert found(image, "-path", "/build") == set()


def test_every_module_is_compiled(image: Image) -> None:
    done = image.run("python", "-c", MODULES)
    number, _, missing = done.stdout.strip().partition(" ")
    assert missing == "[]"
    assert int(number) > 2_000
