"""What all models share, and errors that name every bad field."""

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict

# Items of any list that a caller may send.
LONGEST_LIST = 1_000


class Choice(StrEnum):
    """One of several names. ``Method("custom-train-step")`` is the same as ``Method.CUSTOM_TRAIN_STEP``."""

    @classmethod
    def _missing_(cls, value: object) -> "Self | None":
        known = cls.__members__
        return known.get(value.upper().replace("-", "_")) if isinstance(value, str) else None


class Model(BaseModel):
    """Immutable, and closed to fields it does not know. A figure may be NaN: training can diverge."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Input(Model):
    """What a caller asks for: every number is finite."""

    model_config = ConfigDict(allow_inf_nan=False)


class Variant(Input):
    """One form of a field that has several, which the field ``kind`` names: in messages a oneof ``kind``."""

    if TYPE_CHECKING:
        # Each form declares the field, behind the fields that all forms share: digests depend on the order.
        @property
        def kind(self) -> str:
            """Name of the form."""


class Violation(Model):
    """A field, by its path, and what is wrong with it."""

    field: str
    description: str


class InvalidFieldsError(ValueError):
    """Input that breaks the contract; ``violations`` names every bad field."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        super().__init__("; ".join(f"{v.field}: {v.description}" if v.field else v.description for v in violations))
        self.violations = violations


def violations_of(errors: list[Any], prefix: str = "") -> tuple[Violation, ...]:
    """The errors of a ``pydantic.ValidationError`` (``error.errors()``) as field paths below ``prefix``."""
    return tuple(
        Violation(
            field=".".join([prefix, *map(str, error["loc"])] if prefix else map(str, error["loc"])),
            description=error["msg"].removeprefix("Value error, "),
        )
        for error in errors
    )
