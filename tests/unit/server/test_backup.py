"""``loopbench-server backup`` and ``restore``: a complete copy or an error, never half a file."""

import os
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from loopbench.spec import RunFilter, RunState
from loopbench_server.__main__ import main
from loopbench_server.store import copying
from loopbench_server.store.database import open_database
from loopbench_server.store.store import Store
from tests.support.factories import make_epoch, make_result, make_run
from tests.support.markdown import blocks

from .commands import Command, Ended, command_of
from .conftest import LEASE

# What `fill` stores.
COUNTS = "runs 3, epochs 2, weights 1"
# The server with a limit of half a MiB for a file, whose excess Python takes for an error.
LIMITED = """
import resource, runpy
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, 1 << 19))
runpy.run_module("loopbench_server", run_name="__main__", alter_sys=True)
"""


def fill(store: Store) -> None:
    """Add a run that succeeded with two epochs and weights, one that was cancelled, and one that is queued."""
    for number in (1, 2, 3):
        store.add(make_run(number))
    for number in (1, 2):
        store.add_epoch(make_run(1).id, make_epoch(number))
    store.update(make_run(1, state=RunState.SUCCEEDED, result=make_result()), b"packed weights")
    store.update(make_run(2, state=RunState.CANCELLED))


def opened(file: Path) -> Store:
    return Store(open_database(f"sqlite:///{file}"), owner="here", lease=LEASE)


