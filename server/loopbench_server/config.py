"""Settings of the server and of the sweep program: one flag and one environment variable each."""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import platformdirs
from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict

from loopbench.addresses import UNIX, is_host_port
from loopbench.spec import violations_of
from loopbench.spelling import suggestion
from loopbench.streams import checked_output
from loopbench_server.worker_config import WorkerLimits

# Long enough for a busy server and for a short outage of the database.
LEASE = timedelta(seconds=30)
STATE_DIR = platformdirs.user_state_path("loopbench")


def count_gpus(devices: Path = Path("/dev")) -> int:
    """Return the number of NVIDIA GPUs, by their device files, that this process can see."""
    files = [path for path in devices.glob("nvidia*") if path.name.removeprefix("nvidia").isdecimal()]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return len(files)
    # CUDA ignores everything after an entry that names no GPU.
    named = takewhile(lambda entry: entry.strip() not in ("", "-1"), visible.split(","))
    return min(len(files), len([*named]))


# Each form of an address, and whether a text has it.
HOST_PORT = {"HOST:PORT, as 127.0.0.1:50051 or [::1]:50051, with a port of at most 65,535": is_host_port}
UNIX_PATH = {"unix:PATH": re.compile(f"{UNIX}.+").fullmatch}
NONE = {"'none'": "none".__eq__}


def _check_form(forms: Mapping[str, Callable[[str], object]], address: str) -> str:
    if not any(has_form(address) for has_form in forms.values()):
        raise ValueError(f"must be {', or '.join(forms)}")
    return address


# One type each and no unions, because pydantic reports an error for every type of a union.
ADDRESS_SCHEMA: dict[str, Any] = {"type": "string", "format": "address"}
OR_NONE: dict[str, Any] = {"anyOf": [ADDRESS_SCHEMA, {"const": "none"}]}
Address = Annotated[str, WithJsonSchema(ADDRESS_SCHEMA), AfterValidator(partial(_check_form, HOST_PORT | UNIX_PATH))]
AddressOrNone = Annotated[
    str, WithJsonSchema(OR_NONE), AfterValidator(partial(_check_form, HOST_PORT | UNIX_PATH | NONE))
]
HostPortOrNone = Annotated[str, WithJsonSchema(OR_NONE), AfterValidator(partial(_check_form, HOST_PORT | NONE))]


class StoreSettings(BaseSettings):
    """Settings of every program that uses the store."""

    model_config = SettingsConfigDict(
        env_prefix="LOOPBENCH_",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        extra="ignore",
    )

    store_url: SecretStr = Field(
        SecretStr(f"sqlite:///{STATE_DIR / 'runs.db'}"),
        description="SQLAlchemy URL of the database with runs, epochs and weights; by default a file of SQLite. "
        "A password in it is safer in the environment variable, as others may see flags",
    )


class TrainingSettings(StoreSettings):
    """Settings of every program that trains."""

    metrics_address: HostPortOrNone = Field(
        "127.0.0.1:9464", description="HOST:PORT to serve Prometheus metrics on under /metrics, or 'none'"
    )
    data_dir: Path | None = Field(None, description="folder with mnist.npz; by default Keras's cache, then a download")
    tensorboard_dir: Path = Field(
        STATE_DIR / "tensorboard", description="folder for TensorBoard logs, with one subfolder per run"
    )
    run_seconds: Annotated[float, Field(gt=0, le=30 * 86_400)] = Field(
        WorkerLimits.seconds, description="time limit of a run's process in seconds"
    )
    run_megabytes: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        WorkerLimits.megabytes, description="limit of the private memory of a run's process in megabytes"
    )
    lease_seconds: Annotated[float, Field(ge=1, le=3_600)] = Field(
        LEASE.total_seconds(), description="seconds after which the runs of a dead server can be retried"
    )
    threads_per_run: Annotated[int, Field(ge=1, le=1024)] = Field(
        1,
        description="intra-op threads of a run; more do not speed up batches of 32, and change the bits under XLA and "
        "of the cnn",
    )
    drain_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        30.0, description="seconds that runs, evaluations and diagnoses may continue after SIGTERM"
    )
    log_format: Literal["json", "console"] = Field("json", description="format of log lines on standard error")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level that is logged")
    exit_on_stdin_eof: bool = Field(
        default=False, description="shut down when standard input ends, so that the process ends with its parent"
    )


