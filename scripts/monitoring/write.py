"""Writes the dashboards, the PrometheusRule, and the table of names in docs/metrics.md."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from loopbench_server.rpc.methods import METHODS
from loopbench_server.telemetry.metrics import Metrics
from scripts.monitoring.results_dashboard import RESULTS_DASHBOARD
from scripts.monitoring.service_dashboard import SERVICE

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "k8s" / "monitoring"
RULES = MONITORING / "rules"
DOCUMENT = ROOT / "docs" / "metrics.md"
BEGIN, END = "<!-- names: make monitoring -->\n", "<!-- end of names -->\n"

# Suffix of a name → its unit; all others are counts.
UNITS = {
    "_timestamp_seconds": "seconds since 1970",
    "_seconds": "seconds",
    "_bytes": "bytes",
    "_ratio": "fraction",
    "_per_second": "examples/s",
    "_info": "",
}
HEAD = "| Name | Type | Labels | Unit | What it is |\n| --- | --- | --- | --- | --- |\n"


def files() -> dict[Path, str]:
    """Return the contents of each file."""
    dashboards = {"service": SERVICE, "results": RESULTS_DASHBOARD}
    made = {
        MONITORING / "dashboards" / f"{name}.json": JSONEncoder(indent=2).encode(dashboard) + "\n"
        for name, dashboard in dashboards.items()
    }
    return made | {MONITORING / "prometheusrule.yaml": _rule_object(), DOCUMENT: _document()}


def _rule_object() -> str:
    groups = [group for file in ("recording", "alerts") for group in _rules(file)["groups"]]
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "loopbench"},
        "spec": {"groups": groups},
    }
    head = "# Written by `make monitoring` from rules/*.yaml.\n"
    return head + yaml.safe_dump(rule, sort_keys=False, width=1_000, allow_unicode=True)


def _rules(name: str) -> Any:
    return yaml.safe_load((RULES / f"{name}.yaml").read_text())


def _document() -> str:
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + HEAD + "".join(sorted(_lines())) + END + after


def _lines() -> Iterator[str]:
    metrics = Metrics(slots=1, queue_size=1, methods=METHODS.values())
    metrics.service.watch_certificate(lambda: 0.0)
    for family in metrics.registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        unit = next((unit for suffix, unit in UNITS.items() if family.name.endswith(suffix)), "number")
        labels = ", ".join(f"`{label}`" for label in _labels(metrics.registry, family))
        yield f"| `{name}` | {family.type} | {labels} | {unit} | {family.documentation} |\n"


def _labels(registry: CollectorRegistry, family: Metric) -> list[str]:
    collector: Any = registry._names_to_collectors.get(family.name)  # noqa: SLF001  the library has no public list of labels
    shown = dict.fromkeys(label for sample in family.samples for label in sample.labels)
    return [*getattr(collector, "_labelnames", shown)]


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
