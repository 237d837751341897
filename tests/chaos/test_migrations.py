"""Older, newer, and restored databases."""

import re
import shlex
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from loopbench.spec import AccuracyMetric, Dataset, LossAggregation, Method, RunSpec, RunState, Sgd
from loopbench_client import Client
from loopbench_server.config import LEASE
from loopbench_server.store.database import ARGUMENTS, migrate_database, open_database
from loopbench_server.store.migrate import LOCKS, NewerSchemaError
from loopbench_server.store.schema import metadata
from loopbench_server.store.store import Store
from tests.chaos.databases import DATABASES
from tests.chaos.server_under_test import server_under_test
from tests.support.postgresql import program
from tests.support.servers import eventually

SHORT = RunSpec(dataset=Dataset.DIGITS, epochs=1)
# The tables before the first migration, with one run.
FIRST_SCHEMA = """
CREATE TABLE runs (id VARCHAR(36) NOT NULL PRIMARY KEY, request_id VARCHAR(36) NOT NULL,
  state VARCHAR(16) NOT NULL, method VARCHAR(32) NOT NULL,
  loss VARCHAR(32) NOT NULL, optimizer VARCHAR(16) NOT NULL, dataset VARCHAR(16) NOT NULL,
  seed BIGINT NOT NULL, spec TEXT NOT NULL, spec_digest VARCHAR(64) NOT NULL, create_time BIGINT NOT NULL,
  start_time BIGINT, end_time BIGINT, result TEXT, error TEXT, owner VARCHAR(36) NOT NULL, lease_end BIGINT NOT NULL,
  UNIQUE (request_id));
CREATE INDEX ix_runs_create_time ON runs (create_time);
CREATE INDEX ix_runs_spec_digest ON runs (spec_digest);
CREATE INDEX ix_runs_state ON runs (state);
CREATE TABLE epochs (run_id VARCHAR(36) NOT NULL, epoch INTEGER NOT NULL, record TEXT NOT NULL,
  PRIMARY KEY (run_id, epoch), FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE);
CREATE TABLE weights (run_id VARCHAR(36) NOT NULL PRIMARY KEY, packed BYTEA NOT NULL,
  FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE);
INSERT INTO runs VALUES ('00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002', 'CANCELLED',
  'FIT', 'SUM_OF_SQUARES', 'SGD', 'DIGITS', 7, '{"method": "FIT", "dataset": "DIGITS", "seed": 7}', 'x', 1000000,
  NULL, 2000000, NULL, '{"reason": "RUN_CANCELLED", "message": "on request"}', 'gone', 1000000)
"""

# Rows that a server of revision 0004 wrote: identifier, specification and digest of the specification.
OPTIMIZER = (
    '{"weight_decay":null,"clipnorm":null,"clipvalue":null,"global_clipnorm":null,"use_ema":false,"ema_momentum":0.99,'
    '"ema_overwrite_frequency":null,"loss_scale_factor":null,"gradient_accumulation_steps":null,"kind":"sgd",'
    '"learning_rate":%s,"momentum":0.0,"nesterov":false}'
)
SPEC_OF_0004 = (
    '{"method":"FIT","loss":"SUM_OF_SQUARES","optimizer":%s,"dataset":"DIGITS","epochs":10,"batch_size":%d,"seed":0,'
    '"shuffle_buffer":1000,"device":"AUTO","execution":"GRAPH","steps_per_execution":0,"replicas":%d,"meter":"%s",'
    '"loss_report":"%s","tensorboard":false}'
)
ROWS_OF_0004 = (
    (
        "00000000-0000-4000-8000-000000000001",
        SPEC_OF_0004 % (OPTIMIZER % "1e-7", 32, 1, "ARGMAX", "LAST_BATCH"),
        "755164a777b36723aeb4780cc7847d17be9c07a987a999553998975cd9fac049",
    ),
    (
        "00000000-0000-4000-8000-000000000002",
        SPEC_OF_0004 % (OPTIMIZER % "0.01", 1438, 2, "SPARSE_CATEGORICAL", "MEAN"),
        "084456cd9e3b86a1ea3f5085a1f874ab314f800b857943a6dc8478f5dbce550e",
    ),
)
SPECS_OF_0004 = (
    RunSpec(
        method=Method.FIT,
        dataset=Dataset.DIGITS,
        accuracy_metric=AccuracyMetric.ARGMAX,
        loss_aggregation=LossAggregation.LAST_BATCH,
        optimizer=Sgd(learning_rate=1e-7),
    ),
    RunSpec(method=Method.FIT, dataset=Dataset.DIGITS, replicas=2, batch_size=1438),
)
# Later revisions of the tables, undone.
BACK_TO_0004 = (
    "DROP TABLE labels",
    "DROP INDEX ix_runs_name",
    "ALTER TABLE runs DROP COLUMN name",
    "ALTER TABLE runs DROP COLUMN labels",
    "UPDATE alembic_version SET version_num = '0004'",
)
INSERT_OF_0004 = sa.text(
    "INSERT INTO runs (id, request_id, state, method, loss, optimizer, dataset, seed, spec, spec_digest, create_time, "
    "owner, lease_end) VALUES (:run_id, :run_id, 'SUCCEEDED', 'FIT', 'SUM_OF_SQUARES', 'sgd', 'DIGITS', 0, :spec, "
    ":digest, 1000000, 'gone', 1000000)"
)


