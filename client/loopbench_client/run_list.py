"""The runs that a client lists: fetched page by page, shown in a notebook, or as a DataFrame of pandas."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from loopbench.page.html import element, joined
from loopbench.spec import Run
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
# What a reader looks for stands before the spec, at the left of a table that scrolls.
FIRST = ("id", "name", "labels", "state", "train_accuracy", "validation_accuracy")


class RunList:
    """Runs, the newest first. Each iteration fetches them again, page by page."""

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
        runs = list(islice(self, SHOWN + 1))
        return runs_html(runs[:SHOWN], more=len(runs) > SHOWN)


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


def runs_html(runs: list[Run], *, more: bool = False) -> str:
    """A table of the columns that differ, under a line with those that do not."""
    if not runs:
        return element("p", "no runs")
    equal, columns = split_by_variation(runs, (column for column in COLUMNS if column.name not in IN_FRAMES_ALONE))
    columns.sort(key=lambda column: FIRST.index(column.name) if column.name in FIRST else len(FIRST))
    common = ", ".join(f"{column.name}={_cell(column, runs[0])}" for column in equal if _cell(column, runs[0]))
    count = f"the newest {len(runs)} runs" if more else f"{len(runs)} run{'s' * (len(runs) != 1)}"
    head = element("tr", *(element("th", column.name) for column in columns))
    rows = [element("tr", *(element("td", _cell(column, run)) for column in columns)) for run in runs]
    table = element("table", element("thead", head), element("tbody", *rows), style="white-space: nowrap")
    # The page does not scroll sideways, the table does.
    scrolling = element("div", table, style="overflow-x: auto") if columns else ""
    return joined((element("p", f"{count}, all with {common}" if common else count), scrolling))


def _cell(column: Column, run: Run) -> str:
    value: Any = column.value(run)
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else column.text(run)
