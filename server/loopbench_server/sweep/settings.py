"""Settings of the sweep program."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from loopbench_server.config import TrainingSettings


class SweepSettings(TrainingSettings):
    """Trains the index JOB_COMPLETION_INDEX of a sweep. Prints the run as a line of JSON, at its start and at its end.

    Every flag can be given as an environment variable too: --store-url is LOOPBENCH_STORE_URL. A flag wins.

    Exit codes: 0 done, now or before; 1 failed, may be retried; 2 a bad file, index, setting or spec, or a run whose
    failure is permanent; 143 stopped, may be retried.
    """

    model_config = SettingsConfigDict(cli_prog_name="loopbench-sweep-index")

    sweep_file: Path = Field(description="JSON file of the sweep, as loopbench sweep writes it")
    # A pod that is stopped has to make room; its run can be repeated.
    drain_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        0.0, description="seconds that the run may continue after SIGTERM"
    )
