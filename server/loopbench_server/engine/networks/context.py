"""What the modules of the networks have in common."""

import keras
import numpy as np

from loopbench.spec import Execution, RunSpec

# Separates the random stream of the network from that of the order.
STREAM = 0
# More than any network draws. The first seeds do not depend on it.
MOST_SEEDS = 64


class Context:
    """Execution of a run, and seeds for the layers of its network, which follow from the run's seed alone."""

    def __init__(self, spec: RunSpec) -> None:
        self.execution: Execution = spec.execution
        self._seeds = iter(np.random.SeedSequence([spec.seed, STREAM]).generate_state(MOST_SEEDS).tolist())

    def draw_seed(self) -> int:
        """Return the next seed, from 0 to 2³² - 1."""
        return next(self._seeds)

    def glorot_uniform(self) -> keras.initializers.Initializer:
        """Return Keras's default initializer of kernels, with the next seed."""
        return keras.initializers.GlorotUniform(self.draw_seed())
