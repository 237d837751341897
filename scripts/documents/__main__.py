"""Writes the pages of ``docs/`` that follow from the code."""

from collections.abc import Callable

from scripts.documents.api import api
from scripts.documents.configuration import configuration
from scripts.documents.errors import errors, troubleshooting
from scripts.documents.rendering import DOCS

PAGES: dict[str, Callable[[], str]] = {
    "api.md": api,
    "configuration.md": configuration,
    "errors.md": errors,
    "troubleshooting.md": troubleshooting,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
