"""The diagnosis of two loops of one's own."""

from pydantic import ConfigDict

from loopbench import spec
from loopbench_diagnose.replay import Replay


class Diagnosis(spec.Diagnosis):
    """Causes, and the replay of both sides that they were found in.

    ``replay`` is plain data for reports: weight distances, gradient ratios, layers in order and metrics side by side.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    replay: Replay = Replay()
