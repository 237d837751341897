"""What tests of diagnoses by a server ask for, and look at."""

from typing import Any

from loopbench.spec import Cause, Dataset, Diagnosis, RunSpec


def spec(**fields: Any) -> RunSpec:
    return RunSpec.model_validate({"dataset": Dataset.DIGITS, "epochs": 2, **fields})


def only(diagnosis: Diagnosis) -> Cause:
    (cause,) = diagnosis.causes
    return cause


def observed(cause: Cause) -> dict[str, float | None]:
    return {item.name: item.observed for item in cause.evidence}
