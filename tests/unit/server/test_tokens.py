import hashlib
import hmac
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from loopbench_server.security.reloading_files import BrokenFileError
from loopbench_server.security.token_command import main
from loopbench_server.security.tokens import Role, find_token, new_token, parse

from .commands import Command, command_of


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def test_a_file_has_one_token_per_line_and_comments() -> None:
    text = f"# who may\n\nalice write {digest('a')}\n  ci@example.org\tread  {digest('b')}\n#bob read x\n"
    alice, robot = parse((text.encode(),))
    assert (alice.name, alice.role) == ("alice", Role.WRITE)
    assert (robot.name, robot.role) == ("ci@example.org", Role.READ)
    assert find_token("a", (alice, robot)) == alice
    assert find_token("b", (alice, robot)) == robot


@pytest.mark.parametrize("secret", ["", "c", "A", digest("a"), "ü", "\ud800"])
def test_an_invalid_token_is_not_found(secret: str) -> None:
    known = parse((f"alice write {digest('a')}".encode(),))
    assert find_token(secret, known) is None


def test_every_bad_line_is_named_and_none_is_quoted() -> None:
    good = f"alice write {digest('a')}"
    bad = [
        "alice geheim",
        f"alice admin {digest('b')}",
        "alice read GEHEIM",
        f"al/ice read {digest('c')}",
        f"{'n' * 65} read {digest('d')}",
        f"bob read {digest('a')}",
        f"alice write {digest('e').upper()}",
    ]
    with pytest.raises(BrokenFileError) as caught:
        parse(("\n".join([good, *bad]).encode(),))
    assert [fault.split(":")[0] for fault in caught.value.faults] == [f"line {number}" for number in range(2, 9)]
    text = str(caught.value)
    assert "geheim" not in text.lower()
    assert not any(digest(letter) in text.lower() for letter in "abcde")


def test_a_binary_file_is_a_broken_file() -> None:
    with pytest.raises(BrokenFileError, match="line 1"):
        parse((b"\xff\xfe\x00",))


def test_a_new_token_has_256_random_bits_and_fits_into_a_header() -> None:
    made = [new_token("a", Role.READ)[0] for _ in range(100)]
    assert len(set(made)) == 100
    # Six bits a character.
    assert all(len(secret) >= 256 / 6 and secret.isascii() and secret.isprintable() for secret in made)


def test_every_line_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    compare_digest = hmac.compare_digest

    def compare(first: str, second: str) -> bool:
        compared.append(first)
        return compare_digest(first, second)

    known = parse(("\n".join(f"n{i} read {digest(str(i))}" for i in range(5)).encode(),))
    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert find_token("0", known) == known[0]
    assert compared == [token.digest for token in known]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs ``loopbench-token`` in this process."""
    return command_of("loopbench-token", main, monkeypatch, capfd)


def test_the_command_prints_the_token_and_the_line_for_the_file() -> None:
    words = [sys.executable, "-c", "from loopbench_server.security.token_command import main; main()"]
    words += ["alice", "--role", "write"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    line = done.stderr.splitlines()[-1]
    (token,) = parse((line.encode(),))
    assert find_token(done.stdout.strip(), (token,)) == token
    assert (token.name, token.role) == ("alice", Role.WRITE)
    assert done.stdout.strip() not in done.stderr


def test_the_command_appends_to_a_file_that_its_owner_alone_may_read(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    first = command("alice", "--role", "write", "--file", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text(file.read_text().rstrip("\n"))  # as some editors leave it
    second = command("ci", "--role", "read", "--file", str(file))
    known = parse((file.read_bytes(),))
    assert [token.name for token in known] == ["alice", "ci"]
    assert [find_token(done.stdout.strip(), known) for done in (first, second)] == list(known)
    assert first.stdout.strip() not in file.read_text()
    assert first.stderr == second.stderr == ""


@pytest.mark.parametrize("words", [["al ice", "--role", "read"], ["alice", "--role", "admin"], ["alice"], []])
def test_the_command_refuses_invalid_entries(words: list[str], command: Command, tmp_path: Path) -> None:
    done = command(*words, "--file", str(tmp_path / "tokens"))
    assert (done.code, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert [*tmp_path.iterdir()] == []


def test_the_command_reports_a_failed_write(command: Command, tmp_path: Path) -> None:
    done = command("alice", "--role", "read", "--file", str(tmp_path))
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr == f"loopbench-token: --file: {tmp_path} cannot be written: Is a directory\n"


LOST = {"full": ">/dev/full", "closed": ">&-", "closed pipe": "> >(exec true)"}


@pytest.mark.parametrize("output", LOST.values(), ids=LOST)
@pytest.mark.parametrize("before", [None, f"alice write {digest('a')}\n"], ids=["no file", "file"])
def test_a_token_that_cannot_be_printed_is_not_stored(output: str, before: str | None, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    if before is not None:
        file.write_text(before)
    # The reader of a closed pipe has ended before the program starts.
    script = f'exec {output}; sleep 0.2; exec "$0" -c "$1" bob --role read --file "$2"'
    program = "from loopbench_server.security.token_command import main; main()"
    words = ["bash", "-c", script, sys.executable, program, str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 10
    (line,) = done.stderr.splitlines()
    assert line.startswith("loopbench-token: the output cannot be written: ")
    assert line.endswith("; the token is not stored")
    assert (file.read_text() if file.exists() else None) == before
