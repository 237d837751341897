"""Reads of several callers alternate within their limits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import pytest

from loopbench_server.errors import TooManyCallsError
from loopbench_server.runs import caller_limiter
from loopbench_server.runs.caller_limiter import CallerLimiter, ReadLimit


class Reads:
    """Reads that last until the test ends them."""

    def __init__(self, limit: ReadLimit) -> None:
        self.limiter = CallerLimiter("pages", limit)
        self.running: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._ends: dict[str, asyncio.Event] = {}

    async def _read(self, name: str) -> None:
        async with self.limiter.slot(name[0]):
            self.running.append(name)
            try:
                # The response to a caller in capitals never finishes sending.
                with self.limiter.sending() if name[0].isupper() else nullcontext():
                    await self._ends[name].wait()
            finally:
                self.running.remove(name)

    async def begin(self, *names: str) -> None:
        """Starts reads; the first letter of a name is the caller."""
        for name in names:
            self._ends[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._read(name))
        await settle()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def reading(at_once: int = 4, each: int = 2, waiting: int = 100) -> AsyncIterator[Reads]:
    made = Reads(ReadLimit(at_once, each, waiting))
    yield made
    for task in made.tasks.values():
        task.cancel()
    await asyncio.gather(*made.tasks.values(), return_exceptions=True)


async def test_one_caller_cannot_exhaust_the_limit() -> None:
    async with reading() as reads:
        await reads.begin("a1", "a2", "a3", "a4", "b1")
        assert reads.running == ["a1", "a2", "b1"]


async def test_the_server_limits_all_callers_together() -> None:
    async with reading(at_once=3) as reads:
        await reads.begin("a1", "a2", "b1", "b2", "c1")
        assert reads.running == ["a1", "a2", "b1"]


async def test_callers_take_turns() -> None:
    async with reading(at_once=1, each=1) as reads:
        await reads.begin("a1", "a2", "a3", "a4", "b1", "b2", "c1")
        order = []
        for _ in range(7):
            (running,) = reads.running
            order.append(running)
            await reads.end(running)
        assert order == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]
        assert reads.running == []


async def test_waiting_reads_per_caller_are_limited() -> None:
    async with reading(at_once=1, each=1, waiting=2) as reads:
        await reads.begin("a1", "a2", "a3")
        with pytest.raises(TooManyCallsError, match=r"this caller has 2 waiting \(limit 2\)"):
            async with reads.limiter.slot("a"):
                pass
        await reads.begin("b1")
        await reads.end("a1")
        await reads.begin("a4")
        assert not reads.tasks["a4"].done()


async def test_a_disconnected_callers_read_frees_its_place() -> None:
    async with reading(at_once=1, each=1, waiting=2) as reads:
        await reads.begin("a1", "a2", "a3")
        reads.tasks["a2"].cancel()
        await settle()
        await reads.begin("a4")
        reads.tasks["a1"].cancel()
        await settle()
        assert reads.running == ["a3"]


@pytest.mark.parametrize("order", [("a1", "a2"), ("a2", "a1")])
async def test_simultaneous_cancellations_disturb_no_other_read(order: tuple[str, str]) -> None:
    async with reading(at_once=1, each=1) as reads:
        await reads.begin("a1", "a2", "a3", "b1")
        for name in order:
            reads.tasks[name].cancel()
        await settle()
        (running,) = reads.running
        await reads.end(running)
        assert {running, *reads.running} == {"a3", "b1"}


async def test_a_turn_of_a_disconnected_caller_is_passed_on() -> None:
    async with reading(at_once=1, each=1) as reads:
        await reads.begin("a1", "b1", "c1")
        reads._ends["a1"].set()
        while "a1" in reads.running:  # noqa: ASYNC110  the moment right after is what matters
            await asyncio.sleep(0)
        # b1 has the turn by now, but has not run yet.
        reads.tasks["b1"].cancel()
        await settle()
        assert reads.running == ["c1"]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short time limit, which every slow caller exceeds."""
    monkeypatch.setattr(caller_limiter, "SEND_SECONDS", 0.01)


async def running(reads: Reads, *names: str) -> None:
    while reads.running != [*names]:  # noqa: ASYNC110  there is no event
        await asyncio.sleep(0.001)


@pytest.mark.usefixtures("short")
async def test_callers_that_take_no_answers_hold_no_others_up() -> None:
    async with reading(at_once=2, each=2) as reads:
        await reads.begin("A1", "A2", "A3", "B1", "c1", "d1", "e1")
        # B gets its turn while A's responses wait for their caller; c and d while B's do.
        await running(reads, "A1", "A2", "B1", "c1", "d1")
        # Slow responses give neither their caller nor others more reads.
        await asyncio.sleep(0.05)
        assert reads.running == ["A1", "A2", "B1", "c1", "d1"]
        await reads.end("A1")
        assert reads.running == ["A2", "B1", "c1", "d1"]
        # A may have one more response, which its caller does not take either.
        await reads.end("c1")
        await running(reads, "A2", "B1", "d1", "A3", "e1")


@pytest.mark.usefixtures("short")
async def test_answers_that_are_not_taken_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller_limiter, "MAX_UNTAKEN", 2)
    async with reading(at_once=1, each=1) as reads:
        await reads.begin("A1", "B1", "C1", "d1")
        await running(reads, "A1", "B1", "C1")
        await asyncio.sleep(0.05)
        assert reads.running == ["A1", "B1", "C1"]
        await reads.end("C1")
        assert reads.running == ["A1", "B1", "d1"]


async def test_an_answer_that_is_taken_in_time_keeps_its_turn() -> None:
    async with reading(at_once=1, each=1) as reads:
        await reads.begin("A1", "b1")
        await asyncio.sleep(0.05)
        assert reads.running == ["A1"]
