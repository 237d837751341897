"""Loops that use objects of an earlier training: what such an error says, and what to do."""

from loopbench_diagnose.harness import TRAINS_ANOTHER, ReusedObjectError

FUNCTION = (
    "a tf.function from outside of the loop, which keeps the variables of an earlier model; create the tf.function "
    "within the loop"
)
# What Keras, TensorFlow and the harness say where an object of an earlier training is used in another one.
REUSED: dict[str, str] = {
    **dict.fromkeys(
        ("optimizer cannot recognize variable", "Unknown variable"),
        "an optimizer that was built for other variables: of an earlier model, or before a layer was unfrozen; "
        "create the optimizer within the loop, and build it on all variables that it will train",
    ),
    **dict.fromkeys(("singleton tf.Variables", TRAINS_ANOTHER), FUNCTION),
}


def refuse_reuse(error: Exception, loop: str) -> None:
    """Raises a ReusedObjectError if ``error`` comes from an object of an earlier training that the loop uses."""
    for stated, words in REUSED.items():
        if stated in str(error):
            raise ReusedObjectError(f"{loop} uses {words}") from error
