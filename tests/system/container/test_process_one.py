"""Signals and exit codes as docker and the kubelet send and show them."""

import os
import pty
import signal
import subprocess
from pathlib import Path

import psutil

from loopbench.spec import Dataset, Execution, RunSpec, RunState
from tests.support.containers import USER, Image
from tests.support.servers import SECONDS_TO_READY, eventually

from .conftest import ENVIRONMENT, TIMEOUT_SECONDS, Container, Start, asked

SHORT = RunSpec(dataset=Dataset.DIGITS, epochs=1)
LONG = RunSpec(dataset=Dataset.DIGITS, epochs=1_000, execution=Execution.EAGER)
EXIT_CODES = {
    ("loopbench-server", "--help"): 0,
    ("loopbench", "info", "--server", "127.0.0.1:1"): 3,
    ("loopbench-server", "--slots", "0"): 2,
    ("no-such-program",): 127,
}


def begun(server: Container, spec: RunSpec) -> str:
    """The id of a running run."""
    with server.client() as client:
        run = client.train(spec, detach=True)
        next(event for event in client.watch_run(run.id) if event.progress and event.progress.step)
    return run.id


def zombies(server: Container) -> list[psutil.Process]:
    return [process for process in server.all() if asked(process.status) == psutil.STATUS_ZOMBIE]


def test_the_init_is_process_one(server: Container) -> None:
    assert server.init().name() == "tini"
    assert server.image.ask("exec", server.name, "stat", "--format=%u", "/proc/1") == str(USER)
    assert [child.cmdline()[-1] for child in server.init().children()] == ["/opt/loopbench/bin/loopbench-server"]


def test_orphans_are_reaped(server: Container) -> None:
    server.image.ask("exec", server.name, "sh", "-c", "sleep 3600 >/dev/null 2>&1 &")
    (orphan,) = server.below("sleep 3600")
    assert orphan.ppid() == server.init().pid
    server.kill(orphan)
    eventually(lambda: orphan not in server.all())


def test_killed_forkserver_is_replaced_and_reaped(server: Container) -> None:
    (forkserver, *_) = server.below("forkserver")
    server.kill(forkserver)
    with server.client() as client:
        assert client.train(SHORT).state is RunState.SUCCEEDED
    eventually(lambda: not zombies(server))
    assert not forkserver.is_running()


def test_sigkill_leaves_no_process(start: Start) -> None:
    server = start()
    with server.client() as client:
        client.wait_ready(SECONDS_TO_READY)
    begun(server, LONG)
    processes = [server.init(), *server.all()]
    server.send(signal.SIGKILL)
    assert server.wait() == 128 + signal.SIGKILL
    eventually(lambda: not any(process.is_running() for process in processes))


def test_sigterm_lets_a_run_finish_or_cancels_a_long_one_and_ends_with_zero(start: Start) -> None:
    patient = start(environment={"LOOPBENCH_DRAIN_SECONDS": "600"})
    finished = begun(patient, LONG.model_copy(update={"epochs": 12}))
    patient.send(signal.SIGTERM)
    assert patient.wait() == 0

    hasty = start(environment={"LOOPBENCH_DRAIN_SECONDS": "0.5"})
    with hasty.client() as client:
        client.wait_ready(SECONDS_TO_READY)
        assert client.get_run(finished).state is RunState.SUCCEEDED
    cancelled = begun(hasty, LONG)
    hasty.send(signal.SIGTERM)
    assert hasty.wait() == 0

    # This server is stopped while it starts; the next one finds the store unchanged.
    stopped = start()
    stopped.send(signal.SIGTERM)
    assert stopped.wait() == 0

    with start().client() as client:
        client.wait_ready(SECONDS_TO_READY)
        run = client.get_run(cancelled)
    assert run.error is not None
    assert (run.state, run.error.reason, run.error.retryable) == (RunState.CANCELLED, "SERVER_DRAINING", True)


def test_ctrl_c_works_like_sigterm(image: Image, folders: dict[str, Path]) -> None:
    ours, theirs = pty.openpty()
    command = image.command(flags=["--interactive", "--tty"], mounts=folders, environment=ENVIRONMENT)
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while b"listening on" not in shown:
            shown += os.read(ours, 1024)
        os.write(ours, b"\x03")
        assert process.wait(timeout=TIMEOUT_SECONDS) == 0
    os.close(ours)


def test_exit_codes_are_those_of_the_program(image: Image) -> None:
    assert {words: image.run(*words).returncode for words in EXIT_CODES} == EXIT_CODES
