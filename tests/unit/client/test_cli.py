"""The command line against a fake server that follows the contract."""

import json
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2
from typer.testing import CliRunner, Result

from loopbench import spec, wire
from loopbench.spec import Verdict
from loopbench.v1 import analysis_pb2, benchmark_service_pb2, run_pb2
from loopbench_client import errors
from loopbench_client.cli import app
from loopbench_client.cli.exit_codes import EXIT_CODES, MEANINGS, ExitCode

RUN_ID = "5f0b1d9e-3f0c-4c3e-9a61-0d6f1f0a7b11"
Cli = Callable[..., Result]


@pytest.mark.parametrize(
    "code", [code for code in grpc.StatusCode if code != grpc.StatusCode.OK], ids=lambda code: code.name
)
def test_a_failed_call_gives_a_message_and_an_exit_code(
    code: grpc.StatusCode, cli: Cli, service: Any, status: Any
) -> None:
    service.failures["DeleteRun"].append(status(code, "such is [life]"))
    done = cli("delete", "x")
    expected = {
        "NOT_FOUND": ExitCode.NOT_FOUND,
        "INVALID_ARGUMENT": ExitCode.BAD_INPUT,
        "OUT_OF_RANGE": ExitCode.BAD_INPUT,
        "UNAVAILABLE": ExitCode.UNAVAILABLE,
        "UNIMPLEMENTED": ExitCode.UNSUPPORTED,
        "DEADLINE_EXCEEDED": ExitCode.DEADLINE,
        "RESOURCE_EXHAUSTED": ExitCode.REFUSED,
        "FAILED_PRECONDITION": ExitCode.REFUSED,
        "ALREADY_EXISTS": ExitCode.REFUSED,
        "UNAUTHENTICATED": ExitCode.NO_ACCESS,
        "PERMISSION_DENIED": ExitCode.NO_ACCESS,
    }
    assert done.exit_code == expected.get(code.name, ExitCode.RUN_FAILED)
    assert done.stderr.startswith("error: ")
    assert "such is [life]" in done.stderr
    assert done.stdout == ""


def test_every_error_has_an_exit_code_and_every_code_a_meaning() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert EXIT_CODES.keys() == kinds
    assert MEANINGS.keys() == set(ExitCode)


def test_the_servers_violations_and_hint_are_shown(cli: Cli, service: Any, status: Any, info: Any) -> None:
    violation = error_details_pb2.BadRequest.FieldViolation(field="spec.seed", description="is odd")
    bad = error_details_pb2.BadRequest(field_violations=[violation])
    code = grpc.StatusCode.INVALID_ARGUMENT
    service.failures["Train"].append(status(code, "bad", bad, info("INVALID_FIELDS", hint="be even")))
    assert cli("train").stderr.splitlines() == ["error: bad", "  --seed: is odd", "hint: be even"]


def test_a_failed_run_is_named(cli: Cli, service: Any, status: Any, info: Any) -> None:
    service.end = status(grpc.StatusCode.ABORTED, "out of memory", info("WORKER_DIED", run_id="r9"))
    done = cli("train")
    assert done.exit_code == ExitCode.RUN_FAILED
    assert done.stderr.splitlines()[-2:] == ["error: the run failed: out of memory", "  run r9, reason WORKER_DIED"]


def test_a_server_without_compare_is_a_clear_error(cli: Cli, service: Any, status: Any) -> None:
    service.failures["Compare"].append(status(grpc.StatusCode.UNIMPLEMENTED, "Compare"))
    done = cli("compare", "a=1", "b=2")
    assert done.exit_code == ExitCode.UNSUPPORTED
    assert done.stderr.splitlines() == [
        "error: this server does not support it: Compare",
        "hint: use the server's version of loopbench",
    ]


