"""The part of the page about single programs: how many faults are detected and diagnosed, beside published figures."""

from collections.abc import Callable, Sequence

from scripts.scoreboard.cases import PROGRAM, REPAIRED, SCRIPT
from scripts.scoreboard.peers import ON_DEEPFD, Measured
from scripts.scoreboard.result import Result
from scripts.scoreboard.tables import table
from scripts.scoreboard.verdicts import Verdict, diagnosed, others

CAVEAT = """The figures of the other tools are those of [DeepFD's paper](https://arxiv.org/abs/2205.01938). Its
authors ran the four tools on the 52 original programs of their benchmark, and judged each by the faults
that it knows. The programs here are rebuilt small, their labels are those of this project, and some
are of other benchmarks. loopbench trains a program many times to try repairs, which the other tools
do not do. So the figures are no ranking."""

# A heading of the table → whether an answer counts.
FAULTY: dict[str, Callable[[Result], bool]] = {
    "detected": lambda result: bool(result.answer.reasons),
    "diagnosed": lambda result: diagnosed(result.case.label, result.answer),
    "with a false cause": lambda result: bool(others(result.case.label, result.answer)),
    "crash": lambda result: result.verdict is Verdict.CRASH,
}
SOUND: dict[str, Callable[[Result], bool]] = {
    "with a false cause": lambda result: bool(result.answer.reasons),
    "crash": lambda result: result.verdict is Verdict.CRASH,
}


def singles(results: Sequence[Result]) -> str:
    """The section, empty where no program was diagnosed alone."""
    of = {
        kind: [result for result in results if result.case.label.kind == kind] for kind in (PROGRAM, REPAIRED, SCRIPT)
    }
    if not any(of.values()):
        return ""
    return "\n\n".join(
        (
            "## One program alone",
            "A program is detected if any cause is reported, and diagnosed if all its causes are.",
            table(
                ("tool", "programs", *FAULTY), [_counts("loopbench", of[PROGRAM], FAULTY), *map(_measured, ON_DEEPFD)]
            ),
            CAVEAT,
            table(
                ("programs without a fault", "number", *SOUND),
                [_counts(kind, of[kind], SOUND) for kind in (REPAIRED, SCRIPT)],
            ),
        )
    )


def _counts(name: str, results: Sequence[Result], tests: dict[str, Callable[[Result], bool]]) -> tuple[str, ...]:
    return (name, str(len(results)), *(str(sum(map(counts, results))) for counts in tests.values()))


def _measured(tool: Measured) -> tuple[str, ...]:
    return (tool.name, "52", str(tool.detected), str(tool.diagnosed), "–", "–")
