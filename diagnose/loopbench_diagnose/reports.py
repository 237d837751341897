"""What a loop reports of itself, against the same figures worked out again in every way that people do it."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from loopbench_diagnose.data import Data, leaves, sample_weights
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.given_labels import GivenLabels
from loopbench_diagnose.interventions import NO_ADDITIONAL_LOSSES
from loopbench_diagnose.orders import indices
from loopbench_diagnose.trace import Call, Step

# Relative; float32 sums over some hundred batches agree better. A wider one would be met by chance: the ways of making
# a figure come to nearly the same where the batches are alike.
MATCH = 2e-5
ACCURACIES = frozenset({"accuracy", "acc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy"})
VALIDATION = "val_"
# Units in which people report the same number, larger over smaller.
UNITS: dict[float, str] = {
    100.0: "in percent, or hundredths",
    1_000.0: "in thousandths",
    10.0: "in tenths",
    255.0: "in steps of a pixel",
    1 / np.log(2): "in bits, and the other in nats",
    np.log(10): "in nats, and the other in decimal digits",
}


class Aggregation(StrEnum):
    """How an epoch's figure is made of its batches'."""

    MEAN = "the mean over the samples"
    WEIGHTED = "the mean over the samples, each of which counts by its weight"
    FINAL = "counted on the final weights"
    UNWEIGHTED = "the mean over the batches, whatever they hold"
    LAST = "the last batch's"
    FIXED = "the mean over the samples of sums that are divided by a fixed batch size"
    PADDED = "the sum over the samples, divided as if every batch were full"
    REPEATED = "the sum of the batches' means, each times a fixed batch size, over the number of samples"
    UNRESET = "the mean over all epochs, of a metric that is never reset"
    EARLIER = "the mean over the samples on weights from before the last updates"
    UNFED = "that of a metric which is never fed"


SOUND = frozenset({Aggregation.MEAN, Aggregation.WEIGHTED, Aggregation.FINAL})


@dataclass(frozen=True)
class Figure:
    """One figure of a side: what it reported, what each way of working it out gives, and the way that fits, if any."""

    name: str
    reported: float
    aggregations: dict[Aggregation, float]

    @property
    def aggregation(self) -> Aggregation | None:
        """The first that fits; None where none does."""
        return next((way for way, value in self.aggregations.items() if _fits(self.reported, value)), None)

    @property
    def is_in_other_units(self) -> bool:
        """Whether it is a sound figure times a factor between two units."""
        sound = [value for way, value in self.aggregations.items() if way in SOUND]
        return any(_fits(self.reported, times * value) for times in UNITS for value in sound if value)

    def is_any_of(self, values: Iterable[float]) -> bool:
        """Whether it is one of these values."""
        return any(_fits(self.reported, value) for value in values)

    @property
    def truth(self) -> float:
        """The mean over the samples."""
        return self.aggregations[Aggregation.MEAN]


def _fits(reported: float, value: float) -> bool:
    return bool(np.isclose(reported, value, rtol=MATCH, atol=1e-6))


@dataclass(frozen=True)
class Batches:
    """Figures of an epoch's batches: float[k], and int[k] samples."""

    values: NDArray[np.float64]
    samples: NDArray[np.int64]

    def aggregations(self) -> dict[Aggregation, float]:
        """Of making one figure of them."""
        share = self.samples / self.samples.sum()
        padded = len(self.samples) * self.samples.max() / self.samples.sum()
        return {
            Aggregation.MEAN: float(share @ self.values),
            Aggregation.UNWEIGHTED: float(self.values.mean()),
            Aggregation.LAST: float(self.values[-1]),
            Aggregation.FIXED: float(share @ (self.values * self.samples / self.samples.max())),
            Aggregation.PADDED: float(share @ self.values / padded),
            Aggregation.REPEATED: float(self.values.mean() * padded),
        }


def _samples(calls: Sequence[Call]) -> NDArray[np.int64]:
    return np.asarray([len(call.rows) for call in calls])


