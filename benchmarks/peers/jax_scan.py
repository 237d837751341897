"""JAX: the whole epoch is one compiled ``lax.scan`` over the batches."""

import os

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.job import Float32, Job, PeerByEpoch, Samples, glorot_uniform, main

Parameters = list[tuple[jax.Array, jax.Array]]


def network(parameters: Parameters, images: jax.Array) -> jax.Array:
    """Outputs [b, 10] on flat images [b, 784]."""
    *hidden, (weights, biases) = parameters
    values = images
    for hidden_weights, hidden_biases in hidden:
        values = jax.nn.relu(values @ hidden_weights + hidden_biases)
    return values @ weights + biases


def loss(parameters: Parameters, images: jax.Array, labels: jax.Array) -> jax.Array:
    """Sum of squares over the outputs, mean over the batch."""
    return jnp.square(network(parameters, images) - labels).sum(axis=1).mean()


class JaxScan(PeerByEpoch):
    """Samples and parameters stay on the device; the parameters' memory is used again."""

    def __init__(self, job: Job, train: Samples) -> None:
        super().__init__(job, train)
        use_device(job)
        self.images = jnp.asarray(train.images.reshape(len(train), -1))
        self.labels = jnp.asarray(train.labels)
        self.parameters = [(jnp.asarray(each), jnp.zeros(each.shape[1])) for each in glorot_uniform(job)]
        self.generator = np.random.default_rng(job.seed)

        def steps(
            parameters: Parameters, all_images: jax.Array, all_labels: jax.Array, batches: jax.Array
        ) -> Parameters:
            def step(parameters: Parameters, index: jax.Array) -> tuple[Parameters, None]:
                # Every index is from a permutation, so bounds checks are disabled.
                images, labels = (each.at[index].get(mode="promise_in_bounds") for each in (all_images, all_labels))
                gradients = jax.grad(loss)(parameters, images, labels)
                return jax.tree.map(lambda value, slope: value - job.learning_rate * slope, parameters, gradients), None

            return jax.lax.scan(step, parameters, batches)[0]

        self.steps = jax.jit(steps, donate_argnums=0)

    def epoch(self) -> None:
        """One call for the full batches, and one for the smaller rest if there is one."""
        order, size = self.generator.permutation(len(self.train)), self.job.batch_size
        full = len(order) // size * size
        for rows in (order[:full].reshape(-1, size), order[full:].reshape(1, -1)):
            if rows.size:
                self.parameters = self.steps(self.parameters, self.images, self.labels, jnp.asarray(rows))
        jax.block_until_ready(self.parameters)

    def outputs(self, images: Float32) -> Float32:
        """Outputs in one batch."""
        return np.asarray(network(self.parameters, jnp.asarray(images.reshape(len(images), -1))))


def use_device(job: Job) -> None:
    """Compute on the device of ``job``, with products in float32: on a GPU, JAX takes TensorFloat-32 by default."""
    jax.config.update("jax_default_device", jax.devices(job.device)[0])
    jax.config.update("jax_default_matmul_precision", "highest")


def limit_threads(threads: int) -> None:
    """Limit the process to one core, the only limit that applies to all of XLA."""
    os.sched_setaffinity(0, range(threads))


if __name__ == "__main__":
    main(JaxScan, limit_threads)
