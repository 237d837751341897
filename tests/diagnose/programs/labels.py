"""The programs: where each was published, and the causes that it must report.

A program is one published program with its fault, rebuilt small for Keras 3 in the words and code of this project.
``faulty`` is its training, of ``build_model`` on ``data``. ``repaired`` is the training without the fault, on
``repaired_data`` where the repair is in the data. ``score`` is what the repair improves, and ``halves``, where there
are two faults, has the training with one of them each. Modules named ``sound_`` are sound scripts with a ``loop``,
of the kinds of the Keras documentation's examples.
"""

from collections.abc import Callable
from pathlib import Path

from scripts.scoreboard.cases import PROGRAM, SCRIPT, Label

STACK_OVERFLOW = "https://stackoverflow.com/questions"


def so(number: int, benchmark: str, *needed: str, allowed: tuple[str, ...] = ()) -> Label:
    """A program of a question on Stack Overflow, and the benchmark that has it."""
    return Label(PROGRAM, f"[{number}]({STACK_OVERFLOW}/{number}), {benchmark}", needed, allowed)


def gh(repository: str, benchmark: str, *needed: str, allowed: tuple[str, ...] = ()) -> Label:
    """A program of a repository on GitHub, and the benchmark that has it."""
    return Label(PROGRAM, f"[{repository}](https://github.com/{repository}), {benchmark}", needed, allowed)


def named(benchmark: str) -> Callable[..., Label]:
    """A benchmark's own name for a fault → the label of a program with it."""
    return lambda name, *needed, allowed=(): Label(PROGRAM, f"{benchmark}: {name}", needed, allowed)


