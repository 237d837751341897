"""Asks probes of two sides, one after the other."""

from collections.abc import Sequence

from loopbench.spec import Replay
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings
from loopbench_diagnose.overview import overview
from loopbench_diagnose.probes import OF_UPDATES, Probe
from loopbench_diagnose.progress import Progress, silent


def ask(experiment: Experiment, probes: Sequence[Probe], progress: Progress = silent) -> Findings:
    """What ``probes`` find; one that fails is an entry of what was not tested."""
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
    for name, failure in experiment.failed_interventions.items():
        findings.not_tested(name, failure)
    if _settled(experiment):
        stated = "Both sides make the same updates: of all samples in one order, and of the first batch."
        findings.control("updates_agree", stated, 0.0, experiment.comparison.final_distance)
    return findings


def replay_of(experiment: Experiment, findings: Findings) -> Replay:
    """The replay that the causes were found in; empty where it cannot be shown."""
    try:
        return overview(experiment)
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
