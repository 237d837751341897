"""The client for asyncio: method by method the twin of :class:`loopbench_client.Client`."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import grpc.aio

from loopbench import spec
from loopbench.v1 import benchmark_service_pb2_grpc
from loopbench_client import requests
from loopbench_client.access import Access, Tls
from loopbench_client.arguments import check_timeout, expect
from loopbench_client.channel import DEFAULT_TIMEOUT, DIAGNOSE_TIMEOUT, EVALUATE_TIMEOUT, open_channel, train_method
from loopbench_client.error_mapping import translated_errors
from loopbench_client.errors import ServerUnavailableError
from loopbench_client.readiness import NO_RUNS_YET, TRANSIENT, ReadinessPoll
from loopbench_client.retry import Retry, WatchRetry
from loopbench_client.run_list import AsyncRunList
from loopbench_client.run_weights import unpack
from loopbench_client.targets import check_target

if TYPE_CHECKING:
    from loopbench_client.run_weights import Weights

T = TypeVar("T")


class AsyncClient:
    """Talks to the server at ``address``, a HOST:PORT. To be made and used in one running event loop.

    Errors, timeouts and arguments are those of :class:`loopbench_client.Client`. A task that is cancelled while it
    trains cancels its run.
    """

    def __init__(
        self, address: str, *, timeout: float = DEFAULT_TIMEOUT, token: str | None = None, tls: Tls | None = None
    ) -> None:
        expect(type(self).__name__, address, str)
        check_timeout(timeout)
        self.address = check_target(address)
        self._timeout = timeout
        self._metadata = Access(token, tls).metadata(address)
        self._channel = open_channel(grpc.aio, address, tls)
        self._stub = benchmark_service_pb2_grpc.BenchmarkServiceStub(self._channel)
        # As in Client.
        self._train_channel = open_channel(grpc.aio, address, tls)
        self._train = train_method(self._train_channel)

    async def train(
        self,
        run: spec.RunSpec,
        *,
        request_id: str | None = None,
        name: str = "",
        labels: Mapping[str, str] | None = None,
        detach: bool = False,
        on_progress: Callable[[spec.RunEvent], object] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # the deadline of the call, which the server receives
    ) -> spec.Run:
        """Trains, and returns the run when it has SUCCEEDED; with ``detach`` at once, QUEUED.

        ``on_progress`` is a plain function that is called in the event loop.
        """
        requests.check_progress(on_progress, detach=detach)
        call = requests.train(run, request_id, requests.naming(name, labels), detach=detach)
        retry = Retry(timeout, self.address)
        while True:
            try:
                return await self._train_once(call, on_progress, retry)
            except ServerUnavailableError as error:
                await asyncio.sleep(retry.pause(error))

    async def _train_once(
        self,
        call: requests.Call[spec.Run],
        on_progress: Callable[[spec.RunEvent], object] | None,
        retry: Retry,
    ) -> spec.Run:
        with translated_errors():
            answer = self._train(call.request, timeout=retry.left, metadata=self._metadata)
            try:
                run_id = dict(await answer.initial_metadata()).get(requests.RUN_ID_METADATA)
                # Without one Train failed at once; its answer says how.
                if run_id is not None:
                    retry.accept(run_id)
                if run_id is not None and on_progress is not None:
                    await self._follow(run_id, on_progress, retry.left)
                return call.read(requests.only([message async for message in answer]))
            finally:
                answer.cancel()  # Of no effect on a call that has ended.

    async def _follow(
        self,
        run_id: str,
        on_progress: Callable[[spec.RunEvent], object],
        timeout: float | None,  # noqa: ASYNC109  # as in train,
    ) -> None:
        async with aclosing(self._watch(run_id, timeout, resume=False)) as events:
            async for event in events:
                on_progress(event)

    async def evaluate(
        self,
        source: spec.RunSpec | spec.Run | str,
        method: spec.Method | None = None,
        loss: spec.Loss | None = None,
        accuracy_metric: spec.AccuracyMetric | None = None,
        *,
        timeout: float = EVALUATE_TIMEOUT,  # noqa: ASYNC109  # as in train
    ) -> spec.Evaluation:
        """Evaluates the stored weights of a run, or of a spec's latest run; by default in the run's own way."""
        source = await self._source("evaluate", source)
        return await self._answer(requests.evaluate(source, method, loss, accuracy_metric), timeout)

    def watch_run(self, run: spec.Run | str) -> AsyncIterator[spec.RunEvent]:
        """Events from the present state to the end of the run."""
        return self._watch(run, None, resume=True)

    async def _watch(
        self,
        run: spec.Run | str,
        timeout: float | None,  # noqa: ASYNC109  # as in train
        *,
        resume: bool,
    ) -> AsyncGenerator[spec.RunEvent, None]:
        run_id = await self._run_id("watch_run", run)
        retry = WatchRetry(timeout, self.address, run_id, resume=resume)
        while True:
            try:
                async with aclosing(self._watch_once(run_id, retry.left)) as events:
                    async for event in events:
                        yield retry.drop_seen(event)
            except ServerUnavailableError as error:
                await asyncio.sleep(retry.pause(error))
            else:
                return

    async def _watch_once(
        self,
        run_id: str,
        timeout: float | None,  # noqa: ASYNC109  # as in train
    ) -> AsyncGenerator[spec.RunEvent, None]:
        call = requests.watch_run(run_id)
        with translated_errors():
            stream = self._stub.WatchRun(call.request, timeout=timeout, metadata=self._metadata)
            try:
                async for message in stream:
                    yield call.read(message)
            finally:
                stream.cancel()

    async def get_run(self, run: spec.Run | str) -> spec.Run:
        """The run, in any state."""
        return await self._answer(requests.get_run(await self._run_id("get_run", run)))

    def list_runs(
        self,
        filter: spec.RunFilter | None = None,  # noqa: A002  # the contract's name for it
        *,
        page_size: int = requests.PAGE_SIZE,
    ) -> AsyncRunList:
        """All runs that match, the newest first, fetched page by page as they are taken."""
        return AsyncRunList(partial(self._list_runs, filter, page_size))

    async def _list_runs(self, wanted: spec.RunFilter | None, page_size: int) -> AsyncIterator[spec.Run]:
        token = ""  # nosec B105  # of a page
        while True:
            runs, token = await self._answer(requests.list_runs(wanted, page_size, token))
            for run in runs:
                yield run
            if not token:
                return

    async def find_run_id(self, prefix: str) -> str:
        """The id of the only run whose id begins with ``prefix``; see :meth:`loopbench_client.Client.find_run_id`."""
        if not requests.is_id_prefix(prefix):
            return prefix
        wanted = spec.RunFilter(id_prefix=prefix)
        found, _ = await self._answer(requests.list_runs(wanted, 10, ""))
        return requests.only_run(prefix, found)

    async def _run_id(self, call: str, run: spec.Run | str, *others: type) -> str:
        """The id of a run, which is given by itself, by its id or by the beginning of that."""
        return await self.find_run_id(requests.id_of(call, run, *others))

    async def _source(self, call: str, source: spec.RunSpec | spec.Run | str) -> spec.RunSpec | str:
        """A spec, or the id of a run."""
        return source if isinstance(source, spec.RunSpec) else await self._run_id(call, source, spec.RunSpec)

    async def weights(self, run: spec.Run | str) -> "Weights":
        """The final weights of a run, as ``keras.Model.set_weights`` takes them; their digest is checked."""
        run_id = await self._run_id("weights", run)
        packed = await self.packed_weights(run_id)
        return unpack(packed, (await self.get_run(run_id)).result)

    async def packed_weights(self, run: spec.Run | str) -> bytes:
        """The final weights of a run as the bytes of an ``.npz`` file of NumPy."""
        call = requests.get_weights(await self._run_id("packed_weights", run))
        retry = Retry(self._timeout)
        while True:
            try:
                with translated_errors():
                    parts = self._stub.GetWeights(call.request, timeout=retry.left, metadata=self._metadata)
                    return b"".join([call.read(part) async for part in parts])
            except ServerUnavailableError as error:
                await asyncio.sleep(retry.pause(error))

    async def cancel_run(self, run: spec.Run | str) -> spec.Run:
        """Ends a run that is queued or running; one that has ended stays as it is."""
        return await self._answer(requests.cancel_run(await self._run_id("cancel_run", run)))

    async def delete_run(self, run: spec.Run | str) -> None:
        """Deletes a run that has ended."""
        await self._answer(requests.delete_run(await self._run_id("delete_run", run)))

    async def compare(
        self,
        groups: Iterable[spec.RunGroup],
        margin: float | None = None,
        alpha: float | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # as in train
    ) -> spec.Comparison:
        """Verdicts on every pair of groups; ``margin`` is an accuracy, 0 to 1. The server has defaults for both."""
        return await self._answer(requests.compare(groups, margin, alpha), timeout)

    async def diagnose(
        self,
        first: spec.RunSpec | spec.Run | str,
        second: spec.RunSpec | spec.Run | str,
        *,
        verify: bool = False,
        seeds: int | None = None,
        timeout: float = DIAGNOSE_TIMEOUT,  # noqa: ASYNC109  # as in train
    ) -> spec.Diagnosis:
        """Causes of the difference between two specs or runs.

        ``verify`` also trains both with and without the fixes, under ``seeds`` seeds, and compares.
        """
        sides = [await self._source("diagnose", side) for side in (first, second)]
        return await self._answer(requests.diagnose(*sides, verify=verify, seeds=seeds), timeout)

    async def get_server_info(self) -> spec.ServerInfo:
        """What the server is and what it can do."""
        return await self._answer(requests.get_server_info())

    async def wait_ready(
        self,
        timeout: float = 60.0,  # noqa: ASYNC109  # over several calls
    ) -> spec.ServerInfo:
        """Waits until the server takes runs.

        Raises:
            ServerUnavailableError: it does not within ``timeout`` seconds.
        """
        poll = ReadinessPoll(timeout)
        while True:
            why = NO_RUNS_YET
            try:
                info = await self._answer_once(requests.get_server_info(), poll.left)
            except TRANSIENT as error:
                why = error.message
            else:
                if info.ready:
                    return info
            await asyncio.sleep(poll.pause(why))

    async def _answer(
        self,
        call: requests.Call[T],
        timeout: float | None = None,  # noqa: ASYNC109  # as in train
    ) -> T:
        retry = Retry(self._timeout if timeout is None else timeout)
        while True:
            try:
                return await self._answer_once(call, retry.left)
            except ServerUnavailableError as error:
                if not call.repeatable:
                    raise
                await asyncio.sleep(retry.pause(error))

    async def _answer_once(
        self,
        call: requests.Call[T],
        timeout: float | None,  # noqa: ASYNC109  # as in train
    ) -> T:
        with translated_errors():
            send = getattr(self._stub, call.method)
            return call.read(await send(call.request, timeout=timeout, metadata=self._metadata))

    async def close(self) -> None:
        """End all calls and the connections."""
        await self._train_channel.close()
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
