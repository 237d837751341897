"""Panels of the service dashboard about calls."""

from scripts.monitoring.grafana import GREEN, RED, panel, query
from scripts.monitoring.queries import SERVERS, mean, quantile, rate

CALLS = f'{SERVERS}, grpc_service="loopbench.v1.BenchmarkService", grpc_method=~"$grpc_method"'
# Calls that wait neither for a run nor for a process that works.
QUICK = f'{CALLS}, grpc_method=~"GetRun|ListRuns|GetServerInfo|DeleteRun|Compare"'

CALLS_ROW = (
    "Calls",
    (
        panel(
            "Calls",
            "Completed calls per second, by method.",
            "reqps",
            query(rate("grpc_server_handled_total", "grpc_method", CALLS), "{{grpc_method}}"),
            stacked=True,
        ),
        panel(
            "Calls that failed",
            "Calls per second with a status other than OK, by method and status.",
            "reqps",
            query(
                rate("grpc_server_handled_total", "grpc_method, grpc_code", f'{CALLS}, grpc_code!="OK"') + " > 0",
                "{{grpc_method}} {{grpc_code}}",
            ),
        ),
        panel(
            "Faults of the server",
            "Share of calls with a status that no caller can fix, without Unavailable, which "
            "draining servers also return. An alert fires above 5 %.",
            "percentunit",
            query(
                rate(
                    "grpc_server_handled_total",
                    "grpc_method",
                    f'{CALLS}, grpc_code=~"Unknown|DeadlineExceeded|Internal|DataLoss"',
                )
                + " / ("
                + rate("grpc_server_handled_total", "grpc_method", CALLS)
                + " > 0)",
                "{{grpc_method}}",
            ),
            thresholds=((None, GREEN), (0.05, RED)),
        ),
        panel(
            "Duration of quick calls, 99 %",
            "99th percentile of calls that wait neither for a run nor for a process. An alert fires above 1 s.",
            "s",
            query(quantile(0.99, "grpc_server_handling_seconds", "grpc_method", QUICK), "{{grpc_method}}"),
            thresholds=((None, GREEN), (1, RED)),
        ),
        panel(
            "Duration of calls, mean",
            "Mean duration. Train, WatchRun and Diagnose wait for runs, Evaluate waits for a process.",
            "s",
            query(mean("grpc_server_handling_seconds", "grpc_method", CALLS), "{{grpc_method}}"),
        ),
        panel(
            "Errors of calls",
            "Failed calls per second, by the reason in the table of errors. Includes calls without a sufficient token.",
            "reqps",
            query(rate("loopbench_rpc_errors_total", "reason", SERVERS) + " > 0", "{{reason}}"),
        ),
        panel(
            "Active calls",
            "Calls that have started and not ended, including those that wait or watch.",
            "short",
            query(
                f"sum by (grpc_method) (grpc_server_started_total{{{CALLS}}})"
                f" - sum by (grpc_method) (grpc_server_handled_total{{{CALLS}}})",
                "{{grpc_method}}",
            ),
        ),
        panel(
            "Messages",
            "Messages per second in both directions. WatchRun sends one message per event.",
            "cps",
            query(rate("grpc_server_msg_received_total", "grpc_method", CALLS), "{{grpc_method}} received"),
            query(rate("grpc_server_msg_sent_total", "grpc_method", CALLS), "{{grpc_method}} sent"),
        ),
        panel(
            "Calls over a limit",
            "Refused calls per second: too many calls, or a missing first message. "
            "The log has at most one line in ten seconds.",
            "reqps",
            query(
                rate("loopbench_rpc_errors_total", "reason", f'{SERVERS}, reason=~"TOO_MANY_CALLS|MESSAGE_TIMEOUT"'),
                "{{reason}}",
            ),
            thresholds=((None, GREEN), (1, RED)),
        ),
        panel(
            "Calls without a sufficient token",
            "Refused calls per second without a token or its role. An alert fires above 1 per second.",
            "reqps",
            query(
                rate("loopbench_rpc_errors_total", "reason", f'{SERVERS}, reason=~"UNAUTHENTICATED|ROLE_MISSING"'),
                "{{reason}}",
            ),
            thresholds=((None, GREEN), (1, RED)),
        ),
    ),
)
