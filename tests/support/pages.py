"""HTML pages for tests."""

from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "link", "br", "input"}
# These elements separate words.
BREAKS = {
    *("br", "th", "td", "div", "p", "li", "dt", "dd", "ul", "dl"),
    *("h2", "h3", "h4", "title", "details", "legend", "label"),
}


class Page(HTMLParser):
    """Elements with their attributes, the text of each row of a table, and all text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(self.source)
        self.close()
        self.rows = [" ".join(row.split()) for row in self.rows]
        self.text = " ".join(self.text.split())
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append("")
        elif tag in BREAKS:
            self.handle_data(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag in BREAKS:
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        self.text += data
        if "tr" in self._open:
            self.rows[-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    def row(self, start: str) -> str:
        """The first row that begins with ``start``."""
        return next(row for row in self.rows if row.startswith(start))
