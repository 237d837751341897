"""``LABEL: name=value name=value``: a spec in a line."""

from loopbench.spec import Violation
from loopbench_client.comparing.plan import NamedSpec
from loopbench_client.comparing.values import Values


def read_spec(text: str, faults: list[Violation]) -> NamedSpec:
    """The spec in ``text``; what is wrong with its form goes to ``faults``."""
    label, colon, words = text.partition(":")
    label = label.strip()
    place = f"spec {label!r}"
    if not colon:
        faults.append(Violation(field=place, description="is not of the form 'LABEL: name=value name=value'"))
    values = Values(faults)
    values.add_pairs(words.split(), f"{place},")
    return NamedSpec(label, place, values.given)
