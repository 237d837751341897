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
from loopbench_diagnose.program import checks
from loopbench_diagnose.program.recovery import NotRecoveredError
from loopbench_diagnose.program.run import Program
from loopbench_diagnose.progress import Progress, shown, silent
from loopbench_diagnose.replay import Replay
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
        epochs: how many a program alone is trained for; by default the default of its third parameter, or 5.
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
            return _alone(program, show)
        inputs = Inputs(data, build_model, samples)
        one, other = (inputs.side(side if isinstance(side, Side) else Side(side)) for side in (loop, second))
        experiment = _experiment(build_model, inputs.data, (one, other), samples=samples, seed=seed)
        findings = _ask(experiment, PROBES, show)
        replay = _overview(experiment, findings)
        return Diagnosis(**findings.fields(), replay=replay)


def _alone(program: Program, progress: Progress) -> Diagnosis:
    """One program: its run, the stock training that it amounts to, and the checks."""
    findings = Findings()
    progress("the loop as it is", 0, len(checks.CHECKS) + 2)
    # Without a run there is nothing to examine: its errors are the caller's.
    program.history  # noqa: B018  made here
    program.trace  # noqa: B018
    try:
        code = program.configuration.code()
    except NotRecoveredError as error:
        code = ""
        findings.not_tested("stock training", error)
    checks.run(program, findings, progress)
    return Diagnosis(**findings.fields(), configuration=code, notes=findings.notes)


def examine(
    build_model: Factory, data: Data, sides: tuple[Side, Side], *, samples: int, seed: int, probes: Sequence[Probe]
) -> Findings:
    """What ``probes`` find of two sides; see :func:`diagnose`."""
    with preserved(), np.errstate(all="ignore"):
        return _ask(_experiment(build_model, data, sides, samples=samples, seed=seed), probes)


def _experiment(build_model: Factory, data: Data, sides: tuple[Side, Side], *, samples: int, seed: int) -> Experiment:
    used = data.prime(samples)
    return Experiment(Harness(build_model, used, seed), used, sides)


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
