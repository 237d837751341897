"""Facts of one program, each made once and when it is asked for."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import keras
import numpy as np

from loopbench_diagnose.data import Data, leaves, sample_weights
from loopbench_diagnose.harness import Harness, NoUpdateError, figures
from loopbench_diagnose.inputs import Inputs
from loopbench_diagnose.loops import Loop
from loopbench_diagnose.program.fed import by_fit, is_readable, mapped
from loopbench_diagnose.program.limits import Limit, limited
from loopbench_diagnose.program.preparation import Prepare, are_apart, preparation
from loopbench_diagnose.program.recovery import Configuration
from loopbench_diagnose.program.tasks import NUMERIC, Kind, Task, recognize
from loopbench_diagnose.program.training import Outcome, Trainer, initial, orders
from loopbench_diagnose.program.usage import Usage, observed
from loopbench_diagnose.reuse import refuse_reuse
from loopbench_diagnose.settings import copy_of
from loopbench_diagnose.side import Factory, Side
from loopbench_diagnose.trace import Step, Trace
from loopbench_diagnose.variables import everything, parameters

# Epochs of a loop that is called with a number of them and states no default.
EPOCHS = 30
# The loop as it is: samples that it is given at most, and seconds and updates after which it is ended.
MOST_SAMPLES = 20_000
MOST_SECONDS = 20.0
MOST_UPDATES = 50_000
# Updates that are watched.
WATCHED = 4
# Trial trainings: samples and updates at most.
TRIAL_SAMPLES = 2_003
TRIAL_UPDATES = 1_500
# The part of the samples that is held out where the program has no validation set, and samples that are too few for it.
HELD_OUT = 0.2
FEW = 40


@dataclass(frozen=True, eq=False)
class History:
    """The loop as the user wrote it, on all samples.

    ``epochs`` are the figures of every epoch of ``fit``, and ``reported`` those that the loop returned of the last one.
    ``weights`` are the final values of all variables of ``model``. ``updates`` counts those of all optimizers, and
    ``complete`` is False where a limit ended the loop. ``changes_rate`` says that optimizers had several learning
    rates, other than by a schedule.
    """

    epochs: tuple[dict[str, float], ...]
    reported: dict[str, float]
    usage: Usage
    weights: list[Any]
    model: keras.Model
    updates: int
    complete: bool
    changes_rate: bool = False


class Program:
    """One model factory, its data and a loop; ``epochs`` is how many the loop is called with.

    ``history`` is that of a run that was observed already; by default the loop is run.
    """

    def __init__(
        self,
        build_model: Factory,
        data: Any,
        loop: Loop | Side,
        *,
        epochs: int | None,
        samples: int,
        seed: int,
        history: History | None = None,
    ) -> None:
        given = loop if isinstance(loop, Side) else Side(loop)
        self.build_model = given.build_model or build_model
        self.seed = seed
        self.loop = given.train
        stated = epochs or _default_epochs(given.train)
        self.epochs = stated or EPOCHS
        # Nothing can be blamed on a number that is not the user's.
        self.states_epochs = bool(stated) or not takes_epochs(given.train)
        inputs = Inputs(data, self.build_model, MOST_SAMPLES)
        self.given = inputs.data.first(MOST_SAMPLES)
        self._own = replace(given, train=_with_epochs(given.train), build_model=None)
        self._pipelines = inputs.pipelines
        self.side = inputs.side(self._own)
        self.watched_data = self.given.prime(samples)
        self.harness = Harness(self.build_model, self.watched_data, seed)
        self._history = history
        self._trainers: dict[Any, tuple[Any, Trainer]] = {}
        self._starts: dict[Any, tuple[Any, list[Any]]] = {}
        self._outcomes: dict[Any, tuple[Any, Outcome]] = {}

    @cached_property
    def history(self) -> History:
        """The loop as it is, in its own way of execution, on all samples and for all epochs, within limits."""
        if self._history is not None:
            return self._history
        model = self.harness.model()
        keras.utils.set_random_seed(self.seed)
        limit, reported = Limit(MOST_SECONDS, MOST_UPDATES), None
        with observed(model) as usage, limited(limit):
            if self._pipelines is None:
                reported = self.side.train(model, self.given.copied(), self.epochs)
            else:
                # With their own shuffles.
                reported = self._own.train(model, self._pipelines, self.epochs)
        return History(
            epochs=tuple(usage.epochs),
            reported=figures(reported),
            usage=usage,
            weights=initial(model),
            model=model,
            updates=limit.updates,
            complete=not limit.reached,
            changes_rate=len(limit.rates) > 1,
        )

    @property
    def is_stock(self) -> bool:
        """Whether the loop is Keras's own ``compile`` and ``fit``, with no class of the user's in it."""
        usage, model = self.history.usage, self.history.model
        if not usage.is_stock or type(model).train_step is not keras.Model.train_step:
            return False
        return all(is_of_keras(callback) for callback in leaves(usage.fits[0]["callbacks"]))

    @cached_property
    def _left(self) -> frozenset[int]:
        """Places of the parameters that no optimizer is given and that the whole loop leaves as they were."""
        updates = self.trace.updates_made
        if any(update.by_hand for update in updates):
            return frozenset()
        given = {place for update in updates for place in update.optimizers}
        final = {
            id(one): value for one, value in zip(everything(self.history.model), self.history.weights, strict=True)
        }
        starts = zip(parameters(self.history.model), self.harness.initial_weights, strict=True)
        return frozenset(
            place
            for place, (one, start) in enumerate(starts)
            if place not in given and np.array_equal(final[id(one)], start)
        )

    @cached_property
    def trained_model(self) -> Factory:
        """Makes the models of trials: with the layers frozen that the loop does not train."""
        if not self._left:
            return self.build_model

        def build() -> keras.Model:
            model = self.build_model()
            left = {id(one) for place, one in enumerate(parameters(model)) if place in self._left}
            for layer in model._flatten_layers():  # noqa: SLF001  Keras has no public way
                own = layer._trainable_variables  # noqa: SLF001
                if own and all(id(variable) in left for variable in own):
                    layer.trainable = False
            return model

        return build

    @cached_property
    def left_at_random(self) -> list[str]:
        """Kernels that the loop leaves as an initializer made them, by their paths.

        Weights that every model of the factory starts with were learnt elsewhere.
        """
        model = self.harness.prototype
        left = {id(one) for place, one in enumerate(parameters(model)) if place in self._left and one.ndim > 1}
        if not left:
            return []
        starts = (self._start(self.build_model, seed) for seed in (0, 1))
        return [
            variable.path
            for variable, one, other in zip(everything(model), *starts, strict=True)
            if id(variable) in left and not np.array_equal(one, other)
        ]

    @property
    def bounded_side(self) -> Side:
        """The loop for the number of epochs that it is called with; one that decides itself is ended after them."""
        if takes_epochs(self.loop):
            return self.side
        size = self.configuration.batch_size

        def train(model: keras.Model, data: Any, epochs: int) -> Any:
            with limited(Limit(updates=epochs * -(-len(data) // size))):
                return self.side.train(model, data, epochs)
            # The limit was reached.
            return None

        return replace(self.side, train=train)

    @cached_property
    def trace(self) -> Trace:
        """The first updates, watched.

        Raises:
            NoUpdateError: there are none.
            ReusedObjectError: the loop uses an optimizer or a ``tf.function`` of the run before.
        """
        try:
            trace = self.harness.watch(self.side, self.watched_data, self.epochs, updates=WATCHED)
        except Exception as error:
            refuse_reuse(error, "the loop")
            raise
        if not trace.steps:
            raise NoUpdateError("the loop took no gradient of the model's weights with tf.GradientTape")
        return trace

    @cached_property
    def data(self) -> Data:
        """The samples as the loop feeds them to the model, with the validation set."""
        fits = self.history.usage.fits
        if not fits or not is_readable(fits[0]):
            return self.prepare(self.given)
        fed = by_fit(fits[0], self.build_model, MOST_SAMPLES)
        if fed.validation is None and self.given.validation is not None and _same_inputs(fed, self.given):
            fed = replace(fed, validation=self.given.validation)
        return fed

    @cached_property
    def ordered_step(self) -> Step | None:
        """The first step where nothing shuffles, on the first of the watched samples; None where there is none."""
        steps = self.harness.watch(self.side, self.watched_data, self.epochs, ordered=True, updates=1).steps
        return steps[0] if steps else None

    @cached_property
    def prepare(self) -> Prepare:
        """Prepares samples of the data as the loop does before it feeds them."""
        return preparation(self.watched_data, self.ordered_step) if self.ordered_step else lambda data: data

    @cached_property
    def training(self) -> Data:
        """The samples of trial trainings: all, or those that are not held out; without a validation set."""
        kept, _ = self._parts
        return replace(self.data.rows(kept), validation=None)

    @cached_property
    def held_out(self) -> Data:
        """The samples that scores are computed on: the validation set, or a part that no trial trains on."""
        _, rest = self._parts
        validation = self.validation
        return validation.rows(slice(TRIAL_SAMPLES)) if validation is not None else self.data.rows(rest)

    @cached_property
    def validation(self) -> Data | None:
        """The validation set; None where there is none, or one that is prepared in another way."""
        validation = self.data.validation
        return None if validation is None or are_apart(self.data, validation) else validation

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        generator = np.random.default_rng(self.seed)
        total = len(self.data)
        # Samples in their order, which training without a shuffle goes by.
        if self.validation is not None:
            return np.sort(generator.permutation(total)[:TRIAL_SAMPLES]), np.arange(0)
        if total < FEW:
            return np.arange(total), np.arange(total)
        order = generator.permutation(total)[: round(TRIAL_SAMPLES / (1 - HELD_OUT))]
        rest = max(1, round(HELD_OUT * len(order)))
        return np.sort(order[rest:]), np.sort(order[:rest])

    @cached_property
    def configuration(self) -> Configuration:
        """The stock training that the loop amounts to.

        Raises:
            NotRecoveredError: it cannot be stated; the message says why.
        """
        from loopbench_diagnose.program.recovering import recover  # noqa: PLC0415  it takes a program

        return recover(self)

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """What the labels of every output are."""
        return self._tasks(self.data)

    def _tasks(self, data: Data) -> tuple[Task, ...]:
        shapes = [tuple(leaf.shape) for leaf in leaves(self.outputs_of_start)]
        labels = leaves(data.y)
        if not labels or len(labels) != len(shapes):
            return (Task(Kind.NONE),)
        return tuple(recognize(y, data.x, shape) for y, shape in zip(labels, shapes, strict=True))

    @cached_property
    def task(self) -> Task:
        """What the labels of the first output are."""
        return self.tasks[0]

    @cached_property
    def outputs_of_start(self) -> Any:
        """Outputs of the untrained model for the first watched samples."""
        count = self.harness.fixed_batch or min(len(self.data), 32)
        return self.harness.predicted(self.harness.model(), self.data.rows(slice(count)).x)

    @property
    def takes_logits(self) -> bool:
        """Whether the loss takes the outputs for logits."""
        return _takes_logits(self.configuration.loss)

    def score(
        self, data: Data, outputs: Any, *, logits: bool | None = None, tasks: tuple[Task, ...] | None = None
    ) -> float:
        """The mean task score of outputs for the samples of ``data``; NaN where there is no task."""
        threshold = self.takes_logits if logits is None else logits
        known = self.tasks if tasks is None else tasks
        labels = leaves(data.y)
        if len(labels) != len(known) or known[0].kind is Kind.NONE:
            return float("nan")
        pairs = zip(known, labels, leaves(outputs), strict=True)
        return float(np.mean([task.score(y, z, logits=threshold) for task, y, z in pairs]))

    def updates(self, epochs: int | None = None) -> int:
        """Updates of a trial of ``epochs`` epochs; by default, of as many as the loop runs."""
        configuration = self.configuration
        batches = -(-len(self.training) // configuration.batch_size)
        return min(TRIAL_UPDATES, (epochs or configuration.epochs) * batches)

    def trial(
        self,
        *,
        model: Factory | None = None,
        loss: Any = None,
        optimizer: keras.optimizers.Optimizer | None = None,
        learning_rate: float | None = None,
        x: Callable[[Any], Any] | None = None,
        y: Callable[[Any], Any] | None = None,
        epochs: int | None = None,
        updates: int | None = None,
        batch_size: int | None = None,
        shuffle: bool | None = None,
        seed: int = 0,
    ) -> Outcome:
        """Stock training in the recovered configuration, but for what is given.

        A trial with the same changes is made once; so pass the same objects to repeat it under another seed.

        Args:
            model: makes the model instead.
            loss: as for ``compile``.
            optimizer: one that has not trained.
            learning_rate: of the optimizer.
            x: applied to every array of inputs, of the training samples and of the held-out ones.
            y: the same for labels.
            epochs: of the loop by default, at most ``TRIAL_UPDATES`` updates.
            updates: instead of ``epochs``.
            batch_size: samples in a batch.
            shuffle: as for ``fit``.
            seed: of the initial weights, of random layers and of the orders.

        Raises:
            NotRecoveredError: the configuration is not known.
        """
        changes = model, loss, optimizer, x, y
        key = (*map(id, changes), learning_rate, epochs, updates, batch_size, shuffle, seed)
        if key not in self._outcomes:
            # What is changed is kept with the outcome: its id stays its own.
            self._outcomes[key] = (
                changes,
                self._trial(
                    factory=model or self.trained_model,
                    loss=loss,
                    optimizer=optimizer,
                    learning_rate=learning_rate,
                    parts=(mapped(self.training, x, y), mapped(self.held_out, x, y)),
                    updates=updates or self.updates(epochs),
                    batch_size=batch_size or self.configuration.batch_size,
                    shuffle=self.configuration.shuffle if shuffle is None else shuffle,
                    seed=seed,
                ),
            )
        return self._outcomes[key][1]

    def _trial(
        self,
        *,
        factory: Factory,
        loss: Any,
        optimizer: keras.optimizers.Optimizer | None,
        learning_rate: float | None,
        parts: tuple[Data, Data],
        updates: int,
        batch_size: int,
        shuffle: bool,
        seed: int,
    ) -> Outcome:
        training, held_out = parts
        trainer = self._trainer(factory, loss, optimizer)
        start = self._start(factory, seed)
        batches = orders(len(training), min(batch_size, len(training)), updates, shuffle=shuffle, seed=seed)
        if self.harness.fixed_batch:
            batches = [batch for batch in batches if len(batch) == self.harness.fixed_batch]
        keras.utils.set_random_seed(self.seed + seed)
        weighted = replace(training, sample_weight=sample_weights(training, self.configuration.class_weight))
        losses = trainer.train(weighted, start, batches, learning_rate=learning_rate)
        outputs = trainer.outputs(held_out.x)
        logits = self.takes_logits if loss is None else _takes_logits(loss)
        # Labels may have been changed to another kind, with the outputs that are to meet them.
        tasks = self._tasks(training)
        return Outcome(
            losses=losses,
            score=self.score(held_out, outputs, logits=logits, tasks=tasks),
            training_score=self.score(training, trainer.outputs(training.x), logits=logits, tasks=tasks),
            weights=initial(trainer.model),
            outputs=outputs,
        )

    def rerun(self, *, updates: int | None = None, seed: int = 0) -> Outcome:
        """The loop itself on the samples of trial trainings, from the weights and with the seed of a trial.

        It is ended after ``updates`` updates. ``losses`` of the outcome has no values: a loop need not state them.
        """
        model = self.harness.model()
        for variable, value in zip(everything(model), self._start(self.build_model, seed), strict=True):
            variable.assign(value)
        keras.utils.set_random_seed(self.seed + seed)
        kept, _ = self._parts
        data = replace(self.given.rows(kept), validation=self.given.validation)
        with limited(Limit(MOST_SECONDS, updates)):
            self.side.train(model, data, self.epochs)
        outputs = [self.predicted(model, part.x) for part in (self.held_out, self.training)]
        return Outcome(
            losses=np.zeros(0),
            score=self.score(self.held_out, outputs[0]),
            training_score=self.score(self.training, outputs[1]),
            weights=initial(model),
            outputs=outputs[0],
        )

    def predicted(self, model: keras.Model, x: Any) -> Any:
        """Outputs of a model of the program for all of ``x``."""
        return keras.tree.map_structure(np.asarray, self.harness.predicted(model, x))

    @property
    def score_name(self) -> str:
        """What the task score is, and of which samples."""
        measure = "R²" if self.task.kind in NUMERIC else "accuracy"
        return f"{'validation' if self.validation is not None else 'held-out'} {measure}"

    def _trainer(self, factory: Factory, loss: Any, optimizer: Any) -> Trainer:
        key = id(factory), id(loss), id(optimizer)
        if key not in self._trainers:
            configuration = self.configuration
            model = self.harness.made(factory)
            given = configuration.optimizer if optimizer is None else optimizer
            model.compile(
                optimizer=copy_of(given),
                loss=configuration.loss if loss is None else loss,
                jit_compile=False,
                **configuration.compile_options,
            )
            self._trainers[key] = (factory, loss, optimizer), Trainer(model)
        return self._trainers[key][1]

    def _start(self, factory: Factory, seed: int) -> list[Any]:
        key = id(factory), seed
        if key not in self._starts:
            self._starts[key] = factory, initial(self.harness.made(factory, seed=self.seed + seed))
        return self._starts[key][1]


def is_of_keras(thing: Any) -> bool:
    """Whether an object is of one of Keras's own classes."""
    return type(thing).__module__.partition(".")[0] == "keras"


