"""Pages generated from the code are fresh and complete."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from loopbench.v1 import analysis_pb2, benchmark_service_pb2, run_pb2
from loopbench_server.config import Settings
from loopbench_server.errors import subclasses
from scripts.documents.__main__ import PAGES
from scripts.documents.configuration import GROUPS, PROGRAMS
from scripts.documents.rendering import DOCS
from tests.support.paths import ROOT

FILES = (benchmark_service_pb2.DESCRIPTOR, run_pb2.DESCRIPTOR, analysis_pb2.DESCRIPTOR)
VARIABLE = re.compile(r"\bLOOPBENCH_[A-Z_]*[A-Z]\b")


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_fresh(page: str) -> None:
    assert (DOCS / page).read_text() == PAGES[page](), "run make docs"


def section(page: str, heading: str) -> str:
    """Text below ``### heading``."""
    (found,) = re.findall(rf"^### {heading}\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_api_has_every_call_field_and_value() -> None:
    page = (DOCS / "api.md").read_text()
    for file in FILES:
        for service in file.services_by_name.values():
            assert all(section(page, method.name).strip() for method in service.methods)
        for message in file.message_types_by_name.values():
            content = section(page, message.name)
            assert [f"| `{field.name}` |" in content for field in message.fields] == [True] * len(message.fields)
        for enum in file.enum_types_by_name.values():
            content = section(page, enum.name)
            assert all(f"| `{value.name}` | {value.number} | " in content for value in enum.values)


def test_the_api_names_every_reason_that_a_call_can_fail_for() -> None:
    page = (DOCS / "api.md").read_text()
    assert [error.reason for error in subclasses() if f"[`{error.reason}`]" not in page] == []


def test_the_api_lists_types_and_presence() -> None:
    page = (DOCS / "api.md").read_text()
    epochs = "| `epochs` | `optional` `int32` | Passes over the training set; 1 to 1,000; default 10. |"
    versions = "| `versions` | `map<string, string>` | Versions of packages, by package name. |"
    assert epochs in section(page, "RunSpec")
    assert versions in section(page, "Environment")
    assert "| `history` | `repeated` [EpochRecord](#epochrecord) | Every epoch, in order. |" in section(page, "Result")
    assert "| `sgd` | one of `kind` [Sgd](#sgd) |" in section(page, "Optimizer")
    assert (
        "| [DeleteRun](#deleterun) | [DeleteRunRequest](#deleterunrequest) | `google.protobuf.Empty` | write |" in page
    )
    assert "[`RUN_NOT_ENDED`](troubleshooting.md#run_not_ended)" in section(page, "DeleteRun")


def test_a_setting_is_listed_with_flag_variable_bounds_and_default() -> None:
    page = (DOCS / "configuration.md").read_text()
    for row in (
        "| `--queue-size` | `LOOPBENCH_QUEUE_SIZE` | whole number, 0 to 10,000 | `1000` | runs that may wait",
        "| `--slots` | `LOOPBENCH_SLOTS` | whole number, 1 to 1,024 | the number of cores |",
        "| `--store-url` | `LOOPBENCH_STORE_URL` | text | `sqlite:///STATE/runs.db` |",
        "| `--run-seconds` | `LOOPBENCH_RUN_SECONDS` | number, above 0, at most 2,592,000 | `21600` |",
        "| `--metrics-address` | `LOOPBENCH_METRICS_ADDRESS` | address or `none` | `127.0.0.1:9464` |",
        "| `--no-reflection` | `LOOPBENCH_REFLECTION` | switch | on |",
        "| `LOOPBENCH_TLS_CA` | `--tls-ca` |",
    ):
        assert row in page


def test_every_setting_is_in_one_group() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {name for settings in PROGRAMS.values() for name in settings.model_fields}
    assert Settings in PROGRAMS.values()


def test_the_configuration_names_every_variable_that_the_programs_read() -> None:
    sources = (path for part in ("proto", "server", "client") for path in (ROOT / part).rglob("*.py"))
    named = {name for path in sources for name in VARIABLE.findall(path.read_text())}
    assert len(named) > 5
    assert named <= set(VARIABLE.findall((DOCS / "configuration.md").read_text()))


def test_pages_are_the_same_on_every_machine(tmp_path: Path) -> None:
    code = "import os; os.cpu_count = lambda: 77\nfrom scripts.documents.configuration import configuration\n"
    command = [sys.executable, "-c", f"{code}print(configuration(), end='')"]
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path), "LOOPBENCH_SLOTS": "5", "COLUMNS": "40"}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout == (DOCS / "configuration.md").read_text()
