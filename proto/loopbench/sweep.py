"""Sweeps: every spec under every seed, and an index for each. What is said of one between those who run its indices."""

import hashlib
import json
import re
import uuid
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Annotated, Any

from google.protobuf import json_format
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from loopbench import wire
from loopbench.spec import PLAN_LABEL, Input, Naming, RunSpec, shortened

# Of the file that names a sweep; Kubernetes keeps no more in a ConfigMap.
FILE_BYTES = 1 << 20
MOST_INDICES = 10_000
# Environment variable with the number of the index; Kubernetes sets it.
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
# Ids of requests are made below this one.
NAMESPACE = uuid.UUID("0c7be3f3-5d0e-4b0b-9c53-6a2f3d1f7e52")

# A host of a Job is called NAME-DIGEST-INDEX, in at most 63 characters.
NAME_LENGTH = 40
DIGEST_LENGTH = 10
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


class IndexExit(IntEnum):
    """How the program of an index ends, which says whether to try it again."""

    DONE = 0
    FAILED = 1
    # A bad file, index or spec, or a run that failed for a reason that stays.
    HOPELESS = 2
    # By SIGTERM: 128 and its number, as a shell counts.
    STOPPED = 143


@dataclass(frozen=True)
class Index:
    """One of a sweep's runs."""

    number: int
    label: str
    spec: RunSpec

    @property
    def title(self) -> str:
        """The index, as messages name it."""
        return f"index {self.number} ({self.label}, seed {self.spec.seed})"


def _part_of_a_host_name(value: str) -> str:
    if len(value) > NAME_LENGTH or not DNS_LABEL.fullmatch(value):
        raise ValueError(f"must be at most {NAME_LENGTH} of a-z, 0-9 and '-', with no '-' at either end")
    return value


SweepName = Annotated[str, AfterValidator(_part_of_a_host_name)]


class LabelledSpec(Input):
    """A spec, whose seed counts for nothing here."""

    label: Annotated[str, Field(min_length=1, max_length=200)]
    spec: RunSpec


class Sweep(Input):
    """Specs, each to be trained under every seed; seeds are the innermost of its indices."""

    name: SweepName
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], Field(min_length=1, max_length=1_000)]
    specs: Annotated[tuple[LabelledSpec, ...], Field(min_length=1, max_length=MOST_INDICES)]

    @field_validator("seeds")
    @classmethod
    def _each_seed_once(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a seed is given twice")
        return value

    @field_validator("specs")
    @classmethod
    def _not_too_many(cls, value: tuple[LabelledSpec, ...], info: ValidationInfo) -> tuple[LabelledSpec, ...]:
        labels = [one.label for one in value]
        if len(set(labels)) < len(labels):
            raise ValueError("a label is given twice")
        if len(value) * len(info.data.get("seeds", ())) > MOST_INDICES:
            raise ValueError(f"specs times seeds must be at most {MOST_INDICES:,}")
        return value

    @property
    def size(self) -> int:
        """How many indices there are."""
        return len(self.specs) * len(self.seeds)

    def index(self, number: int) -> Index:
        """The run with that ``number``, 0 to size - 1."""
        spec_number, seed_number = divmod(number, len(self.seeds))
        chosen = self.specs[spec_number]
        return Index(number, chosen.label, chosen.spec.model_copy(update={"seed": self.seeds[seed_number]}))

    def naming(self, index: Index) -> Naming:
        """The name and the labels of a run: those that ``loopbench compare`` gives the runs of the same file."""
        return Naming(name=shortened(index.label), labels={PLAN_LABEL: self.name})

    @cached_property
    def text(self) -> str:
        """The sweep as a JSON file, which :func:`~loopbench.sweep_file.read_sweep` reads; specs are complete.

        Complete but for later fields at their defaults, so that a sweep keeps its name and its ids.
        """
        specs = [{"label": one.label, "spec": _said_of(one.spec)} for one in self.specs]
        return json.dumps({"name": self.name, "seeds": self.seeds, "specs": specs}, indent=2) + "\n"

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def full_name(self) -> str:
        """The name, and a digest of all there is to the sweep: another for every change."""
        return f"{self.name}-{self._digest[:DIGEST_LENGTH]}"

    def request_id(self, number: int) -> str:
        """The UUID under which the run with that ``number`` is requested, by every caller and every time."""
        return str(uuid.uuid5(NAMESPACE, f"{self._digest}/{number}"))


def _said_of(spec: RunSpec) -> Any:
    message: Any = wire.spec_to_wire(spec)
    for name in ("seed", *spec.unset_later):
        message.ClearField(name)
    return json_format.MessageToDict(message)