def _same_inputs(fed: Data, given: Data) -> bool:
    """Whether the model is fed inputs of the kind that the data holds, unchanged."""
    return len(fed) <= len(given) and fed.rows(slice(1)).x is not None and _equal(fed.x, given.rows(slice(len(fed))).x)


def _equal(one: Any, other: Any) -> bool:
    a, b = leaves(one), leaves(other)
    return len(a) == len(b) and all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))


def _parameters(loop: Loop) -> list[inspect.Parameter] | None:
    try:
        return list(inspect.signature(loop).parameters.values())
    except (TypeError, ValueError):
        return None


POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def takes_epochs(loop: Loop) -> bool:
    """Whether a loop is called with a number of epochs, and does not decide on it itself."""
    parameters = _parameters(loop)
    if parameters is None:
        return True
    kinds = [parameter.kind for parameter in parameters]
    return inspect.Parameter.VAR_POSITIONAL in kinds or sum(kind in POSITIONAL for kind in kinds) > 2  # noqa: PLR2004


def _with_epochs(loop: Loop) -> Loop:
    return loop if takes_epochs(loop) else lambda model, data, _: loop(model, data)  # type: ignore[call-arg]


def _default_epochs(loop: Loop) -> int | None:
    parameters = [one for one in _parameters(loop) or [] if one.kind in POSITIONAL]
    default = parameters[2].default if len(parameters) > 2 else None  # noqa: PLR2004
    return default if isinstance(default, int) else None


def _takes_logits(loss: Any) -> bool:
    losses = keras.tree.flatten(loss)
    return any(bool((getattr(one, "_fn_kwargs", None) or {}).get("from_logits")) for one in losses)
