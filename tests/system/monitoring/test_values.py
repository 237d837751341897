"""Prometheus after a scripted set of calls: it has the callers' results, and every panel has data.

All is in one file, because each process of pytest that runs tests of this folder makes the calls.
"""

import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from loopbench import wire
from loopbench.spec import Dataset, Method, RmsProp, Run, RunSpec, Verdict
from loopbench.spec.normalization import spec_digest
from loopbench_server.security.certificate_expiry import read_expiry
from scripts.monitoring.write import MONITORING
from tests.support.paths import ROOT
from tests.support.servers import SECONDS_TO_READY, ServerProcess, eventually, start_server, stop_server

from .conftest import NAMESPACE, Watched, scraped
from .scripted_calls import EPOCHS, JOBS

DIGITS = 1_438
TRAIN = 'grpc_server_handled_total{grpc_method="Train", grpc_code="%s"}'
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
# The value of "All".
ALL = ".*"


# Values.


def test_runs_are_counted_by_outcome(watched: Watched) -> None:
    def ended(outcome: str) -> float:
        return watched.value(f'sum(loopbench_runs_total{{device="CPU", outcome="{outcome}"}})')

    assert ended("SUCCEEDED") == len(watched.results.runs) == 3 * len(JOBS) + 1
    assert ended("CANCELLED") == watched.results.cancelled == 3
    assert watched.value('sum(loopbench_runs_total{device="GPU", outcome="FAILED"})') == 1
    assert watched.value('loopbench_run_errors_total{reason="DEVICE_NOT_AVAILABLE"}') == 1
    assert watched.value('loopbench_run_errors_total{reason="RUN_CANCELLED"}') == watched.results.cancelled


def test_results_of_the_store_have_the_same_counts(watched: Watched) -> None:
    for outcome in ("SUCCEEDED", "FAILED", "CANCELLED"):
        own = watched.value(f'sum(loopbench_runs_total{{outcome="{outcome}"}})')
        assert watched.value(f'sum(loopbench_stored_runs_total{{outcome="{outcome}"}})') == own


def test_accuracies_are_those_of_the_results(watched: Watched) -> None:
    for run in watched.results.runs:
        assert run.result is not None
        parameters = "default" if run.spec.epochs == RunSpec().epochs else "other"
        labels = (
            f'method="{run.spec.method}", loss="{run.spec.loss}", optimizer="{run.spec.optimizer.kind}", '
            f'dataset="DIGITS", parameters="{parameters}", spec="{spec_digest(run.spec)}"'
        )
        for split, final in (("train", run.result.train), ("validation", run.result.validation)):
            assert watched.value(f'loopbench_accuracy_ratio{{{labels}, split="{split}"}}') == final.accuracy
        assert run.end_time is not None
        ended = watched.value(f"loopbench_last_success_timestamp_seconds{{{labels}}}")
        assert ended == pytest.approx(run.end_time.timestamp(), abs=1e-3)


def test_methods_agree(watched: Watched) -> None:
    assert watched.value("count(loopbench_methods_agree == 1)") == len(JOBS)
    assert watched.value("max(loopbench_parity_difference_ratio)") == 0
    assert watched.results.comparison is not None
    assert {pair.verdict for pair in watched.results.comparison.pairs} == {Verdict.IDENTICAL}
    assert watched.value('loopbench_comparison_pairs_total{verdict="IDENTICAL"}') == 3
    assert watched.value('loopbench_comparison_pairs_total{verdict="DIFFERENT"}') == 0


def test_an_upgrade_keeps_the_weights(watched: Watched) -> None:
    # The server before it had another commit, and trained one of the specs.
    assert watched.value("loopbench_environments_agree") == 1
    assert watched.value('count(loopbench_environments_agree{method="GRADIENT_TAPE", dataset="DIGITS"})') == 1
    assert watched.value("loopbench_environment_difference_ratio") == 0


def test_examples_and_phases_are_those_of_the_results(watched: Watched) -> None:
    fit = 'method="FIT", loss="SUM_OF_SQUARES", optimizer="sgd", dataset="DIGITS"'
    assert watched.value(f"loopbench_examples_total{{{fit}}}") == EPOCHS * DIGITS
    for method in Method:
        results = [run.result for run in watched.results.runs if run.spec.method is method]
        trained = sum(result.phases.train_seconds for result in results if result)
        labels = f'method="{method}", phase="train"'
        assert watched.value(f"loopbench_run_phase_seconds_sum{{{labels}}}") == pytest.approx(trained)
        assert watched.value(f"loopbench_run_phase_seconds_count{{{labels}}}") == len(results)


