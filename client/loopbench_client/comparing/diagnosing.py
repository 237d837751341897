"""Why the groups of a comparison differ."""

from concurrent.futures import ThreadPoolExecutor

from loopbench.spec import Diagnosis
from loopbench_client.client import Client
from loopbench_client.comparing.compared import Compared
from loopbench_client.errors import LoopbenchError

Pair = tuple[str, str]


def diagnose_pairs(client: Client, compared: Compared) -> dict[Pair, Diagnosis | str]:
    """The first group against each of the others: what was found, or why nothing could be.

    The causes between two of the others follow from these. As many at once as the server has slots.
    """
    first, *others = compared.runs or [""]
    pool = ThreadPoolExecutor(max(1, client.get_server_info().limits.slots))
    try:
        found = pool.map(lambda other: _diagnosed(client, compared, (first, other)), others)
        return {(first, other): diagnosis for other, diagnosis in zip(others, found, strict=True)}
    finally:
        # After an interrupt the caller closes the client, which ends the calls under way.
        pool.shutdown(wait=False, cancel_futures=True)


def _diagnosed(client: Client, compared: Compared, pair: Pair) -> Diagnosis | str:
    first, second = (compared.runs[label][0].id for label in pair)
    try:
        return client.diagnose(first, second)
    except LoopbenchError as error:
        return f"not diagnosed: {error.message}"
