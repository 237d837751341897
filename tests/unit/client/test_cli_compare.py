"""``loopbench compare`` on specs, against a fake server that follows the contract."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from rich.console import Console
from typer.testing import Result

from loopbench import spec, wire
from loopbench.spec import Dataset, Method, Progress, RunEvent, RunSpec, RunState, Sgd
from loopbench.v1 import analysis_pb2, run_pb2
from loopbench_client.cli.exit_codes import ExitCode
from loopbench_client.cli.live_table import MOST_COLUMNS, Board
from loopbench_client.cli.run_flags import PARAMETERS, SHARED_PARAMETERS
from loopbench_client.comparing import Failure, Plan
from tests.support.fake_service import RUN_ID

Cli = Callable[..., Result]
TWO = ("--spec", "tape: method=gradient-tape", "--spec", "fit: method=fit learning-rate=0.1")


@pytest.fixture(autouse=True)
def _keeps(service: Any) -> None:
    service.runs, service.keeps = [], True


def trained(service: Any) -> list[RunSpec]:
    return [wire.spec_from_wire(request.spec) for request in service.requests["Train"]]


def test_specs_may_share_every_flag_of_train_but_the_seed() -> None:
    assert {p.name for p in SHARED_PARAMETERS} == {p.name for p in PARAMETERS} - {"seed"}


def test_specs_from_flags(cli: Cli, service: Any) -> None:
    done = cli("compare", *TWO, "--dataset", "digits", "--optimizer-option", "momentum=0.5", "--seeds", "1")
    assert done.exit_code == ExitCode.SUCCESS
    shared = {"dataset": Dataset.DIGITS, "seed": 0}
    assert trained(service) == [
        RunSpec(method=Method.GRADIENT_TAPE, optimizer=Sgd(momentum=0.5), **shared),
        RunSpec(method=Method.FIT, optimizer=Sgd(learning_rate=0.1, momentum=0.5), **shared),
    ]
    # The service counts 80 %, the loops reported 91.79 %.
    columns, tape, *_ = (" ".join(line.split()) for line in done.stdout.splitlines())
    assert columns == "group seeds train validation the loop reported"
    assert tape == "tape 1 90.00 % 80.00 % 91.79 %"
    assert "tape and fit: identical. The digests are equal." in done.stdout


def test_a_line_for_each_ended_and_each_cached_run(cli: Cli) -> None:
    words = ("compare", *TWO, "--seeds", "2", "--seed", "7")
    assert cli(*words).stderr.splitlines() == [
        "found 0 of 4 runs on the server; training 4",
        f"run {RUN_ID}  tape, seed 7",
        "1/4 tape, seed 7: 96.86 % / 96.61 % in 12.5 s",
        f"run {RUN_ID}  fit, seed 7",
        "2/4 fit, seed 7: 96.86 % / 96.61 % in 12.5 s",
        f"run {RUN_ID}  tape, seed 8",
        "3/4 tape, seed 8: 96.86 % / 96.61 % in 12.5 s",
        f"run {RUN_ID}  fit, seed 8",
        "4/4 fit, seed 8: 96.86 % / 96.61 % in 12.5 s",
    ]
    assert cli(*words).stderr.splitlines() == ["found 4 of 4 runs on the server; training 0"]
    assert cli(*words, "--fresh").stderr.startswith("found 0 of 4 runs on the server; training 4")


def test_a_terminal_has_a_live_table(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    done = cli("compare", *TWO, "--seeds", "2")
    assert "4 of 4 runs done" in done.stderr
    assert "1/4 tape" not in done.stderr


def test_specs_from_a_file_with_flags_on_top(cli: Cli, service: Any, tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text("seeds: [3]\nmargin: 0.25\ndefaults: {epochs: 4}\nspecs: {a: {method: fit}, b: {loss: mse}}")
    done = cli("compare", "--file", str(file))
    assert (done.exit_code, "'plan.yaml', specs.b.loss: 'mse' is not one of" in done.stderr) == (2, True)
    file.write_text(file.read_text().replace("mse", "mean-squared-error"))
    assert cli("compare", "--file", str(file), "--spec", "c: seed").exit_code == ExitCode.BAD_INPUT
    assert not service.requests
    assert cli("compare", "--file", str(file), "--spec", "c:", "--epochs", "6").exit_code == ExitCode.SUCCESS
    assert [(run.method, run.epochs, run.seed) for run in trained(service)] == [
        (Method.FIT, 6, 3),
        (Method.GRADIENT_TAPE, 6, 3),
        (Method.GRADIENT_TAPE, 6, 3),
    ]
    assert service.requests["Compare"][0].margin == 0.25


def test_runs_and_specs_together(cli: Cli, service: Any, make_served_run: Any) -> None:
    service.runs = [make_served_run()]
    assert cli("compare", "old=1,2", "--spec", "new: method=fit", "--seeds", "1").exit_code == ExitCode.SUCCESS
    assert [group.label for group in service.requests["Compare"][0].groups] == ["old", "new"]


def test_a_note_names_what_differs_between_the_environments_of_the_runs(cli: Cli, service: Any) -> None:
    words = ("compare", *TWO, "--seeds", "1")
    assert "differ in" not in cli(*words).stdout
    service.environment = service.environment.model_copy(update={"source_revision": "abc"})
    done = cli(*words, "--spec", "step: method=custom-train-step")
    assert "The environments of the runs differ in: revision. That alone may change their weights." in done.stdout


@pytest.mark.parametrize(
    ("words", "complaints"),
    [
        ((), ["LABEL=RUN_ID,RUN_ID... or --spec: a comparison needs at least two"]),
        (("--preset", "article", "--file", "x.yaml"), ["--preset: cannot be given together with --file", "'x.yaml': "]),
        (("a=1", "b=2", "--epochs", "3", "--fresh", "--seeds", "2"), ["--epochs: is for", "--fresh: ", "--seeds: "]),
        (("nonsense", "b=", "=1"), ["group 'nonsense': is not of the form", "group 'b', run_ids: ", "group '', label"]),
        ((*TWO, "--method", "fit"), ["--method: has no effect: every spec has its own"]),
        ((*TWO, "--spec", "fit:"), ["spec 'fit': the label is given twice"]),
        ((*TWO, "--epochs", "0", "--margin", "2"), ["--epochs: must be", "--margin: must be"]),
        ((*TWO, "--optimizer-option", "x"), ["--optimizer-option x: is not of the form NAME=VALUE"]),
        ((*TWO, "--optimizer-option", "beta_1=0.5"), ["--optimizer-option beta_1: sgd has no such parameter"]),
        (("--spec", "optimizer.x: epochs=0", "--spec", "b:"), ["  spec 'optimizer.x', epochs: must be"]),
    ],
)
def test_one_error_names_every_field(words: tuple[str, ...], complaints: list[str], cli: Cli, service: Any) -> None:
    done = cli("compare", *words)
    assert done.exit_code == ExitCode.BAD_INPUT
    assert done.stderr.startswith("error: some values are not valid\n")
    assert [complaint for complaint in complaints if complaint not in done.stderr] == []
    assert (len(done.stderr.splitlines()), done.stdout) == (1 + len(complaints), "")
    assert not service.requests


def test_json_is_one_document(cli: Cli, service: Any, status: Any, info: Any) -> None:
    service.failures["Train"].append(status(grpc.StatusCode.ABORTED, "no", info("WORKER_DIED", run_id="r9")))
    done = cli("compare", *TWO, "--seeds", "2", "--json")
    assert done.exit_code == ExitCode.RUN_FAILED
    document = json.loads(done.stdout)
    (failure,) = document["failures"]
    assert (failure["labels"], failure["reason"], failure["runId"]) == (["tape"], "WORKER_DIED", "r9")
    assert json_format.ParseDict(failure["spec"], run_pb2.RunSpec()).seed == 0
    assert [len(runs) for runs in document["runs"].values()] == [1, 2]
    run = wire.run_from_wire(json_format.ParseDict(document["runs"]["fit"][0], run_pb2.Run()))
    assert run.spec.optimizer == Sgd(learning_rate=0.1)
    assert [*document["specs"]] == ["tape", "fit"]
    assert (document["claims"], document["reused"]) == ([], 0)
    # The comparison's fields are where `compare` of existing runs prints them.
    comparison = json_format.ParseDict(document, analysis_pb2.Comparison(), ignore_unknown_fields=True)
    assert [group.label for group in comparison.groups] == ["tape", "fit"]


def test_json_without_a_comparison_is_a_document_too(cli: Cli, service: Any, status: Any) -> None:
    service.failures["Train"] += [status(grpc.StatusCode.ABORTED, "no")] * 2
    done = cli("compare", *TWO, "--seeds", "1", "--json")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["groups"], document["pairs"]) == (ExitCode.RUN_FAILED, [], [])
    assert len(document["failures"]) == 2


def test_failures_are_listed_and_the_rest_is_compared(cli: Cli, service: Any, status: Any, info: Any) -> None:
    service.failures["Train"].append(
        status(grpc.StatusCode.ABORTED, "no luck\nat all", info("WORKER_DIED", run_id="r9"))
    )
    done = cli("compare", *TWO, "--seeds", "2", "--require", "identical")
    assert done.exit_code == ExitCode.RUN_FAILED
    assert "tape and fit: identical." in done.stdout
    assert done.stderr.splitlines()[1] == "1/4 tape, seed 0: failed, no luck"
    assert done.stderr.endswith("failed: tape, seed 0: no luck\nat all\n  run r9, reason WORKER_DIED\n")


def test_too_many_failures_leave_nothing_to_compare(cli: Cli, service: Any, status: Any) -> None:
    service.failures["Train"].append(status(grpc.StatusCode.ABORTED, "no luck"))
    done = cli("compare", *TWO, "--seeds", "1")
    assert (done.exit_code, done.stdout) == (ExitCode.RUN_FAILED, "")
    assert "nothing to compare: fewer than two groups have results" in done.stderr


@pytest.mark.parametrize(("verdict", "code"), [("EQUIVALENT", ExitCode.SUCCESS), ("DIFFERENT", ExitCode.NOT_MET)])
def test_the_exit_code_follows_the_verdict_on_specs(verdict: str, code: ExitCode, cli: Cli, service: Any) -> None:
    service.verdict = spec.Verdict(verdict)
    assert cli("compare", *TWO, "--seeds", "1", "--require", "equivalent").exit_code == code


def test_a_preset_is_trained_and_its_claims_are_printed(cli: Cli, service: Any) -> None:
    done = cli("compare", "--preset", "article", "--seeds", "1")
    assert done.exit_code == ExitCode.SUCCESS
    assert len(trained(service)) == 10
    assert "96.86 % / 96.61 %" in done.stdout
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    # The service says 90 % and 80 % of every group.
    assert "1 tape train 96.86 % no 90.00 % here, -6.86 points; 0.505 either way are allowed" in lines
    assert "4 fit the same as '1 tape' yes identical, +0.00 points; the margin is 0.5" in lines
    document = json.loads(cli("compare", "--preset", "article", "--seeds", "1", "--json").stdout)
    assert document["claims"][0] == {
        "label": "1 tape",
        "published": "96.86 % / 96.61 %",
        "claim": "train 96.86 %",
        "holds": False,
        "reason": "90.00 % here, -6.86 points; 0.505 either way are allowed",
    }


def test_a_report_of_a_preset_names_the_preset(cli: Cli, tmp_path: Path) -> None:
    done = cli("compare", "--preset", "article", "--seeds", "1", "--no-diagnose", "--report", str(tmp_path))
    assert "loopbench compare --preset article --report report" in (tmp_path / "index.html").read_text(), done.stderr


def test_a_preset_on_other_data_says_so(cli: Cli, service: Any) -> None:
    done = cli("compare", "--preset", "article", "--seeds", "1", "--dataset", "digits", "--epochs", "2")
    assert {(run.dataset, run.epochs) for run in trained(service)} == {(Dataset.DIGITS, 2)}
    said = "not comparable with the published figures: dataset, epochs are not as published"
    assert said in done.stdout.splitlines()


PLAN = Plan({"tape": RunSpec(), "fit": RunSpec(method=Method.FIT)}, (0, 1, 2))


def render_board(plan: Plan, make_served_run: Any) -> list[str]:
    """The live table with one cached, one completed, one failed, one running and one queued run."""
    console = Console(file=io.StringIO(), width=100)
    board = Board(console, plan)
    there, done, failed, under_way, waits, *_ = plan.jobs()
    board.begin(plan.jobs(), {there: make_served_run(there)})
    board.ended(done, make_served_run(done))
    board.ended(failed, Failure(failed, ("tape",), "WORKER_DIED", "no"))
    progress = Progress(epoch=3, epochs=10, step=1, steps_per_epoch=2)
    board.progress(under_way, RunEvent(state=RunState.RUNNING, progress=progress))
    board.progress(waits, RunEvent(state=RunState.QUEUED))
    board.progress(waits, RunEvent(state=RunState.SUCCEEDED, run=make_served_run(waits)))
    console.print(board.render())
    assert isinstance(console.file, io.StringIO)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_the_board_has_one_cell_per_run(make_served_run: Any) -> None:
    assert render_board(PLAN, make_served_run) == [
        "found 1 of 6 runs on the server; training 5",
        "seed 0 seed 1 seed 2 validation",
        "tape 96.61 failed queued 96.61 %",
        "fit 96.61 3/10 96.61 %",
        "3 of 6 runs done",
    ]


def test_the_board_counts_runs_of_many_seeds(make_served_run: Any) -> None:
    assert render_board(Plan(PLAN.specs, tuple(range(MOST_COLUMNS + 1))), make_served_run)[1:4] == [
        "done running queued failed validation",
        "tape 1 0 9 1 96.61 %",
        "fit 1 1 9 0 96.61 %",
    ]
