"""Help texts of the server's programs whose reader is gone."""

import subprocess
import sys

import pytest

PROGRAMS = {
    "loopbench-server": "loopbench_server.__main__",
    "loopbench-server backup": "loopbench_server.__main__",
    "loopbench-sweep-index": "loopbench_server.sweep.__main__",
    "loopbench-token": "loopbench_server.security.token_command",
}
OUTPUTS = {">/dev/full": "No space left on device", "> >(exec true)": "Broken pipe", ">&-": "Bad file descriptor"}


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_lost_help_text_is_one_line(program: str, output: str) -> None:
    # The reader of a closed pipe has ended before the program starts.
    script = f'exec {output}; sleep 0.2; exec "$0" -c "$@" --help'
    code = f"from {PROGRAMS[program]} import main; main()"
    words = ["bash", "-c", script, sys.executable, code, *program.split()[1:]]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 10
    assert done.stderr == f"{program}: the output cannot be written: {OUTPUTS[output]}\n"
