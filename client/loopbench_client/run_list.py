"""The runs that a client lists: fetched page by page, shown in a notebook, or as a DataFrame of pandas."""

import textwrap
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from loopbench.page.html import element, joined
from loopbench.spec import Run
from loopbench.text import counted
from loopbench_client.errors import LoopbenchError
from loopbench_client.run_columns import COLUMNS, Column, split_by_variation

if TYPE_CHECKING:
    import pandas as pd

# Runs that a notebook shows, and columns that only a DataFrame has: the table would be three screens wide.
SHOWN = 50
IN_FRAMES_ALONE = frozenset(
    {
        "start_time",
        "end_time",
        "updates",
        "weights_digest",
        "train_loss",
        "validation_loss",
        "reported_train_accuracy",
        "reported_validation_accuracy",
        "reported_train_loss",
        "reported_validation_loss",
    }
)
# Columns that a notebook has and a text has not.
TIMES = frozenset({"create_time", "seconds"})
NO_RUNS = "no runs"
HEADING_WIDTH = 100
# What a reader looks for stands before the spec, at the left of a table that scrolls.
FIRST = ("id", "name", "labels", "state", "train_accuracy", "validation_accuracy")


class RunList:
    """Runs, the newest first: an iterable that loads lazily.

    Each iteration fetches the runs again, page by page. So there is no length and no index; ``list(runs)`` has both.
    The text of the object, as its table in a notebook, fetches the newest 50 runs.
    """

    def __init__(self, fetch: Callable[[], Iterator[Run]]) -> None:
        self._fetch = fetch

    def __iter__(self) -> Iterator[Run]:
        return self._fetch()

    def to_frame(self) -> "pd.DataFrame":
        """All runs as a DataFrame of pandas, one a row; a column per field of the spec and per figure of the result.

        Raises:
            ImportError: pandas is not installed.
        """
        return to_frame(self)

    def _repr_html_(self) -> str:
        """The table that a notebook displays: the newest 50 runs."""
        return runs_html(*self._newest())

    def __repr__(self) -> str:
        """The same as text. An error of the server is the text: debuggers show objects, too."""
        try:
            return runs_text(*self._newest())
        except (LoopbenchError, ValueError) as error:  # ValueError: the client is closed
            return f"<{type(self).__name__}: {error}>"

    def _newest(self) -> tuple[list[Run], bool]:
        """Up to 50 runs, and whether there are more."""
        runs = list(islice(self, SHOWN + 1))
        return runs[:SHOWN], len(runs) > SHOWN


class AsyncRunList:
    """The same for asyncio. A notebook cannot display it, because that would have to wait; use :meth:`to_frame`."""

    def __init__(self, fetch: Callable[[], AsyncIterator[Run]]) -> None:
        self._fetch = fetch

    def __aiter__(self) -> AsyncIterator[Run]:
        return self._fetch()

    async def to_frame(self) -> "pd.DataFrame":
        """As :meth:`RunList.to_frame`."""
        return to_frame([run async for run in self])


def to_frame(runs: Iterable[Run]) -> "pd.DataFrame":
    """The runs as a DataFrame of pandas.

    Raises:
        ImportError: pandas is not installed.
    """
    import pandas as pd  # noqa: PLC0415  optional

    rows = [[column.value(run) for column in COLUMNS] for run in runs]
    return pd.DataFrame(rows, columns=[column.name for column in COLUMNS])


def runs_html(runs: list[Run], more: bool) -> str:
    """A table of the columns that differ, under a line with those that do not."""
    if not runs:
        return element("p", NO_RUNS)
    heading, columns = _split(runs, more, IN_FRAMES_ALONE)
    head = element("tr", *(element("th", column.name) for column in columns))
    rows = [element("tr", *(element("td", _cell(column, run)) for column in columns)) for run in runs]
    table = element("table", element("thead", head), element("tbody", *rows), style="white-space: nowrap")
    # The page does not scroll sideways, the table does.
    scrolling = element("div", table, style="overflow-x: auto") if columns else ""
    return joined((element("p", heading), scrolling))


def runs_text(runs: list[Run], more: bool) -> str:
    """The same as lines of text, without times."""
    if not runs:
        return NO_RUNS
    heading, columns = _split(runs, more, IN_FRAMES_ALONE | TIMES)
    rows = [[column.name for column in columns], *([_cell(column, run) for column in columns] for run in runs)]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows if columns)
    return "\n".join((textwrap.fill(heading, HEADING_WIDTH, break_on_hyphens=False), *lines))


def _split(runs: list[Run], more: bool, without: Collection[str]) -> tuple[str, list[Column]]:
    """A line with what all runs have in common, and the columns that differ."""
    equal, columns = split_by_variation(runs, (column for column in COLUMNS if column.name not in without))
    columns.sort(key=lambda column: FIRST.index(column.name) if column.name in FIRST else len(FIRST))
    common = ", ".join(f"{column.name}={_cell(column, runs[0])}" for column in equal if _cell(column, runs[0]))
    count = f"the newest {len(runs)} runs" if more else counted(len(runs), "run")
    return f"{count}, all with {common}" if common else count, columns


def _cell(column: Column, run: Run) -> str:
    value: Any = column.value(run)
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else column.text(run)
