import asyncio
from collections.abc import Callable

from loopbench.spec import EpochRecord, Progress, Run, RunEvent, RunState
from loopbench_server.runs.active_run import ActiveRun

MakeRun = Callable[..., Run]
MakeEpoch = Callable[..., EpochRecord]


def progress(step: int) -> Progress:
    return Progress(epoch=1, epochs=3, step=step, steps_per_epoch=45, examples_per_second=1, seconds_left=2)


async def test_a_late_watcher_first_learns_all_so_far(make_run: MakeRun, make_epoch: MakeEpoch) -> None:
    live = ActiveRun(make_run(state=RunState.RUNNING))
    for number in (1, 2):
        live.change(epoch=make_epoch(number))
    live.change(progress=progress(7))
    assert await anext(live.watch()) == RunEvent(
        state=RunState.RUNNING, progress=progress(7), epochs=(make_epoch(1), make_epoch(2)), run=live.run
    )


async def test_a_slow_watcher_misses_no_epoch_but_skips_progress(make_run: MakeRun, make_epoch: MakeEpoch) -> None:
    live = ActiveRun(make_run(state=RunState.RUNNING))
    events = live.watch()
    await anext(events)
    for number in (1, 2, 3):
        live.change(progress=progress(number))
        live.change(epoch=make_epoch(number))
    event = await anext(events)
    assert event == RunEvent(
        state=RunState.RUNNING, progress=progress(3), epochs=tuple(make_epoch(number) for number in (1, 2, 3))
    )
    live.change(epoch=make_epoch(4))
    assert (await anext(events)).epochs == (make_epoch(4),)


async def test_a_watch_ends_with_the_ended_run(make_run: MakeRun, make_epoch: MakeEpoch) -> None:
    live = ActiveRun(make_run(state=RunState.RUNNING))
    events = live.watch()
    await anext(events)
    live.change(epoch=make_epoch(1), progress=progress(1))
    ended = make_run(state=RunState.SUCCEEDED)
    live.change(run=ended)
    rest = [event async for event in events]
    assert rest == [RunEvent(state=RunState.SUCCEEDED, epochs=(make_epoch(1),), run=ended)]


async def test_a_watch_of_an_ended_run_is_one_event(make_run: MakeRun) -> None:
    live = ActiveRun(make_run(state=RunState.FAILED))
    assert [event async for event in live.watch()] == [RunEvent(state=RunState.FAILED, run=live.run)]


async def test_watchers_see_the_same_epochs(make_run: MakeRun, make_epoch: MakeEpoch) -> None:
    live = ActiveRun(make_run(state=RunState.RUNNING))
    early = live.watch()
    await anext(early)
    live.change(epoch=make_epoch(1))
    late = live.watch()
    await anext(late)
    live.change(epoch=make_epoch(2))
    assert (await anext(early)).epochs == (make_epoch(1), make_epoch(2))
    assert (await anext(late)).epochs == (make_epoch(2),)


async def test_a_position_is_told_only_while_queued(make_run: MakeRun) -> None:
    live = ActiveRun(make_run())
    live.change(queue_position=2)
    events = live.watch()
    assert (await anext(events)).queue_position == 2
    live.change(queue_position=0)
    assert (await anext(events)).queue_position == 0
    live.change(run=make_run(state=RunState.RUNNING))
    assert (await anext(events)).queue_position is None
    live.change(queue_position=1)
    assert (await anext(events)).queue_position is None


async def test_ended_waits_for_the_end(make_run: MakeRun) -> None:
    live = ActiveRun(make_run())
    waiting = [asyncio.create_task(live.ended()) for _ in range(2)]
    for state in (RunState.QUEUED, RunState.RUNNING):
        live.change(run=make_run(state=state))
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
    ended = make_run(state=RunState.CANCELLED)
    live.change(run=ended)
    assert await asyncio.gather(*waiting) == [ended, ended]
    assert await live.ended() == ended


async def test_many_watchers_leave_turns_to_others(make_run: MakeRun) -> None:
    live = ActiveRun(make_run(state=RunState.RUNNING))
    told: list[RunState] = []

    async def watch() -> None:
        async for event in live.watch():
            told.append(event.state)  # noqa: PERF401  one by one, as they come

    watchers = [asyncio.create_task(watch()) for _ in range(100)]
    await asyncio.sleep(0)
    told.clear()
    live.change(run=make_run(state=RunState.SUCCEEDED))
    for _ in range(3):
        await asyncio.sleep(0)
    assert 0 < len(told) < 50
    await asyncio.gather(*watchers)
    assert told == [RunState.SUCCEEDED] * 100
