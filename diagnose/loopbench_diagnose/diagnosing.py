"""The one function of this package."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from loopbench_diagnose.asking import ask, replay_of
from loopbench_diagnose.data import Data
from loopbench_diagnose.diagnosis import Diagnosis
from loopbench_diagnose.execution import without_tensorflow_warnings
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings
from loopbench_diagnose.harness import Harness
from loopbench_diagnose.inputs import Inputs
from loopbench_diagnose.loops import Loop
from loopbench_diagnose.probes import PROBES, Probe
from loopbench_diagnose.program import checks, reference
from loopbench_diagnose.program.recovery import NotRecoveredError
from loopbench_diagnose.program.run import Program
from loopbench_diagnose.progress import Progress, shown, silent
from loopbench_diagnose.side import Factory, Side
from loopbench_diagnose.user_state import preserved

# Enough for orders to show and for some ten batches; more only takes longer.
SAMPLES = 2_003


def diagnose(
    build_model: Factory,
    data: Any,
    loop: Loop | Side,
    second: Loop | Side | None = None,
    *,
    epochs: int | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    progress: Progress | None = None,
) -> Diagnosis:
    """Finds by experiment why a program trains badly, or why two ways of training end, or report, differently.

    One loop alone is run as it is, compared with the stock ``compile`` and ``fit`` that it amounts to, and checked by
    trial trainings. Two loops are run from the same initial weights, on one batch and over some epochs, watched and
    unwatched. Nothing of them is read: what counts is what they do to gradients, weights and figures.

    Args:
        build_model: makes the model, the same every time but for its initial weights.
        data: training samples and, where the loops validate, a validation set: :class:`Data`, arrays, ``(x, y)``,
            ``((x, y), (x, y))``, a mapping, a ``tf.data.Dataset``, a ``keras.utils.PyDataset``, or a function without
            arguments that returns one of them. Loops receive the same kind.
        loop: the program's training, or of two the way that is held to be right, for example :func:`compile_and_fit`.
            It is called as ``loop(model, data, epochs)`` some ten times, with a new model each time, so it has to make
            its optimizer and its metrics itself; it trains on what it is given and returns what it reports: a Keras
            History, a dictionary of figures under Keras's names (``loss``, ``accuracy``, ``val_loss``, …), or None. A
            program alone may also be ``loop(model, data)``.
        second: the way in question; None for one program alone.
        epochs: how many a program alone is trained for; by default the default of its third parameter, or 30.
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
        if second is None:
            program = Program(build_model, data, loop, epochs=epochs, samples=samples, seed=seed)
            return examine_alone(program, show)
        inputs = Inputs(data, build_model, samples)
        one, other = (inputs.side(side if isinstance(side, Side) else Side(side)) for side in (loop, second))
        experiment = _experiment(build_model, inputs.data, (one, other), samples=samples, seed=seed)
        return Diagnosis(**_find(experiment, PROBES, show).fields())


def examine_alone(program: Program, progress: Progress) -> Diagnosis:
    """One program: its run, the stock training that it amounts to, and the checks."""
    findings = Findings()
    progress("the loop as it is", 0, len(checks.CHECKS) + 2)
    # Without a run there is nothing to examine: its errors and its warnings are the caller's.
    program.history  # noqa: B018  made here
    with warnings.catch_warnings(), without_tensorflow_warnings():
        # What the program warns of, it has said by now.
        warnings.simplefilter("ignore")
        program.trace  # noqa: B018
        reference.compare(program, findings, progress)
        checks.run(program, findings, progress)
    return Diagnosis(**findings.fields(), alone=True, configuration=_code(program), notes=findings.notes)


def _code(program: Program) -> str:
    try:
        return program.configuration.code()
    except NotRecoveredError:
        # The comparison says why.
        return ""


def examine(
    build_model: Factory, data: Data, sides: tuple[Side, Side], *, samples: int, seed: int, probes: Sequence[Probe]
) -> Findings:
    """What ``probes`` find of two sides; see :func:`diagnose`."""
    with preserved(), np.errstate(all="ignore"):
        return _find(_experiment(build_model, data, sides, samples=samples, seed=seed), probes)


def _find(experiment: Experiment, probes: Sequence[Probe], progress: Progress = silent) -> Findings:
    findings = ask(experiment, probes, progress)
    findings.replay = replay_of(experiment, findings)
    return findings


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
