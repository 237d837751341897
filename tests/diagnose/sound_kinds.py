"""Kinds of training, right on both sides: accumulation, schedules, averages, generators, pipelines, resumes."""

import tempfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from loopbench_diagnose import Data, steps
from loopbench_diagnose.loops import Loop

from .fault_models import heads, images, mean_log, signals, squared, taped
from .replayed_loops import batches, fit, gradients_of, looped
from .sound_loops import fit as fit_of
from .sound_loops import loss_of, step_of, tape, tf_data
from .sound_problems import PROBLEMS
from .sound_updates import SIZE, adam, sgd, unvalidated

Triple = tuple[tuple[Callable[[], keras.Model], Data], Loop, Loop]
SPARSE = "sparse_categorical_crossentropy"


def _accumulated(name: str, optimizer: Any, micro: int) -> Triple:
    """Micro-batches by their share of the batch, against the whole batch."""
    problem = unvalidated(name)

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> None:  # noqa: ARG001
        total = [tf.zeros_like(variable) for variable in model.trainable_variables]
        for start in range(0, len(x), micro):
            part = slice(start, start + micro)
            with tf.GradientTape() as recorded:
                loss = loss_of(problem, model, y[part], model(x[part], training=True)) * (len(x[part]) / len(x))
            found = recorded.gradient(loss, model.trainable_variables)
            total = [a + b for a, b in zip(total, found, strict=True)]
        optimizer.apply(total, model.trainable_variables)

    return (
        (problem.build, problem.data),
        fit_of(problem, optimizer, SIZE),
        steps(step, optimizer=optimizer, batch_size=SIZE),
    )


def _scheduled(schedule: Any, name: str = "dense") -> Triple:
    problem = unvalidated(name)
    make = lambda: keras.optimizers.SGD(schedule)  # noqa: E731
    return (problem.build, problem.data), fit_of(problem, make, SIZE), tape(problem, make, SIZE)


def _rate_by_epoch() -> Triple:
    def first(model: Any, data: Data, epochs: int) -> Any:
        callback = keras.callbacks.LearningRateScheduler(lambda epoch: 0.05 * 0.5**epoch)
        return fit(fit_options={"callbacks": [callback]})(model, data, epochs)

    def set_rate(model: Any, optimizer: Any, notes: Any, epoch: int) -> None:  # noqa: ARG001
        optimizer.learning_rate = 0.05 * 0.5**epoch

    return signals(), first, looped(squared, before_epoch=set_rate)


def _shadow(*, graph: bool) -> Loop:
    """A shadow of the weights that is averaged beside the training and kept at its end."""

    def train(model: Any, data: Data, epochs: int) -> Any:
        optimizer = adam()()
        optimizer.build(model.trainable_variables)
        shadow = [tf.Variable(variable) for variable in model.trainable_variables]

        def step(x: Any, y: Any) -> None:
            optimizer.apply(gradients_of(squared, model, x, y)[1], model.trainable_variables)
            for average, variable in zip(shadow, model.trainable_variables, strict=True):
                average.assign(0.95 * average + 0.05 * variable)

        made = tf.function(step) if graph else step
        for _ in range(epochs):
            for x, y in batches(data):
                made(x, y)
        for average, variable in zip(shadow, model.trainable_variables, strict=True):
            variable.assign(average)

    return train


class Gan(keras.Model):  # type: ignore[misc]  # Keras has no types
    """A generator of three numbers, from noise that ``draw`` draws, and a discriminator."""

    def __init__(self, draw: Any = keras.random.normal) -> None:
        super().__init__()
        self.generator = keras.Sequential([keras.Input((2,)), layers.Dense(6, activation="relu"), layers.Dense(3)])
        self.discriminator = keras.Sequential([keras.Input((3,)), layers.Dense(6, activation="tanh"), layers.Dense(1)])
        self.means = [keras.metrics.Mean(name="d"), keras.metrics.Mean(name="g")]
        self.draw = draw

    def call(self, x: Any) -> Any:
        return self.discriminator(x)

    @property
    def metrics(self) -> list[Any]:
        return self.means

    def one(self, x: Any, optimizers: Any) -> tuple[Any, Any]:
        noise = self.draw((tf.shape(x)[0], 2))
        with tf.GradientTape() as recorded:
            real, made = self.discriminator(x), self.discriminator(self.generator(noise))
            loss_d = tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(made))
        variables = self.discriminator.trainable_variables
        optimizers[0].apply(recorded.gradient(loss_d, variables), variables)
        with tf.GradientTape() as recorded:
            loss_g = tf.reduce_mean(tf.nn.softplus(-self.discriminator(self.generator(noise))))
        variables = self.generator.trainable_variables
        optimizers[1].apply(recorded.gradient(loss_g, variables), variables)
        return loss_d, loss_g

    def train_step(self, x: Any) -> Any:
        for mean, loss in zip(self.means, self.one(x, self.two), strict=True):
            mean.update_state(loss)
        return {mean.name: mean.result() for mean in self.means}


