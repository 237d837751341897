"""A PostgreSQL server in a temporary cluster on loopback. It needs neither root nor an installed service."""

import os
import pwd
import random
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

# Debian keeps the server programs outside the path.
PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
# PostgreSQL refuses to run as root. Debian's package creates the first user; every system has the second.
UNPRIVILEGED = ("postgres", "nobody")
# Below the ports that Linux assigns for port 0.
PORTS = range(20_000, 32_000)


def program(name: str) -> str | None:
    """Path of the program ``name``, or None."""
    return shutil.which(name, path=os.pathsep.join([*map(str, PLACES), os.environ.get("PATH", "")]))


def skip_without_postgresql() -> None:
    """Skips the test where PostgreSQL's programs are missing."""
    if program("initdb") is None:
        pytest.skip("PostgreSQL is not installed: run make postgresql")


def _unprivileged() -> pwd.struct_passwd:
    users = {user.pw_name: user for user in pwd.getpwall()}
    return next(users[name] for name in UNPRIVILEGED if name in users)


def _as_user(folder: Path) -> list[str]:
    """The prefix of a command that must run without root.

    subprocess can change the user too, but only by a plain fork. gRPC's fork handlers then run in the child, and
    sometimes crash it.
    """
    if os.geteuid():
        return []
    user = _unprivileged()
    os.chown(folder, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def free_port() -> int:
    """A free port that Linux does not assign for port 0."""
    chosen = random.SystemRandom()
    while True:
        with socket.socket() as probe:
            port = chosen.choice(PORTS)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Cluster:
    """A server with the database ``url``. A test can stop and restart it to simulate an outage."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._port = free_port()
        self._user = _as_user(folder)
        self._folder = folder
        self._run("initdb", "--username=loopbench", "--auth=trust", "--encoding=UTF8", "--no-sync")
        self.start()
        self.url = self.database("runs")

    def database(self, name: str) -> str:
        """Creates an empty database and returns its URL for SQLAlchemy."""
        self._run("createdb", "--host=127.0.0.1", f"--port={self._port}", "--username=loopbench", name, data=False)
        return f"postgresql+psycopg://loopbench@127.0.0.1:{self._port}/{name}"

    def _run(self, name: str, *arguments: str, data: bool = True) -> None:
        command = [*self._user, program(name) or name, *([f"--pgdata={self._data}"] if data else []), *arguments]
        subprocess.run(command, check=True, cwd=self._folder, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        """Starts the server and returns when it accepts connections."""
        options = f"-c listen_addresses=127.0.0.1 -c unix_socket_directories='' -p {self._port}"
        self._run("pg_ctl", "start", "--wait", f"--log={self._folder / 'log'}", f"--options={options}")

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Suspends all its processes, new ones included, within the block; connections stay open."""
        postmaster = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
        postmaster.suspend()
        stopped = [postmaster, *postmaster.children(recursive=True)]
        for process in stopped[1:]:
            process.suspend()
        try:
            yield
        finally:
            for process in reversed(stopped):
                process.resume()

    def stop(self) -> None:
        """Stops the server and closes all connections."""
        self._run("pg_ctl", "stop", "--wait", "--mode=fast")


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster that exists within the block."""
    with TemporaryDirectory(prefix="loopbench-postgresql-") as folder:
        made = Cluster(Path(folder))
        try:
            yield made
        finally:
            made.stop()
