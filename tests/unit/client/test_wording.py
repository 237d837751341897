"""Errors speak of flags and their values, and not of methods and fields of the contract."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from typer.testing import Result

from loopbench.spec import RunError, RunSpec, RunState
from loopbench.v1 import benchmark_service_pb2 as service_pb2
from loopbench_client.cli.run_flags import flag_of
from loopbench_client.cli.wording import in_flags

Cli = Callable[..., Result]

# By a sentence of the contract.
SENTENCES = {
    "must be 1 with GRADIENT_TAPE; FIT and CUSTOM_TRAIN_STEP share batches": (
        "must be 1 with gradient-tape; fit and custom-train-step share batches"
    ),
    "if no other id begins so (ListRuns: filter.id_prefix)": "if no other id begins so",
    "List the devices of the server: loopbench info, or GetServerInfo.": (
        "List the devices of the server: loopbench info."
    ),
    "Submit the run again with a new request_id.": "Submit the run again.",
    "Retry with the same request_id.": "Retry with the same --request-id.",
    "a GPU is required": "a GPU is required",
    "the folder that LOOPBENCH_DATA_DIR names": "the folder that LOOPBENCH_DATA_DIR names",
    "/srv/DIGITS/x cannot be read": "/srv/DIGITS/x cannot be read",
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_has_the_words_of_the_command_line(sentence: str) -> None:
    assert in_flags(sentence) == SENTENCES[sentence]


# What a command sends by itself, and what no command sends.
WITHOUT_FLAG = {"detach", "page_size", "page_token", "spec", "filter", "first", "second"}
REQUESTS = ("TrainRequest", "ListRunsRequest", "GetRunRequest", "EvaluateRequest", "CompareRequest", "DiagnoseRequest")


def fields_of(name: str) -> dict[str, FieldDescriptor]:
    return dict(service_pb2.DESCRIPTOR.message_types_by_name[name].fields_by_name)


@pytest.mark.parametrize("request_name", REQUESTS)
def test_every_field_of_a_request_has_its_flag(request_name: str) -> None:
    for field in fields_of(request_name).keys() - WITHOUT_FLAG - {"verify"}:
        assert flag_of(field) != field, field


def test_every_field_of_a_filter_has_its_flag() -> None:
    (kind,) = {field.message_type for name, field in fields_of("ListRunsRequest").items() if name == "filter"}
    assert kind is not None
    for field in kind.fields:
        item = ".0" if field.is_repeated and field.message_type is None else ""
        place = flag_of(f"filter.{field.name}{item}")
        assert place.startswith("--") or place == "RUN_ID", field.name


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("compare",), "LABEL=RUN_ID,RUN_ID... or --spec: a comparison needs at least two"),
        (("compare", "--spec", "a: method=fit"), "LABEL=RUN_ID,RUN_ID... or --spec: a comparison needs at least two"),
        (("compare", "--file", "/"), "'/': cannot be read: Is a directory"),
        (("runs", "--seed", "-1"), "--seed: must be greater than or equal to 0"),
        (("train", "--name", "a\nb"), "--name: must be one line without control characters"),
    ],
)
def test_an_error_names_a_flag(words: tuple[str, ...], line: str, cli: Cli, service: Any) -> None:
    done = cli(*words)
    assert done.stderr.splitlines() == ["error: some values are not valid", f"  {line}"]
    assert not service.requests


@pytest.mark.parametrize("command", ["train", "runs"])
def test_a_bad_key_of_a_label_names_its_flag(command: str, cli: Cli, service: Any) -> None:
    done = cli(command, "--label", "A b=1")
    assert done.stderr.splitlines()[1].startswith("  --label: a key must have ")
    assert not service.requests


def test_a_stored_run_has_its_hint_in_these_words(cli: Cli, service: Any, make_served_run: Any) -> None:
    error = RunError(reason="RUN_CANCELLED", message="cancelled", hint="Submit the run again with a new request_id.")
    service.runs = [make_served_run(RunSpec(), id="r", state=RunState.CANCELLED, error=error, result=None)]
    assert "hint: Submit the run again." in cli("show", "r").stdout.splitlines()