def run_sql(url: str, *statements: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def make_first_schema(kind: str, url: str) -> None:
    schema = FIRST_SCHEMA if kind == "postgresql" else FIRST_SCHEMA.replace("BYTEA", "BLOB")
    run_sql(url, *schema.split(";"))


def tables(engine: sa.Engine) -> dict[str, dict[str, object]]:
    """All rows by table, independent of the order of columns."""
    found = sa.inspect(engine)
    return {
        name: {
            "columns": {
                column["name"]: (str(column["type"]), column["nullable"]) for column in found.get_columns(name)
            },
            "primary key": found.get_pk_constraint(name)["constrained_columns"],
            "foreign keys": found.get_foreign_keys(name),
            "unique": [constraint["column_names"] for constraint in found.get_unique_constraints(name)],
            "indexes": {index["name"]: index["column_names"] for index in found.get_indexes(name)},
        }
        for name in found.get_table_names()
    }


@pytest.mark.parametrize("kind", DATABASES)
class TestSchemas:
    def test_a_database_without_migrations_is_upgraded(self, kind: str, store_url: str) -> None:
        make_first_schema(kind, store_url)
        for _ in range(2):  # the second start has nothing to migrate
            engine = open_database(store_url)
            with engine.connect() as connection:
                assert connection.exec_driver_sql("SELECT seed, cancel_time FROM runs").all() == [(7, None)]
                assert compare_metadata(MigrationContext.configure(connection), metadata) == []
            engine.dispose()

    def test_a_new_schema_equals_the_migrated_oldest_schema(self, kind: str, store_url: str) -> None:
        new = open_database(store_url)
        made = tables(new)
        run_sql(
            store_url, *(f"DROP TABLE {name}" for name in ("labels", "weights", "epochs", "runs", "alembic_version"))
        )
        new.dispose()
        make_first_schema(kind, store_url)
        migrated = open_database(store_url)
        assert tables(migrated) == made
        assert made.keys() == {"labels", "weights", "epochs", "runs", "alembic_version"}
        migrated.dispose()

    def test_a_newer_database_is_refused_and_unchanged(self, store_url: str) -> None:
        open_database(store_url).dispose()
        run_sql(store_url, "UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(NewerSchemaError, match="9999"):
            open_database(store_url)
        engine = sa.create_engine(store_url)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "9999"
        engine.dispose()

    def test_specifications_of_revision_0004_keep_their_content_and_are_found(self, store_url: str) -> None:
        engine = open_database(store_url)
        with engine.begin() as connection:
            for statement in BACK_TO_0004:
                connection.exec_driver_sql(statement)
            for run_id, text, digest in ROWS_OF_0004:
                connection.execute(INSERT_OF_0004, {"run_id": run_id, "spec": text, "digest": digest})
        engine.dispose()
        store = Store(open_database(store_url), owner="here", lease=LEASE)
        for (run_id, _, _), expected in zip(ROWS_OF_0004, SPECS_OF_0004, strict=True):
            assert store.get(run_id).spec == expected
            assert store.find_latest_success(expected).id == run_id
        store.close()

    def test_servers_starting_together_migrate_once(self, store_url: str) -> None:
        failures: list[Exception] = []

        def open_it() -> None:
            try:
                open_database(store_url).dispose()
            except sa.exc.SQLAlchemyError as error:
                failures.append(error)

        threads = [threading.Thread(target=open_it) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []


@pytest.mark.slow
def test_a_migration_waits_for_another_servers_migration(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = {"options": "-c statement_timeout=200ms -c lock_timeout=200ms"}
    monkeypatch.setitem(ARGUMENTS, "postgresql", impatient)
    engine = sa.create_engine(postgresql_url)
    with ThreadPoolExecutor() as thread, engine.connect() as other:
        other.exec_driver_sql(LOCKS["postgresql"])
        migrating = thread.submit(migrate_database, postgresql_url)
        while not other.exec_driver_sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").all():
            assert not migrating.done(), migrating.exception()
        time.sleep(1)
        other.rollback()
        migrating.result()
    engine.dispose()


def test_an_older_server_says_in_one_line_that_it_is_older(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    open_database(url).dispose()
    run_sql(url, "UPDATE alembic_version SET version_num = '9999'")
    command = [sys.executable, "-m", "loopbench_server", "--address", "127.0.0.1:0", "--metrics-address", "none"]
    command += ["--store-url", url]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert refused.returncode == 2
    (line,) = (line for line in refused.stderr.splitlines() if not line.startswith("{"))
    assert "9999" in line
    assert "newer loopbench" in line


@pytest.mark.slow
def test_a_server_whose_store_a_newer_one_upgrades_finishes_its_runs(tmp_path: Path) -> None:
    """As in a rolling upgrade. It takes new runs too, and does not start again."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    with (
        server_under_test(tmp_path, url, "--slots", "1", "--lease-seconds", "2") as server,
        Client(server.address) as client,
    ):
        run = client.train(RunSpec(dataset=Dataset.DIGITS, epochs=1_000), detach=True)
        while not next(client.watch_run(run.id)).epochs:
            pass
        run_sql(url, "UPDATE alembic_version SET version_num = '9999'")
        time.sleep(3)  # longer than a lease
        assert client.get_run(run.id).state is RunState.RUNNING
        client.cancel_run(run.id)
        assert client.train(SHORT).state is RunState.SUCCEEDED
        assert client.get_server_info().ready
        assert server.stop() == 0
        assert not server._begin()
    assert "newer loopbench" in server.log.splitlines()[-1]


def copy_store(command: str, file: Path, url: str, *flags: str) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-m", "loopbench_server", command, str(file), "--store-url", url, *flags]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.slow
def test_a_sqlite_backup_during_runs_is_complete(tmp_path: Path) -> None:
    copy, url = tmp_path / "backup.db", f"sqlite:///{tmp_path / 'runs.db'}"
    flags = ("--slots", "1", "--lease-seconds", "2")
    with server_under_test(tmp_path, url, *flags) as server, Client(server.address) as client:
        trained = client.train(SHORT)
        going_on = client.train(RunSpec(dataset=Dataset.DIGITS, epochs=1_000), detach=True)
        while not next(client.watch_run(going_on.id)).epochs:
            pass
        made = copy_store("backup", copy, url)
        assert made.returncode == 0, made.stderr
        found = re.search(r"runs 2, epochs (\d+), weights 1,", made.stdout)
        assert found
        assert int(found[1]) >= 2  # the epoch of the run that succeeded, and one of the other
        refused = copy_store("restore", copy, url, "--overwrite")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "is in use" in refused.stderr
        client.cancel_run(going_on.id)
        client.delete_run(trained.id)
        assert client.train(SHORT).state is RunState.SUCCEEDED
    restored = copy_store("restore", copy, url, "--overwrite")
    assert restored.returncode == 0, restored.stderr
    assert found[0] in restored.stdout
    with server_under_test(tmp_path, url, *flags) as server, Client(server.address) as client:
        assert {run.id for run in client.list_runs()} == {trained.id, going_on.id}
        assert client.get_run(trained.id) == trained
        assert client.evaluate(trained.id).validation == trained.result.validation  # type: ignore[union-attr]
        lost = [*client.watch_run(going_on.id)][-1].run
        assert lost is not None
        assert lost.error is not None
        assert (lost.state, lost.error.reason) == (RunState.FAILED, "SERVER_LOST")


def run_printed_command(refused: "subprocess.CompletedProcess[str]") -> None:
    """Run the command of PostgreSQL that a command of this project prints instead of copying."""
    assert (refused.returncode, refused.stdout) == (1, "")
    name, *words = shlex.split(refused.stderr.partition("run: ")[2])
    found = program(name)
    assert found
    subprocess.run([found, *words], check=True)


@pytest.mark.slow
def test_a_backup_of_postgresql_is_restored(tmp_path: Path, postgresql_url: str) -> None:
    dump = tmp_path / "backup.dump"
    with server_under_test(tmp_path, postgresql_url) as server, Client(server.address) as client:
        trained = client.train(SHORT)
        run_printed_command(copy_store("backup", dump, postgresql_url))
        client.delete_run(trained.id)
    run_printed_command(copy_store("restore", dump, postgresql_url))
    with server_under_test(tmp_path, postgresql_url) as server, Client(server.address) as client:
        assert client.get_run(trained.id) == trained
        assert client.evaluate(trained.id).validation == trained.result.validation  # type: ignore[union-attr]


@pytest.mark.slow
def test_runs_past_their_retention_are_deleted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    with server_under_test(tmp_path, url) as server, Client(server.address) as client:
        trained = client.train(SHORT)
    database = sqlite3.connect(tmp_path / "runs.db", timeout=30)

    def weights() -> int:
        (number,) = database.execute("SELECT count(*) FROM weights").fetchone()
        return int(number)

    assert weights() == 1
    # A second ago is long enough for a millionth of a day.
    flags = ("--keep-weights-days", "0.000001")
    with server_under_test(tmp_path, url, *flags, ready=False) as server, Client(server.address) as client:
        eventually(lambda: weights() == 0)
        assert [run.id for run in client.list_runs()] == [trained.id]
    flags = ("--keep-runs-days", "0.000001")
    with server_under_test(tmp_path, url, *flags, ready=False) as server, Client(server.address) as client:
        eventually(lambda: [*client.list_runs()] == [])
    database.close()
