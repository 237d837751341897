"""The examples of the documents run as they are written: the blocks of a page, in order, in one shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.markdown import NEEDS, Block, blocks, documents
from tests.support.postgresql import free_port

USERS = [path for path in documents() if path == Path("README.md") or path.parent == Path("docs")]
SECONDS = 1_500
# Stops the server of the page before the next one starts, before a restore, and at the end. A reader uses one terminal
# for each.
PREAMBLE = """
set -euo pipefail
server=
stop() { [ -z "$server" ] || { kill "$server"; wait "$server"; server=; }; }
trap stop EXIT
loopbench-server() {
  case $1 in
    backup) command loopbench-server "$@"; return ;;
    restore) stop; command loopbench-server "$@"; return ;;
  esac
  stop
  command loopbench-server "$@" > listening &
  server=$!
  until grep -q listening listening; do kill -0 "$server"; sleep 0.2; done
}
"""
# A run for pages that need a run id.
RUN = """
run=$(loopbench train --dataset digits --epochs 1 --json)
RUN_ID=$(python -c 'import json, sys; print(json.loads(sys.argv[1])["id"])' "$run")
"""
PRINTED = {Path("README.md"): ("LOSS_REDUCTION",)}


def script(block: Block) -> str:
    """Return the shell script of a block: run it, pass it to Python, or write the file that its first line names."""
    if block.language == "python":
        return f"python - << 'END'\n{block.text}END\n"
    if block.language == "yaml" and block.text.startswith("# ") and ".yaml\n" in block.text:
        return f"cat > {block.text.split()[1]} << 'END'\n{block.text}END\n"
    return block.text if block.language == "sh" else ""


def runnable(document: Path) -> str:
    """Return the script of a page; empty where no block of shell can run here."""
    found = [block for block in blocks(document) if not block.needs]
    if not any(block.language == "sh" for block in found):
        return ""
    text = "".join(script(block) for block in found)
    return (RUN if "RUN_ID" in text else "") + text.replace("RUN_ID", "$RUN_ID")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a reader: the programs on PATH, and a store in the folder of the test."""
    settings = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(str(Path(folder).resolve()) for folder in sys.path if folder),
        "LOOPBENCH_METRICS_ADDRESS": "none",
        "LOOPBENCH_STORE_URL": "sqlite:///runs.db",
        "XDG_STATE_HOME": str(tmp_path),
    }
    return os.environ | settings


@pytest.mark.slow
@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("document", [path for path in USERS if runnable(path)], ids=str)
def test_the_examples_of_a_page_run(document: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    port = str(free_port())
    text = PREAMBLE + runnable(document).replace("50051", port)
    done = subprocess.run(
        ["bash", "-c", text],
        cwd=tmp_path,
        env=environment | {"LOOPBENCH_ADDRESS": f"127.0.0.1:{port}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert [words for words in PRINTED.get(document, ()) if words not in done.stdout] == []


def test_blocks_of_shell_run_unless_they_name_what_they_need() -> None:
    assert {path.name for path in USERS if runnable(path)} >= {"README.md", "comparing.md", "operating.md", "sweeps.md"}
    needs = {block.needs for path in USERS for block in blocks(path)} - {""}
    assert needs == NEEDS