def test_calls_are_counted_by_status(watched: Watched) -> None:
    assert watched.results.refused == [
        "QUEUE_FULL",
        "DEVICE_NOT_AVAILABLE",
        "RUN_NOT_FOUND",
        "ROLE_MISSING",
        "UNAUTHENTICATED",
    ]
    for reason in watched.results.refused:
        assert watched.value(f'loopbench_rpc_errors_total{{reason="{reason}"}}') == 1, reason
    assert watched.value(TRAIN % "OK") == len(watched.results.runs) + 3
    assert watched.value(TRAIN % "ResourceExhausted") == 1
    assert watched.value(TRAIN % "FailedPrecondition") == 1
    assert watched.value(TRAIN % "PermissionDenied") == 1
    assert watched.value('grpc_server_handled_total{grpc_method="GetRun", grpc_code="NotFound"}') == 1
    assert watched.value('grpc_server_msg_sent_total{grpc_method="WatchRun"}') >= 1
    assert watched.value("sum(grpc_server_started_total) - sum(grpc_server_handled_total)") == 0


def test_activity_was_scraped_while_it_happened(watched: Watched) -> None:
    window = f"{int(watched.end - watched.start) + 1}s"
    assert watched.value(f"max_over_time(loopbench_queue_depth[{window}])") == 1
    assert watched.value(f"max_over_time(loopbench_runs_running[{window}])") == 2
    assert watched.value(f"max_over_time(loopbench_worker_processes[{window}])") >= 2
    assert watched.value(f"max_over_time(loopbench_worker_memory_bytes[{window}])") > 1e7
    assert watched.value("loopbench_worker_cpu_seconds_total") > 1
    assert watched.value("loopbench_queue_depth") == watched.value("loopbench_runs_running") == 0


def test_the_certificate_expiry_is_exported(watched: Watched) -> None:
    results = watched.value("loopbench_tls_certificate_expiry_timestamp_seconds")
    assert results == read_expiry(watched.pair.certificate, watched.pair.key)


def test_promtool_accepts_the_metrics(watched: Watched) -> None:
    shown = scraped(watched.server)
    found = subprocess.run(["promtool", "check", "metrics"], input=shown, check=False, capture_output=True, text=True)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


def test_only_the_expected_alerts_fire(watched: Watched) -> None:
    raised = {alert["labels"]["alertname"]: alert for alert in watched.prometheus.alerts()}
    firing = {name for name, alert in raised.items() if alert["state"] == "firing"}
    # One of fourteen runs failed; no other condition lasted long enough for an alert.
    assert firing == set()
    # The test's certificate is valid for two days; the alert needs an hour.
    assert "LoopbenchCertificateExpiringSoon" in raised
    for alert in raised.values():
        assert "error" not in str(alert["annotations"])


def test_another_server_of_the_store_shows_its_results_and_counts_none_of_them(
    watched: Watched, tmp_path: Path
) -> None:
    store = f"sqlite:///{watched.server.folder / 'runs.db'}"
    other = start_server(tmp_path, "--metrics-address", "127.0.0.1:0", "--store-url", store)
    try:
        theirs = _gauges(scraped(watched.server))
        # Two accuracies, a number of seeds and a time per kind; agreement and difference per job.
        assert len(theirs) == 4 * len(watched.results.runs) + 2 * len(JOBS)
        eventually(lambda: _gauges(scraped(other)) == theirs)
        counted = [line for line in scraped(other).splitlines() if re.match(r"loopbench_(stored_)?runs_total", line)]
        assert {line.rpartition(" ")[2] for line in counted} == {"0.0"}
        _is_shown_by(watched.server, _trained(other))
    finally:
        stop_server(other)


