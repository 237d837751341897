import asyncio
from collections.abc import Callable

from loopbench.spec import EpochRecord, Progress, Run, RunEvent, RunState
from loopbench_server.runs.active_run import ActiveRun

MakeRun = Callable[..., Run]
MakeEpoch = Callable[..., EpochRecord]


def progress(step: int) -> Progress:
    return Progress(epoch=1, epochs=3, step=step, steps_per_epoch=45, examples_per_second=1, seconds_left=2)


async def test_a_late_watcher_first_receives_all_past_events(make_run: MakeRun, make_epoch: MakeEpoch) -> None:
    active = ActiveRun(make_run(state=RunState.RUNNING))
    for number in (1, 2):
        active.update(epoch=make_epoch(number))
    active.update(progress=progress(7))
    assert await anext(active.watch()) == RunEvent(
        state=RunState.RUNNING, progress=progress(7), epochs=(make_epoch(1), make_epoch(2)), run=active.run
    )


async def test_a_slow_watcher_misses_no_epoch_but_skips_progress(make_run: MakeRun, make_epoch: MakeEpoch) -> None:
    active = ActiveRun(make_run(state=RunState.RUNNING))
    events = active.watch()
    await anext(events)
    for number in (1, 2, 3):
        active.update(progress=progress(number))
        active.update(epoch=make_epoch(number))
    event = await anext(events)
    assert event == RunEvent(
        state=RunState.RUNNING, progress=progress(3), epochs=tuple(make_epoch(number) for number in (1, 2, 3))
    )
    active.update(epoch=make_epoch(4))
    assert (await anext(events)).epochs == (make_epoch(4),)


async def test_a_watch_ends_with_the_ended_run(make_run: MakeRun, make_epoch: MakeEpoch) -> None:
    active = ActiveRun(make_run(state=RunState.RUNNING))
    events = active.watch()
    await anext(events)
    active.update(epoch=make_epoch(1), progress=progress(1))
    ended = make_run(state=RunState.SUCCEEDED)
    active.update(run=ended)
    rest = [event async for event in events]
    assert rest == [RunEvent(state=RunState.SUCCEEDED, epochs=(make_epoch(1),), run=ended)]


async def test_a_watch_of_an_ended_run_is_one_event(make_run: MakeRun) -> None:
    active = ActiveRun(make_run(state=RunState.FAILED))
    assert [event async for event in active.watch()] == [RunEvent(state=RunState.FAILED, run=active.run)]


async def test_watchers_see_the_same_epochs(make_run: MakeRun, make_epoch: MakeEpoch) -> None:
    active = ActiveRun(make_run(state=RunState.RUNNING))
    early = active.watch()
    await anext(early)
    active.update(epoch=make_epoch(1))
    late = active.watch()
    await anext(late)
    active.update(epoch=make_epoch(2))
    assert (await anext(early)).epochs == (make_epoch(1), make_epoch(2))
    assert (await anext(late)).epochs == (make_epoch(2),)


async def test_a_position_is_sent_only_while_queued(make_run: MakeRun) -> None:
    active = ActiveRun(make_run())
    active.update(queue_position=2)
    events = active.watch()
    assert (await anext(events)).queue_position == 2
    active.update(queue_position=0)
    assert (await anext(events)).queue_position == 0
    active.update(run=make_run(state=RunState.RUNNING))
    assert (await anext(events)).queue_position is None
    active.update(queue_position=1)
    assert (await anext(events)).queue_position is None


async def test_ended_waits_for_the_end(make_run: MakeRun) -> None:
    active = ActiveRun(make_run())
    waiting = [asyncio.create_task(active.wait_ended()) for _ in range(2)]
    for state in (RunState.QUEUED, RunState.RUNNING):
        active.update(run=make_run(state=state))
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
    ended = make_run(state=RunState.CANCELLED)
    active.update(run=ended)
    assert await asyncio.gather(*waiting) == [ended, ended]
    assert await active.wait_ended() == ended


async def test_many_watchers_do_not_block_the_event_loop(make_run: MakeRun) -> None:
    active = ActiveRun(make_run(state=RunState.RUNNING))
    states: list[RunState] = []

    async def watch() -> None:
        async for event in active.watch():
            states.append(event.state)  # noqa: PERF401  one by one, as they come

    watchers = [asyncio.create_task(watch()) for _ in range(100)]
    await asyncio.sleep(0)
    states.clear()
    active.update(run=make_run(state=RunState.SUCCEEDED))
    for _ in range(3):
        await asyncio.sleep(0)
    assert 0 < len(states) < 50
    await asyncio.gather(*watchers)
    assert states == [RunState.SUCCEEDED] * 100
