"""The dashboard of the results: accuracy, parity, throughput."""

from scripts.monitoring.grafana import GREEN, ORANGE, RED, dashboard, panel, query, variable
from scripts.monitoring.queries import RATE, mean, quantile, rate

SCOPE = 'job=~"$job", namespace=~"$namespace"'
# With the pods of sweeps, which count what they train themselves.
TRAINERS = 'job=~"$job(-sweep)?", namespace=~"$namespace"'
SPEC = 'loss=~"$loss", optimizer=~"$optimizer", dataset=~"$dataset"'
KINDS = f'{SCOPE}, method=~"$method", {SPEC}, parameters=~"$parameters"'
RESULTS = f'{KINDS}, spec=~"$spec"'
RUNS = f'{TRAINERS}, method=~"$method", {SPEC}'
KIND = "method, loss, optimizer, dataset, parameters"
KEY = f"{KIND}, spec"
METHOD_NAME = "{{method}} {{loss}} {{optimizer}} {{dataset}}"
NAME = "{{method}} {{loss}} {{optimizer}} {{dataset}} {{parameters}} {{spec}}"


def _accuracy(split: str) -> str:
    """Return the accuracy, which is the same on every server of a store."""
    return f'max by ({KEY}) (loopbench_accuracy_ratio{{{RESULTS}, split="{split}"}})'


def _agreement(function: str, metric: str) -> str:
    return f"{function} by (loss, optimizer, dataset) ({metric}{{{SCOPE}, {SPEC}}})"


def _upgrade(function: str, metric: str) -> str:
    return f'{function} by (method, loss, optimizer, dataset) ({metric}{{{SCOPE}, method=~"$method", {SPEC}}})'


def _stored(by: str) -> str:
    """Return the rate of ended runs; each server counts the runs of the whole store since its start."""
    each = f'sum by (instance, {by}) (rate(loopbench_stored_runs_total{{{SCOPE}, method=~"$method"}}[{RATE}]))'
    return f"60 * max by ({by}) ({each})"


def _diverged_by(by: str) -> str:
    each = f'sum by (instance, {by}) (rate(loopbench_stored_runs_diverged_total{{{SCOPE}, method=~"$method"}}[{RATE}]))'
    return f"max by ({by}) ({each})"


NOW = (
    "Results of each specification",
    (
        panel(
            "Accuracy",
            "Mean accuracy of the final weights over all samples and seeds. The methods of a specification have the "
            "same seeds. Parameters are 'default' if a run changed only method, loss, optimizer and dataset.",
            "none",
            query(_accuracy("train")),
            query(_accuracy("validation")),
            query(f"max by ({KEY}) (loopbench_accuracy_seeds{{{RESULTS}}})"),
            query(f"1000 * max by ({KEY}) (loopbench_last_success_timestamp_seconds{{{RESULTS}}})"),
            kind="table",
            width=16,
            height=10,
            columns={
                "method": "Method",
                "loss": "Loss",
                "optimizer": "Optimizer",
                "dataset": "Dataset",
                "parameters": "Parameters",
                "spec": "Spec",
                "Value #A": "Train",
                "Value #B": "Validation",
                "Value #C": "Seeds",
                "Value #D": "Ended",
            },
            units={"Value #A": "percentunit", "Value #B": "percentunit", "Value #D": "dateTimeAsLocal"},
        ),
        panel(
            "Methods agree",
            "Whether all methods ended in the same weights, for the last specification that several of them trained, "
            "under every seed. An alert fires where they did not.",
            "none",
            query(_agreement("min", "loopbench_methods_agree"), "{{loss}} {{optimizer}} {{dataset}}"),
            kind="stat",
            height=10,
            thresholds=((None, RED), (1, GREEN)),
            words={"0": ("different weights", RED), "1": ("same weights", GREEN)},
        ),
        panel(
            "Diverged",
            "Kinds of runs whose last run ended with weights or metrics that are NaN or infinite. Accuracies "
            "and agreement omit such runs.",
            "none",
            query(f"sum(max by ({KIND}) (loopbench_last_run_diverged{{{KINDS}}}))", "kinds"),
            kind="stat",
            width=12,
            thresholds=((None, GREEN), (1, RED)),
        ),
        panel(
            "Runs that diverged",
            "Diverged runs per minute, by method, in the whole store.",
            "opm",
            query(f"60 * {_diverged_by('method')}", "{{method}}"),
            width=12,
        ),
    ),
)

