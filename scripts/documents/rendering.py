"""Fills in the templates, which are Markdown."""

from pathlib import Path
from typing import Any

import jinja2

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def cell(text: str) -> str:
    """``text`` on one line, as a table takes it."""
    return " ".join(text.split()).replace("|", "\\|")


def render(template: str, **content: Any) -> str:
    """The template beside this module, filled in; what is missing is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # nosec B701  # the templates are part of the project
    )
    environment.filters["cell"] = cell
    return environment.get_template(template).render(**content)
