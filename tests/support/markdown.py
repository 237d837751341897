"""Links, heading anchors and commands of the project's Markdown files."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.support.paths import ROOT

FOREIGN = {"node_modules", "build", "dist"}
PARSER = MarkdownIt("commonmark").enable("table")
SHELL = {"", "sh"}
# What the info string of a block may ask for with ``needs=``: the block is then not run, only parsed.
NEEDS = {"checkout", "cluster", "collector", "container", "mnist", "postgresql", "program", "terminal"}


@cache
def documents() -> tuple[Path, ...]:
    """Every Markdown file of the project, relative to its root."""
    found = []
    for folder, below, files in os.walk(ROOT):
        below[:] = [name for name in below if name not in FOREIGN and not name.startswith(".")]
        found += [(Path(folder) / name).relative_to(ROOT) for name in files if Path(name).suffix == ".md"]
    return tuple(sorted(path for path in found if not path.name.startswith(".")))


@cache
def tokens(document: Path) -> tuple[Token, ...]:
    """All tokens, inline ones included."""
    parsed = PARSER.parse((ROOT / document).read_text())
    return tuple(part for token in parsed for part in (token, *(token.children or ())))


@cache
def anchors(document: Path) -> set[str]:
    """Anchors of the headings, built like GitHub's."""
    found: set[str] = set()
    for opening, text in pairwise(tokens(document)):
        if opening.type == "heading_open":
            words = "".join(part.content for part in text.children or ())
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            # A repeated name gets a number.
            found.add(next(name for name in _numbered(slug) if name not in found))
    return found


def _numbered(slug: str) -> Iterator[str]:
    yield slug
    yield from (f"{slug}-{number}" for number in range(1, 1000))


def links(document: Path) -> list[str]:
    """Targets of links and images."""
    return [str(token.attrs.get("href") or token.attrs["src"]) for token in tokens(document) if _is_link(token)]


def _is_link(token: Token) -> bool:
    return token.type in ("link_open", "image")


def code(document: Path) -> list[str]:
    """Inline code between backticks."""
    return [token.content for token in tokens(document) if token.type == "code_inline"]


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the component that it needs, and its text."""

    language: str
    needs: str
    text: str


def blocks(document: Path) -> list[Block]:
    """Return the fenced blocks of a document, in order."""
    found = []
    for token in tokens(document):
        if token.type == "fence":
            language, _, needs = token.info.partition(" needs=")
            assert not needs or needs in NEEDS, f"{document}: {token.info}"
            found.append(Block(language, needs, token.content))
    return found


def shell_lines(document: Path) -> list[str]:
    """Return the lines of the blocks of shell, each joined with the lines that continue it."""
    texts = [block.text for block in blocks(document) if block.language in SHELL]
    return [line for text in texts for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def without_blocks(text: str) -> list[str]:
    """Return the lines of a document, or of its template, outside of fenced blocks."""
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL).splitlines()


def prose(text: str) -> list[str]:
    """Return the lines of a document, or of its template, without blocks, code in backticks and Jinja."""
    return [re.sub(r"`[^`]+`|\{\{.*?\}\}|\{%.*?%\}", "", line) for line in without_blocks(text)]
