"""A client that knows nothing but the server's address: everything else it asks of reflection."""

from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


class Generic:
    """Calls any method of any service, with messages as JSON."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._database = ProtoReflectionDescriptorDatabase(channel)
        self._pool = DescriptorPool(self._database)

    def services(self) -> set[str]:
        return set(self._database.get_services())

    def call(self, service: str, method: str, request: dict[str, Any]) -> Any:
        """The answer as JSON, or an iterator of answers where the method streams them."""
        described = self._pool.FindServiceByName(service).methods_by_name[method]
        message = json_format.ParseDict(request, GetMessageClass(described.input_type)())
        kind: Any = self._channel.unary_stream if described.server_streaming else self._channel.unary_unary
        answered = kind(
            f"/{service}/{method}",
            request_serializer=lambda sent: sent.SerializeToString(),
            response_deserializer=GetMessageClass(described.output_type).FromString,
        )(message)
        if described.server_streaming:
            return map(json_format.MessageToDict, answered)
        return json_format.MessageToDict(answered)


@pytest.fixture
def generic(server: Any) -> Any:
    with grpc.insecure_channel(server.address) as channel:
        yield Generic(channel)


def test_generic_client_trains_watches_and_cancels(generic: Generic) -> None:
    service = "loopbench.v1.BenchmarkService"
    assert {service, "grpc.health.v1.Health"} <= generic.services()

    trained = generic.call(service, "Train", {"spec": {"dataset": "DATASET_DIGITS", "epochs": 2}})
    assert trained["state"] == "RUN_STATE_SUCCEEDED"
    assert trained["result"]["validation"]["samples"] == "359"
    watched = list(generic.call(service, "WatchRun", {"runId": trained["id"]}))
    assert [record["epoch"] for event in watched for record in event["epochs"]] == [1, 2]

    endless = {"dataset": "DATASET_DIGITS", "epochs": 1000, "execution": "EXECUTION_EAGER"}
    queued = generic.call(service, "Train", {"spec": endless, "detach": True})
    events = generic.call(service, "WatchRun", {"runId": queued["id"]})
    assert any("progress" in event for event in events)
    cancelled = generic.call(service, "CancelRun", {"runId": queued["id"]})
    assert cancelled["state"] == "RUN_STATE_CANCELLED"
    assert list(events)[-1]["run"]["error"]["reason"] == "RUN_CANCELLED"