def _unreset(epochs: Batches | None) -> dict[Aggregation, float]:
    return {} if epochs is None else {Aggregation.UNRESET: epochs.aggregations()[Aggregation.MEAN]}


def correct(outputs: Any, labels: Any, *, probabilities: bool) -> NDArray[np.bool_] | None:
    """Which samples are put into their class, bool[n]; None where outputs and labels are no single classification.

    Outputs are float[n, k] with labels as classes or one-hot, or float[n, 1] with labels 0 and 1,
    where 0.5 parts the classes if they are ``probabilities``, and 0 otherwise.
    """
    stated, true = leaves(outputs), leaves(labels)
    if len(stated) != 1 or len(true) != 1 or stated[0].ndim != 2:  # noqa: PLR2004  samples and outputs
        return None
    scores, classes = np.asarray(stated[0]), np.asarray(true[0])
    if classes.ndim == 2 and classes.shape[1] == scores.shape[1] > 1:  # noqa: PLR2004
        if not ((classes.sum(axis=1) == 1).all() and np.isin(classes, (0, 1)).all()):
            return None
        classes = classes.argmax(axis=1)
    classes = classes.reshape(len(classes), -1)
    if classes.shape[1] != 1 or not np.equal(np.mod(classes, 1), 0).all():
        return None
    if scores.shape[1] > 1:
        return np.asarray(scores.argmax(axis=1) == classes[:, 0])
    if not np.isin(classes, (0, 1)).all():
        return None
    threshold = 0.5 if probabilities else 0.0
    return np.asarray((scores[:, 0] > threshold) == (classes[:, 0] > 0))


