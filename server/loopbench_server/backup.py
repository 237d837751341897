"""The commands ``loopbench-server backup`` and ``loopbench-server restore``, for a store in a file of SQLite."""

import argparse
import re
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import sqlalchemy as sa

from loopbench.streams import checked_output, write_line
from loopbench_server.bootstrap import parse_url
from loopbench_server.config import StoreSettings
from loopbench_server.errors import SettingError
from loopbench_server.store.copying import Contents, CopyError, copy_database
from loopbench_server.store.database_file import find_file

# By command: the one of PostgreSQL that does the same, with the file and the database.
POSTGRESQL = {
    "backup": "pg_dump --format=custom --file={file} {url}",
    "restore": "pg_restore --clean --if-exists --no-owner --dbname={url} {file}",
}
# Parameters of libpq that are secrets, such as sslpassword, oauth_client_secret and scram_client_key.
SECRET_PARAMETERS = re.compile("password|secret|^scram_", re.IGNORECASE)


def _back_up(store: Path, file: Path, *, overwrite: bool) -> tuple[Path, Contents]:
    if not store.is_file():
        raise SettingError(f"--store-url: there is no database {store}; name the store of the server")
    return file, copy_database(store, file, overwrite=overwrite)


def _restore(store: Path, file: Path, *, overwrite: bool) -> tuple[Path, Contents]:
    if file.is_file():
        store.parent.mkdir(parents=True, exist_ok=True)
    return store, copy_database(file, store, overwrite=overwrite, check_leases=True)


# By command: what it does to the store and the file; returns the file that it wrote.
COMMANDS: dict[str, Callable[..., tuple[Path, Contents]]] = {"backup": _back_up, "restore": _restore}
DESCRIPTIONS = {
    "backup": "Copy the store to FILE, also while servers use it, and print what the checked copy holds.",
    "restore": "Put the backup FILE in the place of the store, and print what it holds. Stop all servers first.",
}
REPLACES = {"backup": "replace FILE if it exists", "restore": "replace the store if it exists"}


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """Parse ``words``, of which the first is the command; exit if they are invalid."""
    parser = argparse.ArgumentParser(prog="loopbench-server")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, description in DESCRIPTIONS.items():
        command = commands.add_parser(name, description=description)
        command.add_argument("file", metavar="FILE", type=Path, help="the backup, a file of SQLite")
        command.add_argument("--overwrite", action="store_true", help=REPLACES[name])
        command.add_argument(
            "--store-url",
            metavar="URL",
            help="SQLAlchemy URL of the store; by default LOOPBENCH_STORE_URL, or a file of SQLite like the server's",
        )
    return parser.parse_args(words)


def run(words: Sequence[str]) -> None:
    """Run the command in ``words``; print what was written, or exit with 1 and one line on standard error.

    If the output is lost, the exit code is 10.
    """
    with checked_output(f"loopbench-server {words[0]}"):
        _copy(arguments(words))


def _copy(given: argparse.Namespace) -> None:
    # Python then removes the temporary copy.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    try:
        written, contents = COMMANDS[given.command](_find_store(given), given.file, overwrite=given.overwrite)
        counts = f"runs {contents.runs:,}, epochs {contents.epochs:,}, weights {contents.weights:,}"
        write_line(f"{written.resolve()}: {counts}, {contents.size / 1e6:,.1f} MB")
    except (CopyError, SettingError) as error:
        sys.exit(f"loopbench-server {given.command}: {error}")
    except OSError as error:
        if error.filename is None:
            raise
        sys.exit(f"loopbench-server {given.command}: {error.filename}: {error.strerror}")


def _find_store(given: argparse.Namespace) -> Path:
    """Return the file of the store.

    Raises:
        SettingError: the store is no file, or its URL is invalid.
    """
    settings = StoreSettings() if given.store_url is None else StoreSettings(store_url=given.store_url)
    url = parse_url(settings.store_url.get_secret_value())
    if url.get_backend_name() == "postgresql":
        raise SettingError(f"the store is in PostgreSQL; run: {_postgresql_command(given, url)}")
    file = find_file(url)
    if file is None:
        raise SettingError("--store-url: names no database of SQLite or PostgreSQL")
    return file


def _postgresql_command(given: argparse.Namespace, url: sa.URL) -> str:
    # Without the password, which libpq takes from PGPASSWORD or ~/.pgpass.
    query = {name: value for name, value in url.query.items() if not SECRET_PARAMETERS.search(name)}
    plain = str(sa.URL.create("postgresql", url.username, None, url.host, url.port, url.database, query))
    return POSTGRESQL[given.command].format(file=shlex.quote(str(given.file)), url=shlex.quote(plain))
