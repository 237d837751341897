"""A private Prometheus on loopback, with the rules of k8s/monitoring."""

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).parents[2] / "k8s" / "monitoring" / "rules"
SECONDS_TO_START = 60.0


class PrometheusError(Exception):
    """Prometheus does not start or refuses a query; the message is from Prometheus."""


class Prometheus:
    """A client over HTTP. Times are seconds since 1970."""

    def __init__(self, address: str) -> None:
        self._address = address

    def query(self, expression: str, at: float) -> list[dict[str, Any]]:
        """The series of ``expression`` at one time."""
        return list(self._asked("query", query=expression, time=at)["result"])

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """The series of ``expression`` over a time."""
        return list(self._asked("query_range", query=expression, start=start, end=end, step=step)["result"])

    def label_values(self, label: str, selector: str) -> list[str]:
        """The values that ``label`` has in the series of ``selector``."""
        return list(self._asked(f"label/{label}/values", **{"match[]": selector}))

    def alerts(self) -> list[dict[str, Any]]:
        """Alerts that are pending or firing."""
        return list(self._asked("alerts")["alerts"])

    def is_ready(self) -> bool:
        """Whether Prometheus accepts queries."""
        try:
            with urllib.request.urlopen(f"http://{self._address}/-/ready", timeout=SECONDS_TO_START):  # nosec B310  # http
                return True
        except OSError:
            return False

    def _asked(self, path: str, **parameters: object) -> Any:
        url = f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=SECONDS_TO_START) as answer:  # nosec B310  # http
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise PrometheusError(json.load(error)["error"]) from error


def _configuration(jobs: Mapping[str, str], labels: Mapping[str, str], seconds: int) -> str:
    every = f"{seconds}s"
    return yaml.safe_dump(
        {
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
            "rule_files": [str(RULES / "*.yaml")],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [target], "labels": dict(labels)}]}
                for job, target in jobs.items()
            ],
        }
    )


@contextmanager
def prometheus(
    folder: Path, address: str, jobs: Mapping[str, str], *, seconds: int, labels: Mapping[str, str] | None = None
) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes each job every ``seconds`` and keeps its data in ``folder``.

    All that it scrapes gets the ``labels``.

    Raises:
        PrometheusError: it is not installed, or does not start.
    """
    (folder / "prometheus.yml").write_text(_configuration(jobs, labels or {}, seconds))
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("w") as log:
        try:
            # A separate session, so that Ctrl-C reaches this process only.
            process = subprocess.Popen(command, stderr=log, start_new_session=True)  # noqa: S603  # nosec B603  # fixed
        except FileNotFoundError as error:
            raise PrometheusError("Prometheus is not installed; 'make prometheus' installs it on Debian") from error
    try:
        yield _ready(Prometheus(address), process, folder)
    finally:
        process.terminate()
        process.wait()


def _ready(started: Prometheus, process: subprocess.Popen[bytes], folder: Path) -> Prometheus:
    end = time.monotonic() + SECONDS_TO_START
    while not started.is_ready():
        if process.poll() is not None or time.monotonic() > end:
            lines = (folder / "prometheus.log").read_text().strip().splitlines() or ["it says nothing"]
            raise PrometheusError(f"Prometheus does not start: {lines[-1]}")
        time.sleep(0.1)
    return started
