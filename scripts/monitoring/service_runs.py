"""What the dashboard of the service shows of runs."""

from scripts.monitoring.grafana import GREEN, RED, Panel, Query, Row
from scripts.monitoring.queries import SERVERS, mean, quantile, rate

LOST = 'reason=~"SERVER_LOST|WORKER_LOST"'

RUNS_ROW = Row(
    "Runs of these servers",
    (
        Panel(
            "Queue",
            "Runs that wait for a slot, and how many may.",
            "short",
            (
                Query(f"sum by (instance) (loopbench_queue_depth{{{SERVERS}}})", "{{instance}} waiting"),
                Query(f"sum by (instance) (loopbench_queue_limit{{{SERVERS}}})", "{{instance}} limit"),
            ),
        ),
        Panel(
            "Slots",
            "Runs that go on, and how many may; evaluations and diagnoses go on beside them.",
            "short",
            (
                Query(f"sum(loopbench_runs_running{{{SERVERS}}})", "runs"),
                Query(f"sum(loopbench_slots{{{SERVERS}}})", "slots"),
                Query(f"sum(loopbench_tasks_running{{{SERVERS}}})", "evaluations and diagnoses"),
                Query(f"sum(loopbench_tasks_waiting{{{SERVERS}}})", "evaluations and diagnoses that wait"),
            ),
        ),
        Panel(
            "Wait for a slot",
            "How long runs waited: half of them, and 95 in 100.",
            "s",
            (
                Query(quantile(0.5, "loopbench_run_queue_seconds", "", SERVERS), "50 %"),
                Query(quantile(0.95, "loopbench_run_queue_seconds", "", SERVERS), "95 %"),
            ),
        ),
        Panel(
            "Runs that ended",
            "A minute, by outcome and device.",
            "opm",
            (
                Query(
                    f"60 * {rate('loopbench_runs_total', 'outcome, device', SERVERS)} > 0", "{{outcome}} on {{device}}"
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Runs without a result",
            "A minute, by the reason of their error.",
            "opm",
            (Query(f"60 * {rate('loopbench_run_errors_total', 'reason', SERVERS)} > 0", "{{reason}}"),),
        ),
        Panel(
            "Runs lost",
            "Runs whose server or process vanished, within a quarter of an hour. An alert fires above 0.",
            "short",
            (
                Query(f"sum(increase(loopbench_runs_abandoned_total{{{SERVERS}}}[15m]))", "found abandoned"),
                Query(
                    f"sum by (reason) (increase(loopbench_run_errors_total{{{SERVERS}, {LOST}}}[15m]))", "{{reason}}"
                ),
            ),
            thresholds=((None, GREEN), (0.5, RED)),
        ),
        Panel(
            "Phases, mean",
            "Where the time of a run that succeeded goes.",
            "s",
            (Query(mean("loopbench_run_phase_seconds", "phase", SERVERS), "{{phase}}"),),
            width=12,
            stacked=True,
        ),
        Panel(
            "Phases, 95 %",
            "What 95 in 100 runs stay below.",
            "s",
            (Query(quantile(0.95, "loopbench_run_phase_seconds", "phase", SERVERS), "{{phase}}"),),
            width=12,
        ),
    ),
)
