"""Requests that the service refuses before any other call."""

import uuid

import pytest

from loopbench.spec import InvalidFieldsError, Naming, RunSpec
from loopbench.v1 import benchmark_service_pb2 as pb
from loopbench.v1 import run_pb2
from loopbench_server.rpc.servicer import parse_page_size, parse_run_id, parse_train_request, parse_uuid

ID = "5f0b1d9e-3f0c-4c3e-9a61-0d6f1f0a7b11"


@pytest.mark.parametrize("given", [ID, ID.upper()])
def test_a_uuid_takes_its_usual_form(given: str) -> None:
    assert parse_uuid("run_id", given) == ID


@pytest.mark.parametrize(
    "given",
    [
        *("", "1", f"{ID}0", f"{ID}\n", ID.replace("5", "g"), ID.replace("5", "\N{ARABIC-INDIC DIGIT FIVE}")),
        # Forms that Python's UUID accepts.
        *(ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}", f"-{ID.replace('-', '')}---"),
    ],
)
def test_an_invalid_uuid_is_refused_by_its_field(given: str) -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        parse_uuid("run_id", given)
    assert [violation.field for violation in caught.value.violations] == ["run_id"]


def test_the_beginning_of_a_run_id_is_offered_but_not_that_of_a_request_id() -> None:
    offered = {}
    for parse in (
        lambda: parse_run_id(pb.GetRunRequest(run_id="5f0b1d9e")),
        lambda: parse_train_request(pb.TrainRequest(spec=run_pb2.RunSpec(), request_id="5f0b1d9e")),
    ):
        with pytest.raises(InvalidFieldsError) as caught:
            parse()
        (fault,) = caught.value.violations
        offered[fault.field] = "commands also accept its beginning" in fault.description
    assert offered == {"run_id": True, "request_id": False}


def test_a_request_to_train() -> None:
    request = pb.TrainRequest(spec=run_pb2.RunSpec(epochs=3), request_id=ID.upper())
    assert parse_train_request(request) == (RunSpec(epochs=3), ID, Naming())


def test_a_request_with_a_name_and_labels() -> None:
    request = pb.TrainRequest(request_id=ID, name="größer", labels={"study": "7"})
    assert parse_train_request(request)[2] == Naming(name="größer", labels={"study": "7"})


def test_a_request_without_an_id_gets_a_new_one() -> None:
    ids = [parse_train_request(pb.TrainRequest())[1] for _ in range(2)]
    assert ids == [str(uuid.UUID(given)) for given in ids]
    assert ids[0] != ids[1]


def test_all_violations_of_a_request_are_named() -> None:
    request = pb.TrainRequest(spec=run_pb2.RunSpec(epochs=0, batch_size=0), request_id="no", name="a\nb")
    with pytest.raises(InvalidFieldsError) as caught:
        parse_train_request(request)
    assert [violation.field for violation in caught.value.violations] == [
        "spec.epochs",
        "spec.batch_size",
        "request_id",
        "name",
    ]


@pytest.mark.parametrize(("given", "size"), [(0, 50), (1, 1), (1_000, 1_000), (1_001, 1_000), (2**31 - 1, 1_000)])
def test_sizes_of_a_page(given: int, size: int) -> None:
    assert parse_page_size(given) == size


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        parse_page_size(-1)
    assert [violation.field for violation in caught.value.violations] == ["page_size"]
