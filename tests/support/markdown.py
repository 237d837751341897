"""What the project's own Markdown holds: links, the anchors of headings, and commands."""

import os
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.support.paths import ROOT

FOREIGN = {"node_modules", "build", "dist"}
PARSER = MarkdownIt("commonmark").enable("table")
SHELL = {"", "sh"}


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
    """All of them, those within lines too."""
    parsed = PARSER.parse((ROOT / document).read_text())
    return tuple(part for token in parsed for part in (token, *(token.children or ())))


@cache
def anchors(document: Path) -> set[str]:
    """What a link may name after the #, made of the headings as GitHub does it."""
    found: set[str] = set()
    for opening, text in pairwise(tokens(document)):
        if opening.type == "heading_open":
            words = "".join(part.content for part in text.children or ())
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            # The second of a name gets a number.
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
    """What stands between backticks within lines."""
    return [token.content for token in tokens(document) if token.type == "code_inline"]


def shell_lines(document: Path) -> list[str]:
    """Lines of the blocks that a shell would be given, each with those that continue it."""
    blocks = [token.content for token in tokens(document) if token.type == "fence" and token.info in SHELL]
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]
