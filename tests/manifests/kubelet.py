"""What a cluster does about pods: it probes them, and has Jobs try again."""

import time
import urllib.request
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.manifests.builds import Object
from tests.manifests.mounting import Held
from tests.manifests.objects import at
from tests.manifests.running import PATIENCE, Node, Running, lone

SERVING = health_pb2.HealthCheckResponse.SERVING
COUNT = "Count"
# Seconds for a whole Job.
JOB_PATIENCE = 3 * PATIENCE


@dataclass(frozen=True)
class Server:
    """A server's pod that is ready, and its addresses on this machine."""

    running: Running
    container: Object
    address: str
    health: str
    metrics: str

    def probed(self, kind: str) -> bool:
        """Whether that probe of the manifest succeeds now."""
        return probed(self.container[kind], self.health)

    def scraped(self) -> str:
        """What Prometheus gets."""
        with urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=30) as answer:
            return str(answer.read().decode())


def probed(probe: Object, address: str) -> bool:
    """As the kubelet does: in plain text, to the port that the probe names."""
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            request = health_pb2.HealthCheckRequest(service=probe["grpc"].get("service", ""))
            return bool(stub.Check(request, timeout=probe.get("timeoutSeconds", 1)).status == SERVING)
        except grpc.RpcError:
            return False


def _until(condition: Callable[[], bool], running: Running) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert running.process.poll() is None, running.errors()
        assert time.monotonic() < end, running.errors()
        time.sleep(0.2)


def ready(node: Node, build: str) -> Server:
    """The server of a build, once its startup and readiness probes succeed."""
    running = node.run(build, "Deployment")
    _until(lambda: running.event("listening") is not None, running)
    told = running.event("listening") or {}
    addresses = (told[name] for name in ("address", "health_address", "metrics_address"))
    server = Server(running, lone(build, "Deployment")[1], *addresses)
    _until(lambda: server.probed("startupProbe"), running)
    _until(lambda: server.probed("readinessProbe"), running)
    return server


def reaction(job: Object, code: int, *, disrupted: bool = False) -> str:
    """What a Job's controller does about a pod that failed: by the first rule that fits, or else it counts."""
    for rule in at(job, "podFailurePolicy.rules") or []:
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions", [])
        if codes and (code in codes["values"]) == (codes["operator"] == "In"):
            return str(rule["action"])
        if disrupted and any(condition["type"] == "DisruptionTarget" for condition in conditions):
            return str(rule["action"])
    return COUNT


@dataclass
class IndexedJob:
    """The Job's indices, or some of them, as many at once as its parallelism says.

    ``texts`` are for :meth:`Node.run`. ``codes`` are the exit codes of the pods of each index.
    """

    node: Node
    build: str
    texts: Held = field(default_factory=dict)
    indices: Iterable[int] | None = None
    codes: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    ended: dict[int, Running] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)
    evicted: set[Running] = field(default_factory=set)

    def complete(self, disturb: Callable[[dict[int, Running]], None]) -> None:
        """Runs the indices to their end; calls ``disturb`` with the running pods in every round."""
        job = lone(self.build, "Job")[0].owner["spec"]
        indices = range(job["completions"]) if self.indices is None else self.indices
        waiting, running, counted = deque(indices), dict[int, Running](), Counter[int]()
        end = time.monotonic() + JOB_PATIENCE
        while waiting or running:
            assert time.monotonic() < end, {index: pod.errors() for index, pod in running.items()}
            while waiting and len(running) < job["parallelism"]:
                index = waiting.popleft()
                running[index] = self.node.run(self.build, "Job", texts=self.texts, JOB_COMPLETION_INDEX=str(index))
            disturb(running)
            for index in [index for index, pod in running.items() if pod.process.poll() is not None]:
                action = self._see(job, index, running.pop(index))
                counted[index] += action == COUNT
                if action == "FailIndex" or counted[index] > job["backoffLimitPerIndex"]:
                    self.failed.add(index)
                elif action:
                    waiting.append(index)
            time.sleep(0.05)

    def _see(self, job: Object, index: int, pod: Running) -> str:
        code = pod.wait()
        self.codes[index].append(code)
        self.ended[index] = pod
        return reaction(job, code, disrupted=pod in self.evicted) if code else ""
