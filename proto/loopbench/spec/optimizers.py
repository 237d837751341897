"""The optimizers, with the parameters and defaults of Keras."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from loopbench.spec.base import Variant

Rate = Annotated[float, Field(gt=0, le=1e6)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Penalty = Annotated[float, Field(ge=0, le=1e6)]
Clip = Annotated[float, Field(gt=0, le=1e12)]


class BaseOptimizer(Variant):
    """Parameters that every Keras optimizer takes, with Keras's defaults."""

    weight_decay: Penalty | None = None
    clipnorm: Clip | None = None
    clipvalue: Clip | None = None
    global_clipnorm: Clip | None = None
    use_ema: bool = False
    ema_momentum: Annotated[float, Field(ge=0, le=1)] = 0.99
    ema_overwrite_frequency: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    loss_scale_factor: Clip | None = None
    gradient_accumulation_steps: Annotated[int, Field(ge=2, le=1_000_000)] | None = None

    @field_validator("clipvalue", "global_clipnorm")
    @classmethod
    def _one_way_of_clipping(cls, value: float | None, info: ValidationInfo) -> float | None:
        # Declared after the others, so that the error names a field. Keras refuses two as well.
        if value is not None and any(info.data.get(name) is not None for name in ("clipnorm", "clipvalue")):
            raise ValueError("at most one of clipnorm, clipvalue and global_clipnorm may be set")
        return value


class Sgd(BaseOptimizer):
    """``keras.optimizers.SGD``."""

    kind: Literal["sgd"] = "sgd"
    learning_rate: Rate = 0.01
    momentum: Annotated[float, Field(ge=0, le=1)] = 0.0
    nesterov: bool = False


class Adam(BaseOptimizer):
    """``keras.optimizers.Adam``."""

    kind: Literal["adam"] = "adam"
    learning_rate: Rate = 0.001
    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    epsilon: Rate = 1e-7
    amsgrad: bool = False


class AdamW(BaseOptimizer):
    """``keras.optimizers.AdamW``: Adam with decoupled weight decay."""

    kind: Literal["adamw"] = "adamw"
    learning_rate: Rate = 0.001
    weight_decay: Penalty = 0.004
    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    epsilon: Rate = 1e-7
    amsgrad: bool = False


class RmsProp(BaseOptimizer):
    """``keras.optimizers.RMSprop``."""

    kind: Literal["rmsprop"] = "rmsprop"
    learning_rate: Rate = 0.001
    rho: Decay = 0.9
    momentum: Annotated[float, Field(ge=0, le=1)] = 0.0
    epsilon: Rate = 1e-7
    centered: bool = False


OPTIMIZERS: dict[str, type[BaseOptimizer]] = {"sgd": Sgd, "adam": Adam, "adamw": AdamW, "rmsprop": RmsProp}


Optimizer = Annotated[Sgd | Adam | AdamW | RmsProp, Field(discriminator="kind")]
