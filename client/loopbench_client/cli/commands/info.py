"""``loopbench info``."""

from collections.abc import Iterable

from loopbench import wire
from loopbench.spec import ServerInfo
from loopbench.text import kebab
from loopbench_client.channel import DEFAULT_TIMEOUT
from loopbench_client.cli.options import Json, Server
from loopbench_client.cli.output import out, print_json
from loopbench_client.cli.session import connect
from loopbench_client.cli.tables import table
from loopbench_client.cli.waiting import waiting


def info(*, server: Server = None, json: Json = False) -> None:
    """Say what the server is and what it can do."""
    with connect(server, ready=True) as client, waiting("the answer of the server", DEFAULT_TIMEOUT):
        address, answer = client.address, client.get_server_info()
    if json:
        print_json(wire.server_info_to_wire(answer))
    else:
        out().print(table("", "", rows=[("server", address), *_rows(answer)], words=2))


def _rows(answer: ServerInfo) -> Iterable[tuple[str, str]]:
    yield "ready", "yes" if answer.ready else "no"
    yield "runs", f"{answer.running} running, {answer.queued} queued"
    yield "limits", f"{answer.limits.slots} at once, {answer.limits.queue_size} in the queue"
    for device in answer.devices:
        yield "device", f"{kebab(device.type)} {device.name}"
    for dataset in answer.datasets:
        state = "available" if dataset.available else "to be downloaded"
        samples = f"{dataset.train_samples:,} training + {dataset.validation_samples:,} validation samples"
        yield "dataset", f"{kebab(dataset.dataset)}: {state}, {samples}"
    for name in ("methods", "losses", "optimizers", "networks", "executions", "accuracy_metrics", "loss_aggregations"):
        yield kebab(name), " ".join(map(kebab, getattr(answer, name)))
    for package, version in sorted(answer.versions.items()):
        yield "version", f"{package} {version}"
