"""Settings of the programs that train: a flag each, and an environment variable each."""

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import platformdirs
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict

from loopbench.spec import violations_of
from loopbench_server.worker_config import WorkerLimits

# Long enough for a server that is busy, or a database that is away for a moment.
LEASE = timedelta(seconds=30)
STATE_DIR = platformdirs.user_state_path("loopbench")


HostPort = Annotated[str, Field(pattern=r"^.+:\d{1,5}$")]
Address = Annotated[str, Field(pattern=r"^(unix:.+|.+:\d{1,5})$")]


class TrainingSettings(BaseSettings):
    """What every program that trains runs by."""

    model_config = SettingsConfigDict(
        env_prefix="LOOPBENCH_",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        extra="ignore",
    )

    metrics_address: HostPort | Literal["none"] = Field(
        "127.0.0.1:9464", description="HOST:PORT to serve Prometheus metrics on under /metrics, or 'none'"
    )
    store_url: SecretStr = Field(
        SecretStr(f"sqlite:///{STATE_DIR / 'runs.db'}"),
        description="SQLAlchemy URL of the database with runs, epochs and weights; by default a file of SQLite. "
        "A password in it is safer in the environment variable, as others may see flags",
    )
    data_dir: Path | None = Field(None, description="folder with mnist.npz; without it Keras's cache, then a download")
    tensorboard_dir: Path = Field(STATE_DIR / "tensorboard", description="folder for TensorBoard logs, one a run")
    run_seconds: Annotated[float, Field(gt=0, le=30 * 86_400)] = Field(
        WorkerLimits.seconds, description="seconds that a run's process may take"
    )
    run_megabytes: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        WorkerLimits.megabytes, description="memory that a run's process may have to itself"
    )
    lease_seconds: Annotated[float, Field(ge=1, le=3_600)] = Field(
        LEASE.total_seconds(), description="seconds after which the runs of a server that died can be tried again"
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
        default=False, description="shut down when standard input ends: for a process that belongs to its parent"
    )


S = TypeVar("S", bound=TrainingSettings)


def load_settings(kind: type[S]) -> S:
    """What flags and environment say; what is wrong with them is told flag by flag, and ends the process with 2."""
    try:
        return CliApp.run(kind)
    except ValidationError as error:
        for violation in violations_of(error.errors()):
            flag = violation.field.replace("_", "-")
            print(f"{kind.model_config['cli_prog_name']}: --{flag}: {violation.description}", file=sys.stderr)  # noqa: T201
        sys.exit(2)


class Settings(TrainingSettings):
    """Trains one small network in several ways and says whether the ways agree.

    Every flag can be given as an environment variable too: --store-url is LOOPBENCH_STORE_URL. A flag wins.
    """

    model_config = SettingsConfigDict(cli_prog_name="loopbench-server")

    address: Address = Field(
        "127.0.0.1:50051", description="HOST:PORT to serve gRPC on, or unix:PATH; port 0 takes a free one"
    )
    health_address: Address | Literal["none"] = Field(
        "none", description="HOST:PORT to serve the health service alone on, for probes that know no TLS and no tokens"
    )
    slots: Annotated[int, Field(ge=1, le=1024)] = Field(
        os.cpu_count() or 1, description="runs that train at once; by default one a core"
    )
    queue_size: Annotated[int, Field(ge=0, le=10_000)] = Field(1_000, description="runs that may wait for a slot")
    caller_runs: Annotated[int, Field(ge=1, le=20_000)] = Field(
        500, description="runs that one caller may have under way or waiting"
    )
    keep_runs_days: Annotated[float, Field(gt=0, le=36_500)] | None = Field(
        None, description="days that runs which have ended are kept; without it for ever"
    )
    keep_weights_days: Annotated[float, Field(gt=0, le=36_500)] | None = Field(
        None, description="days that the weights of runs which have ended are kept; without it as long as the runs"
    )
    tls_certificate: Path | None = Field(None, description="PEM file with the server's certificate chain: turns on TLS")
    tls_key: Path | None = Field(None, description="PEM file with the certificate's key", validate_default=True)
    tls_client_ca: Path | None = Field(
        None, description="PEM file with the CA that has to have signed the certificates of callers: mutual TLS"
    )
    tokens_file: Path | None = Field(
        None, description="file with the hashes of the tokens that callers need, made by loopbench-token"
    )
    insecure: bool = Field(
        default=False, description="serve on an address that others can reach without TLS or without tokens"
    )
    reflection: bool = Field(default=True, description="serve gRPC's reflection, which tells callers of the methods")

    @field_validator("tls_key", "tls_client_ca")
    @classmethod
    def _require_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        certificate = info.data.get("tls_certificate")
        if value and not certificate:
            raise ValueError("makes no sense without --tls-certificate")
        if certificate and not value and info.field_name == "tls_key":
            raise ValueError("is needed with --tls-certificate")
        return value