def _by_place(shape: Any) -> Any:
    return tf.random.normal(shape)


def _gan(draw: Any = keras.random.normal, *, labels: bool = True) -> Triple:
    def first(model: Any, data: Data, epochs: int) -> Any:
        model.two = (adam()(), adam()())
        model.compile(run_eagerly=True)
        return model.fit(data.x, batch_size=SIZE, epochs=epochs, verbose=0)

    def second(model: Any, data: Data, epochs: int) -> Any:
        optimizers = (adam()(), adam()())
        means = (keras.metrics.Mean(), keras.metrics.Mean())
        for _ in range(epochs):
            for mean in means:
                mean.reset_state()
            for x in tf.data.Dataset.from_tensor_slices(data.x).shuffle(len(data)).batch(SIZE):
                for mean, loss in zip(means, model.one(x, optimizers), strict=True):
                    mean.update_state(loss)
        return {"d": float(means[0].result()), "g": float(means[1].result())}

    x = np.random.default_rng(3).normal(size=(61, 3)).astype(np.float32)
    return (lambda: Gan(draw), Data(x, x if labels else None)), first, second


class Denoising(keras.Model):  # type: ignore[misc]  # Keras has no types
    """Removes noise that its own step adds; the compiled loss is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.outside = layers.Dense(4, activation="tanh"), layers.Dense(6)

    def call(self, x: Any) -> Any:
        return self.outside(self.inside(x))

    def one(self, x: Any, optimizer: Any) -> Any:
        with tf.GradientTape() as recorded:
            loss = squared(x, self(x + tf.random.normal(tf.shape(x), stddev=0.3), training=True))
        optimizer.apply(recorded.gradient(loss, self.trainable_variables), self.trainable_variables)
        return loss

    def train_step(self, x: Any) -> Any:
        self._loss_tracker.update_state(self.one(x, self.optimizer), sample_weight=tf.shape(x)[0])
        return {"loss": self._loss_tracker.result()}


def _denoising() -> Triple:
    def first(model: Any, data: Data, epochs: int) -> Any:
        model.compile(optimizer=sgd()(), loss="mse")
        return model.fit(data.x, batch_size=SIZE, epochs=epochs, verbose=0)

    def second(model: Any, data: Data, epochs: int) -> Any:
        optimizer, mean = sgd()(), keras.metrics.Mean()
        for _ in range(epochs):
            mean.reset_state()
            for x in tf.data.Dataset.from_tensor_slices(data.x).shuffle(len(data)).batch(SIZE):
                mean.update_state(model.one(x, optimizer), sample_weight=len(x))
        return {"loss": float(mean.result())}

    x = np.random.default_rng(3).normal(size=(61, 6)).astype(np.float32)
    return (Denoising, Data(x)), first, second


class Vae(keras.Model):  # type: ignore[misc]  # Keras has no types
    """A variational autoencoder that adds its divergence by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.mean, self.spread = layers.Dense(8, activation="relu"), layers.Dense(2), layers.Dense(2)
        self.outside, self.seeds = layers.Dense(6), keras.random.SeedGenerator(3)

    def call(self, x: Any) -> Any:
        hidden = self.inside(x)
        mean, spread = self.mean(hidden), self.spread(hidden)
        divergence = -0.5 * tf.reduce_mean(1 + spread - mean**2 - tf.exp(spread))
        self.add_loss(0.01 * divergence)
        noise = keras.random.normal(tf.shape(mean), seed=self.seeds)
        return self.outside(mean + tf.exp(0.5 * spread) * noise)


