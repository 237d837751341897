"""A table of faults for random loops: what each replaces in a writing, and what has to be reported."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench.spec import Reason
from loopbench_diagnose import Data

from .random_loops import (
    EAGER,
    LOOPED,
    OPTIMIZERS,
    SOUND,
    STATEFUL,
    STEPS,
    VALIDATING,
    Notes,
    Writing,
    on_validation_set,
    penalty_of,
    permuted,
    weighted_mean,
)
from .random_models import NOISY, NORMALIZED, Network, assembled, flat_labels
from .sound_loops import MakeOptimizer, evaluated, loss_of
from .sound_models import Problem, log_of_class

FLOATS = ("vector", "series", "image")
# In which the length of the gradient shows in the update.
PLAIN = ("sgd", "momentum", "decaying")
FACTORS = (0.1, 0.5, 3.0, 10.0)


@dataclass(frozen=True)
class Plan:
    """The choices of a pair; ``number`` chooses among the forms of a fault."""

    network: Network
    optimizer: str
    size: int
    number: int

    @property
    def make(self) -> MakeOptimizer:
        """Makes the optimizer."""
        return OPTIMIZERS[self.optimizer]

    def pick(self, forms: Any) -> Any:
        """One of ``forms``."""
        return list(forms)[self.number % len(forms)]


@dataclass(frozen=True)
class Fault:
    """A fault: one of ``needed`` has to be reported, ``more`` may be.

    ``write`` makes the faulty loop, ``base`` the right one where it is not the usual one. ``networks`` are options of
    the strategy. ``altered`` changes the layers and heads of the faulty side's own model.
    """

    needed: set[Reason]
    write: Callable[[Plan], Writing] = lambda _: Writing()
    more: set[Reason] = field(default_factory=set)
    networks: dict[str, Any] = field(default_factory=dict)
    drivers: tuple[str, ...] = STEPS
    optimizers: tuple[str, ...] = tuple(OPTIMIZERS)
    first: tuple[str, ...] = tuple(SOUND)
    base: Callable[[Plan], Writing] | None = None
    altered: Callable[[Plan, list[Any], list[Any]], None] | None = None
    largest: int = 21

    def build(self, plan: Plan) -> Callable[[], keras.Model] | None:
        """The faulty side's model factory; None where it is the same as the other's."""
        alter = self.altered
        if alter is None:
            return None

        def build() -> keras.Model:
            parts, heads = plan.network.parts(), plan.network.heads()
            alter(plan, parts, list(heads.values()))
            return assembled(plan.network, parts, heads)

        return build


def _written(**places: Any) -> Callable[[Plan], Writing]:
    return lambda _: Writing(**places)


def _scaled_loss(scale: Callable[[Any, Plan], Any]) -> Callable[[Plan], Writing]:
    """The loss of a batch times what ``scale`` makes of its size; the penalty as it is."""

    def write(plan: Plan) -> Writing:
        def loss(problem: Problem, model: Any, y: Any, outputs: Any, weight: Any) -> Any:  # noqa: ARG001
            losses = problem.per_sample(y, outputs)
            return tf.reduce_mean(losses) * scale(tf.cast(tf.size(losses), tf.float32), plan) + penalty_of(model)

        return Writing(loss=loss)

    return write


def _optimizer(change: Callable[[Any, Plan], Any]) -> Callable[[Plan], Writing]:
    """The optimizer that ``change`` makes of the configuration of the right one."""

    def write(plan: Plan) -> Writing:
        def make() -> Any:
            right = plan.make()
            return type(right).from_config({**right.get_config(), **change(right, plan)})

        return Writing(optimizer=make)

    return write


def _rate(right: Any, plan: Plan) -> dict[str, Any]:
    return {"learning_rate": float(right.learning_rate) * plan.pick(FACTORS)}


def _other_optimizer(plan: Plan) -> Writing:
    # Kinds that do not differ by a rate or by an epsilon alone.
    others = {
        "sgd": ("adam", "momentum"),
        "momentum": ("rmsprop", "adam"),
        "adam": ("rmsprop", "momentum"),
        "adamw": ("momentum", "rmsprop"),
        "rmsprop": ("momentum", "adam"),
    }
    return Writing(optimizer=OPTIMIZERS[plan.pick(others[plan.optimizer])])


def _clipped(gradients: Any, _: Notes) -> Any:
    return tf.clip_by_global_norm(gradients, 0.02)[0]


def _clip(plan: Plan) -> Writing:
    by_configuration = _optimizer(lambda *_: {"clipnorm": 0.01})(plan)
    return plan.pick((Writing(change=_clipped), by_configuration))  # type: ignore[no-any-return]


def _variables(plan: Plan) -> Writing:
    forms: tuple[Any, ...] = (
        lambda model: model.trainable_variables[1:],
        lambda model: [variable for variable in model.trainable_variables if "bias" not in variable.path],
    )
    return Writing(variables=plan.pick(forms))


def _relabelled(y: Any, head: str, number: int) -> Any:
    if head == "two":
        return {**y, "label": (y["label"] + 1) % 3}
    kinds: dict[str, Callable[[Any], Any]] = {
        "classes": lambda y: (y + 1) % 3,
        "logits": lambda y: tf.roll(y, 1, axis=-1),
        "chance": lambda y: 1 - y,
        "number": lambda y: (y * 2, y + 1)[number % 2],
        "numbers": lambda y: (y / 10, y - 1)[number % 2],
    }
    return kinds[head](y)


def _labels(plan: Plan) -> Writing:
    return Writing(prepare=lambda x, y, _: (x, _relabelled(y, plan.network.head, plan.number)))


def _focal(y: Any, z: Any) -> Any:
    chance = tf.gather(z, tf.cast(y, tf.int32), batch_dims=1)
    return (1 - chance) ** 2 * log_of_class(y, z)


OTHER_LOSSES: dict[str, tuple[Callable[[Any, Any], Any], ...]] = {
    "number": (keras.losses.mean_absolute_error, keras.losses.log_cosh, lambda y, z: tf.reduce_mean((y - z) ** 4, -1)),
    "numbers": (keras.losses.log_cosh, keras.losses.mean_absolute_error),
    "classes": (_focal, lambda y, z: tf.reduce_mean((tf.one_hot(y, 3) - z) ** 2, -1)),
    "logits": (keras.losses.mean_squared_error, keras.losses.categorical_hinge),
    "chance": (keras.losses.mean_squared_error,),
}


def _other_loss(plan: Plan) -> Writing:
    per_sample = plan.pick(OTHER_LOSSES[plan.network.head])
    return Writing(
        loss=lambda _, model, y, z, weight: tf.reduce_mean(per_sample(y, z)) + penalty_of(model)  # noqa: ARG005
    )


def _without_penalty(problem: Problem, model: Any, y: Any, z: Any, weight: Any) -> Any:  # noqa: ARG001
    return tf.reduce_mean(problem.per_sample(y, z))


def _penalty(plan: Plan) -> Writing:
    factor = plan.pick((0.0, 2.0, 0.5))
    return Writing(
        loss=lambda problem, model, y, z, weight: (
            _without_penalty(problem, model, y, z, weight) + factor * penalty_of(model)
        )
    )


def _logits(plan: Plan) -> Writing:
    losses: dict[str, Callable[[Any, Any], Any]] = {
        # Looked up when they are called, as in a loop.
        "classes": lambda y, z: tf.nn.sparse_softmax_cross_entropy_with_logits(y, z),  # noqa: PLW0108
        "chance": lambda y, z: tf.nn.sigmoid_cross_entropy_with_logits(y, z),  # noqa: PLW0108
        "logits": keras.losses.categorical_crossentropy,
    }
    per_sample = losses[plan.network.head]
    return Writing(
        loss=lambda _, model, y, z, weight: tf.reduce_mean(per_sample(y, z)) + penalty_of(model)  # noqa: ARG005
    )


def _broadcast(problem: Problem, model: Any, y: Any, z: Any, weight: Any) -> Any:  # noqa: ARG001
    return tf.reduce_mean(tf.square(flat_labels(y) - z)) + penalty_of(model)


def _unweighted_heads(plan: Plan) -> Writing:
    weights = plan.pick(((1.0, 1.0), (2.0, 0.5), (0.5, 0.2)))

    def loss(_: Problem, model: Any, y: Any, z: Any, weight: Any) -> Any:  # noqa: ARG001
        value = tf.reduce_mean(tf.square(y["value"] - z["value"]))
        label = tf.reduce_mean(log_of_class(y["label"], z["label"]))
        return weights[0] * value + weights[1] * label + penalty_of(model)

    return Writing(loss=loss)


def _distance_of_nothing(problem: Problem, model: Any, y: Any, z: Any, weight: Any) -> Any:
    first = keras.tree.flatten(z)[0]
    return loss_of(problem, model, y, z, weight) + tf.sqrt(tf.reduce_sum(tf.square(first - first)))


# Orders.


def _in_order(count: int, size: int, _: Notes) -> list[Any]:
    return [np.arange(start, min(start + size, count)) for start in range(0, count, size)]


def _drawn_once(count: int, size: int, notes: Notes) -> list[Any]:
    if "order" not in notes:
        notes["order"] = permuted(count, size, notes)
    return notes["order"]  # type: ignore[no-any-return]


def _with_replacement(count: int, size: int, _: Notes) -> list[Any]:
    batches = _in_order(count, size, {})
    return [np.random.randint(count, size=len(rows)) for rows in batches]  # noqa: NPY002  as people write it


def _first_again(count: int, size: int, notes: Notes) -> list[Any]:
    batches = permuted(count, size, notes)
    notes.setdefault("batch", batches[0])
    return [notes["batch"]] * len(batches)


def _held_out(count: int, size: int, notes: Notes) -> list[Any]:
    return permuted(count * 3 // 5, size, notes)


def _whole_ones(count: int, size: int, notes: Notes) -> list[Any]:
    return [rows for rows in permuted(count, size, notes) if len(rows) == size]


def _shuffled_apart(data: Data) -> Data:
    order, other = np.random.permutation(len(data)), np.random.permutation(len(data))  # noqa: NPY002
    return replace(data, x=data.rows(order).x, y=data.rows(other).y)


# Hooks.


def _new_optimizer(_: Any, __: Any, notes: Notes) -> Any:
    return notes["make"]()


def _decay(_: Any, optimizer: Any, notes: Notes) -> None:
    optimizer.learning_rate = float(notes["make"]().learning_rate) * 0.8 ** notes["update"]


def _back_to_start(model: Any, _: Any, notes: Notes) -> None:
    notes.setdefault("weights", model.get_weights())
    model.set_weights(notes["weights"])


def _back_at_the_end(model: Any, _: Any, notes: Notes) -> None:
    if notes["epoch"] == 0:
        notes["weights"] = model.get_weights()
    else:
        model.set_weights(notes["weights"])


def _reset(plan: Plan) -> Writing:
    return plan.pick((Writing(before_epoch=_back_to_start), Writing(after_epoch=_back_at_the_end)))  # type: ignore[no-any-return]


def _shadow(model: Any, _: Any, notes: Notes) -> None:
    values = [variable.numpy() for variable in model.trainable_variables]
    before = notes.setdefault("shadow", values)
    notes["shadow"] = [0.9 * a + 0.1 * b for a, b in zip(before, values, strict=True)]


def _keep_shadow(model: Any, _: Any, notes: Notes) -> None:
    # The diagnosis trains for several epochs; the averages are kept after the last.
    if notes["epoch"] == 1:
        for variable, value in zip(model.trainable_variables, notes["shadow"], strict=True):
            variable.assign(value)


def _added_up(gradients: Any, notes: Notes) -> Any:
    before = notes.get("total", [0.0] * len(gradients))
    notes["total"] = [a + b for a, b in zip(before, gradients, strict=True)]
    return notes["total"]


def _noise(*, again: bool) -> Callable[[Plan], Writing]:
    def prepare(x: Any, y: Any, notes: Notes) -> Any:
        generator = np.random.default_rng(0) if again else notes.setdefault("noise", np.random.default_rng(0))
        return x + generator.normal(0, 0.3, x.shape).astype(np.float32), y

    return _written(prepare=prepare)


# Reports.


def _mean_of_means(values: list[float], _: list[int]) -> float:
    return float(np.mean(values))


def _last(values: list[float], _: list[int]) -> float:
    return values[-1]


def _percent(values: list[float], counts: list[int]) -> float:
    return 100 * weighted_mean(values, counts)


def _afterwards(problem: Problem, model: Any, data: Data) -> dict[str, float]:
    return {name.removeprefix("val_"): value for name, value in evaluated(problem, model, data, 16).items()}


def _validation(change: Callable[[Data, Data], Data]) -> Callable[[Plan], Writing]:
    """Validates what ``change`` makes of the validation and the training set."""

    def validated(problem: Problem, model: Any, data: Data) -> dict[str, float]:
        held = data.validation
        return {} if held is None else on_validation_set(problem, model, replace(data, validation=change(held, data)))

    return _written(validated=validated)


def _in_training_mode(problem: Problem, model: Any, data: Data) -> dict[str, float]:
    held = data.validation
    if held is None:
        return {}
    x, y = (keras.tree.map_structure(tf.convert_to_tensor, arrays) for arrays in (held.x, held.y))
    return {"val_loss": float(loss_of(problem, model, y, model(x, training=True)))}


def _low_threshold(problem: Problem, y: Any, z: Any) -> dict[str, Any]:  # noqa: ARG001
    return {"accuracy": tf.reduce_mean(tf.cast((z > 0.4) == (y > 0.5), tf.float32))}


# Models.


def _set(kind: Any, **values: Any) -> Callable[[Plan, list[Any], list[Any]], None]:
    """Sets attributes of all layers of a kind."""

    def alter(_: Plan, parts: list[Any], heads: list[Any]) -> None:
        for layer in (*parts, *heads):
            if isinstance(layer, kind):
                for name, value in values.items():
                    setattr(layer, name, value)

    return alter


def _curved(_: Plan, __: list[Any], heads: list[Any]) -> None:
    heads[0].activation = keras.activations.tanh


def _constant(_: Plan, __: list[Any], heads: list[Any]) -> None:
    heads[0].kernel_initializer = keras.initializers.Constant(0.3)


LOSSES_OF_ONE = {"heads": ("number", "numbers", "classes", "logits", "chance")}
NO_NORMALIZATION = {"mixing": False, "inputs": FLOATS}
R = Reason
FAULTS: dict[str, Fault] = {
    "rate": Fault({R.LEARNING_RATE}, _optimizer(_rate), optimizers=("sgd", "momentum", "adam", "rmsprop")),
    "another optimizer": Fault({R.OPTIMIZER}, _other_optimizer, {R.LEARNING_RATE}, optimizers=("sgd", *STATEFUL)),
    "epsilon": Fault({R.EPSILON}, _optimizer(lambda *_: {"epsilon": 0.1}), optimizers=("adam", "adamw", "rmsprop")),
    "weight decay": Fault({R.OPTIMIZER}, _optimizer(lambda *_: {"weight_decay": 0.3}), optimizers=("adamw", "sgd")),
    "clipping": Fault({R.CLIPPING}, _clip, optimizers=PLAIN),
    "no training flag": Fault(
        {R.TRAINING_FLAG}, _written(training=False), {R.LAYER_STATE}, {"block": frozenset(NORMALIZED | NOISY)}
    ),
    "a sum over the batch": Fault({R.LOSS_REDUCTION}, _scaled_loss(lambda count, _: count)),
    "a sum over outputs": Fault({R.LOSS_REDUCTION}, _scaled_loss(lambda *_: 3.0), networks={"heads": ("numbers",)}),
    "a fixed divisor": Fault({R.FIXED_DIVISOR}, _scaled_loss(lambda count, plan: count / plan.size)),
    "variables": Fault({R.VARIABLES_LEFT_OUT}, _variables),
    "labels": Fault({R.LABELS}, _labels),
    "another loss": Fault({R.LOSS_FUNCTION}, _other_loss, networks=LOSSES_OF_ONE),
    "penalty": Fault({R.REGULARIZATION}, _penalty, {R.UNREPORTED_PENALTY}, {"penalized": True}),
    "logits": Fault({R.FROM_LOGITS}, _logits, networks={"heads": ("classes", "logits", "chance")}),
    "broadcast labels": Fault({R.LABELS_BROADCAST}, _written(loss=_broadcast), networks={"heads": ("number",)}),
    "weights of the heads": Fault(
        {R.LOSS_WEIGHTS}, _unweighted_heads, {R.LOSS_REDUCTION}, networks={"heads": ("two",)}
    ),
    "weights of the samples": Fault(
        {R.SAMPLE_WEIGHTS},
        _scaled_loss(lambda *_: 1.0),
        networks={"weighted": True, **LOSSES_OF_ONE},
    ),
    "a gradient of nothing": Fault({R.NON_FINITE}, _written(loss=_distance_of_nothing), {R.LOSS_FUNCTION}),
    "gradients of an embedding as a whole": Fault(
        {R.UPDATE_RULE},
        _written(change=lambda gradients, _: [tf.convert_to_tensor(gradient) for gradient in gradients]),
        networks={"inputs": ("tokens",)},
        optimizers=("adam", "rmsprop"),
    ),
    "gradients scaled by hand": Fault(
        {R.UPDATE_RULE},
        _written(change=lambda gradients, _: [0.25 * gradient for gradient in gradients]),
        networks={"inputs": FLOATS},
        optimizers=PLAIN,
    ),
    "no shuffle": Fault({R.SHUFFLE}, _written(batches=_in_order), drivers=LOOPED),
    "an order drawn once": Fault({R.SHUFFLE}, _written(batches=_drawn_once), drivers=LOOPED),
    "replacement": Fault({R.SAMPLES}, _written(batches=_with_replacement), {R.SHUFFLE}, drivers=LOOPED),
    "the first batch again": Fault({R.SAMPLES}, _written(batches=_first_again), {R.SHUFFLE}, drivers=LOOPED),
    "held out": Fault({R.SAMPLES}, _written(batches=_held_out), {R.UPDATES}, drivers=LOOPED),
    "a remainder dropped": Fault({R.UPDATES}, _written(batches=_whole_ones), {R.SAMPLES}, drivers=LOOPED),
    "pairs apart": Fault({R.PAIRS_SHUFFLED_APART}, _written(arranged=_shuffled_apart), drivers=LOOPED),
    "inputs": Fault(
        {R.INPUTS},
        lambda plan: Writing(prepare=lambda x, y, _: (plan.pick((0.1 * x, x + 1, -x)), y)),
        networks={"inputs": FLOATS},
    ),
    "micro-batches summed": Fault(
        {R.ACCUMULATION},
        _written(micro=4, share=lambda *_: 1.0),
        {R.LOSS_REDUCTION},
        NO_NORMALIZATION,
        LOOPED,
    ),
    "micro-batches of equal weight": Fault(
        {R.ACCUMULATION},
        _written(micro=4, share=lambda count, total, parts: 1 / parts),  # noqa: ARG005
        networks=NO_NORMALIZATION,
        drivers=LOOPED,
    ),
    "gradients never reset": Fault(
        {R.STALE_GRADIENTS}, _written(change=_added_up), {R.ACCUMULATION}, drivers=EAGER, optimizers=("sgd",)
    ),
    "a new optimizer": Fault(
        {R.OPTIMIZER_RECREATED}, _written(before_epoch=_new_optimizer), drivers=EAGER, optimizers=STATEFUL
    ),
    "a rate that decays": Fault(
        {R.LEARNING_RATE_SCHEDULE}, _written(after_update=_decay), drivers=LOOPED, optimizers=("sgd", *STATEFUL)
    ),
    "weights reset": Fault({R.WEIGHTS_RESET}, _reset, {R.RESUME}, drivers=LOOPED),
    "averages kept": Fault(
        {R.WEIGHT_AVERAGING}, _written(after_update=_shadow, after_epoch=_keep_shadow), drivers=LOOPED
    ),
    "repeated noise": Fault(
        {R.REPEATED_RANDOMNESS},
        _noise(again=True),
        {R.INPUTS},
        {"inputs": FLOATS},
        EAGER,
        base=_noise(again=False),
    ),
    "a mean of means": Fault({R.UNWEIGHTED_MEAN}, _written(mean=_mean_of_means), drivers=LOOPED),
    "the last batch": Fault({R.LAST_BATCH}, _written(mean=_last), drivers=LOOPED),
    "percent": Fault({R.SCALED_FIGURE}, _written(mean=_percent), drivers=LOOPED),
    "measured afterwards": Fault({R.RUNNING_FIGURE}, _written(measured=_afterwards), drivers=LOOPED),
    "a penalty not reported": Fault(
        {R.UNREPORTED_PENALTY}, _written(reported_loss=_without_penalty), networks={"penalized": True}
    ),
    "validated in training mode": Fault(
        {R.EVALUATED_IN_TRAINING_MODE},
        _written(validated=_in_training_mode),
        {R.LAYER_STATE},
        {"block": frozenset(NORMALIZED | NOISY)},
        LOOPED,
        first=VALIDATING,
    ),
    "validated on a batch": Fault(
        {R.VALIDATION_SAMPLES}, _validation(lambda held, _: held.rows(slice(8))), drivers=LOOPED, first=VALIDATING
    ),
    "validated on the training set": Fault(
        {R.VALIDATION_DATA}, _validation(lambda _, data: data), drivers=LOOPED, first=VALIDATING
    ),
    "validated on other inputs": Fault(
        {R.VALIDATION_DATA},
        _validation(lambda held, _: replace(held, x=held.x * np.float32(0.2))),
        networks={"inputs": FLOATS},
        drivers=LOOPED,
        first=VALIDATING,
    ),
    "another threshold": Fault(
        {R.METRIC, R.ACCURACY_METRIC}, _written(hits=_low_threshold), networks={"heads": ("chance",)}, drivers=LOOPED
    ),
    "dropout": Fault(
        {R.MODEL}, networks={"block": frozenset({"dropout"})}, altered=_set(keras.layers.Dropout, rate=0.6)
    ),
    "epsilon of a layer": Fault(
        {R.MODEL},
        networks={"block": frozenset({"layer normalization"})},
        altered=_set(keras.layers.LayerNormalization, epsilon=0.5),
    ),
    "activation": Fault({R.MODEL}, networks={"heads": ("number", "numbers")}, altered=_curved),
    "momentum of a layer": Fault(
        {R.LAYER_STATE, R.MODEL},
        networks={"block": frozenset(NORMALIZED)},
        altered=_set(keras.layers.BatchNormalization, momentum=0.5),
    ),
    "initializer": Fault({R.INITIAL_WEIGHTS}, altered=_constant),
}
