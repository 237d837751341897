"""Dashboards, rules and manifests as files: fresh, consistent and loadable."""

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.monitoring.write import BEGIN, DOCUMENT, END, MONITORING, RULES, files
from tests.manifests.builds import KUBECTL

DASHBOARDS = {path.name: json.loads(path.read_text()) for path in sorted((MONITORING / "dashboards").glob("*.json"))}
PANELS = {
    f"{name}: {panel['title']}": panel
    for name, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
    if panel["type"] != "row"
}
GROUPS = [group for path in sorted(RULES.glob("*.yaml")) for group in yaml.safe_load(path.read_text())["groups"]]
RECORDED = {rule["record"] for group in GROUPS for rule in group["rules"] if "record" in rule}
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}
# The used units of packages/grafana-data/src/valueFormats/categories.ts in grafana/grafana.
UNITS = {"none", "short", "percentunit", "bytes", "s", "reqps", "ops", "opm", "cps", "dateTimeAsLocal"}
# Grafana also accepts "count:" and a word, which scales like "short" and appends the word (valueFormats.ts).
BUILT_IN = {"__rate_interval", "__range", "__all"}
# Metrics of kube-state-metrics.
FOREIGN = {"kube_job_failed", "kube_job_labels", "kube_job_status_failed"}
PARTS = ("_bucket", "_count", "_sum")


