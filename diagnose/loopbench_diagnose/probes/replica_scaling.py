"""Replicas: Keras's optimizers add up their gradients, so each has to take its part of the loss."""

from loopbench.spec import Cause, Effect, Evidence, Reason
from loopbench_diagnose.effects import effect_of_scale
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import SIDES, Findings, evidence, word

TOO_LARGE = (
    "Divide the mean over a replica's share by strategy.num_replicas_in_sync, or take "
    "tf.nn.compute_average_loss(losses, global_batch_size=…). Keras's own losses do so by themselves; for a function "
    "handed to compile Keras does it where that returns one value a sample, and leaves a mean as it is."
)
TOO_SMALL = (
    "Divide by the number of replicas once: where a function handed to compile returns one value a sample, Keras "
    "divides their mean by it already."
)


def probe(experiment: Experiment, findings: Findings) -> None:
    """Compares either side's gradient on all of its replicas with its own on one."""
    if max(experiment.replicas) == 1:
        return
    scales = experiment.replica_scales
    measured = (
        evidence("replicas", "Replicas that a batch is divided among, first and second.", *experiment.replicas),
        *(
            evidence(
                f"{word(side)}_gradient_ratio",
                f"The {word(side)} side's first gradient: what all replicas add up to, over that on one replica.",
                1.0,
                scales[side],
            )
            for side in (0, 1)
        ),
    )
    if abs(scales[0] - scales[1]) <= experiment.tolerance * abs(scales[1]):
        findings.agree(measured)
    elif experiment.is_scaled_by_replicas:
        for side in (0, 1):
            if abs(scales[side] - 1) >= experiment.tolerance:
                _report(experiment, findings, side, measured)


def _report(experiment: Experiment, findings: Findings, side: int, measured: tuple[Evidence, ...]) -> None:
    scale, trace = experiment.replica_scales[side], experiment.batch(experiment.explained)[side]
    effect = effect_of_scale(trace.optimizers, trace.steps, scale)
    findings.cause(
        Cause(
            reason=Reason.REPLICA_SCALING,
            title=f"The {word(side)} side's gradient on {experiment.replicas[side]} replicas is {scale:.6g} times "
            f"that on 1",
            evidence=measured,
            consequence=effect.text,
            fix=TOO_LARGE if scale > 1 else TOO_SMALL,
            side=SIDES[side],
        ),
        Effect.TRAINING,
        effect.change,
    )
