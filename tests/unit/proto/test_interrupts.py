"""Ctrl-C while a program starts or ends: no traceback."""

import signal
import subprocess
import sys

import pytest

# Presses Ctrl-C while the program imports a module, and at its end. Test runners may ignore the signal.
PROGRAM = """
import atexit, os, signal, sys
signal.signal(signal.SIGINT, signal.{handler})

class AtImport:
    def find_spec(name, *_):
        if name == "{moment}":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, AtImport)
if "{moment}" == "end":
    atexit.register(os.kill, os.getpid(), signal.SIGINT)
sys.argv = ["program", "--help"]
from {entry} import main
main()
"""
MOMENTS = {
    "loopbench_cli": ("loopbench_client", "grpc", "loopbench_client.cli.app", "end"),
    "loopbench_server.__main__": ("loopbench_server.app", "sqlalchemy", "end"),
    "loopbench_server.sweep.__main__": ("loopbench_server.config", "loopbench_server.sweep.program", "end"),
}


def run(entry: str, moment: str, handler: str) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(entry=entry, moment=moment, handler=handler)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(("entry", "moment"), [(entry, moment) for entry in MOMENTS for moment in MOMENTS[entry]])
def test_an_interrupt_ends_a_program_that_starts_or_ends(entry: str, moment: str) -> None:
    done = run(entry, moment, "default_int_handler")
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


@pytest.mark.parametrize("entry", MOMENTS)
def test_an_ignored_interrupt_stays_ignored(entry: str) -> None:
    done = run(entry, MOMENTS[entry][0], "SIG_IGN")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--help" in done.stdout