def test_compare_prints_groups_and_verdicts(cli: Cli, service: Any) -> None:
    done = cli("compare", "[bold]=1,2", "fit=3", "--margin", "0.01")
    assert "[bold] and fit: identical. The digests are equal." in done.stdout
    assert "80.00 %" in done.stdout
    assert service.requests["Compare"][0].margin == 0.01
    done = cli("compare", "a=1", "b=3", "--json")
    assert json_format.Parse(done.stdout, analysis_pb2.Comparison()).pairs[0].first_label == "a"


@pytest.mark.parametrize(
    ("verdict", "requirement", "code"),
    [
        (Verdict.IDENTICAL, "identical", ExitCode.SUCCESS),
        (Verdict.IDENTICAL, "equivalent", ExitCode.SUCCESS),
        (Verdict.EQUIVALENT, "identical", ExitCode.NOT_MET),
        (Verdict.EQUIVALENT, "equivalent", ExitCode.SUCCESS),
        (Verdict.DIFFERENT, "equivalent", ExitCode.NOT_MET),
        (Verdict.INCONCLUSIVE, "equivalent", ExitCode.NOT_MET),
    ],
)
def test_the_exit_code_follows_the_verdict(
    cli: Cli, service: Any, verdict: Verdict, requirement: str, code: ExitCode
) -> None:
    service.verdict = verdict
    assert cli("compare", "a=1", "b=2", "--require", requirement, "--json").exit_code == code


@pytest.mark.parametrize("group", ["nonsense", "=1", "a="])
def test_compare_refuses_an_invalid_group(group: str, cli: Cli, service: Any) -> None:
    assert cli("compare", group, "b=2").exit_code == ExitCode.BAD_INPUT
    assert not service.requests


def test_evaluate(cli: Cli, service: Any) -> None:
    output = cli("evaluate", "x", "--method", "fit", "--accuracy-metric", "argmax").stdout
    assert "fit sum-of-squares argmax" in output
    assert "96.61 %" in output
    request = service.requests["Evaluate"][0]
    assert (request.run_id, request.method, request.accuracy_metric) == (
        "x",
        run_pb2.METHOD_FIT,
        run_pb2.ACCURACY_METRIC_ARGMAX,
    )
    done = cli("evaluate", "x", "--json")
    assert json_format.Parse(done.stdout, benchmark_service_pb2.EvaluateResponse()).validation.correct == 9_661


def test_runs_filters_and_limits(cli: Cli, service: Any, make_served_run: Any) -> None:
    service.runs = [make_served_run(id=f"run-{number}") for number in range(5)]
    words = [
        "--state",
        "succeeded",
        "--method",
        "fit",
        "--method",
        "gradient-tape",
        "--loss",
        "sum-of-squares",
        "--dataset",
        "digits",
    ]
    done = cli("runs", *words, "--optimizer", "adamw", "--seed", "1", "--limit", "2")
    expected = spec.RunFilter(
        states=(spec.RunState.SUCCEEDED,),
        methods=(spec.Method.FIT, spec.Method.GRADIENT_TAPE),
        losses=(spec.Loss.SUM_OF_SQUARES,),
        datasets=(spec.Dataset.DIGITS,),
        optimizers=("adamw",),
        seeds=(1,),
    )
    assert wire.filter_from_wire(service.requests["ListRuns"][0].filter) == expected
    assert "run-1" in done.stdout
    assert "run-2" not in done.stdout


def test_runs_json_is_a_page(cli: Cli, service: Any, make_served_run: Any) -> None:
    service.runs = [make_served_run(id=str(number)) for number in range(60)]
    page = json_format.Parse(cli("runs", "--limit", "55", "--json").stdout, benchmark_service_pb2.ListRunsResponse())
    assert [run.id for run in page.runs] == [str(number) for number in range(55)]


def test_show_has_the_history(cli: Cli) -> None:
    output = cli("show", "x").stdout
    assert "30,000" in output
    assert "validation accuracy" in output
    assert json_format.Parse(cli("show", "x", "--json").stdout, run_pb2.Run()).id == RUN_ID


def test_watch_follows_to_the_end(cli: Cli) -> None:
    done = cli("watch", "x")
    assert done.exit_code == ExitCode.SUCCESS
    assert done.stderr.splitlines() == [
        f"run {RUN_ID}  x",
        "queued, 1 ahead",
        "epoch 1/10  9 examples/s  0:00:07 left",
    ]


