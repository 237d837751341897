"""Every panel of the dashboards has data, of a real Prometheus after a scripted set of calls."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.monitoring.write import MONITORING

from .conftest import NAMESPACE, Watched

DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((MONITORING / "dashboards").glob("*.json"))}
PANELS = [
    (f"{name}: {panel['title']}", panel)
    for name, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
    if panel["type"] != "row"
]
VARIABLES = [
    (f"{name}: {variable['name']}", variable)
    for name, dashboard in DASHBOARDS.items()
    for variable in dashboard["templating"]["list"]
    if variable["type"] == "query"
]
# What "All" stands for.
ALL = ".*"


def _substituted(expression: str, watched: Watched, **chosen: str) -> str:
    """As Grafana does it, for a Prometheus that scrapes every two seconds; what is not chosen is All."""
    known = {"__rate_interval": "15s", "__range": f"{int(watched.end - watched.start) + 1}s", **chosen}
    return re.sub(r"\$(\w+)", lambda match: known.get(match[1], ALL), expression)


def _answers(watched: Watched, panel: Any, expression: str) -> list[dict[str, Any]]:
    """Series that have a number at all, within the time that was played."""
    if panel["targets"][0]["instant"]:
        found = watched.prometheus.query(expression, watched.end)
        values = [(series, [series["value"]]) for series in found]
    else:
        # Counted back from the end: a step too short of it would not see what the last scrape brought.
        start = watched.end - int(watched.end - watched.start)
        found = watched.prometheus.query_range(expression, start, watched.end, step=1)
        values = [(series, series["values"]) for series in found]
    return [series for series, points in values if any(math.isfinite(float(value)) for _, value in points)]


@pytest.fixture(scope="session")
def answers(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Rows of the table that --answers asks for."""
    rows: list[str] = []
    yield rows
    path = request.config.getoption("--answers")
    if path:
        head = "| Panel | Query | Series | Last value of the first |\n| --- | --- | --- | --- |\n"
        path.write_text(head + "".join(rows))


@pytest.mark.parametrize("chosen", ["all", "one"])
def test_every_query_of_every_panel_has_data(watched: Watched, chosen: str, answers: list[str]) -> None:
    (instance,) = watched.prometheus.label_values("instance", "loopbench_build_info")
    choice = {"namespace": NAMESPACE, "instance": instance.replace(".", r"\\.")} if chosen == "one" else {}
    without_data = []
    for title, panel in PANELS:
        for target in panel["targets"]:
            expression = _substituted(target["expr"], watched, **choice)
            found = _answers(watched, panel, expression)
            if not found:
                without_data.append((title, expression))
            elif chosen == "all":
                last = (found[0].get("values") or [found[0].get("value")])[-1][1]
                shown = expression.replace("|", "\\|").replace("\n", " ")
                answers.append(f"| {panel['title']} | `{shown}` | {len(found)} | {last} |\n")
    assert without_data == []


def test_legends_name_labels_that_the_series_have(watched: Watched) -> None:
    for title, panel in PANELS:
        for target in panel["targets"]:
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            for series in _answers(watched, panel, _substituted(target["expr"], watched)):
                assert named <= set(series["metric"]), (title, target["expr"])


def test_every_variable_has_values(watched: Watched) -> None:
    assert len(VARIABLES) > 0
    for title, variable in VARIABLES:
        match = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
        assert match, title
        assert watched.prometheus.label_values(match[2], _substituted(match[1], watched)), title


def test_all_columns_of_tables_are_there(watched: Watched) -> None:
    for dashboard in DASHBOARDS.values():
        for panel in (panel for panel in dashboard["panels"] if panel["type"] == "table"):
            series = [_answers(watched, panel, _substituted(target["expr"], watched)) for target in panel["targets"]]
            labels = {label for found in series for one in found for label in one["metric"]}
            values = {"Value #" + target["refId"] for target in panel["targets"]}
            (columns,) = (step["options"] for step in panel["transformations"] if step["id"] == "filterFieldsByName")
            assert set(columns["include"]["names"]) <= labels | values
