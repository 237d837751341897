"""Tables without lines, in which no figure and no word is broken, whatever the width of the terminal."""

import textwrap
from collections.abc import Collection, Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

# Blanks between two columns, and between two fields of a paragraph.
GAP = 2
INDENT = "  "


class PlainTable(Table):
    """A table without blanks at the ends of its lines; where it does not fit, each row is a paragraph.

    The columns in ``wrapping`` hold words, stand at the left, and may wrap between words. The others hold figures.
    """

    def __init__(self, titles: Sequence[str], rows: Iterable[Iterable[str]], wrapping: Collection[int]) -> None:
        super().__init__(box=None, pad_edge=False, header_style="bold", show_header=any(titles))
        self._titles = titles
        self._cells = [tuple(row) for row in rows]
        self._wrapping = wrapping
        for number, title in enumerate(titles):
            self.add_column(title, justify="left" if number in wrapping else "right", overflow="fold")
        for row in self._cells:
            self.add_row(*row)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Renders the table as Rich does, but for the blanks; or the paragraphs."""
        widths = self._fitting_widths(options.max_width)
        if widths is None:
            lines = (line for row in self._cells for line in self._paragraph(row, options.max_width))
            yield Text("\n".join(lines))
            return
        for column, width in zip(self.columns, widths, strict=True):
            column.width = width
        for line in Segment.split_lines(super().__rich_console__(console, options)):  # type: ignore[arg-type]  # segments
            while line and not line[-1].text.strip():
                line.pop()
            if line:
                last = line.pop()
                yield from line
                yield Segment(last.text.rstrip(), last.style)
            yield Segment.line()

    def _fitting_widths(self, width: int) -> list[int] | None:
        """Widths of the columns with which the table fits into ``width``; None if a figure or a word would break."""
        columns = [*zip(self._titles, *self._cells, strict=True)]
        natural = [max(map(cell_len, column)) for column in columns]
        widths = [self._least_width(number, *column) for number, column in enumerate(columns)]
        room = width - GAP * (len(widths) - 1) - sum(widths)
        if room < 0:
            return None
        for _ in range(min(room, sum(natural) - sum(widths))):
            tightest = max(range(len(widths)), key=lambda number: natural[number] - widths[number])
            widths[tightest] += 1
        return widths

    def _least_width(self, number: int, title: str, *cells: str) -> int:
        return max(_longest_word(title), *map(_longest_word if number in self._wrapping else cell_len, cells), 0)

    def _paragraph(self, row: Sequence[str], width: int) -> Iterator[str]:
        """The first field, and below it the others, as many on a line as fit."""
        first, *others = (f"{title} {cell.strip()}".strip() for title, cell in zip(self._titles, row, strict=True))
        yield from textwrap.wrap(first, width, break_on_hyphens=False)
        line = ""
        for field in (field for field, cell in zip(others, row[1:], strict=True) if cell.strip()):
            if line and cell_len(INDENT + line) + GAP + cell_len(field) > width:
                yield INDENT + line
                line = ""
            *full, rest = textwrap.wrap(field, max(1, width - GAP), break_on_hyphens=False)
            yield from (INDENT + part for part in full)
            line += " " * GAP * bool(line) + rest
        if line:
            yield INDENT + line


def _longest_word(text: str) -> int:
    return max(map(cell_len, text.split()), default=0)
