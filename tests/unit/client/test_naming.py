"""Names, labels, beginnings of ids and weights, through both clients."""

import hashlib
import io
import struct
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest

from loopbench import spec
from loopbench_client import AsyncClient, Client, errors
from tests.support.fake_service import make_result

IDS = ("aaaa1111-0000-4000-8000-000000000001", "aaaa2222-0000-4000-8000-000000000002")


@pytest.fixture(params=["plain", "asyncio"])
async def call(request: pytest.FixtureRequest, address: str) -> Any:
    """Calls a method of either client by its name."""
    if request.param == "plain":
        with Client(address) as client:

            async def plain(name: str, /, *args: Any, **named: Any) -> Any:
                return getattr(client, name)(*args, **named)

            yield plain
        return
    async with AsyncClient(address) as async_client:

        async def of_loop(name: str, /, *args: Any, **named: Any) -> Any:
            return await getattr(async_client, name)(*args, **named)

        yield of_loop


async def test_a_run_gets_its_name_and_labels(call: Callable[..., Any]) -> None:
    run = await call("train", spec.RunSpec(), name="base", labels={"study": "7"})
    assert (run.name, run.labels) == ("base", {"study": "7"})


async def test_bad_labels_are_refused_before_anything_is_sent(call: Callable[..., Any], service: Any) -> None:
    with pytest.raises(errors.InvalidSpecError) as caught:
        await call("train", spec.RunSpec(), name="a\nb", labels={"not a key": "7"})
    assert [violation.field for violation in caught.value.violations] == ["name", "labels"]
    assert not service.requests


async def test_the_beginning_of_an_id_finds_it(call: Callable[..., Any], service: Any, make_served_run: Any) -> None:
    service.runs = [make_served_run(id=run_id) for run_id in IDS]
    assert await call("find_run_id", "AAAA1") == IDS[0]
    with pytest.raises(errors.InvalidSpecError, match=f"several run ids begin with aaaa: {IDS[0]}, {IDS[1]}"):
        await call("find_run_id", "aaaa")
    with pytest.raises(errors.NotFoundError, match="begins with bbbb"):
        await call("find_run_id", "bbbb")


@pytest.mark.parametrize("text", [IDS[0], "abc", "not an id", ""])
async def test_what_is_no_beginning_of_an_id_is_left_to_the_server(
    call: Callable[..., Any], service: Any, text: str
) -> None:
    assert await call("find_run_id", text) == text
    assert not service.requests


@pytest.mark.parametrize("wanted", [{"names": ("base",)}, {"labels": {"study": "7"}}, {"id_prefix": "bbbb"}])
def test_runs_of_a_server_that_ignores_the_filter_are_refused(client: Client, service: Any, wanted: Any) -> None:
    """Otherwise a command that deletes what matches would delete everything."""
    service.is_old = True
    with pytest.raises(errors.UnsupportedError, match="older than this client"):
        list(client.list_runs(spec.RunFilter.model_validate(wanted)))


def packed(*arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, *arrays)
    return buffer.getvalue()


async def test_weights_arrive_in_their_order(call: Callable[..., Any], service: Any, make_served_run: Any) -> None:
    arrays = [np.arange(6, dtype="float32").reshape(2, 3), np.float32(0.5).reshape(()), np.ones(40, "float32")]
    digest = hashlib.sha256()
    for shape, values in (((2, 3), range(6)), ((), [0.5]), ((40,), [1] * 40)):
        digest.update(struct.pack(f"<q{len(shape)}q", len(shape), *shape) + struct.pack(f"<{len(values)}f", *values))
    service.runs = [make_served_run(result=make_result(spec.RunSpec(), digest.hexdigest()))]
    service.weights = packed(*arrays)
    fetched = await call("weights", IDS[0])
    assert [array.tolist() for array in fetched] == [array.tolist() for array in arrays]
    assert await call("packed_weights", IDS[0]) == service.weights


@pytest.mark.parametrize("weights", [packed(np.zeros(3, "float32")), b"no archive", b""])
async def test_other_weights_are_refused(call: Callable[..., Any], service: Any, weights: bytes) -> None:
    service.weights = weights
    with pytest.raises(errors.ServerError, match="digest"):
        await call("weights", IDS[0])


async def test_weights_that_were_deleted(call: Callable[..., Any], service: Any, status: Any, info: Any) -> None:
    code = grpc.StatusCode.FAILED_PRECONDITION
    service.failures["GetWeights"].append(status(code, "deleted", info("WEIGHTS_NOT_STORED")))
    with pytest.raises(errors.PreconditionError, match="deleted"):
        await call("weights", IDS[0])


def test_a_notebook_shows_the_runs(client: Client, service: Any, make_served_run: Any) -> None:
    service.runs = [make_served_run(spec.RunSpec(seed=seed), id=run_id, name="<b>") for seed, run_id in enumerate(IDS)]
    page = client.list_runs()._repr_html_()
    assert "2 runs, all with name=&lt;b&gt;, state=SUCCEEDED, method=GRADIENT_TAPE" in page
    assert "<th>id</th><th>seed</th>" in page
    assert f"<td>{IDS[1]}</td><td>1</td>" in page
    accurate = service.runs[0].result.validation.model_copy(update={"accuracy": 0.5})
    better = service.runs[0].result.model_copy(update={"validation": accurate})
    service.runs = [service.runs[0].model_copy(update={"result": better}), service.runs[1]]
    # The accuracy is visible without scrolling.
    assert "<th>id</th><th>validation_accuracy</th><th>seed</th>" in client.list_runs()._repr_html_()
    service.runs = [make_served_run(id=f"aaaa{number}") for number in range(51)]
    assert "the newest 50 runs, all with" in client.list_runs()._repr_html_()
    service.runs = []
    assert client.list_runs()._repr_html_() == "<p>no runs</p>"


def test_a_list_of_runs_is_text_too(client: Client, service: Any, make_served_run: Any, status: Any) -> None:
    networks = (spec.Mlp(widths=(8, 4)), spec.Lstm())
    service.runs = [
        make_served_run(spec.RunSpec(network=network), id=run_id)
        for network, run_id in zip(networks, IDS, strict=False)
    ]
    listed = client.list_runs()
    *heading, titles, first, second = str(listed).splitlines()
    assert " ".join(heading).startswith("2 runs, all with state=SUCCEEDED, method=GRADIENT_TAPE, ")
    assert [line.split() for line in (titles, first, second)] == [
        ["id", "network"],
        [IDS[0], "mlp", "widths=8,4"],
        [IDS[1], "lstm", "units=64"],
    ]
    assert repr(listed) == str(listed)
    service.failures["ListRuns"].append(status(grpc.StatusCode.INTERNAL, "no luck"))
    assert str(listed) == "<RunList: no luck>"
    service.runs = []
    assert str(listed) == "no runs"


def test_a_list_of_a_closed_client_has_a_text(client: Client) -> None:
    listed = client.list_runs()
    client.close()
    assert repr(listed).startswith("<RunList: ")


def test_a_frame_has_a_row_per_run(client: Client, service: Any, make_served_run: Any) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    service.runs = [make_served_run(spec.RunSpec(optimizer=spec.Sgd(momentum=0.5)), id=run_id) for run_id in IDS]
    frame = client.list_runs().to_frame()
    assert list(frame["id"]) == list(IDS)
    assert list(frame["validation_accuracy"]) == [0.9661, 0.9661]
    assert list(frame["optimizer_options"]) == ["momentum=0.5"] * 2
