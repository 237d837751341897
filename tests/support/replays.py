"""Hand-made replays of two sides."""

from loopbench.spec import (
    FirstDifference,
    LayerRecord,
    MetricRecord,
    Replay,
    SideValues,
    UpdateRecord,
    VariableRecord,
)


def make_values(first: float | None, second: float | None) -> SideValues:
    return SideValues(first=first, second=second)


def make_update(number: int, distance: float | None, samples: int = 32) -> UpdateRecord:
    """An update in which the second side combines its gradients from ``samples``."""
    return UpdateRecord(
        number=number,
        weight_distance=distance,
        rates=make_values(0.05, 0.05),
        samples=make_values(32, samples),
        gradients=make_values(1, 1),
        gradient_norms=make_values(0.5, 16.0),
    )


def make_variable(name: str, ratio: float | None, *, first_trains: bool = True) -> VariableRecord:
    applied = make_values(1.0 if first_trains else None, 1.0)
    return VariableRecord(
        name=name, gradient_ratio=ratio, applied_over_tape=applied, first_trains=first_trains, second_trains=True
    )


def make_metric(name: str, first: float | None, second: float | None, *, agrees: bool = False) -> MetricRecord:
    return MetricRecord(name=name, values=make_values(first, second), agrees=agrees)


def make_replay(text: str = "") -> Replay:
    """Three updates, two variables, four layers of which the third differs first, and three metrics.

    ``text`` is in every text field.
    """
    return Replay(
        updates=(make_update(1, 0.0), make_update(2, 1e-5, samples=16), make_update(3, 0.1)),
        variables=(make_variable(f"dense/kernel{text}", 32.0), make_variable("dense/bias", None, first_trains=False)),
        layers=(
            LayerRecord(name="conv2d", difference=0.0),
            LayerRecord(name="batch_normalization", difference=3e-8),
            LayerRecord(name=f"dropout{text}", difference=0.41),
            LayerRecord(name="head"),
        ),
        first_differing_layer=f"dropout{text}",
        metrics=(
            make_metric(f"loss{text}", 0.6931, 22.18),
            make_metric("accuracy", 0.91, 0.91, agrees=True),
            make_metric("val_auc", None, 0.88),
        ),
        first_difference=FirstDifference(
            update=2, place=f"layer outputs{text}", text=f"At update 2 the outputs of dropout differ by 41 %.{text}"
        ),
        compared=(f"2 epochs, 10 updates, the metrics loss and accuracy.{text}",),
        not_compared=(f"Initial weights were made equal.{text}",),
    )
