"""The machine's best rates: matrix products by the fastest library, and memory traffic.

Run in the peers' environment; prints rates on one thread and on all.
"""

import json
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.peers.job import Job, job_from, shapes

# Rows and columns of the large product. Bytes of the copies: larger than any cache, and as many as the parameters have.
LARGE = 4_096
FROM_MEMORY, FROM_CACHE = 1 << 30, 940_000
SECONDS = 1.0


def fastest(work: Callable[[], object]) -> float:
    """Best time of ``work`` in seconds, repeated for :data:`SECONDS` after a warm-up."""
    work()
    end, best = time.perf_counter() + SECONDS, float("inf")
    while (start := time.perf_counter()) < end:
        work()
        best = min(best, time.perf_counter() - start)
    return best


def step_products(job: Job) -> list[tuple[int, int, int]]:
    """The matrix products of an update, each (m, k, n): forward, gradient of the weights, gradient of the inputs."""
    products = []
    for layer, (inputs, units) in enumerate(shapes(job)):
        products += [(job.batch_size, inputs, units), (inputs, job.batch_size, units)]
        if layer:
            products.append((job.batch_size, units, inputs))
    return products


def flop(products: list[tuple[int, int, int]]) -> int:
    """Multiplications and additions."""
    return sum(2 * m * k * n for m, k, n in products)


def by_torch(products: list[tuple[int, int, int]]) -> float:
    """Seconds of all ``products``, one after another."""
    pairs = [(torch.rand(m, k), torch.rand(k, n), torch.empty(m, n)) for m, k, n in products]
    return fastest(lambda: [torch.mm(a, b, out=out) for a, b, out in pairs])


def by_numpy(products: list[tuple[int, int, int]]) -> float:
    """Seconds of all ``products``, one after another."""
    generator = np.random.default_rng(0)
    pairs = [
        (generator.random((m, k), np.float32), generator.random((k, n), np.float32), np.empty((m, n), np.float32))
        for m, k, n in products
    ]
    return fastest(lambda: [np.matmul(a, b, out=out) for a, b, out in pairs])


def copied_per_second(size: int) -> float:
    """Bytes read and written a second by a copy of ``size`` bytes."""
    source, target = torch.rand(size // 4), torch.empty(size // 4)
    return 2 * size / fastest(lambda: target.copy_(source))


def main() -> None:
    """For the job of the command line, with its number of threads."""
    job = job_from(sys.argv[1:])
    if job.threads:
        torch.set_num_threads(job.threads)
        threadpool_limits(job.threads)
    large, step = [(LARGE, LARGE, LARGE)], step_products(job)
    measured = {
        "step_flop": flop(step),
        "large_flop_per_second": flop(large) / by_torch(large),
        "torch_step_seconds": by_torch(step),
        "numpy_step_seconds": by_numpy(step),
        "memory_bytes_per_second": copied_per_second(FROM_MEMORY),
        "cache_bytes_per_second": copied_per_second(FROM_CACHE),
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
