"""Certificates and tokens change during runs and watches: connected clients do not notice."""

import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loopbench.spec import Dataset, Execution, RunSpec, RunState
from loopbench_client import Client, Tls, UnauthenticatedError
from loopbench_server.security.tokens import Role, new_token
from tests.support.certificates import Authority, Pair
from tests.support.servers import ServerProcess, Start, eventually

pytestmark = pytest.mark.slow

LONG = RunSpec(dataset=Dataset.DIGITS, epochs=1_000, execution=Execution.EAGER)


@dataclass
class Guarded:
    """A server with TLS and tokens of alice and bob, and the files that it reads."""

    server: ServerProcess
    authority: Authority
    files: Pair
    tokens: Path
    secrets: dict[str, str]
    lines: dict[str, str]

    def client(self, name: str = "alice") -> Client:
        return Client(self.server.address, token=self.secrets[name], tls=Tls(self.authority.certificate))

    def answers(self) -> bool:
        """Whether a new connection succeeds."""
        with self.client() as client:
            return bool(client.get_server_info())

    def served(self) -> str:
        """The certificate of a new connection, as PEM."""
        host, _, port = self.server.address.rpartition(":")
        return ssl.get_server_certificate((host, int(port)))

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keeps one client watching a run and another waiting for a run, during the block and a while longer."""
        with self.client() as client, ThreadPoolExecutor(2) as threads:
            watched = client.train(LONG, detach=True)
            watching = threads.submit(lambda: [*client.watch_run(watched.id)])
            training = threads.submit(client.train, LONG.model_copy(update={"epochs": 3, "seed": 1}))
            eventually(lambda: client.get_run(watched.id).state is RunState.RUNNING)
            yield
            with Client(self.server.address, token=self.secrets["bob"], tls=Tls(self.authority.certificate)) as other:
                eventually(lambda: other.get_run(watched.id).state is RunState.RUNNING)
                other.cancel_run(watched.id)
            events = watching.result()
            assert events[-1].state is RunState.CANCELLED
            epochs = [record.epoch for event in events for record in event.epochs]
            assert epochs == [*range(1, len(epochs) + 1)]
            assert training.result().state is RunState.SUCCEEDED


@pytest.fixture
def guarded(start: Start, tmp_path: Path) -> Guarded:
    authority = Authority(tmp_path / "authority")
    first = authority.issue("first")
    files = Pair(tmp_path / "certificate.pem", tmp_path / "key.pem")
    replace(files.certificate, first.certificate.read_bytes())
    replace(files.key, first.key.read_bytes())
    made = {name: new_token(name, Role.WRITE) for name in ("alice", "bob")}
    tokens = tmp_path / "tokens"
    lines = {name: f"{token.line}\n" for name, (_, token) in made.items()}
    tokens.write_text("".join(lines.values()))
    server = start(*files.flags, "--tokens-file", str(tokens), "--slots", "2", "--drain-seconds", "0")
    found = Guarded(server, authority, files, tokens, {name: secret for name, (secret, _) in made.items()}, lines)
    with found.client() as client:
        client.wait_ready(300)
    return found


def replace(path: Path, content: bytes) -> None:
    """Replaces a file atomically, like tools that rotate certificates."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)


def half_written(guarded: Guarded, new: Pair) -> str:
    content = new.certificate.read_bytes()
    guarded.files.certificate.write_bytes(content[: len(content) // 2])
    return "is not a certificate in PEM form"


def half_a_key(guarded: Guarded, new: Pair) -> str:
    replace(guarded.files.certificate, new.certificate.read_bytes())
    content = new.key.read_bytes()
    guarded.files.key.write_bytes(content[: len(content) // 2])
    return "is not the unencrypted PEM key of"


def wrong_key(guarded: Guarded, new: Pair) -> str:
    replace(guarded.files.certificate, new.certificate.read_bytes())
    return "is not the unencrypted PEM key of"


def expired(guarded: Guarded, _: Pair) -> str:
    old = guarded.authority.issue("expired", datetime.now(UTC) - timedelta(days=1))
    replace(guarded.files.key, old.key.read_bytes())
    replace(guarded.files.certificate, old.certificate.read_bytes())
    return "has expired"


def gone(guarded: Guarded, _: Pair) -> str:
    guarded.files.key.unlink()
    return "cannot be read"


def empty(guarded: Guarded, _: Pair) -> str:
    guarded.files.certificate.write_bytes(b"")
    return "is not a certificate in PEM form"


HARMS: list[Callable[[Guarded, Pair], str]] = [half_written, half_a_key, wrong_key, expired, gone, empty]


def test_changed_or_broken_certificates_disturb_no_run_and_no_watcher(guarded: Guarded) -> None:
    with guarded.in_use():
        for number, harm in enumerate(HARMS):
            before = guarded.served()
            new = guarded.authority.issue(f"new{number}")
            fault = harm(guarded, new)
            # The server keeps the previous certificate, and the log has the reason.
            assert guarded.answers(), harm.__name__
            assert guarded.served() == before, harm.__name__
            assert any(fault in line for line in guarded.server.log().splitlines()[-40:]), harm.__name__
            replace(guarded.files.key, new.key.read_bytes())
            replace(guarded.files.certificate, new.certificate.read_bytes())
            assert guarded.answers(), harm.__name__
            assert guarded.served().split() == new.certificate.read_text().split(), harm.__name__


def test_connections_during_many_rotations_all_succeed(guarded: Guarded) -> None:
    pairs = [guarded.authority.issue(f"turn{number}") for number in range(4)]
    with guarded.in_use(), ThreadPoolExecutor(1) as threads:
        connecting = threads.submit(lambda: [guarded.answers() for _ in range(100)])
        while not connecting.done():
            for pair in pairs:
                replace(guarded.files.certificate, pair.certificate.read_bytes())
                replace(guarded.files.key, pair.key.read_bytes())
        assert connecting.result() == [True] * 100


def test_a_removed_token_fails_new_calls_and_no_running_call(guarded: Guarded) -> None:
    with guarded.in_use():
        with guarded.client() as client:
            assert client.get_server_info().ready
            guarded.tokens.write_text(guarded.lines["bob"])
            for call in (client.get_server_info, lambda: [*client.list_runs()], lambda: client.train(LONG)):
                with pytest.raises(UnauthenticatedError):
                    call()
        with guarded.client("bob") as client:
            assert client.get_server_info().ready
