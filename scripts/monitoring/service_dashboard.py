"""The dashboard of the service: calls, runs, processes, store."""

from scripts.monitoring.grafana import GREEN, ORANGE, RED, dashboard, panel, query, variable
from scripts.monitoring.queries import SERVERS, quantile, rate, stat
from scripts.monitoring.service_calls import CALLS_ROW
from scripts.monitoring.service_runs import RUNS_ROW

DAY = 86_400

GLANCE = (
    "At a glance",
    (
        stat(
            "Servers up",
            "Servers that Prometheus can scrape.",
            "short",
            f"count(loopbench_slots{{{SERVERS}}}) or vector(0)",
            ((None, RED), (1, GREEN)),
        ),
        stat(
            "Servers ready",
            "Servers that accept runs: a worker process has answered, and they do not drain.",
            "short",
            f"sum(loopbench_ready{{{SERVERS}}})",
            ((None, RED), (1, GREEN)),
        ),
        stat(
            "Queue in use",
            "Queued runs as a share of the limit. At 100 % the server refuses new runs.",
            "percentunit",
            f"sum(loopbench_queue_depth{{{SERVERS}}}) / sum(loopbench_queue_limit{{{SERVERS}}})",
            ((None, GREEN), (0.8, ORANGE), (1, RED)),
        ),
        stat(
            "Slots in use",
            "Running runs as a share of the slots.",
            "percentunit",
            f"sum(loopbench_runs_running{{{SERVERS}}}) / sum(loopbench_slots{{{SERVERS}}})",
        ),
        stat(
            "Runs failed",
            "Share of failed runs among the runs of these servers that ended in the displayed range.",
            "percentunit",
            f'sum(increase(loopbench_runs_total{{{SERVERS}, outcome="FAILED"}}[$__range]))'
            f" / sum(increase(loopbench_runs_total{{{SERVERS}}}[$__range]))",
            ((None, GREEN), (0.05, ORANGE), (0.2, RED)),
        ),
        stat(
            "Alerts",
            "Firing alerts about loopbench.",
            "short",
            'count(ALERTS{alertname=~"Loopbench.*", alertstate="firing"}) or vector(0)',
            ((None, GREEN), (1, RED)),
        ),
    ),
)

PROCESSES_ROW = (
    "Processes",
    (
        panel(
            "Worker processes",
            "Processes that train, evaluate or diagnose.",
            "short",
            query(f"sum by (instance) (loopbench_worker_processes{{{SERVERS}}})", "{{instance}}"),
        ),
        panel(
            "Processors in use",
            "Seconds of processor time per second, of the server and of its workers.",
            "short",
            query(rate("loopbench_worker_cpu_seconds_total", "instance", SERVERS), "{{instance}} workers"),
            query(rate("process_cpu_seconds_total", "instance", SERVERS), "{{instance}} server"),
        ),
        panel(
            "Memory",
            "Resident memory of the server, and private memory of its workers.",
            "bytes",
            query(f"sum by (instance) (loopbench_worker_memory_bytes{{{SERVERS}}})", "{{instance}} workers"),
            query(f"sum by (instance) (process_resident_memory_bytes{{{SERVERS}}})", "{{instance}} server"),
        ),
        panel(
            "Open files",
            "Open files as a share of the limit. Each connection is one file.",
            "percentunit",
            query(f"process_open_fds{{{SERVERS}}} / process_max_fds{{{SERVERS}}}", "{{instance}}"),
            thresholds=((None, GREEN), (0.8, RED)),
            most=1,
        ),
        panel(
            "Certificate",
            "Time until it expires. An alert fires below two weeks.",
            "s",
            query(
                f"loopbench_tls_certificate_expiry_timestamp_seconds{{{SERVERS}}} - time()",
                "{{instance}}",
            ),
            kind="stat",
            thresholds=((None, RED), (14 * DAY, GREEN)),
        ),
        panel(
            "Versions",
            "Versions of the servers.",
            "none",
            query(f"loopbench_build_info{{{SERVERS}}}"),
            kind="table",
            columns={"instance": "Server", "version": "Version", "revision": "Revision", "python": "Python"},
        ),
    ),
)

STORE_ROW = (
    "Store",
    (
        panel(
            "Transactions",
            "Transactions per second, by server.",
            "ops",
            query(rate("loopbench_store_transaction_seconds_count", "instance", SERVERS), "{{instance}}"),
        ),
        panel(
            "Duration of transactions",
            "Median and 99th percentile, including the wait for a connection. An alert fires above 1 s.",
            "s",
            query(quantile(0.5, "loopbench_store_transaction_seconds", "", SERVERS), "50 %"),
            query(quantile(0.99, "loopbench_store_transaction_seconds", "", SERVERS), "99 %"),
            thresholds=((None, GREEN), (1, RED)),
        ),
        panel(
            "Transactions that failed",
            "Failed transactions per second: an error of the database, or no answer. An alert fires above 0.",
            "ops",
            query(rate("loopbench_store_errors_total", "instance", SERVERS), "{{instance}}"),
        ),
        panel(
            "Errors of background work",
            "Unexpected errors per minute, by the kind of work, which continues. The log has the traceback.",
            "opm",
            query(f"60 * {rate('loopbench_background_errors_total', 'work', SERVERS)}", "{{work}}"),
            thresholds=((None, GREEN), (0.5, RED)),
        ),
    ),
)

SERVICE = dashboard(
    "loopbench-service",
    "loopbench / Service",
    "Calls, runs, processes and store of the servers.",
    variables=(
        variable("instance", "Server", 'loopbench_slots{job=~"$job", namespace=~"$namespace"}'),
        variable("grpc_method", "Call", 'grpc_server_started_total{grpc_service="loopbench.v1.BenchmarkService"}'),
    ),
    rows=(GLANCE, CALLS_ROW, RUNS_ROW, PROCESSES_ROW, STORE_ROW),
    links={"loopbench-results": "loopbench / Results"},
)
