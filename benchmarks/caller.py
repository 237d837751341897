"""A client that waits for a run, to be killed: ``python -m benchmarks.caller ADDRESS SPEC``."""

import sys

from loopbench.spec import RunSpec
from loopbench_client import Client

if __name__ == "__main__":
    _, address, spec = sys.argv
    with Client(address) as client:
        client.train(RunSpec.model_validate_json(spec))
