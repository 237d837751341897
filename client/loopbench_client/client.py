"""The client for ordinary code."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from functools import partial
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import grpc

from loopbench import spec
from loopbench.v1 import benchmark_service_pb2_grpc
from loopbench_client import requests
from loopbench_client.access import Access, Tls
from loopbench_client.arguments import check_timeout, expect
from loopbench_client.channel import (
    DEFAULT_TIMEOUT,
    DIAGNOSE_TIMEOUT,
    EVALUATE_TIMEOUT,
    open_channel,
    train_method,
)
from loopbench_client.error_mapping import translated_errors
from loopbench_client.errors import ServerUnavailableError
from loopbench_client.readiness import NO_RUNS_YET, TRANSIENT, ReadinessPoll
from loopbench_client.retry import Retry, WatchRetry
from loopbench_client.run_list import RunList
from loopbench_client.run_weights import unpack
from loopbench_client.targets import check_target
from loopbench_client.uninterrupted import messages, uninterrupted

if TYPE_CHECKING:
    from loopbench_client.run_weights import Weights

T = TypeVar("T")


class Client:
    """Talks to the server at ``address``, a HOST:PORT. Safe to share among threads.

    A run is a :class:`loopbench.spec.Run`, its id, or the beginning of its id from four characters on.

    Every method raises errors of :mod:`loopbench_client.errors`. ``timeout`` is the time in seconds that a call may
    take, unless the method has its own. Calls that find nobody are tried again for some seconds.

    ``token`` goes along with every call. A token goes to another machine by ``tls`` only.

    Raises:
        ValueError: ``address`` has another form.
        TypeError: an argument has another type, as in every method.
        AccessError: the token or the files of ``tls`` cannot be used.
    """

    def __init__(
        self, address: str, *, timeout: float = DEFAULT_TIMEOUT, token: str | None = None, tls: Tls | None = None
    ) -> None:
        expect(type(self).__name__, address, str)
        check_timeout(timeout)
        self.address = check_target(address)
        self._timeout = timeout
        self._metadata = Access(token, tls).metadata(address)
        self._channel = open_channel(grpc, address, tls)
        self._stub = benchmark_service_pb2_grpc.BenchmarkServiceStub(self._channel)
        # Calls of a channel go to all servers of the address in turn. With two servers, a Train after each WatchRun of
        # the same channel would always reach the same one.
        self._train_channel = open_channel(grpc, address, tls)
        self._train = train_method(self._train_channel)

    def train(
        self,
        run: spec.RunSpec,
        *,
        request_id: str | None = None,
        name: str = "",
        labels: Mapping[str, str] | None = None,
        detach: bool = False,
        on_progress: Callable[[spec.RunEvent], object] | None = None,
        timeout: float | None = None,
    ) -> spec.Run:
        """Trains, and returns the run when it has SUCCEEDED; with ``detach`` at once, QUEUED.

        A run whose server is lost is asked for again, for a minute or two, under the same request_id.
        The run is cancelled where this call ends before it: after ``timeout`` seconds (default: never), by an
        exception in ``on_progress`` or by KeyboardInterrupt. The same ``request_id``, a UUID,
        returns the same run. ``name`` and ``labels`` help people find a new run again; they do not affect it.

        Raises:
            ValueError: ``on_progress`` together with ``detach``; use :meth:`watch_run`.
            InvalidSpecError: bad fields, all of them named.
            RunFailedError: the run failed.
            RunCancelledError: somebody cancelled the run.
        """
        requests.check_progress(on_progress, detach=detach)
        call = requests.train(run, request_id, requests.naming(name, labels), detach=detach)
        retry = Retry(timeout, self.address)
        while True:
            try:
                return self._train_once(call, on_progress, retry)
            except ServerUnavailableError as error:
                time.sleep(retry.pause(error))

    def _train_once(
        self,
        call: requests.Call[spec.Run],
        on_progress: Callable[[spec.RunEvent], object] | None,
        retry: Retry,
    ) -> spec.Run:
        with translated_errors():
            answer = self._start(self._train, call, retry.left)
            try:
                run_id = dict(answer.initial_metadata()).get(requests.RUN_ID_METADATA)
                # Without one Train failed at once; its answer says how.
                if run_id is not None:
                    retry.accept(run_id)
                if run_id is not None and on_progress is not None:
                    self._follow(run_id, on_progress, retry.left)
                return call.read(requests.only([*messages(answer)]))
            finally:
                answer.cancel()  # Of no effect on a call that has ended.

    def _follow(
        self,
        run_id: str,
        on_progress: Callable[[spec.RunEvent], object],
        timeout: float | None,
    ) -> None:
        # Train ends with the same connection, and its retry starts both again.
        with closing(self._watch(run_id, timeout, resume=False)) as events:
            for event in events:
                on_progress(event)

    def evaluate(
        self,
        source: spec.RunSpec | spec.Run | str,
        method: spec.Method | None = None,
        loss: spec.Loss | None = None,
        accuracy_metric: spec.AccuracyMetric | None = None,
        *,
        timeout: float = EVALUATE_TIMEOUT,
    ) -> spec.Evaluation:
        """Evaluates the stored weights of a run, or of a spec's latest run; by default in the run's own way."""
        source = self._source("evaluate", source)
        return self._answer(requests.evaluate(source, method, loss, accuracy_metric), timeout)

    def watch_run(self, run: spec.Run | str) -> Iterator[spec.RunEvent]:
        """Events from the present state to the end of the run.

        If the connection breaks, the client connects and watches again. Each epoch arrives once.
        """
        return self._watch(run, None, resume=True)

    def _watch(
        self, run: spec.Run | str, timeout: float | None, *, resume: bool
    ) -> Generator[spec.RunEvent, None, None]:
        run_id = self._run_id("watch_run", run)
        retry = WatchRetry(timeout, self.address, run_id, resume=resume)
        while True:
            try:
                for event in self._watch_once(run_id, retry.left):
                    yield retry.drop_seen(event)
            except ServerUnavailableError as error:
                time.sleep(retry.pause(error))
            else:
                return

    def _watch_once(self, run_id: str, timeout: float | None) -> Generator[spec.RunEvent, None, None]:
        call = requests.watch_run(run_id)
        with translated_errors():
            stream = self._start(self._stub.WatchRun, call, timeout)
            try:
                yield from map(call.read, messages(stream))
            finally:
                stream.cancel()

    def get_run(self, run: spec.Run | str) -> spec.Run:
        """The run, in any state."""
        return self._answer(requests.get_run(self._run_id("get_run", run)))

    def list_runs(
        self,
        filter: spec.RunFilter | None = None,  # noqa: A002  # the contract's name for it
        *,
        page_size: int = requests.PAGE_SIZE,
    ) -> RunList:
        """All runs that match, the newest first, fetched page by page as they are taken.

        The list displays itself in a notebook and by ``print``; ``to_frame()`` converts it to a DataFrame of pandas.
        """
        return RunList(partial(self._list_runs, filter, page_size))

    def _list_runs(self, wanted: spec.RunFilter | None, page_size: int) -> Iterator[spec.Run]:
        token = ""  # nosec B105  # of a page
        while True:
            runs, token = self._answer(requests.list_runs(wanted, page_size, token))
            yield from runs
            if not token:
                return

    def find_run_id(self, prefix: str) -> str:
        """The id of the only run whose id begins with ``prefix``, which has at least four characters.

        A whole id, and a text that can be no part of one, is returned as it is.

        Raises:
            NotFoundError: no run id begins with ``prefix``.
            InvalidSpecError: several do.
        """
        if not requests.is_id_prefix(prefix):
            return prefix
        wanted = spec.RunFilter(id_prefix=prefix)
        return requests.only_run(prefix, [*islice(self.list_runs(wanted, page_size=10), 10)])

    def _run_id(self, call: str, run: spec.Run | str, *others: type) -> str:
        """The id of a run, which is given by itself, by its id or by the beginning of that."""
        return self.find_run_id(requests.id_of(call, run, *others))

    def _source(self, call: str, source: spec.RunSpec | spec.Run | str) -> spec.RunSpec | str:
        """A spec, or the id of a run."""
        return source if isinstance(source, spec.RunSpec) else self._run_id(call, source, spec.RunSpec)

    def weights(self, run: spec.Run | str) -> "Weights":
        """The final weights of a run, as ``keras.Model.set_weights`` takes them; their digest is checked.

        Raises:
            ImportError: NumPy is not installed.
            PreconditionError: the run has no result, or its weights have been deleted.
            ServerError: what arrived has another digest.
        """
        run_id = self._run_id("weights", run)
        packed = self.packed_weights(run_id)
        return unpack(packed, self.get_run(run_id).result)

    def packed_weights(self, run: spec.Run | str) -> bytes:
        """The final weights of a run as the bytes of an ``.npz`` file of NumPy.

        Raises:
            PreconditionError: as for :meth:`weights`.
        """
        call = requests.get_weights(self._run_id("packed_weights", run))
        retry = Retry(self._timeout)
        while True:
            try:
                with translated_errors():
                    parts = self._start(self._stub.GetWeights, call, retry.left)
                    return b"".join(map(call.read, messages(parts)))
            except ServerUnavailableError as error:
                time.sleep(retry.pause(error))

    def cancel_run(self, run: spec.Run | str) -> spec.Run:
        """Ends a run that is queued or running; one that has ended stays as it is."""
        return self._answer(requests.cancel_run(self._run_id("cancel_run", run)))

    def delete_run(self, run: spec.Run | str) -> None:
        """Deletes a run that has ended."""
        self._answer(requests.delete_run(self._run_id("delete_run", run)))

    def compare(
        self,
        groups: Iterable[spec.RunGroup],
        margin: float | None = None,
        alpha: float | None = None,
        *,
        timeout: float | None = None,
    ) -> spec.Comparison:
        """Verdicts on every pair of groups; ``margin`` is an accuracy, 0 to 1. The server has defaults for both."""
        return self._answer(requests.compare(groups, margin, alpha), timeout)

    def diagnose(
        self,
        first: spec.RunSpec | spec.Run | str,
        second: spec.RunSpec | spec.Run | str,
        *,
        verify: bool = False,
        seeds: int | None = None,
        timeout: float = DIAGNOSE_TIMEOUT,
    ) -> spec.Diagnosis:
        """Causes of the difference between two specs or runs.

        ``verify`` also trains both with and without the fixes, under ``seeds`` seeds, and compares.
        """
        sides = [self._source("diagnose", side) for side in (first, second)]
        return self._answer(requests.diagnose(*sides, verify=verify, seeds=seeds), timeout)

    def get_server_info(self) -> spec.ServerInfo:
        """What the server is and what it can do."""
        return self._answer(requests.get_server_info())

    def wait_ready(self, timeout: float = 60.0) -> spec.ServerInfo:
        """Waits until the server takes runs.

        Raises:
            ServerUnavailableError: it does not within ``timeout`` seconds.
        """
        poll = ReadinessPoll(timeout)
        while True:
            why = NO_RUNS_YET
            try:
                info = self._answer_once(requests.get_server_info(), poll.left)
            except TRANSIENT as error:
                why = error.message
            else:
                if info.ready:
                    return info
            time.sleep(poll.pause(why))

    def _start(self, method: Any, call: requests.Call[Any], timeout: float | None) -> Any:
        """The stream of a call."""
        return uninterrupted(partial(method, call.request, timeout=timeout, metadata=self._metadata))

    def _answer(self, call: requests.Call[T], timeout: float | None = None) -> T:
        retry = Retry(self._timeout if timeout is None else timeout)
        while True:
            try:
                return self._answer_once(call, retry.left)
            except ServerUnavailableError as error:
                if not call.repeatable:
                    raise
                time.sleep(retry.pause(error))

    def _answer_once(self, call: requests.Call[T], timeout: float | None) -> T:
        with translated_errors():
            return call.read(getattr(self._stub, call.method)(call.request, timeout=timeout, metadata=self._metadata))

    def close(self) -> None:
        """End all calls and the connections."""
        self._train_channel.close()
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
