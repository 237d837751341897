"""Faults that a trial training with their fix shows."""

from loopbench.spec import Effect, Reason
from loopbench_diagnose.findings import Findings, difference, evidence, joined
from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.program.remedies import Remedy
from loopbench_diagnose.program.run import Program
from loopbench_diagnose.program.search import Result, merged, search
from loopbench_diagnose.program.tasks import Kind

# Labels that outputs meet above a threshold, and faults of the range of the outputs.
THRESHOLDS = frozenset({Kind.BINARY, Kind.MULTI_LABEL})
RANGES = frozenset({Reason.OUTPUT_ACTIVATION, Reason.FROM_LOGITS})


def check(program: Program, findings: Findings) -> None:
    """Looks for the fixes that the program needs."""
    bench = Bench(program)
    result = search(bench)
    for changes, error in bench.failed.items():
        findings.not_tested(f"trial with changes of {joined(sorted(changes))}", error)
    for remedy in result.needed:
        # The comparison with stock training may have found it, too.
        findings.drop({remedy.reason} & {Reason.VARIABLES_LEFT_OUT})
        _report(bench, findings, result, remedy)
    if program.tasks[0].kind in THRESHOLDS and findings.reasons & RANGES:
        # From which value on such outputs count as 1, no metric can know.
        findings.drop({Reason.ACCURACY_METRIC})


def _report(bench: Bench, findings: Findings, result: Result, remedy: Remedy) -> None:
    name = bench.program.score_name
    others = [other for other in result.needed if other is not remedy]
    before, after = bench.score(merged(others)), bench.score(result.changes)
    measured = evidence(
        "trial", f"{name[:1].upper()}{name[1:]} of trial trainings without the fix and with it.", after, before
    )
    stated = f"{name} {before:.2f} → {after:.2f}"
    with_others = ", with the other fixes made in both" if others else ""
    same = "" if "epochs" in remedy.changes else " after the same number of updates"
    findings.cause(
        difference(
            remedy.reason,
            remedy.title,
            [measured, *([evidence("proof", remedy.proven)] if remedy.proven else [])],
            consequence=remedy.proven or "The model learns less than it could.",
            fix=f"{remedy.fix}: {stated}{same}{with_others}.",
        ),
        Effect.TRAINING,
        # Those that were found first help most.
        len(result.needed) - result.needed.index(remedy),
    )
