"""A server with mounted secrets, and the image's other programs."""

import shutil
from pathlib import Path

import pytest

from loopbench_client import Client, Tls
from tests.support.certificates import Authority
from tests.support.containers import Image
from tests.support.servers import SECONDS_TO_READY

from .conftest import Start

INSIDE = "/etc/loopbench"
SERVER = {"TLS_CERTIFICATE": "tls.crt", "TLS_KEY": "tls.key", "TOKENS_FILE": "tokens"}
CLIENT = {"TLS_CA": "ca.crt", "TOKEN_FILE": "token"}


def paths(files: dict[str, str]) -> dict[str, str]:
    return {f"LOOPBENCH_{name}": f"{INSIDE}/{file}" for name, file in files.items()}


@pytest.fixture
def secrets(image: Image, tmp_path: Path) -> Path:
    """A folder like Kubernetes mounts Secrets: its files belong to root, and the container may read them."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    folder.chmod(0o755)
    authority = Authority(tmp_path / "authority")
    pair = authority.issue("server")
    for source, name in ((pair.certificate, "tls.crt"), (pair.key, "tls.key"), (authority.certificate, "ca.crt")):
        shutil.copy(source, folder / name)
    made = image.run("loopbench-token", "alice", "--role", "write")
    (folder / "token").write_text(made.stdout)
    (folder / "tokens").write_text(made.stderr.splitlines()[-1])
    for file in folder.iterdir():
        file.chmod(0o644)
    return folder


def test_a_client_in_a_container_trains_on_a_server_in_another(image: Image, start: Start, secrets: Path) -> None:
    mounts = {f"{INSIDE}:ro": secrets}
    server = start(environment=paths(SERVER), mounts=mounts)
    with Client(server.address, token=(secrets / "token").read_text().strip(), tls=Tls(secrets / "ca.crt")) as client:
        client.wait_ready(SECONDS_TO_READY)
        words = ("train", "--dataset", "digits", "--epochs", "1")
        done = image.run(
            "loopbench", *words, environment=paths(CLIENT) | {"LOOPBENCH_SERVER": server.address}, mounts=mounts
        )
        assert done.returncode == 0, done.stderr
        assert len([*client.list_runs()]) == 1


def test_a_report_is_written_to_a_writable_folder(image: Image, folders: dict[str, Path]) -> None:
    words = ("compare", "--dataset", "digits", "--epochs", "1", "--seeds", "1", "--report", "report")
    specs = ("--spec", "tape: method=gradient-tape", "--spec", "fit: method=fit")
    done = image.run("loopbench", *words, *specs, mounts=folders)
    assert done.returncode == 0, done.stderr
    assert (folders["/home/loopbench"] / "report" / "index.html").is_file()
