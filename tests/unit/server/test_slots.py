"""Slots for runs on the CPU and on GPUs."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from loopbench.spec import Device, Method, RunSpec
from loopbench_server.config import count_gpus
from loopbench_server.runs.slots import Slots

CPU, GPU, AUTO = (RunSpec(device=device) for device in (Device.CPU, Device.GPU, Device.AUTO))


def shared(replicas: int, device: Device = Device.GPU) -> RunSpec:
    return RunSpec(device=device, method=Method.FIT, replicas=replicas)


async def is_blocked(slots: Slots, spec: RunSpec) -> bool:
    """Whether a run has to wait for its slot."""
    async with AsyncExitStack() as stack:
        try:
            await asyncio.wait_for(stack.enter_async_context(slots.hold(spec)), 0.01)
        except TimeoutError:
            return True
    return False


async def test_runs_on_a_gpu_are_beside_those_on_the_cpu() -> None:
    slots = Slots(cpu=1, gpu=1)
    async with slots.hold(CPU) as none, slots.hold(GPU) as first:
        assert (none, first) == ((), (0,))
        assert [await is_blocked(slots, spec) for spec in (CPU, GPU, AUTO)] == [True, True, True]
    assert [await is_blocked(slots, spec) for spec in (CPU, GPU, AUTO)] == [False, False, False]


async def test_runs_at_the_same_time_have_different_gpus() -> None:
    slots = Slots(cpu=1, gpu=3)
    async with slots.hold(AUTO) as first, slots.hold(shared(2)) as second:
        assert sorted((*first, *second)) == [0, 1, 2]


@pytest.mark.parametrize("spec", [GPU, AUTO, shared(2), shared(2, Device.AUTO)])
async def test_without_enough_gpus_a_run_takes_a_slot_of_the_cpu(spec: RunSpec) -> None:
    slots = Slots(cpu=1, gpu=spec.replicas - 1)
    async with slots.hold(spec) as held:
        assert held == ()
        assert await is_blocked(slots, CPU)


async def test_a_run_that_leaves_while_it_waits_leaves_its_gpus() -> None:
    slots = Slots(cpu=1, gpu=2)
    async with slots.hold(GPU):
        assert await is_blocked(slots, shared(2))
        assert not await is_blocked(slots, GPU)
    assert not await is_blocked(slots, shared(2))


async def test_a_run_that_needs_several_gpus_is_not_overtaken() -> None:
    slots = Slots(cpu=1, gpu=2)
    order = []

    async def run(name: str, spec: RunSpec) -> None:
        async with slots.hold(spec):
            order.append(name)

    async with slots.hold(GPU):
        waiting = [asyncio.create_task(run("both", shared(2)))]
        await asyncio.sleep(0)
        waiting.append(asyncio.create_task(run("one", GPU)))
        await asyncio.sleep(0.01)
        assert order == []
    await asyncio.gather(*waiting)
    assert order == ["both", "one"]


@pytest.mark.parametrize("spec", [GPU, AUTO])
async def test_without_gpus_in_tensorflow_all_runs_take_slots_of_the_cpu(spec: RunSpec) -> None:
    slots = Slots(cpu=2, gpu=1)
    slots.sees_gpu = False
    async with slots.hold(spec) as first, slots.hold(spec) as second:
        assert (first, second) == ((), ())
        assert await is_blocked(slots, CPU)


@pytest.mark.parametrize(
    ("visible", "count"),
    [(None, 2), ("0,1", 2), ("1", 1), ("GPU-8932f937", 1), ("0,1,2", 2), ("", 0), ("-1", 0), ("0,-1,1", 1)],
)
def test_gpus_are_counted_by_their_device_files(
    visible: str | None, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("nvidia0", "nvidia11", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert count_gpus(tmp_path) == count
    assert count_gpus(tmp_path / "nothing") == 0
