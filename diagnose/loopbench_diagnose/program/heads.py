"""The end of a model and its loss: which activations and losses suit which labels."""

from dataclasses import dataclass
from typing import Any

import keras

from loopbench_diagnose.program.surgery import LINEAR
from loopbench_diagnose.program.tasks import Kind

# Losses by family. The first two take probabilities or logits.
CLASSES = frozenset(
    {"categorical_crossentropy", "sparse_categorical_crossentropy", "categorical_focal_crossentropy", "kl_divergence"}
)
BINARY = frozenset({"binary_crossentropy", "binary_focal_crossentropy"})
HINGE = frozenset({"hinge", "squared_hinge"})
CATEGORICAL_HINGE = frozenset({"categorical_hinge"})
NUMBERS = frozenset(
    {
        "mean_squared_error",
        "mean_absolute_error",
        "mean_absolute_percentage_error",
        "mean_squared_logarithmic_error",
        "huber",
        "log_cosh",
        "poisson",
        "tversky",
        "dice",
    }
)
# What the outputs must be for a loss of probabilities.
PROBABILITIES = {**dict.fromkeys(CLASSES, "softmax"), **dict.fromkeys(BINARY, "sigmoid")}
NAMES = {"softmax": "softmax", "sigmoid": "sigmoid", LINEAR: "no activation"}


@dataclass(frozen=True)
class Loss:
    """A Keras loss by the name of its function; ``from_logits`` says that it takes outputs for logits."""

    name: str
    from_logits: bool = False

    def made(self) -> keras.losses.Loss:
        """A Keras loss."""
        kind = "".join(part.capitalize() for part in self.name.split("_"))
        options = {"from_logits": True} if self.from_logits else {}
        return getattr(keras.losses, kind)(**options)

    def __str__(self) -> str:
        return f"{self.name}(from_logits=True)" if self.from_logits else self.name

    @property
    def needs(self) -> str | None:
        """The activation that it needs of the outputs; None where it takes several."""
        return LINEAR if self.from_logits else PROBABILITIES.get(self.name)


def loss_of(given: Any) -> Loss | None:
    """A loss as ``compile`` takes it, None where there is none or there are several."""
    flat = keras.tree.flatten(given)
    if len(flat) != 1 or flat[0] is None:
        return None
    found = keras.losses.get(flat[0])
    function = getattr(found, "fn", found)
    name = getattr(function, "__name__", type(found).__name__)
    return Loss(name, bool(getattr(found, "_fn_kwargs", {}).get("from_logits")))


# By labels: the losses that suit them, and the activation and the loss to take in doubt.
SUITED: dict[Kind, frozenset[str]] = {
    Kind.BINARY: BINARY | HINGE,
    Kind.PLUS_MINUS: HINGE | NUMBERS,
    Kind.CLASSES: frozenset({"sparse_categorical_crossentropy"}),
    Kind.ONE_HOT: CLASSES | CATEGORICAL_HINGE,
    Kind.MULTI_LABEL: BINARY | HINGE,
    Kind.NUMBERS: NUMBERS,
    Kind.RECONSTRUCTION: NUMBERS | BINARY,
}
STANDARD: dict[Kind, tuple[str, Loss]] = {
    Kind.BINARY: ("sigmoid", Loss("binary_crossentropy")),
    Kind.PLUS_MINUS: ("tanh", Loss("mean_squared_error")),
    Kind.CLASSES: ("softmax", Loss("sparse_categorical_crossentropy")),
    Kind.ONE_HOT: ("softmax", Loss("categorical_crossentropy")),
    Kind.MULTI_LABEL: ("sigmoid", Loss("binary_crossentropy")),
    Kind.NUMBERS: (LINEAR, Loss("mean_squared_error")),
    Kind.RECONSTRUCTION: (LINEAR, Loss("mean_squared_error")),
}
