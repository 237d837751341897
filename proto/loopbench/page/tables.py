"""Tables."""

from collections.abc import Iterable

from loopbench.page.html import Html, element


def table(caption: str, head: Html, rows: Iterable[Html], kind: str | None = None) -> Html:
    """A table that scrolls by itself where the page is too narrow; ``caption`` is for screen readers.

    One of the ``kind`` "stacked" has a row of text instead, with the names of its columns; see :func:`cell`.
    """
    whole = element("table", element("thead", head), element("tbody", *rows), class_=kind)
    return element("div", whole, class_="wide", tabindex="0", role="group", aria_label=caption)


def cell(column: str, *content: Html | str) -> Html:
    """A figure or a word in the column of that name."""
    return element("td", *content, class_="number", data_name=column)
