"""A program ends after SIGTERM although a part of it hangs."""

import subprocess
import sys
import time

import psutil
import pytest

# The deadline is half a second after the signal. The event loop hangs, or a thread at the exit.
PROGRAM = """
import asyncio, subprocess, sys, threading, time
from loopbench_server.stopping import SHUTDOWN_TIMEOUT_SECONDS, make_stop_event

async def main():
    stop = make_stop_event(on_stdin_eof=False, drain_seconds=0.5 - SHUTDOWN_TIMEOUT_SECONDS)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(child.pid, flush=True)
    {hang}

asyncio.run(main())
"""
HANGS = {
    "event loop": "time.sleep(600)",
    "cleanup": "await stop.wait(); time.sleep(600)",
    "thread": "threading.Thread(target=time.sleep, args=(600,)).start(); await stop.wait()",
}


@pytest.mark.parametrize("what", HANGS)
def test_it_ends_with_the_processes_below_it(what: str) -> None:
    command = [sys.executable, "-c", PROGRAM.format(hang=HANGS[what])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline()))
        for _ in range(2):
            process.terminate()
            time.sleep(0.05)
        assert process.wait(30) == 1
        assert "shutdown deadline exceeded" in process.stdout.read()  # where nothing configures the log
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running()


def test_a_program_that_stops_by_itself_has_the_same_deadline() -> None:
    command = [sys.executable, "-c", PROGRAM.format(hang="stop.set(); time.sleep(600)")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.wait(30) == 1
        assert process.stdout is not None
        assert "shutdown deadline exceeded" in process.stdout.read()


@pytest.mark.parametrize("redirection", ["</dev/null", "<&-", "0>/dev/null"])
def test_a_standard_input_that_cannot_be_read_has_ended(redirection: str) -> None:
    program = PROGRAM.format(hang="child.kill(); await stop.wait()").replace("eof=False", "eof=True")
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_program_that_ends_in_time_is_not_killed() -> None:
    command = [sys.executable, "-c", PROGRAM.format(hang="child.kill(); await stop.wait()")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        assert process.wait(30) == 0
        assert process.communicate() == ("", "")
