"""Documents, comments, docstrings and messages are in the words of docs/glossary.md."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.markdown import documents, prose, without_blocks
from tests.support.paths import ROOT

GLOSSARY = Path("docs/glossary.md")
HEADING = "## Words that the project avoids"
PYTHON = ("proto", "server", "client", "diagnose", "scripts", "benchmarks", "tests")
# Pages that code generates. Their words are checked in the sources.
GENERATED = {
    Path("BENCHMARKS.md"),
    *(Path("docs") / f"{name}.md" for name in ("api", "configuration", "errors", "scoreboard", "troubleshooting")),
}
TEMPLATES = tuple(
    path.relative_to(ROOT) for part in ("scripts", "benchmarks") for path in (ROOT / part).rglob("*.jinja")
)
MARKDOWN = sorted({*documents()} - GENERATED | {*TEMPLATES})
MOST_COLUMNS = 100


def avoided() -> dict[str, str]:
    """Return the table of the glossary: word → what to write instead."""
    table = (ROOT / GLOSSARY).read_text().partition(HEADING)[2]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.MULTILINE)
    return {word: instead for words, instead in rows[1:] if words != "---" for word in words.split(", ")}


AVOIDED = re.compile(rf"\b({'|'.join(avoided())})\b", re.IGNORECASE)


def found_in(lines: Iterator[str] | list[str]) -> list[str]:
    """Return the lines that have a word to avoid, joined over the ends of lines."""
    return [match.group() for match in AVOIDED.finditer(re.sub(r"\s+", " ", " ".join(lines)))]


def written_by_hand(path: Path) -> str:
    """Return a document without the table that `make monitoring` generates, and without the words to avoid."""
    text = (ROOT / path).read_text().partition(HEADING)[0]
    return re.sub(r"<!-- names.*<!-- end of names -->", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("path", MARKDOWN, ids=str)
def test_documents_have_the_words_of_the_glossary(path: Path) -> None:
    assert found_in(prose(written_by_hand(path))) == []


@pytest.mark.parametrize("path", MARKDOWN, ids=str)
def test_lines_of_prose_are_short(path: Path) -> None:
    lines = (line for line in without_blocks(written_by_hand(path)) if not line.startswith(("|", "![", "#")))
    assert [line for line in lines if len(line) > MOST_COLUMNS and "{" not in line] == []


def comments_and_strings(source: str) -> Iterator[str]:
    """Yield the comments, docstrings and messages of a Python module."""
    texts = {"COMMENT", "STRING", "FSTRING_MIDDLE"}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if tokenize.tok_name[token.type] in texts:
            yield token.string.removeprefix("#")


def modules(part: str) -> list[Path]:
    """Return the Python modules below ``part`` that people write, but for this one."""
    paths = sorted((ROOT / part).rglob("*.py"))
    return [path.relative_to(ROOT) for path in paths if "_pb2" not in path.name and path != Path(__file__)]


@pytest.mark.parametrize("part", PYTHON)
def test_docstrings_and_messages_have_the_words_of_the_glossary(part: str) -> None:
    found = {path: found_in(comments_and_strings((ROOT / path).read_text())) for path in modules(part)}
    assert {str(path): words for path, words in found.items() if words} == {}


@pytest.mark.parametrize(
    "path",
    [path.relative_to(ROOT) for path in sorted((ROOT / "proto").rglob("*.proto"))]
    + [path.relative_to(ROOT) for path in sorted((ROOT / "k8s").rglob("*.yaml"))],
    ids=str,
)
def test_the_contract_and_the_manifests_have_the_words_of_the_glossary(path: Path) -> None:
    lines = (re.sub(r"^\s*(//|#)", "", line) for line in (ROOT / path).read_text().splitlines())
    assert found_in(lines) == []


def test_words_are_found_in_any_form_and_over_the_ends_of_lines() -> None:
    assert found_in(["Who was Told", "has a name of its", "own."]) == ["Told", "of its own"]
    assert found_in(["retold, wishbone, so manyfold"]) == []
    assert found_in(comments_and_strings('wish = "tell"  # mend\n')) == ["tell", "mend"]
