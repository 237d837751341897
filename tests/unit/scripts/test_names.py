"""Every name between backticks exists: commands, targets, flags, metrics and log events."""

import re
from pathlib import Path

import pytest
import typer

from loopbench_client.cli.app import app
from scripts.documents.configuration import PROGRAMS
from tests.support.markdown import code, documents, tokens
from tests.support.paths import ROOT

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # the application is a group
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
SOURCES = "".join(path.read_text() for part in ("server", "client") for path in (ROOT / part).rglob("*.py"))
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
METRIC = re.compile(r"\b(?:loopbench|grpc_server)_[a-z_]+")
EVENT = re.compile(r'"event": "([^"]+)"')
# Documents for users; CONTRIBUTING.md and ARCHITECTURE.md also name flags of tests and tools.
FOR_USERS = [path for path in documents() if path.parent == Path("docs") or path.name in ("README.md", "SECURITY.md")]

# These also name flags of other tools, so only complete commands of this project are checked.
ABOUT_OTHER_TOOLS = {Path("docs") / name for name in ("container.md", "kubernetes.md", "metrics.md")}


def flags() -> set[str]:
    """Flags of all programs."""
    of_settings = {name.replace("_", "-") for settings in PROGRAMS.values() for name in settings.model_fields}
    of_commands = {flag for command in COMMANDS.values() for option in command.params for flag in option.opts}
    return (
        of_commands
        | {f"--{no}{name}" for name in of_settings for no in ("", "no-")}
        | {
            "--file",
            "--help",
            "--overwrite",
            "--role",
            "--version",
        }
    )


@pytest.mark.parametrize("document", documents(), ids=str)
def test_targets_and_commands_exist(document: Path) -> None:
    named = [re.match(r"(make|loopbench) ([a-z][a-z-]*)", words) for words in code(document)]
    known = {"make": TARGETS, "loopbench": set(COMMANDS)}
    assert [found.group() for found in named if found and found.group(2) not in known[found.group(1)]] == []


@pytest.mark.parametrize("document", FOR_USERS, ids=str)
def test_flags_exist(document: Path) -> None:
    begins = ("loopbench",) if document in ABOUT_OTHER_TOOLS else ("loopbench", "--")
    named = {flag for words in code(document) if words.startswith(begins) for flag in FLAG.findall(words)}
    assert named - flags() == set()


# Names in capitals in running text; placeholders look the same.
NAME = re.compile(r"\b[A-Z]+_[A-Z_]*[A-Z]\b|\b(?:TODO|TBD|FIXME|XXX)\b")
NAMED = SOURCES + "".join(path.read_text() for kind in ("py", "proto") for path in (ROOT / "proto").rglob(f"*.{kind}"))


@pytest.mark.parametrize("document", documents(), ids=str)
def test_names_in_capitals_exist_and_no_placeholder_remains(document: Path) -> None:
    texts = (token.content for token in tokens(document) if token.type == "text")
    assert [name for text in texts for name in NAME.findall(text) if name not in NAMED] == []


# Suffixes that Prometheus adds to counters and histograms.
SUFFIX = re.compile("_(total|bucket|sum|count)$")


@pytest.mark.parametrize("document", FOR_USERS, ids=str)
def test_metrics_exist(document: Path) -> None:
    named = {name for words in code(document) for name in METRIC.findall(words)}
    assert {name for name in named if SUFFIX.sub("", name) not in SOURCES} == set()


@pytest.mark.parametrize("document", FOR_USERS, ids=str)
def test_lines_of_the_log_exist(document: Path) -> None:
    named = EVENT.findall((ROOT / document).read_text())
    assert [event for event in named if not re.search(rf'\(\s*"{re.escape(event)}"', SOURCES)] == []