sample, study, symptom = named("NeuraLint"), named("UMLAUT"), named("AutoTrainer")
SLOW_OR_SHORT = ("LEARNING_RATE_TOO_LOW|TOO_FEW_UPDATES",)
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
    "so_46642627_crossentropy_regression": so(46642627, "DeepFD", "LOSS_FUNCTION", "INPUT_SCALE", allowed=DIVERGED),
    "so_46995209_narrow_tower": so(46995209, "DeepFD", "INPUT_SCALE|DEAD_UNITS|ZERO_GRADIENT", allowed=DIVERGED),
    "so_51181393_celsius": so(
        51181393, "DeepFD", "LEARNING_RATE_TOO_LOW", "UNSUITED_METRIC", allowed=("TOO_FEW_UPDATES",)
    ),
    "so_47932589_distances": so(47932589, "DeepFD", "INPUT_SCALE", allowed=("ZERO_GRADIENT", "DEAD_UNITS")),
    "so_37213388_two_epochs": so(37213388, "DeepFD", "TOO_FEW_UPDATES|LEARNING_RATE_TOO_LOW"),
    "so_50481178_relu_and_categorical": so(
        50481178, "DeepFD", "LOSS_FUNCTION", "OUTPUT_ACTIVATION", allowed=("ZERO_GRADIENT", "NON_FINITE")
    ),
    "so_34673164_softmax_tanh": so(34673164, "DeepFD", "OUTPUT_ACTIVATION", allowed=ONE_UNIT),
    "gh_gol_nn": gh("alexander-travov/gol_nn", "DeepFD", *SLOW_OR_SHORT),
    "gh_facial_keypoints": gh(
        "ShyamPoovaiah/FacialKeypointsDetection", "DeepFD", "LEARNING_RATE_TOO_HIGH", allowed=DIVERGED
    ),
    "gh_movie_reviews": gh("tautvydasversockas/MovieReviews_Keras", "DeepFD", *SLOW_OR_SHORT),
    "gh_traffic_sign": gh(
        "ulmefors/Traffic-Sign-Classifier", "DeepFD", "DEAD_UNITS", allowed=("ZERO_GRADIENT", "CONSTANT_INITIALIZATION")
    ),
    "gh_melbourne_prices": gh(
        "yetanotherdeveloper/kaggle-melbourne_properties", "DeepFD", "INPUT_SCALE", allowed=("LEARNING_RATE_TOO_LOW",)
    ),
    "gh_super_resolution": gh(
        "kcct-fujimotolab/keras-super-resolution", "DeepFD", "LEARNING_RATE_TOO_LOW", allowed=("TOO_FEW_UPDATES",)
    ),
    "so_45378493_conv_leaky": so(45378493, "NeuraLint", "OUTPUT_ACTIVATION", allowed=ONE_UNIT),
    "so_51749207_nadam": so(51749207, "NeuraLint", "OUTPUT_ACTIVATION", allowed=ONE_UNIT),
    "so_50555434_sigmoid_targets": so(
        50555434, "NeuraLint", "OUTPUT_ACTIVATION|LABELS|INPUT_SCALE", allowed=("ZERO_GRADIENT", "LABELS")
    ),
    "so_50426349_tanh_colours": so(
        50426349,
        "NeuraLint",
        "OUTPUT_ACTIVATION|LABELS|INPUT_SCALE",
        allowed=("LABELS", "INPUT_SCALE", "ZERO_GRADIENT"),
    ),
    "neuralint_zero_weights": sample("zeros_init", "CONSTANT_INITIALIZATION", allowed=("ZERO_GRADIENT", "DEAD_UNITS")),
    "neuralint_constant_weights": sample("constant_init", "CONSTANT_INITIALIZATION"),
    "neuralint_missing_softmax": sample("missing_softmax", "OUTPUT_ACTIVATION|FROM_LOGITS"),
    "neuralint_double_softmax": sample("double_activation", "OUTPUT_ACTIVATION", allowed=("LEARNING_RATE_TOO_LOW",)),
    "neuralint_wrong_loss_inputs": sample(
        "wrong_loss_inputs", "FROM_LOGITS|OUTPUT_ACTIVATION", allowed=("LEARNING_RATE_TOO_LOW", "LOSS_FUNCTION")
    ),
    "neuralint_missing_relus": sample("missing_relus", "MODEL"),
    "neuralint_binary_tanh": sample("bin_wrong_last_layer_activation", "OUTPUT_ACTIVATION"),
    "neuralint_relu_mask": sample("GitHub sample 1", "OUTPUT_ACTIVATION", allowed=("LOSS_FUNCTION",)),
    "umlaut_raw_pixels": study("input not normalized", "INPUT_SCALE", allowed=("LEARNING_RATE_TOO_HIGH",)),
    "umlaut_rate_to_nan": study("learning rate too high", "LEARNING_RATE_TOO_HIGH", allowed=DIVERGED),
    "umlaut_logits_and_slow": study(
        "no softmax before the loss; learning rate too low", "OUTPUT_ACTIVATION|FROM_LOGITS", "LEARNING_RATE_TOO_LOW"
    ),
    "umlaut_validated_on_training": study("training samples in the validation set", "VALIDATION_DATA"),
    "autotrainer_vanishing": symptom(
        "vanishing gradient", "ZERO_GRADIENT|CONSTANT_INITIALIZATION", allowed=("LEARNING_RATE_TOO_LOW",)
    ),
    "autotrainer_exploding": symptom(
        "exploding gradient", "NON_FINITE|LEARNING_RATE_TOO_HIGH", allowed=("CONSTANT_INITIALIZATION", *DIVERGED)
    ),
    "autotrainer_dying_relu": symptom("dying ReLU", "DEAD_UNITS", allowed=("ZERO_GRADIENT", "CONSTANT_INITIALIZATION")),
    "autotrainer_oscillating": symptom("oscillating loss", "LEARNING_RATE_TOO_HIGH", allowed=DIVERGED),
    "autotrainer_slow": symptom("slow convergence", "LEARNING_RATE_TOO_LOW", allowed=("TOO_FEW_UPDATES",)),
    "defect4ml_log_of_zero": Label(PROGRAM, "defect4ML 001", ("NON_FINITE",), ("INPUT_SCALE", "LOSS_FUNCTION")),
    "defect4ml_batch_of_all": Label(
        PROGRAM, "defect4ML 030", ("TOO_FEW_UPDATES|LEARNING_RATE_TOO_LOW",), ("TOO_FEW_UPDATES",)
    ),
    "traincheck_gradients_add_up": so(60335387, "TrainCheck", "STALE_GRADIENTS", allowed=("ACCUMULATION",)),
    "traincheck_frozen": Label(PROGRAM, "TrainCheck pytorch-forum-84911", ("VARIABLES_LEFT_OUT",), ()),
    "traincheck_same_noise": so(67180955, "TrainCheck", "REPEATED_RANDOMNESS"),
}
for path in sorted(Path(__file__).parent.glob("sound_*.py")):
    CASES[path.stem] = Label(SCRIPT, "own script")
