"""Settings of the server: a flag each, and an environment variable each."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

# Long enough for a server that is busy, or a database that is away for a moment.
LEASE = timedelta(seconds=30)
STATE_DIR = platformdirs.user_state_path("loopbench")


HostPort = Annotated[str, Field(pattern=r"^.+:\d{1,5}$")]


class Settings(BaseSettings):
    """Trains one small network in several ways and says whether the ways agree.

    Every flag can be given as an environment variable too: --store-url is LOOPBENCH_STORE_URL. A flag wins.
    """

    model_config = SettingsConfigDict(
        env_prefix="LOOPBENCH_",
        cli_prog_name="loopbench-server",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        extra="ignore",
    )

    address: HostPort = Field("127.0.0.1:50051", description="HOST:PORT to serve gRPC on; port 0 takes a free one")
    metrics_address: HostPort | Literal["none"] = Field(
        "127.0.0.1:9464", description="HOST:PORT to serve Prometheus metrics on under /metrics, or 'none'"
    )
    store_url: str = Field(
        f"sqlite:///{STATE_DIR / 'runs.db'}", description="SQLAlchemy URL of the database with runs, epochs and weights"
    )
    data_dir: Path | None = Field(None, description="folder with mnist.npz; without it Keras's cache, then a download")
    tensorboard_dir: Path = Field(STATE_DIR / "tensorboard", description="folder for TensorBoard logs, one a run")
    slots: Annotated[int, Field(ge=1, le=1024)] = Field(
        os.cpu_count() or 1, description="runs that train at once; by default one a core"
    )
    queue_size: Annotated[int, Field(ge=0, le=10_000)] = Field(1_000, description="runs that may wait for a slot")
    caller_runs: Annotated[int, Field(ge=1, le=20_000)] = Field(
        500, description="runs that one caller may have under way or waiting"
    )
    run_seconds: Annotated[float, Field(gt=0, le=30 * 86_400)] = Field(
        6 * 3_600.0, description="seconds that a run's process may take"
    )
    run_megabytes: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        4_000, description="memory that a run's process may have to itself"
    )
    lease_seconds: Annotated[float, Field(ge=1, le=3_600)] = Field(
        LEASE.total_seconds(), description="seconds after which the runs of a server that died can be tried again"
    )
    keep_runs_days: Annotated[float, Field(gt=0, le=36_500)] | None = Field(
        None, description="days that runs which have ended are kept; without it for ever"
    )
    keep_weights_days: Annotated[float, Field(gt=0, le=36_500)] | None = Field(
        None, description="days that the weights of runs which have ended are kept; without it as long as the runs"
    )
    threads_per_run: Annotated[int, Field(ge=1, le=1024)] = Field(
        1, description="intra-op threads of a run; more do not speed up batches of 32, and change the bits under XLA"
    )
    drain_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        30.0, description="seconds that running runs may go on after SIGTERM"
    )
    log_format: Literal["json", "console"] = Field("json", description="how log lines are written to standard error")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="the least that is logged")
    exit_on_stdin_eof: bool = Field(
        default=False, description="shut down when standard input ends: for a server that belongs to its parent"
    )