def test_the_servers_show_what_a_sweep_pod_trained(watched: Watched, tmp_path: Path) -> None:
    trained = RunSpec(dataset=Dataset.DIGITS, epochs=1, method=Method.CUSTOM_TRAIN_STEP, optimizer=RmsProp())
    fields = MessageToDict(wire.spec_to_wire(trained))
    fields.pop("seed")
    sweep = {"name": "watched", "seeds": [7], "specs": [{"label": "step", "spec": fields}]}
    (tmp_path / "sweep.json").write_text(json.dumps(sweep))
    own = watched.value("sum(loopbench_runs_total)")
    command = [sys.executable, "-m", "loopbench_server.sweep", "--sweep-file", str(tmp_path / "sweep.json")]
    store = {"LOOPBENCH_STORE_URL": f"sqlite:///{watched.server.folder / 'runs.db'}", "JOB_COMPLETION_INDEX": "0"}
    subprocess.run([*command, "--metrics-address", "none"], check=True, capture_output=True, env=os.environ | store)
    shown = 'loopbench_accuracy_ratio{method="CUSTOM_TRAIN_STEP", optimizer="rmsprop", split="validation"}'
    eventually(lambda: bool(watched.prometheus.query(shown, time.time())))
    counted = f"sum(loopbench_runs_total) == {own:g}"
    eventually(lambda: bool(watched.prometheus.query(counted, time.time())))


def _trained(server: ServerProcess) -> Run:
    with server.client() as client:
        client.wait_ready(SECONDS_TO_READY)
        return client.train(RunSpec(dataset=Dataset.DIGITS, epochs=1, method=Method.FIT))


def _is_shown_by(server: ServerProcess, run: Run) -> None:
    assert run.result is not None
    digest = spec_digest(run.spec)
    labels = 'dataset="DIGITS",loss="SUM_OF_SQUARES",method="FIT",optimizer="sgd",parameters="other"'
    labels += f',spec="{digest}",split="validation"'
    line = f"loopbench_accuracy_ratio{{{labels}}} {run.result.validation.accuracy}"
    eventually(lambda: line in scraped(server).splitlines())


def _gauges(shown: str) -> set[str]:
    """Gauge lines that are the same on every server."""
    names = ("loopbench_accuracy", "loopbench_last_success", "loopbench_methods_agree", "loopbench_parity")
    return {line for line in shown.splitlines() if line.startswith(names)}


@pytest.mark.usefixtures("prometheus_tools")
def test_rules_are_valid() -> None:
    here = Path(__file__).parent
    for command in (["check", "rules", *map(str, _rules())], ["test", "rules", str(here / "alerts.test.yaml")]):
        found = subprocess.run(["promtool", *command], check=False, capture_output=True, text=True)
        assert found.returncode == 0, found.stdout + found.stderr


def _rules() -> list[Path]:
    return sorted((ROOT / "k8s" / "monitoring" / "rules").glob("*.yaml"))


# Panels.


def _substituted(expression: str, watched: Watched, **chosen: str) -> str:
    """Substitutes variables like Grafana with a scrape interval of two seconds; variables without a choice are All."""
    known = {"__rate_interval": "15s", "__range": f"{int(watched.end - watched.start) + 1}s", **chosen}
    return re.sub(r"\$(\w+)", lambda match: known.get(match[1], ALL), expression)


def _answers(watched: Watched, panel: Any, expression: str) -> list[dict[str, Any]]:
    """Series with at least one number during the scripted calls."""
    if panel["targets"][0]["instant"]:
        found = watched.prometheus.query(expression, watched.end)
        values = [(series, [series["value"]]) for series in found]
    else:
        # Counted back from the end, so that the last step includes the last scrape.
        start = watched.end - int(watched.end - watched.start)
        found = watched.prometheus.query_range(expression, start, watched.end, step=1)
        values = [(series, series["values"]) for series in found]
    return [series for series, points in values if any(math.isfinite(float(value)) for _, value in points)]


@pytest.fixture(scope="session")
def answers(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Rows of the table for --answers."""
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


def test_tables_have_all_columns(watched: Watched) -> None:
    for dashboard in DASHBOARDS.values():
        for panel in (panel for panel in dashboard["panels"] if panel["type"] == "table"):
            series = [_answers(watched, panel, _substituted(target["expr"], watched)) for target in panel["targets"]]
            labels = {label for found in series for one in found for label in one["metric"]}
            values = {"Value #" + target["refId"] for target in panel["targets"]}
            (columns,) = (step["options"] for step in panel["transformations"] if step["id"] == "filterFieldsByName")
            assert set(columns["include"]["names"]) <= labels | values
