"""What the dashboard of the service shows of calls."""

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
            "Calls that ended, a second, by method.",
            "reqps",
            query(rate("grpc_server_handled_total", "grpc_method", CALLS), "{{grpc_method}}"),
            stacked=True,
        ),
        panel(
            "Calls that failed",
            "Calls a second that ended with another status than OK, by method and status.",
            "reqps",
            query(
                rate("grpc_server_handled_total", "grpc_method, grpc_code", f'{CALLS}, grpc_code!="OK"') + " > 0",
                "{{grpc_method}} {{grpc_code}}",
            ),
        ),
        panel(
            "Faults of the server",
            "Share of calls that ended with a status that no caller can fix, without Unavailable, which "
            "servers that drain say too. An alert fires above 5 %.",
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
            "What 99 in 100 calls stay below that wait neither for a run nor for a process. An alert fires above 1 s.",
            "s",
            query(quantile(0.99, "grpc_server_handling_seconds", "grpc_method", QUICK), "{{grpc_method}}"),
            thresholds=((None, GREEN), (1, RED)),
        ),
        panel(
            "Duration of calls, mean",
            "Train, WatchRun and Diagnose wait for runs, Evaluate for a process.",
            "s",
            query(mean("grpc_server_handling_seconds", "grpc_method", CALLS), "{{grpc_method}}"),
        ),
        panel(
            "Errors of calls",
            "A second, by the reason that the errors' table lists; with calls that were refused for want of a token.",
            "reqps",
            query(rate("loopbench_rpc_errors_total", "reason", SERVERS) + " > 0", "{{reason}}"),
        ),
        panel(
            "Calls under way",
            "Calls that began and have not ended, with those that wait or watch.",
            "short",
            query(
                f"sum by (grpc_method) (grpc_server_started_total{{{CALLS}}})"
                f" - sum by (grpc_method) (grpc_server_handled_total{{{CALLS}}})",
                "{{grpc_method}}",
            ),
        ),
        panel(
            "Messages",
            "A second, in both directions; WatchRun sends one an event.",
            "cps",
            query(rate("grpc_server_msg_received_total", "grpc_method", CALLS), "{{grpc_method}} received"),
            query(rate("grpc_server_msg_sent_total", "grpc_method", CALLS), "{{grpc_method}} sent"),
        ),
        panel(
            "Refused as too many, or too slow",
            "Calls a second that were refused: the server held as many as it may, or the message did not come. "
            "The log has a line every ten seconds.",
            "reqps",
            query(
                rate("loopbench_rpc_errors_total", "reason", f'{SERVERS}, reason=~"TOO_MANY_CALLS|MESSAGE_TIMEOUT"'),
                "{{reason}}",
            ),
            thresholds=((None, GREEN), (1, RED)),
        ),
        panel(
            "Refused for want of a token",
            "Calls a second without a token that may do what they ask. An alert fires above 1 a second.",
            "reqps",
            query(
                rate("loopbench_rpc_errors_total", "reason", f'{SERVERS}, reason=~"UNAUTHENTICATED|ROLE_MISSING"'),
                "{{reason}}",
            ),
            thresholds=((None, GREEN), (1, RED)),
        ),
    ),
)
