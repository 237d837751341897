"""Programs of the server whose standard input, output and error are closed, full or without a reader."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# A program whose main function only reports the next free descriptor, its streams and those of its children.
PROGRAM = """
import os, subprocess, sys
from contextlib import suppress
from pathlib import Path
from loopbench_server import config

def report(_):
    number = os.open("/dev/null", os.O_RDONLY)
    child = subprocess.run([sys.executable, "-c", "import sys; sys.exit(None in (sys.stdin, sys.stdout, sys.stderr))"])
    with suppress(OSError):
        os.write(1, b"output\\n")
    print("error", file=sys.stderr)
    found = [number, sys.stdin.read(), child.returncode]
    Path(sys.argv[1]).write_text(repr(found))
    sys.exit()

config.load_settings = report
from {module} import main
main()
"""
PROGRAMS = ("loopbench_server.__main__", "loopbench_server.sweep.__main__")
SERVER = ("-m", "loopbench_server", "--address", "127.0.0.1:0", "--metrics-address", "none", "--exit-on-stdin-eof")


def run(words: tuple[str | Path, ...], redirections: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python with these words, in ``folder``."""
    shell = ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, *map(str, words)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        shell,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("module", PROGRAMS)
@pytest.mark.parametrize(
    ("redirections", "output", "error"),
    [
        ("<&-", "output\n", "error\n"),
        (">&-", "", "error\n"),
        ("2>&-", "output\n", ""),
        ("<&- >&- 2>&-", "", ""),
    ],
)
def test_no_file_becomes_a_closed_standard_stream(
    module: str, redirections: str, output: str, error: str, tmp_path: Path
) -> None:
    report = tmp_path / "report"
    done = run(("-c", PROGRAM.format(module=module), report), redirections, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, output, error)
    number, read, child = eval(report.read_text())  # noqa: S307  of the program above
    assert number > 2
    assert (read, child) == ("", 0)


def test_a_server_that_cannot_print_its_address_serves(tmp_path: Path) -> None:
    words = (*SERVER, "--store-url", f"sqlite:///{tmp_path}/runs.db")
    done = run(words, ">/dev/full", tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"standard output cannot be written"' in done.stderr
    assert '"stopped"' in done.stderr
    assert "Traceback" not in done.stderr
