"""Slots: the right of a run to train, on the CPU or on GPUs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loopbench.spec import Device, RunSpec


class Slots:
    """``cpu`` slots for runs on the CPU, and ``gpu`` slots beside them; a run on GPUs holds one for each replica.

    ``sees_gpu`` is False while TensorFlow sees no GPU: all runs then use slots of the CPU.
    """

    def __init__(self, cpu: int, gpu: int = 0) -> None:
        self._cpu = asyncio.Semaphore(cpu)
        self.sees_gpu = True
        self._gpu_count = gpu
        self._free_gpus: asyncio.Queue[int] = asyncio.Queue()
        for number in range(gpu):
            self._free_gpus.put_nowait(number)
        # One run at a time collects GPUs, in order of arrival, so that no two wait for each other's.
        self._collecting = asyncio.Lock()

    @asynccontextmanager
    async def hold(self, spec: RunSpec) -> AsyncIterator[tuple[int, ...]]:
        """Hold what a run of ``spec`` needs within the block: yield the numbers of its GPU slots, none on the CPU."""
        if not self._uses_gpus(spec):
            async with self._cpu:
                yield ()
            return
        held: list[int] = []
        try:
            async with self._collecting:
                while len(held) < spec.replicas:
                    held.append(await self._free_gpus.get())
            yield tuple(held)
        finally:
            for number in held:
                self._free_gpus.put_nowait(number)

    def _uses_gpus(self, spec: RunSpec) -> bool:
        """Return whether ``spec`` holds GPU slots. A run for more GPUs than there are slots holds one of the CPU."""
        return self.sees_gpu and spec.device is not Device.CPU and spec.replicas <= self._gpu_count
