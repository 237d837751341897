"""Diverged runs in commands, claims and the report."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import Result

from loopbench import spec
from loopbench.spec import Comparison, Divergence, GroupSummary, Method, PairComparison, RunSpec, Verdict
from loopbench.sweep import LabelledSpec, Sweep
from loopbench_client.cli.commands.demo import findings
from loopbench_client.cli.comparisons import print_compared
from loopbench_client.cli.exit_codes import ExitCode
from loopbench_client.cli.live_table import Board, Lines
from loopbench_client.cli.sweeps import print_sweep, print_sweep_json
from loopbench_client.cli.verdicts import print_verdicts
from loopbench_client.comparing import Compared, Plan
from loopbench_client.comparing.claims import Claim, Row, check_claims
from loopbench_client.comparing.rules import better_than, figure, metric_right, overfits_more_than, same_as, up_to
from loopbench_client.report import write_report
from loopbench_client.sweeping.local import Attempt
from tests.support.reports import make_group, make_report, two_groups

Cli = Callable[..., Result]
WHERE = Divergence(epoch=2, step=17)


@pytest.fixture
def lost(make_served_run: Any) -> Callable[..., spec.Run]:
    """A run that diverged."""

    def make(wanted: RunSpec | None = None) -> spec.Run:
        run: spec.Run = make_served_run(wanted)
        final = spec.FinalMetrics(loss=math.nan, accuracy=0.105, correct=6_300, samples=60_000)
        return run.model_copy(
            update={"result": run.result.model_copy(update={"train": final, "diverged": WHERE})} if run.result else {}
        )

    return make


@pytest.fixture
def compared(make_served_run: Any, lost: Any) -> Compared:
    """Group a with one diverged seed of two, and group b with none."""
    runs = {
        "a": (make_served_run(RunSpec(seed=0)), lost(RunSpec(seed=1))),
        "b": (make_served_run(RunSpec(seed=0)), make_served_run(RunSpec(seed=1))),
    }
    groups = tuple(
        GroupSummary(
            label=label,
            run_ids=("r", "s"),
            seeds=(0, 1),
            train_accuracies=(0.9, 0.1),
            validation_accuracies=(0.9, 0.1),
            train_accuracy_mean=0.5,
            validation_accuracy_mean=0.5,
            diverged_seeds=seeds,
        )
        for label, seeds in (("a", (1,)), ("b", ()))
    )
    pair = PairComparison(
        first_label="a",
        second_label="b",
        verdict=Verdict.DIVERGED,
        difference=0.1234,
        paired=True,
        explanation="a diverged.",
    )
    comparison = Comparison(groups=groups, pairs=(pair,), margin=0.005, alpha=0.05)
    return Compared(dict.fromkeys(runs, RunSpec()), runs, comparison)


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.mark.parametrize("command", [("show", "RUN"), ("watch", "RUN")])
def test_a_run_is_marked_where_it_is_printed(cli: Cli, service: Any, lost: Any, command: tuple[str, ...]) -> None:
    run = lost()
    service.runs = [run]
    service.events = [spec.RunEvent(state=spec.RunState.SUCCEEDED, run=run)]
    done = cli(*(word.replace("RUN", run.id) for word in command))
    assert done.exit_code == ExitCode.SUCCESS
    assert "succeeded, diverged" in done.stdout
    assert "diverged epoch 2, step 17: weights or figures are NaN or infinite from there on" in " ".join(
        done.stdout.split()
    )


def test_the_list_of_runs_marks_them(cli: Cli, service: Any, lost: Any, make_served_run: Any) -> None:
    service.runs = [lost(), make_served_run()]
    states = [line.split()[1] for line in cli("runs").stdout.splitlines()[2:4]]
    assert states == ["diverged", "succeeded"]


@pytest.mark.parametrize("command", [("runs", "--json"), ("show", "RUN", "--json")])
def test_json_is_valid(cli: Cli, service: Any, lost: Any, command: tuple[str, ...]) -> None:
    service.runs = [lost()]
    done = cli(*(word.replace("RUN", service.runs[0].id) for word in command))
    read = json.loads(done.stdout, parse_constant=pytest.fail)
    (run,) = read.get("runs", [read])
    assert run["result"]["diverged"] == {"epoch": 2, "step": 17}
    assert run["result"]["train"]["loss"] == "NaN"


@pytest.mark.parametrize(
    ("require", "code"),
    [((), ExitCode.SUCCESS), (("--require", "identical"), 8), (("--require", "equivalent"), ExitCode.NOT_MET)],
)
def test_no_requirement_is_met(cli: Cli, service: Any, require: tuple[str, ...], code: int) -> None:
    service.verdict = Verdict.DIVERGED
    done = cli("compare", "a=r", "b=s", *require)
    assert done.exit_code == code
    assert "a and b: diverged." in done.stdout


def test_a_comparison_shows_how_many(compared: Compared, capsys: pytest.CaptureFixture[str]) -> None:
    print_compared(compared, {})
    header, first, second, sentence = lines(capsys.readouterr().out)
    assert header.startswith("group seeds diverged train validation")
    assert (first[:5], second[:5]) == ("a 2 1", "b 2 0")
    assert sentence == "a and b: diverged. a diverged."


def test_a_table_of_verdicts_gives_them_no_figure(compared: Compared, capsys: pytest.CaptureFixture[str]) -> None:
    assert compared.comparison is not None
    pairs = tuple(compared.comparison.pairs[0].model_copy(update={"second_label": other}) for other in "bcde")
    summaries = tuple(compared.comparison.groups[0].model_copy(update={"label": label}) for label in "abcde")
    print_verdicts(compared.comparison.model_copy(update={"pairs": pairs, "groups": summaries}))
    assert lines(capsys.readouterr().out)[1:] == [f"a {other} diverged" for other in "bcde"]


@pytest.mark.parametrize("label", ["a", "b"])
@pytest.mark.parametrize(
    "claim",
    [figure("train", "10.5"), up_to("5"), metric_right(), same_as("a"), better_than("a"), overfits_more_than("a")],
    ids=lambda claim: claim.words,
)
def test_claims_about_them_are_open(compared: Compared, claim: Claim, label: str) -> None:
    (outcome,) = check_claims([Row(label, RunSpec(), "", (claim,))], compared, comparable=True)
    if label == "b" and not claim.needs:
        assert outcome.holds is not None
    else:
        assert (outcome.holds, outcome.reason) == (None, "'a' diverged under 1 of 2 seeds")


def test_progress_of_a_comparison_says_so(lost: Any, make_served_run: Any) -> None:
    console = Console(width=200)
    plan = Plan(specs={"a": RunSpec()}, seeds=(0, 1))
    sound, bad = (job for job in plan.seeded("a"))
    jobs = dict.fromkeys((sound, bad), ("a",))
    board, line_output = Board(console, plan), Lines(console)
    with console.capture() as capture:
        for watcher in (board, line_output):
            watcher.begin(jobs, {})
            watcher.ended(sound, make_served_run(sound))
            watcher.ended(bad, lost(bad))
        console.print(board.render())
    text = capture.get()
    assert "2/2 a, seed 1: diverged at epoch 2, step 17, 10.50 % / 96.61 % in 12.5 s" in text
    # The mean covers only the other seed.
    assert lines(text)[-2] == "a 96.61 diverged 96.61 %"


def test_a_sweep_shows_them(lost: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    sweep = Sweep(name="s", specs=(LabelledSpec(label="a", spec=RunSpec()),), seeds=(0,))
    ended = {0: Attempt(index=sweep.index(0), number=1, code=0, final=True, run=lost(), run_id="5f0b1d9e-3f0c")}
    print_sweep(sweep, ended)
    assert lines(capsys.readouterr().out)[1].startswith("0 5f0b1d9e a 0 succeeded, diverged 10.50 %")
    print_sweep_json(sweep, ended)
    (index,) = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)["indices"]
    assert (index["state"], index["run"]["result"]["diverged"]["epoch"]) == ("succeeded", 2)


def test_a_demo_finds_nothing_in_their_weights(lost: Any, make_served_run: Any) -> None:
    mean, total = spec.Loss.MEAN_SQUARED_ERROR, spec.Loss.SUM_OF_SQUARES
    made = [
        make_served_run(RunSpec(loss=mean)),
        lost(RunSpec(loss=total)),
        lost(RunSpec(loss=total, method=Method.FIT)),
    ]
    first, second, *_ = findings(made)
    assert "bit-identical" in first
    assert second == "sum-of-squares: gradient-tape, fit diverged, so that the weights say nothing."


def test_the_report_says_where_and_draws_no_difference(tmp_path: Path) -> None:
    groups = two_groups() | {"lost": make_group(Method.FIT, (0.1, 0.1), losses=(0.5, math.nan), diverged=WHERE)}
    report = make_report(groups, Verdict.DIVERGED)
    source = write_report(tmp_path, report).read_text()
    assert "diverged: 2 of 2 seeds" in source
    assert source.count("diverged: epoch 2, step 17") == 2
    assert "Differences, in points" not in source
    assert source.count('class="cell diverged"') == 6
    assert "NaN or infinity: no evidence" in source
