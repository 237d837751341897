"""Panels of the service dashboard about runs."""

from scripts.monitoring.grafana import GREEN, RED, panel, query
from scripts.monitoring.queries import SERVERS, mean, quantile, rate

LOST = 'reason=~"SERVER_LOST|WORKER_LOST"'

RUNS_ROW = (
    "Runs of these servers",
    (
        panel(
            "Queue",
            "Queued runs, and the limit of the queue.",
            "short",
            query(f"sum by (instance) (loopbench_queue_depth{{{SERVERS}}})", "{{instance}} waiting"),
            query(f"sum by (instance) (loopbench_queue_limit{{{SERVERS}}})", "{{instance}} limit"),
        ),
        panel(
            "Slots",
            "Running runs, and the number of slots. Evaluations and diagnoses run beside the slots.",
            "short",
            query(f"sum(loopbench_runs_running{{{SERVERS}}})", "runs"),
            query(f"sum(loopbench_slots{{{SERVERS}}})", "slots"),
            query(f"sum(loopbench_tasks_running{{{SERVERS}}})", "evaluations and diagnoses"),
            query(f"sum(loopbench_tasks_waiting{{{SERVERS}}})", "evaluations and diagnoses that wait"),
        ),
        panel(
            "Wait for a slot",
            "Time in the queue: median and 95th percentile.",
            "s",
            query(quantile(0.5, "loopbench_run_queue_seconds", "", SERVERS), "50 %"),
            query(quantile(0.95, "loopbench_run_queue_seconds", "", SERVERS), "95 %"),
        ),
        panel(
            "Runs that ended",
            "Ended runs per minute, by outcome and device.",
            "opm",
            query(f"60 * {rate('loopbench_runs_total', 'outcome, device', SERVERS)} > 0", "{{outcome}} on {{device}}"),
            stacked=True,
        ),
        panel(
            "Runs without a result",
            "Runs without a result per minute, by the reason of the error.",
            "opm",
            query(f"60 * {rate('loopbench_run_errors_total', 'reason', SERVERS)} > 0", "{{reason}}"),
        ),
        panel(
            "Runs lost",
            "Runs whose server or process vanished, within 15 minutes. An alert fires above 0.",
            "short",
            query(f"sum(increase(loopbench_runs_abandoned_total{{{SERVERS}}}[15m]))", "found abandoned"),
            query(f"sum by (reason) (increase(loopbench_run_errors_total{{{SERVERS}, {LOST}}}[15m]))", "{{reason}}"),
            thresholds=((None, GREEN), (0.5, RED)),
        ),
        panel(
            "Phases, mean",
            "Mean time of each phase of a run that succeeded.",
            "s",
            query(mean("loopbench_run_phase_seconds", "phase", SERVERS), "{{phase}}"),
            width=12,
            stacked=True,
        ),
        panel(
            "Phases, 95 %",
            "95th percentile of the time of each phase.",
            "s",
            query(quantile(0.95, "loopbench_run_phase_seconds", "phase", SERVERS), "{{phase}}"),
            width=12,
        ),
    ),
)
