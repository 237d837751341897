"""``loopbench diagnose`` and ``compare --diagnose`` against a fake server that follows the contract."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from typer.testing import Result

from loopbench import wire
from loopbench.spec import Adam, Cause, Diagnosis, Loss, Method, RunSpec
from loopbench.v1 import analysis_pb2
from loopbench_client.cli.comparisons import print_diagnoses
from loopbench_client.cli.exit_codes import ExitCode
from tests.support.pages import Page

Cli = Callable[..., Result]
RUN_IDS = ("00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002")
TWO = ("--spec", "tape: method=gradient-tape", "--spec", "fit: method=fit")


def subjects(service: Any) -> list[Any]:
    (request,) = service.requests["Diagnose"]
    asked = wire.diagnosis_request_from_wire(request)
    return [asked.first.run_id or asked.first.spec, asked.second.run_id or asked.second.spec]


def test_runs_and_specs_are_diagnosed(cli: Cli, service: Any) -> None:
    done = cli(
        "diagnose", RUN_IDS[0], "method=fit loss=mean-squared-error beta_1=0.5", "--optimizer", "adam", "--seed", "7"
    )
    assert done.exit_code == ExitCode.SUCCESS
    fit = RunSpec(method=Method.FIT, loss=Loss.MEAN_SQUARED_ERROR, optimizer=Adam(beta_1=0.5), seed=7)
    assert subjects(service) == [RUN_IDS[0], fit]
    assert "1. t  [LOSS_REDUCTION]" in done.stdout
    (request,) = service.requests["Diagnose"]
    assert (request.verify, request.seeds) == (False, 3)


def test_a_note_names_what_differs_between_the_environments_of_two_runs(
    cli: Cli, service: Any, make_served_run: Any
) -> None:
    first, second = (make_served_run(id=run_id) for run_id in RUN_IDS)
    environment = first.result.environment.model_copy(update={"cpu_model": "another"})
    other = second.model_copy(update={"result": second.result.model_copy(update={"environment": environment})})
    note = "The environments of the runs differ in: processor. That alone may change their weights.\n"
    service.runs = [first, other]
    assert cli("diagnose", *RUN_IDS).stdout.endswith(note)
    service.runs = [first, second]
    assert "differ in" not in cli("diagnose", *RUN_IDS).stdout


def test_no_arguments_is_the_default_spec(cli: Cli, service: Any) -> None:
    assert cli("diagnose", "", "", "--epochs", "3", "--verify", "--seeds", "5").exit_code == ExitCode.SUCCESS
    assert subjects(service) == [RunSpec(epochs=3)] * 2
    (request,) = service.requests["Diagnose"]
    assert (request.verify, request.seeds) == (True, 5)


def test_json_is_the_diagnosis(cli: Cli) -> None:
    done = cli("diagnose", *RUN_IDS, "--json")
    message = json_format.Parse(done.stdout, analysis_pb2.Diagnosis())
    assert [cause.reason for cause in message.causes] == ["LOSS_REDUCTION"]


@pytest.mark.parametrize(
    ("words", "complaints"),
    [
        (("loss=mse", "methd=fit"), ["FIRST, loss: 'mse' is not one of", "SECOND, methd: there is no such name"]),
        (("epochs=0", "fit"), ["FIRST, epochs: must be greater", "SECOND, fit: is not of the form NAME=VALUE"]),
        (
            (*RUN_IDS, "--epochs", "3", "--seed", "7"),
            ["--epochs: has no effect: two runs have specs already", "--seed: has no effect"],
        ),
        ((*RUN_IDS, "--seeds", "9"), ["has no effect without --verify"]),
        (("seed=3", ""), ["FIRST, seed: the seeds are given for all specs together"]),
    ],
)
def test_one_error_names_every_field(words: tuple[str, ...], complaints: list[str], cli: Cli, service: Any) -> None:
    done = cli("diagnose", *words)
    assert done.exit_code == ExitCode.BAD_INPUT
    for complaint in complaints:
        assert complaint in done.stderr
    assert not service.requests["Diagnose"]


def test_a_bad_number_of_seeds_is_named(cli: Cli) -> None:
    done = cli("diagnose", *RUN_IDS, "--verify", "--seeds", "0")
    assert (done.exit_code, "--seeds" in done.stderr) == (ExitCode.BAD_INPUT, True)


def test_the_sides_of_a_diagnosis_are_described(cli: Cli) -> None:
    rest = "sum-of-squares sgd learning_rate=0.01 mnist 10 epochs batch 32 seed 0"
    assert f"\n\nfirst:  gradient-tape {rest}\nsecond: fit {rest}\n\n" in cli("diagnose", *RUN_IDS).stdout


def test_the_answer_comes_first_and_the_report_is_the_same_page(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "made" / "report.html"
    done = cli("diagnose", *RUN_IDS, "--report", str(path))
    assert (done.exit_code, done.stderr) == (ExitCode.SUCCESS, f"report: {path}\n")
    assert done.stdout.splitlines()[0] == "t: f."
    page = Page(path)
    rest = "sum-of-squares sgd learning_rate=0.01 mnist 10 epochs batch 32 seed 0"
    beginning = f"t: f. first gradient-tape {rest} second fit {rest} Causes 1. t LOSS_REDUCTION"
    assert beginning in page.text
    # The replay of both sides, as the server sent it.
    assert "Distance between the weights of the first side and the second side after each update" in page.text
    assert page.row("3. dropout") == "3. dropout first that differs 0.41"


def test_a_report_of_a_diagnosis_that_cannot_be_written_is_refused_first(
    cli: Cli, service: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    faults = {tmp_path: f"{tmp_path} is a folder, not a file"}
    faults[tmp_path / "file" / "report.html"] = f"{tmp_path / 'file'} is a file, not a folder"
    for path, fault in faults.items():
        done = cli("diagnose", *RUN_IDS, "--report", str(path))
        assert (done.exit_code, done.stderr.splitlines()[1]) == (ExitCode.BAD_INPUT, f"  --report: {fault}")
    assert not service.requests["Diagnose"]


@pytest.fixture
def _keeps(service: Any) -> None:
    service.runs, service.keeps = [], True


@pytest.mark.usefixtures("_keeps")
def test_a_comparison_is_diagnosed_where_asked(cli: Cli, service: Any) -> None:
    done = cli("compare", *TWO, "--seeds", "1", "--diagnose")
    assert "tape and fit: t" in done.stdout.splitlines()
    assert subjects(service) == ["run-0", "run-1"]
    printed = json.loads(cli("compare", *TWO, "--seeds", "1", "--diagnose", "--json").stdout)
    assert [(found["labels"], found["causes"][0]["reason"]) for found in printed["diagnoses"]] == [
        (["tape", "fit"], "LOSS_REDUCTION")
    ]


def test_a_difference_within_rounding_is_printed_as_no_cause(capsys: pytest.CaptureFixture[str]) -> None:
    compiled = Cause(reason="XLA", title="Only the first is compiled", evidence=(), consequence="", fix="")
    found = Diagnosis(causes=(), controls=())
    print_diagnoses({("a", "b"): found, ("a", "c"): found.model_copy(update={"rounding": (compiled,)})})
    assert capsys.readouterr().out.splitlines() == [
        "a and b: no difference above rounding was found",
        "a and c: no difference above rounding was found (within rounding: Only the first is compiled)",
    ]


@pytest.mark.usefixtures("_keeps")
def test_a_report_has_the_causes_and_the_command(cli: Cli, address: str, tmp_path: Path) -> None:
    done = cli("compare", *TWO, "--seeds", "1", "--report", str(tmp_path / "report"), "--server", address)
    page = tmp_path / "report" / "index.html"
    assert (done.exit_code, f"report: {page}" in done.stderr) == (ExitCode.SUCCESS, True)
    text = page.read_text()
    for words in ("LOSS_REDUCTION", "loopbench compare --file plan.yaml --report report</code>", "tape · fit"):
        assert words in text
    # Who repeats it has neither this server nor this folder.
    for words in (address, str(tmp_path), "--preset"):
        assert words not in text


@pytest.mark.usefixtures("_keeps")
def test_a_report_says_why_there_is_no_diagnosis(cli: Cli, service: Any, status: Any, tmp_path: Path) -> None:
    service.failures["Diagnose"].append(status(grpc.StatusCode.UNIMPLEMENTED, "not here"))
    done = cli("compare", *TWO, "--seeds", "1", "--report", str(tmp_path))
    assert (done.exit_code, "not diagnosed: not here" in done.stdout) == (ExitCode.SUCCESS, True)
    assert "not diagnosed: not here" in (tmp_path / "index.html").read_text()


@pytest.mark.usefixtures("_keeps")
def test_a_report_can_omit_the_diagnosis(cli: Cli, service: Any, tmp_path: Path) -> None:
    assert cli("compare", *TWO, "--seeds", "1", "--no-diagnose", "--report", str(tmp_path)).exit_code == 0
    assert not service.requests["Diagnose"]


@pytest.mark.usefixtures("_keeps")
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_trained(
    cli: Cli, service: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "old" / "index.html").mkdir(parents=True)
    faults = {tmp_path / "file" / "report": f"{tmp_path / 'file'} is a file, not a folder"}
    faults[tmp_path / "old"] = f"{tmp_path / 'old' / 'index.html'} is a folder, not a file"
    for folder, fault in faults.items():
        done = cli("compare", *TWO, "--report", str(folder))
        assert (done.exit_code, done.stderr.splitlines()[1]) == (ExitCode.BAD_INPUT, f"  --report: {fault}")
    assert not service.requests["Train"]
