"""The networks and their sizes. The input is an image of 28 by 28 pixels, the output one value per class."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from loopbench.spec.base import Variant

Size = Annotated[int, Field(ge=1, le=4_096)]


def _split(value: Any) -> Any:
    """Split the text of a flag or a plan, such as ``256,128``."""
    return [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Sizes = Annotated[tuple[Size, ...], BeforeValidator(_split), Field(min_length=1, max_length=8)]


class BaseNetwork(Variant):
    """Sizes of a network."""

    @field_validator("widths", "filters", mode="before", check_fields=False)
    @classmethod
    def _default_if_empty(cls, value: Any, info: ValidationInfo) -> Any:
        # A list has no presence in a message.
        empty = isinstance(value, tuple | list) and not value
        return cls.model_fields[str(info.field_name)].default if empty else value


class Mlp(BaseNetwork):
    """Dense layers with ReLU; ``widths`` are the units of the hidden layers. The defaults are the article's."""

    kind: Literal["mlp"] = "mlp"
    widths: Sizes = (256, 128)


class Cnn(BaseNetwork):
    """Convolutions with batch normalization, then the average of each feature map, and dropout."""

    kind: Literal["cnn"] = "cnn"
    filters: Annotated[Sizes, Field(max_length=4)] = (16, 32, 64)
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.25


class Lstm(BaseNetwork):
    """An LSTM layer that reads an image row by row."""

    kind: Literal["lstm"] = "lstm"
    units: Size = 64


NETWORKS: dict[str, type[BaseNetwork]] = {"mlp": Mlp, "cnn": Cnn, "lstm": Lstm}


Network = Annotated[Mlp | Cnn | Lstm, Field(discriminator="kind")]
