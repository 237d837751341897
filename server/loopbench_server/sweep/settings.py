"""Settings of the program of an index."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from loopbench_server.config import TrainingSettings


class SweepSettings(TrainingSettings):
    """Trains the index JOB_COMPLETION_INDEX of a sweep, and prints the run as a line of JSON.

    Every flag can be given as an environment variable too: --store-url is LOOPBENCH_STORE_URL. A flag wins.

    Exit codes: 0 done, or done before; 1 failed, and may be tried again; 2 a bad file, index, setting or spec, or a run
    that fails for a reason that stays; 143 told to stop, and may be tried again.
    """

    model_config = SettingsConfigDict(cli_prog_name="loopbench-sweep-index")

    sweep_file: Path = Field(description="JSON file that names the sweep, as loopbench sweep writes it")
    # Whoever tells a pod to stop wants its place; the run can be had again.
    drain_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        0.0, description="seconds that the run may go on after SIGTERM"
    )
