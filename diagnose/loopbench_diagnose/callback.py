"""A Keras callback that observes a ``fit``, and diagnoses the program at its end."""

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from loopbench_diagnose.diagnosing import SAMPLES, examine_alone
from loopbench_diagnose.diagnosis import Diagnosis
from loopbench_diagnose.harness import snapshot_all
from loopbench_diagnose.loops import Loop, compile_and_fit
from loopbench_diagnose.program.fed import batch_size, by_fit, is_readable, is_shuffled
from loopbench_diagnose.program.run import MOST_SAMPLES, History, Program
from loopbench_diagnose.program.usage import FITTED, Usage
from loopbench_diagnose.progress import Progress, shown
from loopbench_diagnose.recording.values import float64
from loopbench_diagnose.side import Factory
from loopbench_diagnose.user_state import preserved
from loopbench_diagnose.variables import everything


class DiagnoseCallback(keras.callbacks.Callback):
    """Diagnoses the program whose ``fit`` it is given to, once at the end of the training.

    While the model trains, the callback only keeps the metrics of every epoch and the initial weights. At the end it
    trains copies of the model on the data of ``fit``, which takes some seconds; the trained model stays as it is.

    >>> callback = DiagnoseCallback()  # doctest: +SKIP
    >>> model.fit(x, y, epochs=5, callbacks=[callback])  # doctest: +SKIP
    >>> callback.diagnosis.causes  # doctest: +SKIP

    Attributes:
        diagnosis: the diagnosis after the training; None before it, and where the program cannot be diagnosed. A
            warning then says why.
    """

    def __init__(
        self,
        build_model: Factory | None = None,
        *,
        show: bool = True,
        samples: int = SAMPLES,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        """Prepares an observation.

        Args:
            build_model: makes the model; by default a copy is made of its configuration.
            show: print the diagnosis.
            samples: the largest number of samples that are watched.
            seed: of the initial weights of the copies, and of all that is drawn at random.
            progress: as for :func:`loopbench_diagnose.diagnose`.
        """
        super().__init__()
        self.diagnosis: Diagnosis | None = None
        self._build_model = build_model
        self._show = show
        self._samples = samples
        self._seed = seed
        self._progress = progress
        self._usage = Usage()
        self._start: list[Any] = []
        self._updates = 0

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002  Keras's signature
        """Keeps what ``fit`` is given, and the initial weights."""
        given = _arguments_of_fit(self.model)
        self._usage = Usage(compiles=1)
        if given is not None:
            self._usage.add_fit(self.model, {**given, "callbacks": None})
        # A model that is built by its first batch has no weights yet.
        self._start = snapshot_all(self.model) if self.model.built else []
        self._updates = int(float64(self.model.optimizer.iterations))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  Keras's signature
        """Keeps the metrics."""
        self._usage.add_epoch(logs)

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002  Keras's signature
        """Diagnoses the program, and prints the diagnosis."""
        try:
            self.diagnosis = self._diagnosed()
        except Exception as error:  # noqa: BLE001  the training stands, and its model is worth more than a diagnosis
            warnings.warn(f"DiagnoseCallback: no diagnosis, because {type(error).__name__}: {error}", stacklevel=2)
            return
        if self._show:
            print(self.diagnosis.describe())  # noqa: T201  what the callback is for

    def _diagnosed(self) -> Diagnosis:
        if not self._usage.fits:
            raise ValueError("the training is not Model.fit; call diagnose(build_model, data, loop) instead")
        if not is_readable(self._usage.fits[0]):
            raise ValueError(
                "fit reads a generator, which cannot be read again; call diagnose(build_model, data, loop)"
            )
        if self._usage.optimizer is None:
            raise ValueError("the optimizer cannot be created again from what get_config states")
        with preserved(), np.errstate(all="ignore"), shown(self._progress) as show:
            factory = self._build_model or _copies(self.model, self._start, resumed=self._updates > 0)
            data = by_fit(self._usage.fits[0], factory, MOST_SAMPLES)
            updates = int(float64(self.model.optimizer.iterations)) - self._updates
            epochs = self._usage.epochs
            history = History(
                epochs=tuple(epochs),
                reported=epochs[-1] if epochs else {},
                usage=self._usage,
                weights=snapshot_all(self.model),
                model=self.model,
                updates=updates,
                complete=True,
            )
            program = Program(
                factory,
                data,
                _stock(self.model, self._usage, factory),
                epochs=max(1, len(epochs)),
                samples=self._samples,
                seed=self._seed,
                history=history,
            )
            return examine_alone(program, show)


def _arguments_of_fit(model: keras.Model) -> Mapping[str, Any] | None:
    """What the running ``fit`` of a model was called with; Keras hands callbacks no data. None where none runs."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "fit" and frame.f_locals.get("self") is model:
            return {name: frame.f_locals[name] for name in FITTED if name in frame.f_locals}
        frame = frame.f_back
    return None


def _copies(model: keras.Model, start: list[Any], *, resumed: bool) -> Factory:
    """Makes copies of the model with new weights.

    Frozen variables, and all of a model that had been trained before, have the values that they started with.
    """
    kept = [bool(start) and (resumed or not variable.trainable) for variable in everything(model)]

    def build_model() -> keras.Model:
        made = keras.models.clone_model(model)
        if any(kept):
            for variable, value, keep in zip(everything(made), start, kept, strict=True):
                if keep:
                    variable.assign(value)
        return made

    return build_model


def _stock(model: keras.Model, usage: Usage, build_model: Factory) -> Loop:
    """The training that was observed, with the optimizer as it was before that training."""
    given = usage.fits[0]
    stated = model._compile_config.config  # noqa: SLF001  there is no public way
    options = {name: stated.get(name) for name in ("loss", "loss_weights", "weighted_metrics")}
    return compile_and_fit(
        optimizer=usage.optimizer,
        metrics=stated.get("metrics"),
        batch_size=batch_size(given, build_model),
        shuffle=is_shuffled(given, build_model),
        **{name: value for name, value in options.items() if value is not None},
    )