S = TypeVar("S", bound=TrainingSettings)


def load_settings(kind: type[S]) -> S:
    """Read flags and environment; print each fault with its flag and exit with status 2."""
    faults = [*_unknown_flags(kind)]
    # With an unknown flag, argparse would end the process.
    if not faults:
        try:
            with checked_output(str(kind.model_config["cli_prog_name"])):
                return CliApp.run(kind)
        except ValidationError as error:
            faults = [
                (f"--{violation.field.replace('_', '-')}", violation.description)
                for violation in violations_of(error.errors())
            ]
    for flag, fault in faults:
        print(f"{kind.model_config['cli_prog_name']}: {flag}: {fault}", file=sys.stderr)  # noqa: T201
    sys.exit(2)


def _unknown_flags(kind: type[TrainingSettings]) -> Iterator[tuple[str, str]]:
    """Yield the flags of the command line that the program does not have, with what to do."""
    names = {name.replace("_", "-"): field.annotation for name, field in kind.model_fields.items()}
    known = ["--help", *(f"--{name}" for name in names)]
    known += [f"--no-{name}" for name, annotation in names.items() if annotation is bool]
    for word in sys.argv[1:]:
        flag = word.partition("=")[0]
        if flag.startswith("--") and flag not in known:
            yield flag, f"there is no such flag{suggestion(flag, known) or '; --help lists all'}"


class Settings(TrainingSettings):
    """Trains one small network in several ways and reports whether the ways agree.

    Every flag can be given as an environment variable too: --store-url is LOOPBENCH_STORE_URL. A flag wins.

    Two commands copy the store instead, and have --help: loopbench-server backup FILE, loopbench-server restore FILE.
    """

    model_config = SettingsConfigDict(cli_prog_name="loopbench-server")

    address: Address = Field(
        "127.0.0.1:50051", description="HOST:PORT to serve gRPC on, or unix:PATH; port 0 picks a free port"
    )
    health_address: AddressOrNone = Field(
        "none",
        description="HOST:PORT or unix:PATH to serve only the health service on, for probes without TLS and tokens, or "
        "'none'",
    )
    slots: Annotated[int, Field(ge=1, le=1024)] = Field(
        os.cpu_count() or 1, description="runs that train on the CPU at the same time; by default one per core"
    )
    gpu_slots: Annotated[int, Field(ge=0, le=1024)] = Field(
        default_factory=count_gpus,
        description="runs that train on a GPU at the same time, beside the others; by default one per visible GPU",
    )
    standby_workers: Annotated[int, Field(ge=0, le=1024)] = Field(
        2,
        description="processes that are prepared for a run on the CPU before it arrives, at most one per free slot; "
        "each holds 80 MB. Unless it is 0, one more is prepared for each GPU slot",
    )
    queue_size: Annotated[int, Field(ge=0, le=10_000)] = Field(1_000, description="runs that may wait for a slot")
    caller_runs: Annotated[int, Field(ge=1, le=20_000)] = Field(
        500, description="running and queued runs that one caller may have"
    )
    keep_runs_days: Annotated[float, Field(gt=0, le=36_500)] | None = Field(
        None, description="days to keep ended runs; by default they are kept"
    )
    keep_weights_days: Annotated[float, Field(gt=0, le=36_500)] | None = Field(
        None, description="days to keep the weights of ended runs; by default as long as the runs"
    )
    tls_certificate: Path | None = Field(None, description="PEM file with the server's certificate chain: turns on TLS")
    tls_key: Path | None = Field(None, description="PEM file with the certificate's key", validate_default=True)
    tls_client_ca: Path | None = Field(
        None, description="PEM file with the CA that signs the certificates of callers: turns on mutual TLS"
    )
    tokens_file: Path | None = Field(
        None, description="file with hashes of the tokens that callers need, written by loopbench-token"
    )
    insecure: bool = Field(
        default=False, description="allow an address that other machines can reach without TLS or without tokens"
    )
    reflection: bool = Field(default=True, description="serve gRPC reflection, which lists the methods to callers")

    @field_validator("tls_key", "tls_client_ca")
    @classmethod
    def _require_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        certificate = info.data.get("tls_certificate")
        if value and not certificate:
            raise ValueError("requires --tls-certificate")
        if certificate and not value and info.field_name == "tls_key":
            raise ValueError("is required with --tls-certificate")
        return value
