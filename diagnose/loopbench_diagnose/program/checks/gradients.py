"""Variables that get no gradient, and the first layer where it is zero."""

from loopbench.spec import Effect, Reason
from loopbench_diagnose.findings import Findings, difference, evidence, joined
from loopbench_diagnose.program.run import Program
from loopbench_diagnose.variables import parameters

MOST_NAMED = 4


def check(program: Program, findings: Findings) -> None:
    """Looks at the gradients of the first updates, variable by variable."""
    steps = [step.gradients for step in program.trace.steps if step.gradients is not None]
    if not steps:
        return
    # The loop may freeze layers; the prototype stands for a model that the loop has replaced.
    model = program.harness.prototype if program.trace.model is None else program.trace.model
    trained = {id(variable) for variable in model.trainable_variables}
    places = [place for place, variable in enumerate(parameters(model)) if id(variable) in trained]
    without = [place for place in places if not any(gradients[place].any() for gradients in steps)]
    if not without:
        findings.control("gradients", f"All {len(places)} trainable variables get a gradient.")
        return
    names = [program.harness.names[place] for place in without]
    others = set(program.harness.names) - set(names)
    if all(_cancels(name, others) for name in names):
        findings.note(f"The loss does not depend on {joined(names)}: what it adds cancels behind its layer.")
        return
    # The causes so far are roots: a loss or outputs that pass no gradient.
    if findings.reasons:
        return
    _report(findings, names, len(places))


def _cancels(name: str, others: set[str]) -> bool:
    """Whether ``name`` is the bias of a layer whose kernel learns, as of one whose outputs are subtracted."""
    layer, _, own = name.rpartition("/")
    return own == "bias" and f"{layer}/kernel" in others


def _report(findings: Findings, names: list[str], count: int) -> None:
    shown = joined([*names[:MOST_NAMED], *([f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else [])])
    findings.cause(
        difference(
            Reason.ZERO_GRADIENT,
            f"No gradient reaches {shown}",
            [
                evidence(
                    "zero",
                    f"Trainable variables that get a gradient in the first updates, of {count}.",
                    count,
                    count - len(names),
                ),
                evidence("first", f"The first of them is {names[0]}."),
            ],
            consequence=f"{len(names)} of {count} variables stay as they are.",
            fix="Keep every step from these variables to the loss differentiable: no argmax, rounding, comparison or "
            "numpy in between, and no activation that is flat where its inputs lie.",
        ),
        Effect.TRAINING,
        len(names) / count,
    )
