"""PromQL for both dashboards."""

from scripts.monitoring.grafana import NEUTRAL, Panel, Thresholds, panel, query

RATE = "$__rate_interval"
SERVERS = 'job=~"$job", namespace=~"$namespace", instance=~"$instance"'


def rate(metric: str, by: str, selector: str) -> str:
    """Return the rate of a counter per second."""
    return f"sum by ({by}) (rate({metric}{{{selector}}}[{RATE}]))"


def quantile(share: float, metric: str, by: str, selector: str) -> str:
    """Return a quantile of a histogram."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, {rate(f'{metric}_bucket', labels, selector)})"


def mean(metric: str, by: str, selector: str) -> str:
    """Return the mean of a histogram."""
    return f"{rate(f'{metric}_sum', by, selector)} / {rate(f'{metric}_count', by, selector)}"


def stat(
    title: str, description: str, unit: str, expression: str, thresholds: Thresholds = ((None, NEUTRAL),)
) -> Panel:
    """Return a panel with the current value; six of them fill a row."""
    return panel(
        title, description, unit, query(expression, title), kind="stat", width=4, height=4, thresholds=thresholds
    )
