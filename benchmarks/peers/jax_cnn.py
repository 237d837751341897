"""JAX on the CNN: a compiled step per batch, which carries the moving statistics.

In a ``lax.scan`` XLA's convolutions on the CPU are many times slower than in a step.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.jax_scan import limit_threads, use_device
from benchmarks.peers.job import CLASSES, DROPOUT, FILTERS, OUTPUT_BATCH, Float32, Job, PeerByEpoch, Samples, main

# Keras's defaults of batch normalization.
EPSILON, MOMENTUM = 1e-3, 0.99
LAYOUT = ("NHWC", "HWIO", "NHWC")

Tree = Any


def _glorot(key: jax.Array, *shape: int) -> jax.Array:
    field = int(np.prod(shape[:-2]))
    limit = (6 / (field * (shape[-2] + shape[-1]))) ** 0.5
    return jax.random.uniform(key, shape, minval=-limit, maxval=limit)


def initial(key: jax.Array) -> tuple[Tree, Tree]:
    """Parameters and moving statistics."""
    keys = jax.random.split(key, len(FILTERS) + 1)
    blocks = [
        {
            "kernel": _glorot(block_key, 3, 3, inputs, filters),
            "bias": jnp.zeros(filters),
            "scale": jnp.ones(filters),
            "offset": jnp.zeros(filters),
        }
        for block_key, inputs, filters in zip(keys, (1, *FILTERS[:-1]), FILTERS, strict=False)
    ]
    outputs = {"kernel": _glorot(keys[-1], FILTERS[-1], CLASSES), "bias": jnp.zeros(CLASSES)}
    moving = [{"mean": jnp.zeros(filters), "variance": jnp.ones(filters)} for filters in FILTERS]
    return {"blocks": blocks, "outputs": outputs}, moving


def _block(block: Tree, values: jax.Array, mean: jax.Array, variance: jax.Array) -> jax.Array:
    scaled = (values - mean) * jax.lax.rsqrt(variance + EPSILON) * block["scale"] + block["offset"]
    positive = jax.nn.relu(scaled)
    return jax.lax.reduce_window(positive, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def _convolved(block: Tree, values: jax.Array) -> jax.Array:
    return (
        jax.lax.conv_general_dilated(values, block["kernel"], (1, 1), "SAME", dimension_numbers=LAYOUT) + block["bias"]
    )


def network(parameters: Tree, moving: Tree, images: jax.Array) -> jax.Array:
    """Outputs [b, 10] on images [b, 28, 28], by the moving statistics and without dropout."""
    values = images[..., None]
    for block, kept in zip(parameters["blocks"], moving, strict=True):
        values = _block(block, _convolved(block, values), kept["mean"], kept["variance"])
    return values.mean((1, 2)) @ parameters["outputs"]["kernel"] + parameters["outputs"]["bias"]


def loss(
    parameters: Tree, moving: Tree, key: jax.Array, images: jax.Array, labels: jax.Array
) -> tuple[jax.Array, Tree]:
    """Sum of squares over the outputs, mean over the batch, and the new moving statistics."""
    values, after = images[..., None], []
    for block, kept in zip(parameters["blocks"], moving, strict=True):
        values = _convolved(block, values)
        found = {"mean": values.mean((0, 1, 2)), "variance": values.var((0, 1, 2))}
        after.append(jax.tree.map(lambda old, new: MOMENTUM * old + (1 - MOMENTUM) * new, kept, found))
        values = _block(block, values, found["mean"], found["variance"])
    features = values.mean((1, 2))
    kept_features = jax.random.bernoulli(key, 1 - DROPOUT, features.shape)
    features = jnp.where(kept_features, features / (1 - DROPOUT), 0)
    outputs = features @ parameters["outputs"]["kernel"] + parameters["outputs"]["bias"]
    return jnp.square(outputs - labels).sum(axis=1).mean(), after


class JaxCnn(PeerByEpoch):
    """Samples, parameters and statistics stay on the device."""

    def __init__(self, job: Job, train: Samples) -> None:
        super().__init__(job, train)
        use_device(job)
        self.images, self.labels = jnp.asarray(train.images), jnp.asarray(train.labels)
        self.key, start = jax.random.split(jax.random.key(job.seed))
        self.parameters, self.moving = initial(start)
        self.generator = np.random.default_rng(job.seed)

        def step(carried: Tree, all_images: jax.Array, all_labels: jax.Array, index: jax.Array) -> Tree:
            parameters, moving, key = carried
            key, draw = jax.random.split(key)
            # Every index is from a permutation, so bounds checks are disabled.
            images, labels = (each.at[index].get(mode="promise_in_bounds") for each in (all_images, all_labels))
            gradients, moving = jax.grad(loss, has_aux=True)(parameters, moving, draw, images, labels)
            updated = jax.tree.map(lambda value, slope: value - job.learning_rate * slope, parameters, gradients)
            return updated, moving, key

        self.step = jax.jit(step, donate_argnums=0)

    def epoch(self) -> None:
        """One call of the compiled step per batch."""
        order, size = jnp.asarray(self.generator.permutation(len(self.train))), self.job.batch_size
        carried = (self.parameters, self.moving, self.key)
        for start in range(0, len(order), size):
            carried = self.step(carried, self.images, self.labels, order[start : start + size])
        self.parameters, self.moving, self.key = jax.block_until_ready(carried)

    def outputs(self, images: Float32) -> Float32:
        """Outputs by the moving statistics."""
        parts = np.split(images, range(OUTPUT_BATCH, len(images), OUTPUT_BATCH))
        return np.concatenate([np.asarray(network(self.parameters, self.moving, jnp.asarray(part))) for part in parts])


if __name__ == "__main__":
    main(JaxCnn, limit_threads)
