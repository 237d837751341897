"""The programs: where each was published, and the causes that it must report.

A program is one published program with its fault, rebuilt small for Keras 3 in the words and code of this project.
``faulty`` is its training, of ``build_model`` on ``data``. ``repaired`` is the training without the fault, on
``repaired_data`` where the repair is in the data. ``score`` is what the repair improves, and ``halves``, where there
are two faults, has the training with one of them each.
"""

from scripts.scoreboard.cases import Label

STACK_OVERFLOW = "https://stackoverflow.com/questions"


def so(number: int, benchmark: str, *needed: str, allowed: tuple[str, ...] = ()) -> Label:
    """A program of a question on Stack Overflow, and the benchmark that has it."""
    return Label("program", f"[{number}]({STACK_OVERFLOW}/{number}), {benchmark}", needed, allowed)


ONE_UNIT = ("LOSS_FUNCTION", "ZERO_GRADIENT")
DIVERGED = ("NON_FINITE", "ZERO_GRADIENT", "DEAD_UNITS")

CASES: dict[str, Label] = {
    "so_48385830_no_activations": so(
        48385830,
        "DeepFD",
        "LEARNING_RATE_TOO_HIGH|OUTPUT_ACTIVATION",
        allowed=("LEARNING_RATE_TOO_HIGH", "OUTPUT_ACTIVATION", "LOSS_FUNCTION", "NON_FINITE"),
    ),
    "so_44164749_slow_digits": so(
        44164749,
        "DeepFD",
        "LEARNING_RATE_TOO_LOW|TOO_FEW_UPDATES",
        allowed=("LEARNING_RATE_TOO_LOW", "TOO_FEW_UPDATES"),
    ),
    "so_31556268_xor_slow": so(
        31556268, "DeepFD", "LEARNING_RATE_TOO_LOW|TOO_FEW_UPDATES", allowed=("LEARNING_RATE_TOO_LOW", "LOSS_FUNCTION")
    ),
    "so_50306988_rate_and_epochs": so(50306988, "DeepFD", "LEARNING_RATE_TOO_LOW|TOO_FEW_UPDATES"),
    "so_48251943_relu_output": so(48251943, "DeepFD", "OUTPUT_ACTIVATION", allowed=("LABELS",)),
    "so_38648195_softmax_of_one": so(38648195, "DeepFD", "OUTPUT_ACTIVATION", allowed=ONE_UNIT),
    "so_33969059_softmax_regression": so(33969059, "DeepFD", "OUTPUT_ACTIVATION", allowed=ONE_UNIT),
    "so_55328966_raw_pixels_sigmoid": so(
        55328966, "DeepFD", "INPUT_SCALE", allowed=("OUTPUT_ACTIVATION", "LEARNING_RATE_TOO_LOW")
    ),
    "so_34311586_flat_start": so(
        34311586,
        "DeepFD",
        "LEARNING_RATE_TOO_LOW|CONSTANT_INITIALIZATION",
        allowed=("LEARNING_RATE_TOO_LOW", "CONSTANT_INITIALIZATION", "TOO_FEW_UPDATES"),
    ),
    "so_31880720_softmax_conv": so(31880720, "DeepFD", "OUTPUT_ACTIVATION", allowed=ONE_UNIT),
    "so_39525358_missing_sigmoid": so(39525358, "DeepFD", "OUTPUT_ACTIVATION|FROM_LOGITS", "INPUT_SCALE"),
    "so_39217567_deep_sigmoid": so(
        39217567, "DeepFD", "ZERO_GRADIENT|CONSTANT_INITIALIZATION", allowed=("LEARNING_RATE_TOO_LOW", "DEAD_UNITS")
    ),
    "so_48934338_exploding_regression": so(
        48934338, "DeepFD", "LEARNING_RATE_TOO_HIGH|INPUT_SCALE", allowed=("LEARNING_RATE_TOO_HIGH", *DIVERGED)
    ),
    "so_47724077_unscaled_classes": so(47724077, "DeepFD", "INPUT_SCALE", allowed=DIVERGED),
    "so_59325381_labels_divided": so(59325381, "DeepFD", "LABELS", "VALIDATION_DATA", allowed=("INPUT_SCALE",)),
    "so_59278771_iris_sigmoid": so(59278771, "DeepFD", "INPUT_SCALE", allowed=("OUTPUT_ACTIVATION", "DEAD_UNITS")),
    "so_52800582_square_of_large": so(52800582, "DeepFD", "INPUT_SCALE"),
    "so_48221692_sigmoid_regression": so(48221692, "DeepFD", "OUTPUT_ACTIVATION|LABELS"),
    "so_50079585_three_classes_one_unit": so(
        50079585,
        "DeepFD",
        "LABELS|OUTPUT_ACTIVATION|LOSS_FUNCTION",
        allowed=("LABELS", "OUTPUT_ACTIVATION", "LOSS_FUNCTION"),
    ),
    "so_45337371_softmax_several_labels": so(45337371, "DeepFD", "OUTPUT_ACTIVATION", allowed=("LOSS_FUNCTION",)),
    "so_44066044_unscaled_binary": so(44066044, "DeepFD", "INPUT_SCALE", allowed=DIVERGED),
    "so_47352366_relu_classes": so(47352366, "DeepFD", "OUTPUT_ACTIVATION", allowed=("DEAD_UNITS", "ZERO_GRADIENT")),
    "so_45442843_mae_few_updates": so(
        45442843, "DeepFD", "TOO_FEW_UPDATES|LEARNING_RATE_TOO_LOW", allowed=("LOSS_FUNCTION",)
    ),
    "so_48594888_one_batch": so(
        48594888,
        "DeepFD",
        "TOO_FEW_UPDATES|LEARNING_RATE_TOO_LOW",
        allowed=("TOO_FEW_UPDATES", "LEARNING_RATE_TOO_LOW"),
    ),
    "so_31627380_passengers": so(31627380, "DeepFD", "OUTPUT_ACTIVATION", "LOSS_FUNCTION", allowed=("ZERO_GRADIENT",)),
    "so_58609115_categorical_on_one": so(58609115, "DeepFD", "LOSS_FUNCTION", allowed=("ZERO_GRADIENT",)),
    "so_56380303_raw_colours": so(
        56380303, "DeepFD", "INPUT_SCALE|LEARNING_RATE_TOO_HIGH", allowed=("LEARNING_RATE_TOO_HIGH", *DIVERGED)
    ),
    "so_59282996_tagging_few_epochs": so(59282996, "DeepFD", "TOO_FEW_UPDATES|LEARNING_RATE_TOO_LOW"),
    "so_58237726_sorted_batches": so(58237726, "DeepFD", "SHUFFLE", allowed=("LEARNING_RATE_TOO_HIGH",)),
    "so_37624102_momentum_too_fast": so(37624102, "DeepFD", "LEARNING_RATE_TOO_HIGH", allowed=DIVERGED),
    "so_41327601_binary_accuracy": so(41327601, "DeepFD", "UNSUITED_METRIC", allowed=("LOSS_FUNCTION",)),
    "so_41600519_one_epoch": so(
        41600519,
        "DeepFD",
        "TOO_FEW_UPDATES|LEARNING_RATE_TOO_LOW",
        allowed=("TOO_FEW_UPDATES", "LEARNING_RATE_TOO_LOW"),
    ),
    "so_41947039_held_pictures_raw": so(41947039, "DeepFD", "VALIDATION_DATA"),
    "so_41977498_ten_slow_epochs": so(41977498, "DeepFD", "LEARNING_RATE_TOO_LOW", allowed=("TOO_FEW_UPDATES",)),
    "so_42514960_relu_autoencoder": so(42514960, "DeepFD", "OUTPUT_ACTIVATION", allowed=("LABELS", "DEAD_UNITS")),
    "so_42800203_softmax_batchnorm": so(42800203, "DeepFD", "OUTPUT_ACTIVATION", allowed=ONE_UNIT),
    "so_44998910_slow_regression": so(
        44998910,
        "DeepFD",
        "LEARNING_RATE_TOO_LOW|TOO_FEW_UPDATES",
        allowed=("LEARNING_RATE_TOO_LOW", "TOO_FEW_UPDATES"),
    ),
}
