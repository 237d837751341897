"""Replicas: Keras's optimizers add up their gradients, so each has to take its part of the loss."""

from loopbench.spec import Cause, Evidence
from loopbench_diagnose.case import Case
from loopbench_diagnose.consequences import NEGLIGIBLE, effect_of_scale
from loopbench_diagnose.findings import SIDES, Findings, Severity, evidence, word
from loopbench_diagnose.reasons import Reason

TOO_LARGE = (
    "Divide the mean over a replica's share by strategy.num_replicas_in_sync, or take "
    "tf.nn.compute_average_loss(losses, global_batch_size=…). Keras's own losses do so by themselves; for a function "
    "handed to compile Keras does it where that returns one value a sample, and leaves a mean as it is."
)
TOO_SMALL = (
    "Divide by the number of replicas once: where a function handed to compile returns one value a sample, Keras "
    "divides their mean by it already."
)


def probe(case: Case, findings: Findings) -> None:
    """Compares either side's gradient on all of its replicas with its own on one."""
    if max(case.replicas) == 1:
        return
    scales = case.replica_scales
    measured = (
        evidence("replicas", "Replicas that a batch is divided among, first and second.", *case.replicas),
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
    if abs(scales[0] - scales[1]) <= case.tolerance * abs(scales[1]):
        findings.agree(measured)
    elif case.is_scaled_by_replicas:
        for side in (0, 1):
            if abs(scales[side] - 1) >= case.tolerance:
                _tell(case, findings, side, measured)


def _tell(case: Case, findings: Findings, side: int, measured: tuple[Evidence, ...]) -> None:
    scale, trace = case.replica_scales[side], case.batch(case.explained)[side]
    effect = effect_of_scale(trace.optimizers, trace.steps, scale)
    findings.cause(
        Cause(
            reason=Reason.REPLICA_SCALING,
            title=f"The {word(side)} side's gradient on {case.replicas[side]} replicas is {scale:.6g} times that on 1",
            evidence=measured,
            effect=effect.text,
            fix=TOO_LARGE if scale > 1 else TOO_SMALL,
            side=SIDES[side],
        ),
        Severity.TRAINING if effect.change > NEGLIGIBLE else Severity.ROUNDING,
        effect.change,
    )
