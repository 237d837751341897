"""Commands in the documents are valid: the tests parse them and do not run them."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from pydantic_settings import CliApp

from loopbench_client.cli.app import app
from loopbench_server import backup
from loopbench_server.__main__ import COMMANDS
from loopbench_server.config import Settings
from loopbench_server.security import token_command
from tests.support.markdown import documents, shell_lines
from tests.support.paths import ROOT

# Tokens that end a command or redirect its output.
END = re.compile(r"[|&;<>()]+")
ERRORS_ELSEWHERE = re.compile(r"\s2>")
ASSIGNMENT = re.compile(r"[A-Z][A-Z0-9_]*=")
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def parse_client(words: list[str]) -> None:
    group = typer.main.get_command(app)
    name, *rest = words
    commands = group.commands  # type: ignore[attr-defined]  # the application is a group
    commands[name].make_context(name, rest)


def parse_server(words: list[str]) -> None:
    if words[:1] and words[0] in COMMANDS:
        backup.arguments(words)
        return
    CliApp.run(Settings, cli_args=words)


def parse_token(words: list[str]) -> None:
    token_command.arguments(words)


def parse_make(words: list[str]) -> None:
    wanted = {word for word in words if "=" not in word}
    assert wanted <= TARGETS, f"the Makefile has no {wanted - TARGETS}"


PARSERS: dict[str, Callable[[list[str]], None]] = {
    "loopbench": parse_client,
    "loopbench-server": parse_server,
    "loopbench-token": parse_token,
    "make": parse_make,
}


def command(line: str) -> tuple[str, list[str]] | None:
    """Program and arguments if the line calls a program of this project."""
    unassigned = re.sub(rf"^\s*(?:{ASSIGNMENT.pattern}\S*\s+)*", "", line)
    program = unassigned.split(maxsplit=1)[0].removeprefix(".venv/bin/") if unassigned else ""
    return (program, _words(unassigned)[1:]) if program in PARSERS else None


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(ERRORS_ELSEWHERE.sub(" >", line), posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words = [*lexer]
    return words[: next((place for place, word in enumerate(words) if END.fullmatch(word)), len(words))]


def commands() -> Iterator[tuple[Path, str, list[str]]]:
    for document in documents():
        for line in shell_lines(document):
            if found := command(line):
                yield document, *found


@pytest.mark.parametrize(
    ("program", "words"),
    [
        pytest.param(program, words, id=f"{document}: {program} {' '.join(words)}")
        for document, program, words in commands()
    ],
)
def test_a_command_of_the_documents_is_one_that_there_is(program: str, words: list[str]) -> None:
    PARSERS[program](words)


def test_the_readme_activates_the_environment_before_its_commands() -> None:
    lines = shell_lines(Path("README.md"))
    assert lines.index(". .venv/bin/activate") < min(n for n, line in enumerate(lines) if line.startswith("loopbench"))


def test_programs_are_called_by_their_names() -> None:
    calls = [line for document in documents() for line in shell_lines(document) if command(line)]
    assert [line for line in calls if "bin/loopbench" in line] == []


def test_a_command_is_separated_from_its_context() -> None:
    assert command("A=1 B=x .venv/bin/loopbench runs --limit 3 > file  # three") == (
        "loopbench",
        ["runs", "--limit", "3"],
    )
    assert command("make demo DEMO_FLAGS='--dataset mnist'") == ("make", ["demo", "DEMO_FLAGS=--dataset mnist"])
    assert command("export LOOPBENCH_SERVER=a") is None
    assert command('{"event": "ready"}') is None


def test_commands_of_every_program_are_looked_at() -> None:
    assert {program for _, program, _ in commands()} == set(PARSERS)


def test_a_flag_that_there_is_not_is_noticed() -> None:
    with pytest.raises(Exception, match="--nothing"):
        parse_client(["train", "--nothing"])
    for words in (["--nothing"], ["backup", "file", "--nothing"]):
        with pytest.raises(SystemExit):
            parse_server(words)
    with pytest.raises(AssertionError):
        parse_make(["nothing"])
