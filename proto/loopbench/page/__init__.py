"""A diagnosis as one HTML page without scripts, which loads nothing, or as a part of a notebook."""

from importlib.resources import files
from pathlib import Path

from loopbench.files import replace_file
from loopbench.page.html import Html, element, joined
from loopbench.page.sections import sections
from loopbench.spec import Diagnosis
from loopbench.text import PLAIN, Context

__all__ = ["document", "fragment", "save"]

# A text that got past the escaping could still load or run nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
TITLE = "Diagnosis"


def fragment(diagnosis: Diagnosis, context: Context = PLAIN) -> str:
    """The diagnosis with its style, to be put into a page.

    Args:
        diagnosis: of two specifications, or of two loops.
        context: what is known beside the causes.
    """
    return joined((_style(), element("div", *sections(diagnosis, context), class_="loopbench-diagnosis")))


def document(diagnosis: Diagnosis, context: Context = PLAIN) -> str:
    """A whole page; see :func:`fragment`."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("link", rel="icon", href="data:,"),
        element("title", TITLE),
    )
    body = element("body", Html(fragment(diagnosis, context)), class_="loopbench-page")
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def save(path: str | Path, page: str) -> Path:
    """Writes ``page`` to ``path``, and makes the folder that it lies in. A page that is there is replaced.

    Raises:
        OSError: the file cannot be written.
    """
    written = Path(path)
    written.parent.mkdir(parents=True, exist_ok=True)
    # Words from a command line need not be valid Unicode.
    replace_file(written, page.encode(errors="backslashreplace"))
    return written


def _style() -> Html:
    return element("style", Html(files(__name__).joinpath("style.css").read_text(encoding="utf-8")))