def _vae() -> Triple:
    x = np.random.default_rng(4).normal(size=(61, 6)).astype(np.float32)

    def step(model: Any, optimizer: Any, x: Any, y: Any, weight: Any) -> Any:  # noqa: ARG001
        with tf.GradientTape() as recorded:
            loss = squared(x, model(x, training=True)) + tf.add_n(model.losses)
        optimizer.apply(recorded.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    return (Vae, Data(x, x)), fit(optimizer=adam()), steps(step, optimizer=adam(), batch_size=SIZE)


def _stateful() -> Triple:
    x = np.random.default_rng(5).normal(size=(60, 4, 2)).astype(np.float32)

    def build() -> keras.Model:
        return keras.Sequential([keras.Input(batch_shape=(10, 4, 2)), layers.LSTM(5, stateful=True), layers.Dense(1)])

    def second(model: Any, data: Data, epochs: int) -> None:
        optimizer = sgd()()
        for _ in range(epochs):
            for start in range(0, len(data), 10):
                rows = slice(start, start + 10)
                _, gradients = gradients_of(squared, model, data.x[rows], data.y[rows])
                optimizer.apply(gradients, model.trainable_variables)

    return (build, Data(x, x.sum(axis=(1, 2))[:, None])), fit(batch_size=10, shuffle=False), second


class Pairs(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """Batches by index, shuffled at the end of every epoch."""

    def __init__(self, data: Data) -> None:
        super().__init__()
        self.data, self.order = data, np.random.permutation(len(data))  # noqa: NPY002  as people write it

    def __len__(self) -> int:
        return (len(self.data) + SIZE - 1) // SIZE

    def __getitem__(self, index: int) -> Any:
        rows = self.data.rows(self.order[index * SIZE : (index + 1) * SIZE])
        return rows.x, rows.y

    def on_epoch_end(self) -> None:
        self.order = np.random.permutation(len(self.data))  # noqa: NPY002


def _from(make: Any) -> Loop:
    """``fit`` on what ``make`` makes of the data."""

    def train(model: Any, data: Data, epochs: int) -> Any:
        model.compile(optimizer=sgd()(), loss=SPARSE, metrics=["accuracy"])
        return model.fit(make(data), epochs=epochs, verbose=0, shuffle=False)

    return train


def _piped(data: Data) -> Any:
    pairs = (
        tf.data.Dataset.from_tensor_slices((data.x, data.y)).cache().shuffle(len(data), reshuffle_each_iteration=True)
    )
    return pairs.batch(SIZE).map(lambda x, y: (x * 1.0, y), num_parallel_calls=2).prefetch(2)


def _flipped(data: Data) -> Any:
    """Flipped at random in the pipeline."""
    pairs = tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(len(data))
    return pairs.map(lambda x, y: (tf.image.random_flip_left_right(x), y)).batch(SIZE)


def _flipping(model: Any, data: Data, epochs: int) -> Any:
    """The same by hand, with other numbers."""
    optimizer, generator = sgd()(), np.random.default_rng(8)
    for _ in range(epochs):
        for x, y in batches(data):
            turned = generator.random(len(x)) < 0.5
            inputs = np.where(turned[:, None, None, None], x.numpy()[:, :, ::-1], x.numpy())
            optimizer.apply(gradients_of(mean_log, model, inputs, y)[1], model.trainable_variables)


def _resumed(save: str) -> Loop:
    """Saves after the first epoch, and goes on with what is loaded."""

    def train(model: Any, data: Data, epochs: int) -> Any:
        model.compile(optimizer=adam()(), loss="mse")
        model.fit(data.x, data.y, batch_size=SIZE, epochs=1, verbose=0)
        with tempfile.TemporaryDirectory() as folder:
            if save == "checkpoint":
                point = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
                point.restore(point.save(f"{folder}/point"))
            elif save == "weights":
                model.save_weights(f"{folder}/model.weights.h5")
                model.load_weights(f"{folder}/model.weights.h5")
            else:
                model.save(f"{folder}/model.keras")
                model = keras.models.load_model(f"{folder}/model.keras")
        return model.fit(data.x, data.y, batch_size=SIZE, epochs=epochs - 1, verbose=0)

    return train


def _straight(model: Any, data: Data, epochs: int) -> Any:
    model.compile(optimizer=adam()(), loss="mse")
    model.fit(data.x, data.y, batch_size=SIZE, epochs=1, verbose=0)
    return model.fit(data.x, data.y, batch_size=SIZE, epochs=epochs - 1, verbose=0)


def _twice(*, graph: bool) -> Loop:
    """Two updates of every batch."""

    def train(model: Any, data: Data, epochs: int) -> Any:
        optimizer = sgd()()
        optimizer.build(model.trainable_variables)

        def step(x: Any, y: Any) -> None:
            for _ in range(2):
                optimizer.apply(gradients_of(squared, model, x, y)[1], model.trainable_variables)

        made = tf.function(step) if graph else step
        for _ in range(epochs):
            for x, y in batches(data):
                made(x, y)

    return train


def _sharpness_aware(*, graph: bool) -> Loop:
    """The gradient at weights that are moved along the gradient, applied to the weights before."""

    def train(model: Any, data: Data, epochs: int) -> Any:
        optimizer = sgd()()
        optimizer.build(model.trainable_variables)

        def step(x: Any, y: Any) -> None:
            variables = model.trainable_variables
            _, first = gradients_of(squared, model, x, y)
            moves = [0.05 * gradient / (tf.linalg.global_norm(first) + 1e-12) for gradient in first]
            for variable, move in zip(variables, moves, strict=True):
                variable.assign_add(move)
            _, second = gradients_of(squared, model, x, y)
            for variable, move in zip(variables, moves, strict=True):
                variable.assign_sub(move)
            optimizer.apply(second, variables)

        made = tf.function(step) if graph else step
        for _ in range(epochs):
            for x, y in batches(data):
                made(x, y)

    return train


def _strings() -> Triple:
    generator = np.random.default_rng(6)
    x = np.array([" ".join(generator.choice(["good", "bad", "film", "plot"], 4)) for _ in range(61)], dtype=object)
    y = np.array([float("good" in text) for text in x], dtype=np.float32)[:, None]
    words = layers.TextVectorization(max_tokens=8, output_sequence_length=4)
    words.adapt(x.astype(str))

    def build() -> keras.Model:
        return keras.Sequential(
            [
                keras.Input((), dtype="string"),
                words,
                layers.Embedding(8, 3),
                layers.GlobalAveragePooling1D(),
                layers.Dense(1),
            ]
        )

    def train(wrap: Any) -> Loop:
        def loop(model: Any, data: Data, epochs: int) -> Any:
            optimizer = sgd()()
            optimizer.build(model.trainable_variables)

            def step(texts: Any, labels: Any) -> None:
                optimizer.apply(gradients_of(squared, model, texts, labels)[1], model.trainable_variables)

            made = wrap(step)
            for _ in range(epochs):
                for texts, labels in (
                    tf.data.Dataset.from_tensor_slices((data.x.astype(str), data.y)).shuffle(99).batch(SIZE)
                ):
                    made(texts, labels)

        return loop

    return (build, Data(x, y)), train(lambda step: step), train(tf.function)


def _two_of_heads() -> Triple:
    def loss(y: Any, z: Any) -> Any:
        return squared(y["value"], z["value"]) + 0.3 * mean_log(y["label"], z["label"])

    weights = {"value": 1.0, "label": 0.3}
    return heads(), fit({"value": "mse", "label": SPARSE}, loss_weights=weights), taped(loss)


def _compiled(name: str, **options: Any) -> Triple:
    problem = PROBLEMS[name]()
    return (problem.build, problem.data), fit_of(problem, sgd(), SIZE), fit_of(problem, sgd(), SIZE, **options)


def _frozen_by_hand() -> Triple:
    def freeze(model: Any, optimizer: Any, notes: Any, epoch: int) -> None:  # noqa: ARG001
        if epoch == 0:
            optimizer.build(model.trainable_variables)
        model.layers[0].trainable = epoch > 0

    def first(model: Any, data: Data, epochs: int) -> Any:
        for epoch in range(epochs):
            if epoch < 2:
                model.layers[0].trainable = epoch > 0
                model.compile(optimizer=sgd()(), loss="mse")
            model.fit(data.x, data.y, batch_size=SIZE, epochs=1, verbose=0)

    return signals(), first, looped(squared, before_epoch=freeze)


def _metrics_by_hand() -> Triple:
    """Metrics under other names than Keras's, worked out in NumPy at the end."""

    def second(model: Any, data: Data, epochs: int) -> Any:
        reported = looped(squared)(model, data, epochs)
        held = data.validation
        if held is None:
            return reported
        error = held.y - model.predict(held.x, verbose=0)
        return reported | {"val_loss": float((error**2).mean()), "val_mae": float(np.abs(error).mean())}

    return signals(validation=True), fit(metrics=["mae"]), second


SCHEDULES = keras.optimizers.schedules
KINDS: dict[str, Callable[[], Triple]] = {
    **{
        f"accumulation of {name}": lambda name=name, make=make, micro=micro: _accumulated(name, make, micro)  # type: ignore[misc]
        for name, make, micro in (
            ("dense", sgd(), 4),
            ("three_outputs", adam(), 5),
            ("logits", sgd(momentum=0.9), 8),
            ("l2", sgd(), 4),
            ("attention", sgd(), 8),
        )
    },
    "accumulation by keras": lambda: (
        signals(),
        fit(optimizer=sgd(gradient_accumulation_steps=3)),
        looped(squared, optimizer=sgd(gradient_accumulation_steps=3)),
    ),
    "exponential decay": lambda: _scheduled(SCHEDULES.ExponentialDecay(0.05, 5, 0.7)),
    "cosine decay": lambda: _scheduled(SCHEDULES.CosineDecay(0.05, 20), "logits"),
    "piecewise constant": lambda: _scheduled(SCHEDULES.PiecewiseConstantDecay([4, 9], [0.05, 0.02, 0.01])),
    "warmup": lambda: _scheduled(SCHEDULES.CosineDecay(0.0, 40, warmup_target=0.05, warmup_steps=6), "attention"),
    "a rate by epoch": _rate_by_epoch,
    "a shadow of the weights": lambda: (signals(), _shadow(graph=False), _shadow(graph=True)),
    "a generator and a discriminator": _gan,
    "noise for the places of a batch": lambda: _gan(_by_place),
    "noise for the places of a batch, without labels": lambda: _gan(_by_place, labels=False),
    "noise of a function that was imported by its name": lambda: _gan(tf.random.normal),
    "a compiled loss that is never called, without labels": _denoising,
    "a variational autoencoder": _vae,
    "a stateful layer": _stateful,
    "a PyDataset": lambda: (images(), fit(SPARSE, metrics=["accuracy"]), _from(Pairs)),
    "a pipeline": lambda: (images(), fit(SPARSE, metrics=["accuracy"]), _from(_piped)),
    "random flips": lambda: (images(), _from(_flipped), _flipping),
    "random flips in two pipelines": lambda: (images(), _from(_flipped), _from(_flipped)),
    "a resumed model": lambda: (signals(), _straight, _resumed("model")),
    "a resumed checkpoint": lambda: (signals(), _straight, _resumed("checkpoint")),
    "resumed weights": lambda: (signals(), _straight, _resumed("weights")),
    "two updates of a batch": lambda: (signals(), _twice(graph=False), _twice(graph=True)),
    "sharpness-aware updates": lambda: (signals(), _sharpness_aware(graph=False), _sharpness_aware(graph=True)),
    "strings": _strings,
    "weights of two outputs": _two_of_heads,
    "steps per execution": lambda: _compiled("logits", steps_per_execution=3),
    "compiled by XLA on one side": lambda: _compiled("dense", jit_compile=True),
    "compiled by XLA on one side, with batch normalization": lambda: _compiled("conv2d", jit_compile=True),
    "eagerly on one side": lambda: _compiled("attention", run_eagerly=True),
    "a layer that is frozen for an epoch": _frozen_by_hand,
    "metrics in NumPy": _metrics_by_hand,
    "adamw": lambda: (
        signals(),
        fit(optimizer=lambda: keras.optimizers.AdamW(0.01)),
        looped(squared, optimizer=lambda: keras.optimizers.AdamW(0.01)),
    ),
    "lion": lambda: (
        signals(),
        fit(optimizer=lambda: keras.optimizers.Lion(0.001)),
        looped(squared, optimizer=lambda: keras.optimizers.Lion(0.001)),
    ),
    "nadam": lambda: (
        images(),
        fit(SPARSE, optimizer=lambda: keras.optimizers.Nadam(0.01)),
        looped(mean_log, optimizer=lambda: keras.optimizers.Nadam(0.01)),
    ),
    "adagrad": lambda: (
        images(),
        fit(SPARSE, optimizer=lambda: keras.optimizers.Adagrad(0.05)),
        looped(mean_log, optimizer=lambda: keras.optimizers.Adagrad(0.05)),
    ),
    "adafactor": lambda: (
        signals(),
        fit(optimizer=lambda: keras.optimizers.Adafactor(0.01)),
        looped(squared, optimizer=lambda: keras.optimizers.Adafactor(0.01)),
    ),
    "ftrl": lambda: (
        signals(),
        fit(optimizer=lambda: keras.optimizers.Ftrl(0.05)),
        looped(squared, optimizer=lambda: keras.optimizers.Ftrl(0.05)),
    ),
    "tf_data twice": lambda: _pair_of("two_outputs_dict"),
}


def _pair_of(name: str) -> Triple:
    problem = PROBLEMS[name]()
    return (
        (problem.build, problem.data),
        tf_data(problem, adam(), SIZE),
        steps(step_of(problem), optimizer=adam(), batch_size=SIZE),
    )
