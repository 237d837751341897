"""``loopbench train`` against a fake server that follows the contract."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import json_format
from typer.testing import CliRunner, Result

from loopbench import spec, wire
from loopbench.spec.normalization import spec_digest
from loopbench.v1 import run_pb2
from loopbench_client.cli import app
from loopbench_client.cli.exit_codes import ExitCode
from loopbench_client.cli.run_flags import HELP, PARAMETER_FLAGS, PARAMETERS, flag_of

FULL_SPEC = spec.RunSpec(
    method=spec.Method.CUSTOM_TRAIN_STEP,
    loss=spec.Loss.SUM_OF_SQUARES_FIXED_BATCH,
    optimizer=spec.Sgd(learning_rate=0.1, momentum=0.9, nesterov=True),
    dataset=spec.Dataset.DIGITS,
    epochs=3,
    batch_size=16,
    seed=7,
    shuffle_buffer=0,
    device=spec.Device.CPU,
    execution=spec.Execution.XLA,
    steps_per_execution=5,
    accuracy_metric=spec.AccuracyMetric.CATEGORICAL_ON_LABELS,
    loss_aggregation=spec.LossAggregation.LAST_BATCH,
    tensorboard=True,
    network=spec.Cnn(filters=(8, 4), dropout=0.5),
)
FULL_FLAGS = [
    "--method=custom-train-step",
    "--loss=sum-of-squares-fixed-batch",
    "--optimizer=sgd",
    "--learning-rate=0.1",
    "--optimizer-option=momentum=0.9",
    "--optimizer-option=nesterov=true",
    "--dataset=digits",
    "--epochs=3",
    "--batch-size=16",
    "--seed=7",
    "--shuffle-buffer=0",
    "--device=cpu",
    "--execution=xla",
    "--steps-per-execution=5",
    "--accuracy-metric=categorical-on-labels",
    "--loss-aggregation=last-batch",
    "--tensorboard",
    "--network=cnn",
    "--network-option=filters=8,4",
    "--network-option=dropout=0.5",
]

Cli = Callable[..., Result]


def test_every_field_of_a_spec_has_a_flag() -> None:
    assert {p.name for p in PARAMETERS} == spec.RunSpec.model_fields.keys() | {
        flag for flags in PARAMETER_FLAGS.values() for flag in flags
    }
    assert HELP.keys() == spec.RunSpec.model_fields.keys()


def test_train_sends_every_flag(cli: Cli, service: Any) -> None:
    assert cli("train", *FULL_FLAGS, "--request-id", "mine").exit_code == ExitCode.SUCCESS
    (request,) = service.requests["Train"]
    assert wire.spec_from_wire(request.spec) == FULL_SPEC
    assert request.request_id == "mine"


def test_train_without_flags_is_the_default_spec(cli: Cli, service: Any) -> None:
    assert cli("train").exit_code == ExitCode.SUCCESS
    (request,) = service.requests["Train"]
    assert wire.spec_from_wire(request.spec) == spec.RunSpec()


@pytest.mark.parametrize("kind", spec.OPTIMIZERS)
def test_every_optimizer_can_be_chosen(kind: str, cli: Cli, service: Any) -> None:
    assert cli("train", "--optimizer", kind).exit_code == ExitCode.SUCCESS
    (request,) = service.requests["Train"]
    assert wire.spec_from_wire(request.spec).optimizer == spec.OPTIMIZERS[kind]()


def test_train_prints_final_and_reported_metrics(cli: Cli) -> None:
    output = cli("train", "--method", "fit", "--seed", "3").stdout
    for expected in ("96.86 %", "96.61 %", "91.79 %", "fit sum-of-squares sgd", "seed 3", "18,750 updates in 12.5 s"):
        assert expected in output
    assert "weights digest" in output
    assert f"spec digest     {spec_digest(spec.RunSpec(method=spec.Method.FIT))}" in output


def test_train_json_is_the_run_and_nothing_else(cli: Cli) -> None:
    done = cli("train", *FULL_FLAGS, "--json")
    run = wire.run_from_wire(json_format.Parse(done.stdout, run_pb2.Run()))
    assert run.spec == FULL_SPEC
    assert done.stderr.startswith(f"run {run.id}  custom-train-step\n")
    # JSON includes a field without presence even at its default.
    assert json.loads(done.stdout)["result"]["tensorboardDir"] == ""


def test_train_detached_returns_the_queued_run(cli: Cli, service: Any) -> None:
    done = cli("train", "--detach", "--json")
    assert json_format.Parse(done.stdout, run_pb2.Run()).state == run_pb2.RUN_STATE_QUEUED
    assert service.requests["Train"][0].detach


def test_detach_needs_a_server_that_stays() -> None:
    done = CliRunner().invoke(app, ["train", "--detach"], env={"LOOPBENCH_SERVER": ""})
    assert done.exit_code == ExitCode.BAD_INPUT
    assert "--server" in done.stderr


def test_bad_values_are_named_by_their_flags(cli: Cli, service: Any) -> None:
    done = cli("train", "--epochs", "0", "--batch-size", "-1", "--learning-rate", "-1", "--optimizer-option", "rho=x")
    assert done.exit_code == ExitCode.BAD_INPUT
    for fault in ("--optimizer-option rho: sgd has no such parameter", "--epochs", "--batch-size", "--learning-rate"):
        assert f"\n  {fault}" in done.stderr
    done = cli("train", "--epochs", "0", "--learning-rate", "-1", "--optimizer-option", "momentum=2")
    assert done.exit_code == ExitCode.BAD_INPUT
    for flag in ("--epochs", "--learning-rate", "--optimizer-option momentum"):
        assert f"  {flag}: Input should be" in done.stderr
    assert not service.requests


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("momentum", "is not of the form NAME=VALUE"),
        ("beta_1=0.5", "sgd has no such parameter; it has clipnorm,"),
        ("learning_rate=0.5", "is given twice"),
        ("kind=adam", "sgd has no such parameter"),
    ],
)
def test_a_bad_optimizer_option(option: str, complaint: str, cli: Cli) -> None:
    done = cli("train", "--learning-rate", "0.1", "--optimizer-option", option)
    assert done.exit_code == ExitCode.BAD_INPUT
    assert (
        f"--optimizer-option {option.partition('=')[0]}: {complaint}".replace(
            "--optimizer-option learning_rate", "--learning-rate"
        )
        in done.stderr
    )


def test_an_unknown_choice_lists_the_choices(cli: Cli) -> None:
    done = cli("train", "--method", "magic")
    assert done.exit_code == ExitCode.BAD_INPUT
    assert "'magic' is not one of gradient-tape, fit, custom-train-step." in done.stderr


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("--metod", "fit"), "(Possible options: --method)"),
        (("--lr=0.1",), "(Possible options: --learning-rate)"),
        (("--loss", "mse"), "did you mean mean-squared-error?"),
        (("--optimizer-option", "momentun=0.9"), "did you mean momentum?"),
    ],
)
def test_a_misspelled_word_gets_a_suggestion(words: tuple[str, ...], meant: str, cli: Cli) -> None:
    done = cli("train", *words)
    assert done.exit_code == ExitCode.BAD_INPUT
    assert meant in done.stderr


def test_a_flag_like_no_other_gets_no_suggestion(cli: Cli) -> None:
    assert cli("train", "--xyzzy", "1").stderr.endswith("No such option: --xyzzy\n")


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("run_id", "RUN_ID"),
        ("request_id", "--request-id"),
        ("labels.study", "--label study"),
        ("second.run_id", "SECOND"),
        ("groups.1.run_ids.0", "group 2"),
        ("page_size", "page_size"),
    ],
)
def test_a_field_outside_the_spec_has_its_place_on_the_command_line(field: str, place: str) -> None:
    assert flag_of(field) == place


def test_a_field_of_the_spec_has_its_flag() -> None:
    assert flag_of("spec.steps_per_execution") == "--steps-per-execution"
