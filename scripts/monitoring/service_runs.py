"""What the dashboard of the service shows of runs."""

from scripts.monitoring.grafana import GREEN, RED, panel, query
from scripts.monitoring.queries import SERVERS, mean, quantile, rate

LOST = 'reason=~"SERVER_LOST|WORKER_LOST"'

RUNS_ROW = (
    "Runs of these servers",
    (
        panel(
            "Queue",
            "Runs that wait for a slot, and how many may.",
            "short",
            query(f"sum by (instance) (loopbench_queue_depth{{{SERVERS}}})", "{{instance}} waiting"),
            query(f"sum by (instance) (loopbench_queue_limit{{{SERVERS}}})", "{{instance}} limit"),
        ),
        panel(
            "Slots",
            "Runs that go on, and how many may; evaluations and diagnoses go on beside them.",
            "short",
            query(f"sum(loopbench_runs_running{{{SERVERS}}})", "runs"),
            query(f"sum(loopbench_slots{{{SERVERS}}})", "slots"),
            query(f"sum(loopbench_tasks_running{{{SERVERS}}})", "evaluations and diagnoses"),
            query(f"sum(loopbench_tasks_waiting{{{SERVERS}}})", "evaluations and diagnoses that wait"),
        ),
        panel(
            "Wait for a slot",
            "How long runs waited: half of them, and 95 in 100.",
            "s",
            query(quantile(0.5, "loopbench_run_queue_seconds", "", SERVERS), "50 %"),
            query(quantile(0.95, "loopbench_run_queue_seconds", "", SERVERS), "95 %"),
        ),
        panel(
            "Runs that ended",
            "A minute, by outcome and device.",
            "opm",
            query(f"60 * {rate('loopbench_runs_total', 'outcome, device', SERVERS)} > 0", "{{outcome}} on {{device}}"),
            stacked=True,
        ),
        panel(
            "Runs without a result",
            "A minute, by the reason of their error.",
            "opm",
            query(f"60 * {rate('loopbench_run_errors_total', 'reason', SERVERS)} > 0", "{{reason}}"),
        ),
        panel(
            "Runs lost",
            "Runs whose server or process vanished, within a quarter of an hour. An alert fires above 0.",
            "short",
            query(f"sum(increase(loopbench_runs_abandoned_total{{{SERVERS}}}[15m]))", "found abandoned"),
            query(f"sum by (reason) (increase(loopbench_run_errors_total{{{SERVERS}, {LOST}}}[15m]))", "{{reason}}"),
            thresholds=((None, GREEN), (0.5, RED)),
        ),
        panel(
            "Phases, mean",
            "Where the time of a run that succeeded goes.",
            "s",
            query(mean("loopbench_run_phase_seconds", "phase", SERVERS), "{{phase}}"),
            width=12,
            stacked=True,
        ),
        panel(
            "Phases, 95 %",
            "What 95 in 100 runs stay below.",
            "s",
            query(quantile(0.95, "loopbench_run_phase_seconds", "phase", SERVERS), "{{phase}}"),
            width=12,
        ),
    ),
)
