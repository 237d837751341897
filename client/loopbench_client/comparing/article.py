"""The article's table: its rows as specs, and what it claims of each.

Row 1 was eager there. A graph ends in the same bits many times faster, so the server's default does.

A figure that stands alone there is taken for a validation accuracy: so it is where two are given. A claim that rows
agree is checked against the row that it names, and where it names none against row 1, whose loss and learning rate
they share, or scale to.
"""

from loopbench.spec import AccuracyMetric, Adam, Loss, Method, RunSpec, Sgd
from loopbench_client.comparing.claims import Row
from loopbench_client.comparing.rules import (
    better_than,
    figure,
    metric_far,
    metric_right,
    overfits_more_than,
    same_as,
    sampled_metric,
    up_to,
)

HIS = Loss.SUM_OF_SQUARES_FIXED_BATCH
MSE = Loss.MEAN_SQUARED_ERROR
TAPE, FIT, STEP = Method.GRADIENT_TAPE, Method.FIT, Method.CUSTOM_TRAIN_STEP
SGD = Sgd(learning_rate=0.01)

ROWS = (
    Row(
        "1 tape",
        RunSpec(method=TAPE, loss=HIS, optimizer=SGD),
        "96.86 % / 96.61 %",
        (figure("train", "96.86"), figure("validation", "96.61")),
    ),
    Row(
        "2 fit mse",
        RunSpec(method=FIT, loss=MSE, optimizer=SGD),
        "92 % / 93 %",
        (figure("train", "92"), figure("validation", "93")),
    ),
    Row(
        "3 fit mse 0.1",
        RunSpec(method=FIT, loss=MSE, optimizer=Sgd(learning_rate=0.1)),
        "96 %",
        (figure("validation", "96"), same_as("1 tape")),
    ),
    Row(
        "4 fit",
        RunSpec(method=FIT, loss=HIS, optimizer=SGD),
        "96 %",
        (figure("validation", "96"), same_as("1 tape")),
    ),
    Row(
        "5 tape mse",
        RunSpec(method=TAPE, loss=MSE, optimizer=SGD),
        "93 %",
        (figure("validation", "93"), same_as("2 fit mse")),
    ),
    Row(
        "6 train_step",
        RunSpec(method=STEP, loss=HIS, optimizer=SGD, accuracy_metric=AccuracyMetric.CATEGORICAL),
        "97.05 % / 96.76 %",
        (figure("train", "97.05"), figure("validation", "96.76"), same_as("1 tape")),
    ),
    Row(
        "7 metric on labels",
        RunSpec(method=STEP, loss=HIS, optimizer=SGD, accuracy_metric=AccuracyMetric.CATEGORICAL_ON_LABELS),
        "metric 91.79 %, counted 96 %",
        (sampled_metric("91.79"), figure("validation", "96"), metric_far()),
    ),
    Row(
        "8 metric on outputs",
        RunSpec(method=STEP, loss=HIS, optimizer=SGD, accuracy_metric=AccuracyMetric.SPARSE_CATEGORICAL),
        "96.73 %",
        (figure("validation", "96.73"), metric_right()),
    ),
    Row(
        "9 adam",
        RunSpec(method=STEP, loss=HIS, optimizer=Adam(learning_rate=0.001), accuracy_metric=AccuracyMetric.CATEGORICAL),
        "better than SGD",
        (better_than("6 train_step"), overfits_more_than("6 train_step")),
    ),
    Row(
        "10 tape 0.001",
        RunSpec(method=TAPE, loss=HIS, optimizer=Sgd(learning_rate=0.001)),
        "up to 98 %",
        (up_to("98"),),
    ),
)
