"""The published cases: their kind, where the fault was published, and the causes that each must report."""

from scripts.scoreboard.cases import Label

THREAD = "https://github.com/{}/issues/{}"
TENSORFLOW, KERAS = "tensorflow/tensorflow", "keras-team/keras"


def thread(repository: str, number: int) -> str:
    """A link to a public thread."""
    return f"[{repository}#{number}]({THREAD.format(repository, number)})"


CASES: dict[str, Label] = {
    "labels_broadcast": Label("loss", thread(TENSORFLOW, 37770), ("LABELS_BROADCAST",)),
    "regularization_left_out": Label("loss", thread(TENSORFLOW, 33556), ("REGULARIZATION",)),
    "sample_weights_dropped": Label("loss", thread(TENSORFLOW, 43902), ("SAMPLE_WEIGHTS",)),
    "last_batch_reported": Label("metrics", thread(KERAS, 19529), ("LAST_BATCH",)),
}
