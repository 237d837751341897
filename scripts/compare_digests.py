"""Trains by every method and execution through a server, and says whether all end in the same weights digest.

    python scripts/compare_digests.py --server 127.0.0.1:50051 --dataset MNIST --epochs 10 --optimizer sgd adam

XLA ends in other bits, so its runs are compared with each other only. The exit code is 1 if a digest differs.
"""

import argparse
import sys
from collections.abc import Iterator

from loopbench.spec import NETWORKS, OPTIMIZERS, Dataset, Execution, Method, Run, RunSpec
from loopbench_client import Client

# Execution and steps per execution; 0 is a whole epoch in one call, and 1 for EAGER.
EXECUTIONS = {
    "graph-and-eager": [(Execution.GRAPH, 0), (Execution.GRAPH, 1), (Execution.GRAPH, 100), (Execution.EAGER, 0)],
    "xla": [(Execution.XLA, 0), (Execution.XLA, 1)],
}


def specs(arguments: argparse.Namespace) -> Iterator[tuple[str, RunSpec]]:
    """Every specification, with the name of the group whose digests must agree."""
    for optimizer in arguments.optimizer:
        for group, ways in EXECUTIONS.items():
            for execution, steps in (way for way in ways if way[0] in arguments.execution):
                for method in Method:
                    yield (
                        f"{optimizer} {group}",
                        RunSpec(
                            method=method,
                            optimizer=OPTIMIZERS[optimizer](),
                            network=NETWORKS[arguments.network](),
                            dataset=arguments.dataset,
                            epochs=arguments.epochs,
                            seed=arguments.seed,
                            execution=execution,
                            steps_per_execution=steps,
                        ),
                    )


def ended(client: Client, run: Run) -> Run:
    """``run`` once it has a result."""
    for _ in client.watch_run(run.id):
        pass
    return client.get_run(run.id)


def main() -> int:
    """Print one line per run and a verdict per group."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="127.0.0.1:50051")
    parser.add_argument("--dataset", type=Dataset, choices=list(Dataset), default=Dataset.MNIST)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--optimizer", nargs="+", choices=OPTIMIZERS, default=["sgd", "adam"])
    parser.add_argument("--network", choices=NETWORKS, default="mlp")
    parser.add_argument("--execution", type=Execution, nargs="+", choices=list(Execution), default=list(Execution))
    arguments = parser.parse_args()
    digests: dict[str, set[str]] = {}
    with Client(arguments.server) as client:
        waiting = [(group, client.train(spec, detach=True)) for group, spec in specs(arguments)]
        for group, queued in waiting:
            run = ended(client, queued)
            spec = run.spec
            way = f"{spec.execution}/{spec.steps_per_execution}"
            if run.result is None:
                print(f"{group:22} {spec.method:18} {way:10} {run.state}: {run.error}")
                digests.setdefault(group, set()).add(run.id)
                continue
            digests.setdefault(group, set()).add(run.result.weights_digest)
            print(
                f"{group:22} {spec.method:18} {way:10} {run.result.weights_digest} "
                f"train {run.result.train.accuracy:.2%} validation {run.result.validation.accuracy:.2%} "
                f"{run.result.phases.train_seconds:6.1f} s",
                flush=True,
            )
    for group, found in digests.items():
        print(f"{group}: {'one digest' if len(found) == 1 else f'{len(found)} DIFFERENT digests'}")
    return int(any(len(found) != 1 for found in digests.values()))


if __name__ == "__main__":
    sys.exit(main())
