"""The indices of a sweep as processes on this machine, several at once, tried again as a Job of Kubernetes would."""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from google.protobuf import json_format

from loopbench import wire
from loopbench.spec import Run
from loopbench.sweep import INDEX_VARIABLE, Index, IndexExit, Sweep
from loopbench.v1 import run_pb2
from loopbench_client.embedded import check_server_is_installed, environment_of_own, log_file, open_log
from loopbench_client.joining import join_all
from loopbench_client.sweeping.policy import is_final, most_failed

PROGRAM = "loopbench-sweep-index"
# It ends when its stdin does, and so with this process however that ends.
COMMAND = (sys.executable, "-m", "loopbench_server.sweep", "--metrics-address", "none", "--exit-on-stdin-eof")
# Seconds: a cancelled run ends within one, unless the database does not answer for a moment.
STOP_TIMEOUT, KILL_TIMEOUT = 30.0, 5.0


@dataclass(frozen=True)
class Started:
    """The ``run`` of ``index`` before its end, as soon as its id is known."""

    index: Index
    run: Run


@dataclass(frozen=True)
class Attempt:
    """A process that worked on ``index``, the first or a later one; ``code`` is negative where a signal killed it.

    There is a ``run`` if it succeeded, and otherwise words that say ``why`` not. ``run_id`` is empty if the process
    ended before it had a run. After a ``final`` one comes no other.
    """

    index: Index
    number: int
    code: int
    final: bool
    run: Run | None = None
    run_id: str = ""
    why: str = ""


def processes_at_once(sweep: Sweep, parallelism: int | None) -> int:
    """How many indices train at once: ``parallelism``, by default one a core, and no more than there are."""
    return min(parallelism or os.cpu_count() or 1, sweep.size)


def train_locally(sweep: Sweep, count: int) -> Generator[Started | Attempt, None, None]:
    """Every run as it starts, and every attempt as it ends, until all indices have ended or too many have failed.

    ``count`` of them train at once. Closing the generator stops what is running, and waits
    for it; so does an exception in it, such as KeyboardInterrupt.

    Raises:
        EmbeddedServerError: the server's package is not installed, or a log cannot be written.
    """
    check_server_is_installed()
    with TemporaryDirectory(prefix="loopbench-sweep-") as folder:
        file = Path(folder) / "sweep.json"
        file.write_text(sweep.text, encoding="utf-8")
        crew = _Crew(sweep, file)
        try:
            crew.start(count)
            yield from crew.outcomes()
        finally:
            crew.stop()


class _Crew:
    """Threads that each see to one process; what becomes of these is taken in one other thread."""

    def __init__(self, sweep: Sweep, file: Path) -> None:
        self._sweep = sweep
        self._file = file
        self._todo: queue.SimpleQueue[Index] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[Started | Attempt | Exception] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._processes: set[subprocess.Popen[bytes]] = set()
        # Held to start a process, so that none starts unseen when all are stopped.
        self._starting = threading.Lock()
        self._stopped = False
        for number in range(sweep.size):
            self._todo.put(sweep.index(number))

    def start(self, count: int) -> None:
        # Daemons: a process that does not end must not keep this one alive.
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def outcomes(self) -> Generator[Started | Attempt, None, None]:
        done = failed = 0
        while done + failed < self._sweep.size and failed <= most_failed(self._sweep.size):
            outcome = self._outcomes.get()
            if isinstance(outcome, Exception):
                raise outcome
            if isinstance(outcome, Attempt):
                done += outcome.final and outcome.run is not None
                failed += outcome.final and outcome.run is None
            yield outcome

    def stop(self) -> None:
        """Ends the processes and waits for them; they store their state first. One that does not end is killed."""
        with self._starting:
            self._stopped = True
            for process in tuple(self._processes):
                process.terminate()
        join_all(self._threads, STOP_TIMEOUT)
        for process in tuple(self._processes):
            process.kill()
        join_all(self._threads, KILL_TIMEOUT)

    def _work(self) -> None:
        try:
            while True:
                self._see_to(self._todo.get_nowait())
        except (queue.Empty, _Stopped):
            pass  # there is nothing more to do
        except Exception as error:  # noqa: BLE001  # raised again where it is taken
            self._outcomes.put(error)

    def _see_to(self, index: Index) -> None:
        log = log_file(f"{self._sweep.full_name}-{index.number}")
        number, final = 0, False
        while not final:
            number += 1
            attempt = self._attempt(index, number, log)
            self._outcomes.put(attempt)
            final = attempt.final
        if attempt.run:
            log.unlink(missing_ok=True)

    def _attempt(self, index: Index, number: int, log: Path) -> Attempt:
        with open_log(log) as stderr:
            began = stderr.tell()
            with self._process(index, stderr.fileno()) as process:
                assert process.stdout is not None
                run = self._last_run(index, process.stdout)
                code = process.wait()
        self._processes.discard(process)
        final, run_id = is_final(code, number), run.id if run else ""
        if code == IndexExit.DONE:
            return Attempt(index, number, code, final, run, run_id)
        words = _last_words(log.read_bytes()[began:], index, code)
        return Attempt(index, number, code, final, run_id=run_id, why=f"{words} (log: {log})")

    def _last_run(self, index: Index, output: IO[bytes]) -> Run | None:
        """The run as the program printed it last; it prints the run before its end, too."""
        run = None
        for line in output:
            # A killed program may leave a part of a line.
            if line.endswith(b"\n"):
                run = wire.run_from_wire(json_format.Parse(line, run_pb2.Run()))
                if not run.state.ended:
                    self._outcomes.put(Started(index, run))
        return run

    def _process(self, index: Index, stderr: int) -> subprocess.Popen[bytes]:
        with self._starting:
            if self._stopped:
                raise _Stopped
            # A separate session: Ctrl-C is for this process, which stops those that it started.
            process = subprocess.Popen(  # noqa: S603  # nosec B603  # a fixed command
                [*COMMAND, "--sweep-file", self._file],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
                env=environment_of_own() | {INDEX_VARIABLE: str(index.number)},
            )
            self._processes.add(process)
            return process


class _Stopped(Exception):  # noqa: N818  # not an error: no process is wanted any more
    """Raised instead of starting a process."""


def _last_words(log: bytes, index: Index, code: int) -> str:
    """What the program said of its failure, or what is known of its end where it could say nothing."""
    begins = (f"{PROGRAM}: {index.title}: ", f"{PROGRAM}: ")
    for line in reversed(log.decode(errors="replace").splitlines()):
        for begin in begins:
            if line.startswith(begin):
                return line.removeprefix(begin)
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
