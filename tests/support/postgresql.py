"""A PostgreSQL server of the tests' own, in a temporary cluster on loopback."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

# Debian keeps the programs of a cluster off the path.
PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
# PostgreSQL refuses to run as root; Debian's package brings this user.
UNPRIVILEGED = "postgres"


def program(name: str) -> str | None:
    """Where ``name`` is installed, if it is."""
    return shutil.which(name, path=os.pathsep.join([*map(str, PLACES), os.environ.get("PATH", "")]))


def _as_user(folder: Path) -> list[str]:
    """What a command begins with. subprocess could change the user too, but only by a plain fork,
    after which gRPC's fork handlers run in the child, and now and then crash it."""
    if os.geteuid():
        return []
    user = pwd.getpwnam(UNPRIVILEGED)
    os.chown(folder, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def free_port() -> int:
    """One that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Cluster:
    """``url`` names its database; it can be stopped and started, as a database that is away for a while."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._port = free_port()
        self._user = _as_user(folder)
        self._folder = folder
        self._run("initdb", "--username=loopbench", "--auth=trust", "--encoding=UTF8", "--no-sync")
        self.start()
        self._run("createdb", "--host=127.0.0.1", f"--port={self._port}", "--username=loopbench", "runs", data=False)

    @property
    def url(self) -> str:
        """For SQLAlchemy."""
        return f"postgresql+psycopg://loopbench@127.0.0.1:{self._port}/runs"

    def _run(self, name: str, *arguments: str, data: bool = True) -> None:
        command = [*self._user, program(name) or name, *([f"--pgdata={self._data}"] if data else []), *arguments]
        subprocess.run(command, check=True, cwd=self._folder, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        """Returns when it takes connections."""
        options = f"-c listen_addresses=127.0.0.1 -c unix_socket_directories='' -p {self._port}"
        self._run("pg_ctl", "start", "--wait", f"--log={self._folder / 'log'}", f"--options={options}")

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """None of its processes does anything in the block, nor do those that come; connections stay open."""
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
        """Cuts all connections."""
        self._run("pg_ctl", "stop", "--wait", "--mode=fast")


@contextmanager
def cluster() -> Iterator[Cluster]:
    """One that lasts as long as the block."""
    with TemporaryDirectory(prefix="loopbench-postgresql-") as folder:
        made = Cluster(Path(folder))
        try:
            yield made
        finally:
            made.stop()
