"""The one function of this package."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from loopbench_diagnose.data import Data
from loopbench_diagnose.diagnosis import Diagnosis
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings
from loopbench_diagnose.harness import Harness
from loopbench_diagnose.inputs import Inputs
from loopbench_diagnose.loops import Loop
from loopbench_diagnose.overview import overview
from loopbench_diagnose.probes import OF_UPDATES, PROBES, Probe
from loopbench_diagnose.progress import Progress, shown, silent
from loopbench_diagnose.replay import Replay
from loopbench_diagnose.side import Factory, Side
from loopbench_diagnose.user_state import preserved

# Enough for orders to show and for some ten batches; more only takes longer.
SAMPLES = 2_003


def diagnose(
    build_model: Factory,
    data: Any,
    first: Loop | Side,
    second: Loop | Side,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    progress: Progress | None = None,
) -> Diagnosis:
    """Finds by experiment why two ways of training the same model end, or report, differently.

    Both are run from the same initial weights, on one batch and over some epochs, watched and unwatched. Nothing of
    them is read: what counts is what they do to gradients, weights and figures.

    Args:
        build_model: makes the model, the same every time but for its initial weights.
        data: training samples and, where the loops validate, a validation set: :class:`Data`, arrays, ``(x, y)``,
            ``((x, y), (x, y))``, a mapping, a ``tf.data.Dataset``, a ``keras.utils.PyDataset``, or a function without
            arguments that returns one of them. Loops receive the same kind.
        first: the way that is held to be right, for example :func:`compile_and_fit`. It is called as
            ``first(model, data, epochs)`` some ten times, with a new model each time, so it has to make its optimizer
            and its metrics itself; it trains on what it is given and returns what it reports: a Keras History, a
            dictionary of figures under Keras's names (``loss``, ``accuracy``, ``val_loss``, …), or None.
        second: the way in question.
        samples: the largest number of samples used, of either set.
        seed: of the initial weights and of all that is drawn at random.
        progress: called as ``progress(experiment, done, total)`` before each experiment; by default a terminal or a
            notebook shows one line.

    Raises:
        DataError: ``data`` cannot be read, or its arrays do not fit together.
        NoUpdateError: a loop takes no gradient of the given model's weights with ``tf.GradientTape``.
        ReusedObjectError: a loop uses an optimizer or a ``tf.function`` of an earlier training.
        StructureError: the factory builds different models.
    """
    with preserved(), np.errstate(all="ignore"), shown(progress) as show:
        inputs = Inputs(data, build_model, samples)
        one, other = (inputs.side(side if isinstance(side, Side) else Side(side)) for side in (first, second))
        experiment = _experiment(build_model, inputs.data, (one, other), samples=samples, seed=seed)
        findings = _ask(experiment, PROBES, show)
        replay = _overview(experiment, findings)
        return Diagnosis(**findings.fields(), replay=replay)


def examine(
    build_model: Factory, data: Data, sides: tuple[Side, Side], *, samples: int, seed: int, probes: Sequence[Probe]
) -> Findings:
    """What ``probes`` find of two sides; see :func:`diagnose`."""
    with preserved(), np.errstate(all="ignore"):
        return _ask(_experiment(build_model, data, sides, samples=samples, seed=seed), probes)


def _experiment(build_model: Factory, data: Data, sides: tuple[Side, Side], *, samples: int, seed: int) -> Experiment:
    """An experiment on a prime number of samples, unless only the number that was given makes equal batches.

    Loops that divide the samples into a number of parts agree with ``fit`` on that number alone.
    """
    prime, given = data.prime(samples), data.first(samples)
    made = Experiment(Harness(build_model, prime, seed), prime, sides)
    if len(prime) == len(given) or made.observed.same_batch_sizes:
        return made
    whole = Experiment(Harness(build_model, given, seed), given, sides, reduced=False)
    return whole if whole.first_updates_agree and whole.observed.same_batch_sizes else made


def _ask(experiment: Experiment, probes: Sequence[Probe], progress: Progress = silent) -> Findings:
    findings = Findings()
    progress("both sides over all samples", 0, len(probes) + 1)
    # Without a replay there is nothing to compare: its errors are the caller's.
    experiment.epochs  # noqa: B018  made here
    for number, probe in enumerate(probes, start=1):
        if probe in OF_UPDATES and _settled(experiment):
            continue
        progress(_name(probe), number, len(probes) + 1)
        try:
            probe(experiment, findings)
        except Exception as error:  # noqa: BLE001  the other results stand
            findings.not_tested(_name(probe), error)
    if _settled(experiment):
        stated = "Both sides make the same updates: of all samples in one order, and of the first batch."
        findings.control("updates_agree", stated, 0.0, experiment.comparison.final_distance)
    return findings


def _overview(experiment: Experiment, findings: Findings) -> Replay:
    try:
        return overview(experiment, findings)
    except Exception as error:  # noqa: BLE001  the causes stand without pictures
        findings.not_tested("pictures", error)
        return Replay()


def _name(probe: Probe) -> str:
    return probe.__module__.rpartition(".")[2].replace("_", " ")


def _settled(experiment: Experiment) -> bool:
    try:
        return experiment.settled
    except Exception:  # noqa: BLE001  the probes say what fails
        return False