def test_generated_files_are_fresh() -> None:
    for path, text in files().items():
        assert path.read_text() == text, f"{path.name}: run make monitoring"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_lie_side_by_side(name: str) -> None:
    panels = DASHBOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
    for first, second in itertools.combinations([panel["gridPos"] for panel in panels], 2):
        apart = [first[at] + first[by] <= second[at] or second[at] + second[by] <= first[at] for at, by in ("xw", "yh")]
        assert any(apart), (first, second)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_dashboards_are_what_grafana_loads(name: str) -> None:
    dashboard = DASHBOARDS[name]
    assert dashboard["schemaVersion"] >= 36, "that of Grafana 10"
    assert re.fullmatch(r"[\w-]{1,40}", dashboard["uid"])
    assert "id" not in dashboard, "Grafana gives it"
    assert dashboard["time"] == {"from": "now-6h", "to": "now"}
    data_source, *others = dashboard["templating"]["list"]
    assert (data_source["name"], data_source["type"]) == ("datasource", "datasource")
    assert [variable["name"] for variable in others[:2]] == ["job", "namespace"]
    for variable in others:
        assert variable["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    uids = {other["uid"] for other in DASHBOARDS.values()}
    assert [link["url"] for link in dashboard["links"]] == [f"/d/{uid}" for uid in sorted(uids - {dashboard["uid"]})]
    titles = [panel["title"] for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len(set(titles)) == len(titles)


def test_panels_are_complete() -> None:
    assert {name: faults for name, panel in PANELS.items() if (faults := [*_faults(panel)])} == {}


def _faults(panel: dict[str, Any]) -> Iterator[str]:
    defaults = panel["fieldConfig"]["defaults"]
    steps = [step["value"] for step in defaults["thresholds"]["steps"]]
    sound = {
        "the description is a sentence": panel["description"].endswith("."),
        "Grafana knows the unit": defaults["unit"] in UNITS or re.fullmatch(r"count:\S+", defaults["unit"]),
        "thresholds rise": steps[0] is None and steps[1:] == sorted(steps[1:]),
        "each query has its own name": len({target["refId"] for target in panel["targets"]})
        == len(panel["targets"])
        > 0,
        "queries ask the data source that the user chooses": all(
            target["datasource"] == {"type": "prometheus", "uid": "${datasource}"} for target in panel["targets"]
        ),
        "queries have legends": all(target["legendFormat"] for target in panel["targets"]),
    }
    return (name for name, holds in sound.items() if not holds)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_only_defined_variables_are_used(name: str) -> None:
    dashboard = DASHBOARDS[name]
    known = BUILT_IN | {variable["name"] for variable in dashboard["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard))) <= known


def _names(expression: str) -> set[str]:
    """Metrics of loopbench and kube-state-metrics in ``expression``."""
    unquoted = re.sub(r'"[^"]*"', "", expression)
    return set(re.findall(r"(?<![\w:])(?:\w+:)?(?:loopbench|grpc_server|process|kube)_\w+(?::\w+)?", unquoted))


def _known() -> set[str]:
    """The names in docs/metrics.md, which make monitoring writes, with the parts of histograms."""
    table = DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]
    names = set(re.findall(r"^\| `(\w+)`", table, flags=re.MULTILINE))
    return names | {name + part for name in names for part in PARTS} | RECORDED | FOREIGN


EXPRESSIONS = [target["expr"] for panel in PANELS.values() for target in panel["targets"]]
EXPRESSIONS += [rule["expr"] for group in GROUPS for rule in group["rules"]]


def test_panels_show_the_chosen_jobs_and_namespaces() -> None:
    alerts = 'count(ALERTS{alertname=~"Loopbench.*", alertstate="firing"}) or vector(0)'
    expressions = {target["expr"] for panel in PANELS.values() for target in panel["targets"]} - {alerts}
    selectors = [selector for expression in expressions for selector in re.findall(r"\{(.*?)\}", expression)]
    assert {text for text in selectors if not text.startswith('job=~"$job') or '=~"$namespace"' not in text} == set()


def test_expressions_use_only_known_metrics() -> None:
    known = _known()
    assert {expression: left for expression in EXPRESSIONS if (left := _names(expression) - known)} == {}


def test_every_metric_is_described() -> None:
    table = DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]
    for line in table.splitlines()[2:]:
        assert all(cell.strip() for place, cell in enumerate(line.strip("|").split(" | ")) if place not in (2, 3)), line


def test_alerts_state_the_problem_and_the_remedy() -> None:
    document = DOCUMENT.read_text()
    for name, alert in ALERTS.items():
        assert alert["labels"]["severity"] in ("warning", "critical"), name
        assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}, name
        assert alert["annotations"]["runbook_url"] == f"https://loopbench.example/docs/metrics.md#{name.lower()}"
        assert f"\n### {name}\n" in document, name


def test_every_alert_is_tested() -> None:
    tested = (Path(__file__).parent / "alerts.test.yaml").read_text()
    assert set(re.findall(r"alertname=\"(Loopbench\w+)\"", tested)) == set(ALERTS)


@pytest.fixture(scope="module")
def built() -> dict[str, Any]:
    """Objects that kustomize builds from the folder, by kind and name."""
    made = subprocess.run([KUBECTL, "kustomize", MONITORING], check=True, capture_output=True, text=True).stdout
    return {f"{found['kind']} {found['metadata']['name']}": found for found in yaml.safe_load_all(made)}


def test_kustomize_builds_the_monitoring_objects(built: dict[str, Any]) -> None:
    assert set(built) == {
        "ConfigMap loopbench-dashboards",
        "PodMonitor loopbench",
        "PodMonitor loopbench-sweep",
        "PrometheusRule loopbench",
    }


def test_dashboards_are_provisioned_unchanged(built: dict[str, Any]) -> None:
    provided = built["ConfigMap loopbench-dashboards"]
    assert provided["metadata"]["labels"]["grafana_dashboard"] == "1"
    given = {name: json.loads(text) for name, text in provided["data"].items()}
    assert given == {f"loopbench-{name}": dashboard for name, dashboard in DASHBOARDS.items()}
    assert len(json.dumps(provided)) < 1 << 20, "what a ConfigMap may hold"


def test_the_object_of_rules_holds_the_rules(built: dict[str, Any]) -> None:
    groups = built["PrometheusRule loopbench"]["spec"]["groups"]
    assert sorted(groups, key=lambda group: group["name"]) == sorted(GROUPS, key=lambda group: group["name"])
    assert len({group["name"] for group in groups}) == len(groups)


@pytest.mark.parametrize(("name", "component"), [("loopbench", "server"), ("loopbench-sweep", "sweep")])
def test_pods_are_scraped_under_the_name_that_rules_ask_for(built: dict[str, Any], name: str, component: str) -> None:
    spec = built[f"PodMonitor {name}"]["spec"]
    assert spec["selector"]["matchLabels"] == {
        "app.kubernetes.io/name": "loopbench",
        "app.kubernetes.io/component": component,
    }
    (endpoint,) = spec["podMetricsEndpoints"]
    assert endpoint["port"] == "metrics"
    assert {"action": "replace", "targetLabel": "job", "replacement": name} in endpoint["relabelings"]


def test_the_autoscaler_gets_the_metrics_that_it_requests() -> None:
    scaler = yaml.safe_load((MONITORING.parent / "components/postgresql/horizontalpodautoscaler.yaml").read_text())
    asked = {metric["pods"]["metric"]["name"] for metric in scaler["spec"]["metrics"]}
    rules = yaml.safe_load((MONITORING / "adapter-values.yaml").read_text())["rules"]["custom"]
    assert {rule["name"]["as"] for rule in rules} == asked <= _known()
    assert [{rule["name"]["as"]} == _names(rule["seriesQuery"]) for rule in rules] == [True, True]
