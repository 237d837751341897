"""Updates an epoch, and the samples that they are made of."""

from collections import Counter

from loopbench.spec import Cause, Effect
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, evidence
from loopbench_diagnose.reasons import Reason
from loopbench_diagnose.trace import Trace


def probe(experiment: Experiment, findings: Findings) -> None:
    """Counts gradients an epoch, samples an epoch and the sizes of the batches."""
    updates = [(len(trace.updates_made) or trace.updates) / trace.epochs for trace in experiment.epochs]
    samples = [_samples(trace) / trace.epochs for trace in experiment.epochs]
    measured = (
        evidence("updates", f"Updates an epoch on {len(experiment.data)} samples, first and second.", *updates),
        evidence("samples", "Samples trained on in an epoch, first and second.", *samples),
        evidence(
            "batches",
            f"Samples in a batch, by how many batches: {_sizes(experiment.epochs[0])} and "
            f"{_sizes(experiment.epochs[1])}.",
        ),
    )
    if updates[0] == updates[1] and samples[0] == samples[1] and experiment.observed.same_batch_sizes:
        findings.agree(measured)
        return
    if _explained(experiment, findings):
        return
    largest = [max(sizes, default=1) for sizes in experiment.observed.batch_sizes]
    title = f"{updates[0]:g} updates an epoch against {updates[1]:g}"
    if updates[0] == updates[1] and samples[0] == samples[1]:
        title = f"Updates of up to {largest[0]} samples against updates of up to {largest[1]}"
    findings.cause(
        Cause(
            reason=Reason.UPDATES,
            title=title,
            evidence=measured,
            consequence=f"After the same epochs the second has made {updates[1] / updates[0]:.3g} times the first's "
            f"updates "
            f"on {'the same' if samples[0] == samples[1] else f'{samples[1] / samples[0]:.3g} times its'} samples.",
            fix="Give both the same batch_size and the same samples an epoch, and keep or drop the smaller last batch "
            "alike.",
        ),
        Effect.TRAINING,
        sum(abs(second / first - 1) for first, second in (updates, samples, largest)),
    )


def _samples(trace: Trace) -> int:
    """Samples of all updates; several gradients of the same batch count once."""
    if not trace.updates_made:
        return sum(len(step.call.rows) for step in trace.steps)
    return sum(len(update.rows) for update in trace.updates_made)


def _explained(experiment: Experiment, findings: Findings) -> bool:
    """Whether updates of the same size differ in number by a cause that is known."""
    sizes = {len(trace.updates_made[0].rows) if trace.updates_made else 0 for trace in experiment.epochs}
    return len(sizes) == 1 and bool(findings.reasons & {Reason.ACCUMULATION, Reason.SAMPLES})


def _sizes(trace: Trace) -> str:
    counts = Counter(len(step.call.rows) for step in trace.steps)
    return ", ".join(f"{size} × {count / trace.epochs:g}" for size, count in sorted(counts.items(), reverse=True))
