"""What can be chosen for a sweep beyond its specs and seeds, checked."""

import re
from importlib.metadata import version
from typing import Annotated

from pydantic import AfterValidator, Field

from loopbench.spec import Input
from loopbench.sweep import DNS_LABEL, MOST_INDICES, SweepName

LABEL_LENGTH, SUBDOMAIN_LENGTH = 63, 253
# As a container runtime takes it: [HOST[:PORT]/]PATH[:TAG][@DIGEST].
IMAGE = re.compile(
    r"([\w.-]+(:\d{1,5})?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?", re.ASCII
)


def _dns_label(value: str) -> str:
    if len(value) > LABEL_LENGTH or not DNS_LABEL.fullmatch(value):
        raise ValueError(f"must be at most {LABEL_LENGTH} of a-z, 0-9 and '-', with no '-' at either end")
    return value


def _dns_subdomain(value: str) -> str:
    if len(value) > SUBDOMAIN_LENGTH or not all(DNS_LABEL.fullmatch(part) for part in value.split(".")):
        raise ValueError(
            f"must be at most {SUBDOMAIN_LENGTH} of a-z, 0-9, '-' and '.', beginning and ending with neither"
        )
    return value


def _image(value: str) -> str:
    if not IMAGE.fullmatch(value):
        raise ValueError("must be a container image, such as loopbench:1.0")
    return value


DnsLabel = Annotated[str, AfterValidator(_dns_label)]
DnsSubdomain = Annotated[str, AfterValidator(_dns_subdomain)]


class SweepOptions(Input):
    """What there is to choose wherever a sweep runs: its name, and how many of its indices run at once."""

    name: SweepName
    parallelism: Annotated[int, Field(ge=1, le=MOST_INDICES)] | None = None


class JobOptions(SweepOptions):
    """What there is to choose about a Job: names of what it uses in the cluster, and GPUs a pod."""

    image: Annotated[str, AfterValidator(_image)] = f"loopbench:{version('keras-loopbench')}"
    namespace: DnsLabel | None = None
    queue: DnsLabel | None = None
    gpus: Annotated[int, Field(ge=0, le=64)] = 0
    store_secret: DnsSubdomain = "loopbench-store"  # noqa: S105  # a name
    data_claim: DnsSubdomain | None = None