def test_watch_json_is_an_event_a_line(cli: Cli, service: Any) -> None:
    lines = cli("watch", "x", "--json").stdout.splitlines()
    parse = json_format.Parse
    events = [wire.event_from_wire(parse(line, benchmark_service_pb2.WatchRunResponse())) for line in lines]
    assert events == service.events


def test_watching_a_run_that_fails_is_a_failure(cli: Cli, service: Any, make_served_run: Any) -> None:
    error = spec.RunError(reason="WORKER_DIED", message="out of memory")
    failed = make_served_run(state=spec.RunState.FAILED, result=None, error=error)
    service.events = [spec.RunEvent(state=spec.RunState.FAILED, run=failed)]
    done = cli("watch", "x")
    assert done.exit_code == ExitCode.RUN_FAILED
    assert "WORKER_DIED: out of memory" in done.stdout


def test_cancel_and_delete(cli: Cli) -> None:
    assert cli("cancel", "x").stdout == f"run {RUN_ID}  cancelled\n"
    assert json.loads(cli("cancel", "x", "--json").stdout)["state"] == "RUN_STATE_CANCELLED"
    assert cli("delete", "x").stdout == "run x  deleted\n"
    assert json.loads(cli("delete", "x", "--json").stdout) == {"deleted": ["x"]}


def test_info(cli: Cli) -> None:
    output = cli("info").stdout
    assert "digits, 1,438 + 359 samples, there" in output
    assert "gradient-tape fit custom-train-step" in output
    info = json_format.Parse(cli("info", "--json").stdout, benchmark_service_pb2.ServerInfo())
    assert info.versions["tensorflow"] == "2.21.0"


def test_demo_trains_three_methods_under_two_losses(cli: Cli, service: Any) -> None:
    done = cli("demo", "--epochs", "2", "--seed", "5")
    specs = [wire.spec_from_wire(request.spec) for request in service.requests["Train"]]
    assert {(run.method, run.loss) for run in specs} == {
        (method, loss) for method in spec.Method for loss in (spec.Loss.MEAN_SQUARED_ERROR, spec.Loss.SUM_OF_SQUARES)
    }
    assert {(run.dataset, run.epochs, run.seed, run.optimizer) for run in specs} == {
        (spec.Dataset.DIGITS, 2, 5, spec.Sgd(learning_rate=0.01))
    }
    assert done.exit_code == ExitCode.SUCCESS
    assert done.stdout.startswith("dataset digits, 2 epochs, seed 5, SGD with learning rate 0.01\n")
    for loss in ("mean-squared-error", "sum-of-squares"):
        agreement = "the weights of gradient-tape, fit, custom-train-step are bit-identical."
        assert f"{loss}: {agreement}" in done.stdout
    assert "+0.00 points" in done.stdout


def test_demo_says_so_when_the_weights_differ(cli: Cli, service: Any) -> None:
    service.digest = lambda run: "f" * 64 if run.method is spec.Method.FIT else "a" * 64
    output = cli("demo").stdout
    assert "sum-of-squares: the weights of gradient-tape, custom-train-step | fit differ." in output
    assert "bit-identical" not in output


def test_demo_json_and_failure(cli: Cli, service: Any, status: Any, info: Any) -> None:
    done = cli("demo", "--json")
    assert len(json_format.Parse(done.stdout, benchmark_service_pb2.ListRunsResponse()).runs) == 6
    assert done.stderr.startswith(f"run {RUN_ID}  1/6 gradient-tape, mean-squared-error\n")
    service.end = status(grpc.StatusCode.ABORTED, "no", info("WORKER_DIED"))
    assert cli("demo").exit_code == ExitCode.RUN_FAILED


def test_version_and_help() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout.startswith("loopbench 0.")
    output = " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).stdout.split())
    for code, meaning in MEANINGS.items():
        assert f"{code.value} {meaning}" in output
