"""Methods that the server serves, by path: labels of their metrics, and roles that they require."""

from grpc_health.v1 import health_pb2

from loopbench.v1 import benchmark_service_pb2
from loopbench_server.rpc import reflection
from loopbench_server.rpc.handlers import HANDLER_KINDS
from loopbench_server.security.tokens import Role
from loopbench_server.telemetry.metrics.rpcs import Rpc

FILES = (benchmark_service_pb2.DESCRIPTOR, health_pb2.DESCRIPTOR, *reflection.FILES)
BENCHMARK = benchmark_service_pb2.DESCRIPTOR.services_by_name["BenchmarkService"].full_name
HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

METHODS: dict[str, Rpc] = {
    f"/{service.full_name}/{method.name}": (
        HANDLER_KINDS[method.client_streaming, method.server_streaming].rpc_type,
        service.full_name,
        method.name,
    )
    for file in FILES
    for service in file.services_by_name.values()
    for method in service.methods
}

METHOD_ROLES: dict[str, Role] = {
    f"/{BENCHMARK}/Train": Role.WRITE,
    f"/{BENCHMARK}/Evaluate": Role.WRITE,
    f"/{BENCHMARK}/WatchRun": Role.READ,
    f"/{BENCHMARK}/GetRun": Role.READ,
    f"/{BENCHMARK}/ListRuns": Role.READ,
    f"/{BENCHMARK}/CancelRun": Role.WRITE,
    f"/{BENCHMARK}/DeleteRun": Role.WRITE,
    f"/{BENCHMARK}/GetWeights": Role.READ,
    f"/{BENCHMARK}/Compare": Role.READ,
    f"/{BENCHMARK}/Diagnose": Role.WRITE,
    f"/{BENCHMARK}/GetServerInfo": Role.READ,
    **{f"/{service}/ServerReflectionInfo": Role.READ for service in reflection.SERVICES},
    # Probes carry no token.
    f"/{HEALTH}/Check": Role.OPEN,
    f"/{HEALTH}/List": Role.OPEN,
    f"/{HEALTH}/Watch": Role.OPEN,
}
