"""The machine's best rates, as a reference for measured times."""

from pydantic import BaseModel

from benchmarks.setting import Setting

UPDATES = 1_875
# Weights and biases of 784 × 256 × 128 × 10, float32.
PARAMETER_BYTES = 4 * (784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10)
IMAGE_BYTES = 4 * 28 * 28
TRAIN_SAMPLES = 60_000


class Limit(BaseModel):
    """Measured on ``threads`` threads; ``step`` is an update's matrix products, in their real shapes, by each library.

    Rates of bytes count those read and those written.
    """

    step_flop: int
    large_flop_per_second: float
    torch_step_seconds: float
    numpy_step_seconds: float
    memory_bytes_per_second: float
    cache_bytes_per_second: float

    @property
    def ideal(self) -> float:
        """Seconds of an epoch's floating-point operations at the rate of one large product."""
        return UPDATES * self.step_flop / self.large_flop_per_second

    @property
    def products(self) -> float:
        """Seconds of an epoch's matrix products in their own shapes, by the faster library."""
        return UPDATES * min(self.torch_step_seconds, self.numpy_step_seconds)

    @property
    def updates(self) -> float:
        """Seconds of an epoch's updates: gradients and parameters read, parameters written, all within the caches."""
        return 3 * UPDATES * PARAMETER_BYTES / self.cache_bytes_per_second

    @property
    def batches(self) -> float:
        """Seconds of gathering an epoch's batches: each image read from memory and written."""
        return 2 * TRAIN_SAMPLES * IMAGE_BYTES / self.memory_bytes_per_second

    @property
    def seconds(self) -> float:
        """Seconds of an epoch with only products, updates and batches."""
        return self.products + self.updates + self.batches


class Limits(BaseModel):
    """Limits on one thread and on all."""

    one: Limit
    all: Limit


def measure(setting: Setting) -> Limits:
    """Measure products and copies for some seconds."""
    one, everything = (Limit.model_validate(setting.peer("limit", "--threads", threads)) for threads in (1, 0))
    return Limits(one=one, all=everything)
