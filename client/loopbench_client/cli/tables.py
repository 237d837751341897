"""Runs as people read them."""

import math
from collections.abc import Collection, Iterable

from loopbench.spec import EpochRecord, Evaluation, FinalMetrics, ReportedMetrics, Result, Run
from loopbench.spec.normalization import spec_digest
from loopbench.text import counted, describe_spec, kebab
from loopbench_client.cli.output import out, percent
from loopbench_client.cli.plain_table import PlainTable
from loopbench_client.cli.wording import in_flags
from loopbench_client.run_columns import labels_text, misreported, run_seconds

DIGEST_DIGITS = 12
LEAST_POINTS = 0.005
NO_EVIDENCE = "weights or figures are NaN or infinite from there on, and the digest is no evidence"


def table(*columns: str, rows: Iterable[Iterable[str]], words: int = 1, wrapping: Collection[str] = ()) -> PlainTable:
    """A plain table, whose first columns hold words, as those in ``wrapping`` do; the others hold figures."""
    numbers = [number for number, column in enumerate(columns) if number < words or column in wrapping]
    return PlainTable(columns, rows, numbers)


def figures(
    title: str, train: FinalMetrics | ReportedMetrics, validation: FinalMetrics | ReportedMetrics
) -> list[tuple[str, str, str]]:
    """Rows of accuracy and loss, train and validation."""
    return [
        (f"{title} accuracy", percent(train.accuracy), percent(validation.accuracy)),
        (f"{title} loss", f"{train.loss:.6f}", f"{validation.loss:.6f}"),
    ]


def print_figures(found: Result | Evaluation) -> None:
    """What was counted beside what the loop's own accuracy metric said."""
    rows = figures("final", found.train, found.validation)
    rows += figures("reported", found.reported_train, found.reported_validation)
    out().print(table("", "train", "validation", rows=rows))


def seconds(run: Run) -> float:
    """Wall time from the start of the run's process to its end; 0 for a run that never started."""
    return run_seconds(run) or 0.0


def state_of(run: Run) -> str:
    """The state, and whether the run diverged."""
    return f"{kebab(run.state)}, diverged" if run.result and run.result.diverged else kebab(run.state)


# Fields of a spec besides the defaults by which a loop misreports, with what they do.
REPORTING = ("accuracy_metric", "loss_aggregation")


def describe_misreport(run: Run) -> str:
    """By how much the validation metrics that the loop reported differ from the final ones, and where to look."""
    assert run.result is not None, "only a result misreports"
    final, reported = run.result.validation, run.result.reported_validation
    points = 100 * (reported.accuracy - final.accuracy)
    accuracy = f"accuracy {points:+.2f} points" if abs(points) >= LEAST_POINTS else ""
    loss = (
        f"loss {reported.loss - final.loss:+.6f}" if not math.isclose(reported.loss, final.loss, rel_tol=1e-4) else ""
    )
    figures = ", ".join(filter(None, (accuracy, loss)))
    set_otherwise = run.spec.model_dump(mode="json", exclude_defaults=True, include=set(REPORTING))
    cause = " and ".join(f"{kebab(name)} {kebab(value)}" for name, value in set_otherwise.items())
    why = f"because of {cause}" if cause else "and its settings do not say why"
    return f"! the loop misreports its validation, {figures}, {why}; the final metrics are right"


def print_run(run: Run) -> None:
    """The spec, the state and what came of it."""
    console = out()
    console.print(f"run {run.id}  {state_of(run)}", soft_wrap=True)
    for title, text in (("name", run.name), ("labels", labels_text(run))):
        if text:
            console.print(f"{title} {text}", soft_wrap=True)
    console.print(describe_spec(run.spec), soft_wrap=True)
    if run.error is not None:
        console.print(f"{run.error.reason}: {run.error.message}", soft_wrap=True)
        if run.error.hint:
            console.print(f"hint: {in_flags(run.error.hint)}", soft_wrap=True)
    if run.result is not None:
        print_figures(run.result)
        if misreported(run):
            console.print(describe_misreport(run), soft_wrap=True)
        if run.result.diverged is not None:
            console.print(f"diverged        {run.result.diverged}: {NO_EVIDENCE}", soft_wrap=True)
        console.print(f"weights digest  {run.result.weights_digest}", soft_wrap=True)
        console.print(f"spec digest     {spec_digest(run.spec)}", soft_wrap=True)
        for note in run.result.notes:
            console.print(f"note            {note}", soft_wrap=True)
        console.print(f"{counted(run.result.updates, 'update')} in {seconds(run):.1f} s", soft_wrap=True)


def history_table(history: Iterable[EpochRecord]) -> PlainTable:
    """Epoch by epoch, as the loop reported it."""
    columns = ("epoch", "train loss", "train accuracy", "validation loss", "validation accuracy", "s", "examples/s")
    rows = [
        (
            str(record.epoch),
            f"{record.train.loss:.6f}",
            percent(record.train.accuracy),
            f"{record.validation.loss:.6f}",
            percent(record.validation.accuracy),
            f"{record.train_seconds:.2f}",
            f"{record.examples_per_second:,.0f}",
        )
        for record in history
    ]
    return table(*columns, rows=rows)