class Reports:
    """The figures of one side of a experiment."""

    def __init__(self, experiment: Experiment, side: int) -> None:
        self._experiment = experiment
        self._side = side
        self._trace = experiment.epochs[side]

    def figures(self) -> list[Figure]:
        """All figures that are reported and can be worked out."""
        return self._figures({"loss", *ACCURACIES})

    def accuracies(self) -> list[Figure]:
        """Those of them that are accuracies."""
        return self._figures(ACCURACIES)

    def _figures(self, kinds: AbstractSet[str]) -> list[Figure]:
        reported = self._trace.reported.items()
        figures = (Figure(name, value, self._aggregations(name, kinds)) for name, value in reported)
        return [figure for figure in figures if figure.aggregations]

    def _aggregations(self, name: str, kinds: AbstractSet[str]) -> dict[Aggregation, float]:
        kind = name.removeprefix(VALIDATION)
        if kind not in kinds:
            return {}
        aggregations = self._validation(kind) if name.startswith(VALIDATION) else self._training(kind)
        if kind != "loss" and self._miscounts:
            # What such a metric comes to is near some aggregation of few samples by chance.
            aggregations = {way: value for way, value in aggregations.items() if way in SOUND}
        if aggregations and (kind == "loss" or self._has_unfed_metric):
            aggregations[Aggregation.UNFED] = 0.0
        return aggregations

    @cached_property
    def _miscounts(self) -> bool:
        """Whether an accuracy counted other than one value a sample, each as much as the others."""
        uses = (use for use in self._trace.metrics.values() if "Accuracy" in use.kind)
        return any(use.weighted or not use.counts_samples for use in uses)

    @cached_property
    def _has_unfed_metric(self) -> bool:
        """Whether the loop made an accuracy, or a mean other than that of a loss, and fed no accuracy at all."""
        if any("Accuracy" in use.kind for use in self._trace.metrics.values()):
            return False
        fed = {*self._trace.metrics, *(use.name for use in self._trace.means)}
        made = [r.name for r in self._trace.results if "Accuracy" in r.kind or (r.kind == "Mean" and r.name != "loss")]
        return bool(set(made) - fed)

    def _training(self, kind: str) -> dict[Aggregation, float]:
        steps = self._trace.steps
        last = self._of_steps(kind, self._last_epoch)
        if last is None:
            return {}
        aggregations, final = last.aggregations(), self._final(kind)
        mean = {Aggregation.MEAN: aggregations.pop(Aggregation.MEAN)}
        finals = {} if final is None else {Aggregation.FINAL: final}
        data = self._experiment.data
        calls = [step.call for step in self._last_epoch]
        weighted = self._weighted(kind, calls, data, data.class_weight)
        return {**mean, **weighted, **finals, **aggregations, **_unreset(self._of_steps(kind, steps))}

    @property
    def _last_epoch(self) -> list[Step]:
        return self._trace.steps[-(len(self._trace.steps) // self._trace.epochs) :]

    def _of_steps(self, kind: str, steps: Sequence[Step]) -> Batches | None:
        calls = [step.call for step in steps]
        if kind != "loss":
            return self._accuracies(calls, self._experiment.data)
        return Batches(np.asarray([step.loss for step in steps]), _samples(calls))

    def _correct(self, outputs: Any, labels: Any) -> NDArray[np.bool_] | None:
        return correct(outputs, labels, probabilities=self._experiment.harness.gives_probabilities)

    def _final(self, kind: str) -> float | None:
        """On the final weights, over the training set."""
        return self._of_outputs(kind, self._experiment.data, self._experiment.final_outputs(self._side))

    def _of_outputs(self, kind: str, data: Data, outputs: Any) -> float | None:
        if kind == "loss":
            return self._loss(data, outputs)
        right = self._correct(outputs, data.y)
        return None if right is None else float(right.mean())

    def validation_calls(self) -> list[Call]:
        """The model's calls on the validation set after the last step."""
        return [call for call in self._all_validation_calls() if self._is_last(call)]

    def earlier_validation_calls(self) -> list[Call]:
        """The latest of those that more steps follow."""
        earlier = [call for call in self._all_validation_calls() if not self._is_last(call)]
        latest = max((call.steps_before for call in earlier), default=0)
        return [call for call in earlier if call.steps_before == latest]

    def last_validation_calls(self) -> list[Call]:
        """Those after the last step, or the earlier ones of a side that evaluates nothing after it."""
        if any(self._is_last(call) for call in self._trace.evaluations):
            return self.validation_calls()
        return self.earlier_validation_calls()

    def _is_last(self, call: Call) -> bool:
        return call.steps_before == len(self._trace.steps)

    def _all_validation_calls(self) -> list[Call]:
        """Those of all epochs."""
        data = self._experiment.data.validation
        known = set(self._experiment.rows(data)) if data is not None else set()
        return [call for call in self._trace.evaluations if known.issuperset(call.rows)]

    def _validation(self, kind: str) -> dict[Aggregation, float]:
        last = self._of_validation(kind, self.validation_calls())
        earlier = self._of_validation(kind, self.earlier_validation_calls())
        aggregations = self._validation_afterwards(kind) if last is None and earlier is not None else {}
        if last is not None:
            data = self._experiment.data.validation
            # Keras gives a validation set no class weights.
            weighted = self._weighted(kind, self.validation_calls(), data, None)
            unreset = _unreset(self._of_validation(kind, self._all_validation_calls()))
            aggregations = {**last.aggregations(), **weighted, **unreset}
        if aggregations and earlier is not None:
            aggregations[Aggregation.EARLIER] = earlier.aggregations()[Aggregation.MEAN]
        return aggregations

    def _validation_afterwards(self, kind: str) -> dict[Aggregation, float]:
        """On the final weights, which the side did not evaluate itself."""
        data = self._experiment.data.validation
        assert data is not None
        found = self._of_outputs(kind, data, self._experiment.harness.outputs(self._trace, data))
        return {} if found is None else {Aggregation.MEAN: found}

    def _of_validation(self, kind: str, calls: Sequence[Call]) -> Batches | None:
        data = self._experiment.data.validation
        if data is None or not calls:
            return None
        return self._accuracies(calls, data) if kind != "loss" else self._losses(calls, data)

    def _losses(self, calls: Sequence[Call], data: Data) -> Batches | None:
        known = self._experiment.rows(data)
        losses = [self._loss_of_data(data.rows(indices(call.rows, known)), call.outputs) for call in calls]
        # What the model adds by itself changes with its weights from epoch to epoch.
        stated = [loss + call.penalty for loss, call in zip(losses, calls, strict=True) if loss is not None]
        return Batches(np.asarray(stated), _samples(calls)) if len(stated) == len(calls) else None

    def _accuracies(self, calls: Sequence[Call], data: Data) -> Batches | None:
        hits = self._hits(calls, data)
        return (
            None if hits is None else Batches(np.asarray([float(right.mean()) for _, right in hits]), _samples(calls))
        )

    def _weighted(
        self, kind: str, calls: Sequence[Call], data: Data | None, class_weight: Mapping[int, float] | None
    ) -> dict[Aggregation, float]:
        """An accuracy in which samples count by their weights; nothing where each of them has the same."""
        if kind == "loss" or data is None:
            return {}
        hits, values = self._hits(calls, data), leaves(sample_weights(data, class_weight))
        if not hits or len(values) != 1 or np.size(values[0]) != len(data):
            return {}
        each = np.concatenate([np.ravel(values[0])[index] for index, _ in hits])
        if not each.sum() or (each == each[0]).all():
            return {}
        return {Aggregation.WEIGHTED: float(np.average(np.concatenate([right for _, right in hits]), weights=each))}

    def _hits(self, calls: Sequence[Call], data: Data) -> list[tuple[Any, NDArray[np.bool_]]] | None:
        """The places of the samples of every call, and which of them are put into their class."""
        known, hits = self._experiment.rows(data), []
        for call in calls:
            index = indices(call.rows, known)
            right = None if index is None else self._correct(call.outputs, data.rows(index).y)
            if right is None:
                return None
            hits.append((index, right))
        return hits

    def _loss(self, data: Data, outputs: Any) -> float | None:
        """Mean loss over the samples, and what the model adds to it by itself."""
        loss = self._loss_of_data(data, outputs)
        if loss is None or not self._experiment.has_additional_losses:
            return loss
        return loss + self._experiment.harness.additional_loss(self._trace, data)

    def _loss_of_data(self, data: Data, outputs: Any) -> float | None:
        """By this side's definition, or by the other's times the scale between them."""
        own = self._loss_of(self._side, data, outputs)
        if own is not None:
            return own
        other = self._loss_of(1 - self._side, data, outputs)
        explanation = self._experiment.explanation
        if other is None or not explanation.closed:
            return None
        return other * (explanation.ratio.scale if self._side else 1 / explanation.ratio.scale)

    def _loss_of(self, side: int, data: Data, outputs: Any) -> float | None:
        """None where a side's loss is not known, or takes other labels than those that are known."""
        own, model = self._experiment.sides[side].loss, self._experiment.epochs[side].model
        try:
            if own is not None:
                return float(np.mean(own(data.y, outputs)))
            if not model.compiled or model.loss is None:
                return None
            given = self._given_labels[side].of(self._experiment.rows(data))
            return _compiled_loss(model, data, given, outputs)
        except Exception:  # noqa: BLE001  a loop may prepare labels for its loss, or compile one that it never uses
            return None

    @cached_property
    def _given_labels(self) -> tuple[GivenLabels, GivenLabels]:
        first, second = (GivenLabels(trace) for trace in self._experiment.epochs)
        return first, second


def _compiled_loss(model: Any, data: Data, given: Any, outputs: Any) -> float:
    """Of the labels as the loss was given them, where they are known, or else of those of the data."""
    y, weight = (keras.tree.map_structure(_tensor, part) for part in (data.y, data.sample_weight))
    predicted = keras.tree.map_structure(lambda leaf: keras.ops.convert_to_tensor(leaf, "float32"), outputs)
    if given is not None and len(leaves(predicted)) == 1:
        y = keras.tree.pack_sequence_as(predicted, [keras.ops.convert_to_tensor(given, "float32")])
    # The model's own losses are those of its last call, whatever that was made on.
    with NO_ADDITIONAL_LOSSES.patches():
        return float(model.compute_loss(y=y, y_pred=predicted, sample_weight=weight, training=False))


def _tensor(leaf: Any) -> Any:
    return None if leaf is None else keras.ops.convert_to_tensor(leaf)
