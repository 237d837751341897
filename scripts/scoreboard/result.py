"""A diagnosis of the scoreboard."""

from dataclasses import dataclass

from scripts.scoreboard.cases import Answer, Case
from scripts.scoreboard.verdicts import Verdict


@dataclass(frozen=True)
class Result:
    """A case with its answer and the verdict on it."""

    case: Case
    answer: Answer
    verdict: Verdict