ACCURACY = (
    "Accuracy over time",
    (
        panel(
            "Validation accuracy",
            "Mean over the seeds that all methods of a specification share, without diverged runs.",
            "percentunit",
            query(_accuracy("validation"), NAME),
            width=12,
            height=10,
            most=1,
        ),
        panel(
            "Train accuracy",
            "Mean over the seeds that all methods of a specification share, without diverged runs.",
            "percentunit",
            query(_accuracy("train"), NAME),
            width=12,
            height=10,
            most=1,
        ),
    ),
)

PARITY = (
    "Parity",
    (
        panel(
            "Agreement over time",
            "Whether all methods ended in the same weights, for the last specification that several of them trained.",
            "none",
            query(_agreement("min", "loopbench_methods_agree"), "{{loss}} {{optimizer}} {{dataset}}"),
            kind="state-timeline",
            thresholds=((None, RED), (1, GREEN)),
            words={"0": ("different weights", RED), "1": ("same weights", GREEN)},
        ),
        panel(
            "Largest difference between methods",
            "Difference of validation accuracies for one specification and seed. An alert fires above 0.5 %.",
            "percentunit",
            query(_agreement("max", "loopbench_parity_difference_ratio"), "{{loss}} {{optimizer}} {{dataset}}"),
            thresholds=((None, GREEN), (0.005, RED)),
        ),
        panel(
            "Verdicts of comparisons",
            "Compared pairs of groups in the displayed range.",
            "short",
            query(f"sum by (verdict) (increase(loopbench_comparison_pairs_total{{{SCOPE}}}[$__range]))", "{{verdict}}"),
            kind="stat",
        ),
    ),
)

UPGRADES = (
    "Upgrades",
    (
        panel(
            "Weights after an upgrade",
            "Whether the software of the server ended in the same weights as the software before it on the same "
            "hardware. An alert fires where it did not.",
            "none",
            query(_upgrade("min", "loopbench_environments_agree"), METHOD_NAME),
            kind="state-timeline",
            width=12,
            thresholds=((None, RED), (1, GREEN)),
            words={"0": ("different weights", RED), "1": ("same weights", GREEN)},
        ),
        panel(
            "Difference after an upgrade",
            "Largest difference of mean validation accuracy between both.",
            "percentunit",
            query(_upgrade("max", "loopbench_environment_difference_ratio"), METHOD_NAME),
            width=12,
            thresholds=((None, GREEN), (0.005, RED)),
        ),
    ),
)

THROUGHPUT = (
    "Throughput",
    (
        panel(
            "Training examples",
            "Training examples per second, by method, including sweeps.",
            "count:examples/s",
            query(rate("loopbench_examples_total", "method", RUNS), "{{method}}"),
            stacked=True,
        ),
        panel(
            "Speed of an epoch",
            "Median of the training examples per second of an epoch, by method.",
            "count:examples/s",
            query(
                quantile(0.5, "loopbench_run_examples_per_second", "method", f'{TRAINERS}, method=~"$method"'),
                "{{method}}",
            ),
        ),
        panel(
            "Time to train",
            "Mean time of the phase 'train' of a run that succeeded, by method.",
            "s",
            query(
                mean("loopbench_run_phase_seconds", "method", f'{TRAINERS}, method=~"$method", phase="train"'),
                "{{method}}",
            ),
        ),
        panel(
            "Runs that ended, by outcome",
            "Ended runs per minute in the whole store.",
            "opm",
            query(_stored("outcome"), "{{outcome}}"),
            stacked=True,
        ),
        panel(
            "Runs that ended, by method",
            "Ended runs per minute in the whole store.",
            "opm",
            query(_stored("method"), "{{method}}"),
            stacked=True,
        ),
        panel(
            "Runs that failed",
            "Share of the runs of the store that FAILED within 15 minutes. An alert fires above 20 %.",
            "percentunit",
            query('max(namespace:loopbench_runs_failed:ratio_rate15m{job=~"$job", namespace=~"$namespace"})', "failed"),
            thresholds=((None, GREEN), (0.05, ORANGE), (0.2, RED)),
            most=1,
        ),
    ),
)

RESULTS_DASHBOARD = dashboard(
    "loopbench-results",
    "loopbench / Results",
    "Results of all servers and sweeps: accuracy, parity, throughput.",
    variables=(
        *(
            variable(name, label, f"loopbench_accuracy_ratio{{{SCOPE}}}")
            for name, label in (
                ("method", "Method"),
                ("loss", "Loss"),
                ("optimizer", "Optimizer"),
                ("dataset", "Dataset"),
                ("parameters", "Parameters"),
                ("spec", "Spec"),
            )
        ),
    ),
    rows=(NOW, ACCURACY, PARITY, UPGRADES, THROUGHPUT),
    links={"loopbench-service": "loopbench / Service"},
)