def contents(file: Path) -> list[tuple[object, ...]]:
    """All rows of a database, read by SQLite alone."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        tables = ("runs", "labels", "epochs", "weights", "alembic_version")
        return [row for table in tables for row in connection.execute(f"SELECT '{table}', * FROM {table}")]  # noqa: S608  of this list


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of the fixture ``store``."""
    return tmp_path / "runs.db"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder / "backup.db"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], store_url: str) -> Iterator[Command]:
    """Runs ``loopbench-server`` in this process, on the store of the test."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setenv("LOOPBENCH_STORE_URL", store_url)
    yield command_of("loopbench-server", main, monkeypatch, capfd)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def backup(command: Command, store: Store, copy: Path) -> Path:
    """A backup of a filled store; the store is then empty, and its server stopped."""
    fill(store)
    assert command("backup", copy).code == 0
    for number in (1, 2):
        store.delete(make_run(number).id)
    store.close()
    return copy


def in_one_line(ended: Ended, *words: str) -> None:
    """Check that the command failed with one line that has these words."""
    assert (ended.code, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("loopbench-server ")
    assert [word for word in words if word not in line] == []


def test_a_backup_of_a_store_in_use_has_everything(command: Command, store: Store, file: Path, copy: Path) -> None:
    fill(store)
    ended = command("backup", copy)
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"{copy}: {COUNTS}, ")
    assert contents(copy) == contents(file)
    assert [path.name for path in copy.parent.iterdir()] == ["backup.db"]


def test_a_backup_is_one_file_without_a_log(command: Command, store: Store, copy: Path) -> None:
    """A database in WAL mode cannot be read in a folder without write permission."""
    fill(store)
    command("backup", copy)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_commits_that_a_killed_server_left_in_the_log_are_in_the_backup(
    command: Command, file: Path, copy: Path
) -> None:
    opened(file).close()
    killed = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA journal_mode=WAL');"
        "c.execute(\"INSERT INTO labels VALUES ('r', 'k', 'v')\"); c.commit(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", killed, str(file)], check=True)
    assert file.with_name("runs.db-wal").stat().st_size > 0
    assert command("backup", copy).code == 0
    assert ("labels", "r", "k", "v") in contents(copy)


@pytest.mark.parametrize("words", [(), ("--store-url", "sqlite:///runs.db")])
def test_a_backup_in_the_wrong_folder_is_an_error_and_writes_nothing(
    command: Command, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    fill(store)
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    monkeypatch.chdir(wrong)
    monkeypatch.setenv("LOOPBENCH_STORE_URL", "sqlite:///runs.db")
    in_one_line(command("backup", "backup.db", *words), f"--store-url: there is no database {wrong}/runs.db")
    assert [*wrong.iterdir()] == []


def test_cron_makes_the_backup_of_the_documents(store: Store, file: Path, copy: Path) -> None:
    """Cron sets few variables, starts commands in the home folder, and removes the backslash before a percent sign."""
    fill(store)
    (block,) = (block for block in blocks(Path("docs/operating.md")) if block.language == "cron")
    line = block.text.strip().split(maxsplit=5)[5].replace(r"\%", "%")
    for named, here in {
        "/opt/loopbench/bin/loopbench-server": f"{sys.executable} -m loopbench_server",
        "/srv/loopbench/runs.db": str(file),
        "/backups": str(copy.parent),
    }.items():
        assert named in line
        line = line.replace(named, here)
    home = file.parent / "home"
    home.mkdir()
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(sys.path)}
    for _ in range(2):  # the second one a week later, in the same file
        words = ["/bin/sh", "-c", line]
        done = subprocess.run(words, cwd=home, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert COUNTS in done.stdout
    (made,) = copy.parent.iterdir()
    assert made.name in {f"runs-{day}.db" for day in range(1, 8)}
    assert contents(made) == contents(file)


def test_the_default_store_is_that_of_the_server(tmp_path: Path) -> None:
    state = tmp_path / ".local/state/loopbench/runs.db"
    store = opened(state)
    fill(store)
    environment = {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-m", "loopbench_server", "backup", "backup.db"]
    subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert contents(tmp_path / "backup.db") == contents(state)
    store.close()


def test_an_existing_file_is_replaced_on_request_only(command: Command, store: Store, copy: Path) -> None:
    copy.write_text("precious")
    copy.chmod(0o640)
    in_one_line(command("backup", copy), f"{copy} exists", "--overwrite")
    assert copy.read_text() == "precious"
    fill(store)
    assert command("backup", copy, "--overwrite").stdout.startswith(f"{copy}: {COUNTS}, ")
    assert copy.stat().st_mode & 0o777 == 0o640


def test_a_backup_is_not_written_over_the_store_or_into_nothing(command: Command, store: Store, file: Path) -> None:
    fill(store)
    before = contents(file)
    link = file.with_name("link.db")
    link.symlink_to(file)
    for words, expected in {
        (file, "--overwrite"): f"{file} is the database to copy",
        (link, "--overwrite"): f"{file} is the database to copy",
        (file.parent / "missing" / "backup.db",): f"there is no folder {file.parent}/missing",
        (file.parent, "--overwrite"): f"{file.parent} is not a regular file",
        ("/dev/null", "--overwrite"): "/dev/null is not a regular file",
    }.items():
        in_one_line(command("backup", *words), expected)
    assert contents(file) == before


def test_the_store_of_another_server_is_not_overwritten(command: Command, store: Store, tmp_path: Path) -> None:
    fill(store)
    other = opened(tmp_path / "other.db")
    other.add(make_run(9))
    in_one_line(command("backup", tmp_path / "other.db", "--overwrite"), "is in use")
    assert other.get(make_run(9).id)
    other.close()


FOREIGN = {
    "DROP TABLE runs": "no database of loopbench",
    "UPDATE alembic_version SET version_num = '9999'": "belongs to a newer loopbench",
}


@pytest.mark.parametrize("statement", FOREIGN)
def test_another_database_is_not_copied(command: Command, store: Store, file: Path, copy: Path, statement: str) -> None:
    expected = FOREIGN[statement]
    store.close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(statement)
        connection.commit()
    in_one_line(command("backup", copy), str(file), expected)
    in_one_line(command("restore", file, "--store-url", f"sqlite:///{copy}"), str(file), expected)
    assert [*copy.parent.iterdir()] == []


def test_a_damaged_store_gives_no_backup(command: Command, store: Store, file: Path, copy: Path) -> None:
    for number in range(1, 60):
        store.add(make_run(number))
    store.close()
    pages = file.read_bytes()
    for harmed in (pages[:4096] + b"\xaa" * (len(pages) - 4096), b"no database" * 1_000):
        file.write_bytes(harmed)
        in_one_line(command("backup", copy), str(file))
        assert [*copy.parent.iterdir()] == []


def test_a_full_disk_gives_no_backup(store: Store, file: Path, copy: Path) -> None:
    fill(store)
    store.update(make_run(3, state=RunState.SUCCEEDED, result=make_result()), os.urandom(1 << 20))
    words = [sys.executable, "-c", LIMITED, "backup", str(copy), "--store-url", f"sqlite:///{file}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    in_one_line(Ended(done.returncode, done.stdout, done.stderr), "cannot copy", str(copy.parent))
    assert [*copy.parent.iterdir()] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_part_of_a_copy(
    command: Command, store: Store, copy: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    fill(store)
    found = []

    def interrupt(made: Path, _: Path) -> None:
        found.append(made.exists())
        signal.raise_signal(number)

    monkeypatch.setattr(copying, "_publish", interrupt)
    assert command("backup", copy) == (128 + number, "", "")
    assert found == [True]
    assert [*copy.parent.iterdir()] == []


def test_a_lost_output_is_one_line(store: Store, file: Path, copy: Path) -> None:
    fill(store)
    words = [sys.executable, "-m", "loopbench_server", "backup", str(copy), "--store-url", f"sqlite:///{file}"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 10
    assert done.stderr == "loopbench-server backup: the output cannot be written: No space left on device\n"
    assert contents(copy) == contents(file)


def test_a_restored_store_has_what_the_backup_has(command: Command, backup: Path, file: Path) -> None:
    assert len(contents(file)) < len(contents(backup))
    in_one_line(command("restore", backup), f"{file} exists", "--overwrite")
    with closing(sqlite3.connect(file)) as connection:  # the server that had the last run was killed long ago
        connection.execute("UPDATE runs SET lease_end = 0")
        connection.commit()
    ended = command("restore", backup, "--overwrite")
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"{file}: {COUNTS}, ")
    assert contents(file) == contents(backup)
    store = opened(file)
    assert [run.id for run in store.list(RunFilter(), 10, "")[0]] == [make_run(number).id for number in (3, 2, 1)]
    assert store.get_weights(make_run(1).id) == b"packed weights"
    store.close()


def test_a_backup_is_restored_where_there_is_no_store(command: Command, backup: Path, tmp_path: Path) -> None:
    new = tmp_path / "new" / "state" / "runs.db"
    assert command("restore", backup, "--store-url", f"sqlite:///{new}").code == 0
    assert contents(new) == contents(backup)


def test_files_of_a_lost_store_are_not_taken_into_the_restored_one(command: Command, backup: Path, file: Path) -> None:
    """SQLite would replay a log that is beside the database."""
    store = opened(file)
    store.add(make_run(9))
    log = file.with_name("runs.db-wal").read_bytes()
    store.close()
    file.unlink()
    file.with_name("runs.db-wal").write_bytes(log)
    assert command("restore", backup).code == 0
    assert contents(file) == contents(backup)


def test_a_store_that_a_server_uses_is_not_replaced(command: Command, backup: Path, file: Path) -> None:
    idle = opened(file)
    before = contents(file)
    in_one_line(command("restore", backup, "--overwrite"), f"{file} is in use", "stop all servers")
    assert contents(file) == before
    idle.close()


def test_a_store_with_leases_is_not_replaced(command: Command, backup: Path, file: Path) -> None:
    """The server is on another machine, or was killed: no process of this one has the file open."""
    before = contents(file)
    in_one_line(command("restore", backup, "--overwrite"), "lease ends at 2", "retry in")
    assert contents(file) == before


@pytest.mark.parametrize("kept", [0, 4096], ids=["no database", "damaged pages"])
def test_a_damaged_store_is_replaced(command: Command, backup: Path, file: Path, kept: int) -> None:
    pages = file.read_bytes()
    file.write_bytes(pages[:kept] + b"\xaa" * (len(pages) - kept))
    assert command("restore", backup, "--overwrite").code == 0
    assert contents(file) == contents(backup)


def test_a_missing_backup_changes_nothing(command: Command, store: Store, file: Path, tmp_path: Path) -> None:
    fill(store)
    before = contents(file)
    in_one_line(command("restore", tmp_path / "backup.db", "--overwrite"), f"no database {tmp_path}/backup.db")
    new = tmp_path / "new" / "runs.db"
    in_one_line(command("restore", "missing.db", "--store-url", f"sqlite:///{new}"), "there is no database")
    assert not new.parent.exists()
    assert contents(file) == before


POSTGRESQL = "postgresql://me@db.example/runs?sslmode=require"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("backup", ["pg_dump", "--format=custom", "--file=a b.dump", POSTGRESQL]),
        ("restore", ["pg_restore", "--clean", "--if-exists", "--no-owner", f"--dbname={POSTGRESQL}", "a b.dump"]),
    ],
)
def test_a_store_in_postgresql_is_left_to_its_programs(command: Command, name: str, words: list[str]) -> None:
    url = "postgresql+psycopg://me:geheim@db.example/runs?sslmode=require"
    ended = command(name, "a b.dump", "--store-url", url)
    in_one_line(ended, "the store is in PostgreSQL")
    assert shlex.split(ended.stderr.partition("run: ")[2]) == words


SECRETS = {
    "password": "me:geheim@db.example/runs?sslmode=require",
    "query": "me@db.example/runs?password=geheim&sslmode=require",
    "other secrets": "me@db.example/runs?sslpassword=geheim&sslmode=require&oauth_client_secret=geheim"
    "&scram_client_key=geheim&PASSWORD=geheim",
}


@pytest.mark.parametrize("place", SECRETS)
@pytest.mark.parametrize("name", ["backup", "restore"])
def test_a_command_for_postgresql_has_no_secret(command: Command, place: str, name: str) -> None:
    ended = command(name, "x.dump", "--store-url", f"postgresql+psycopg://{SECRETS[place]}")
    in_one_line(ended, POSTGRESQL)
    assert "geheim" not in ended.stderr


@pytest.mark.parametrize("password", ["p@geheim", "p@geheim/x", "p@x/geheim", "p@x:geheim", "p/geheim@x"])
def test_no_part_of_an_unquoted_password_is_shown(command: Command, password: str) -> None:
    ended = command("backup", "x.dump", "--store-url", f"postgresql+psycopg://me:{password}@db.example/runs")
    in_one_line(ended, "--store-url: not an SQLAlchemy URL")
    assert "geheim" not in ended.stderr


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///file:runs.db?uri=true", "mysql://h/runs", "runs.db"])
def test_a_store_without_a_file_is_refused(command: Command, tmp_path: Path, url: str) -> None:
    in_one_line(command("backup", tmp_path / "b.db", "--store-url", url), "--store-url")


def test_help_of_the_server_names_the_commands(command: Command) -> None:
    assert "loopbench-server backup FILE" in " ".join(command("--help").stdout.split())
    for name in ("backup", "restore"):
        ended = command(name, "--help")
        assert ended.code == 0
        assert "--overwrite" in ended.stdout
        assert command(name).code == 2
