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
}
