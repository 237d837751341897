"""Specifications in short: what all groups share, and what sets each apart."""

from collections.abc import Iterable, Mapping

from loopbench.spec import VARIANTS, RunSpec, Variant
from loopbench.text import kebab, listed

# A group has one specification under several seeds, and logs change nothing.
LEFT_OUT = {"seed", "tensorboard"}

Settings = dict[str, str]


def settings(spec: RunSpec) -> Settings:
    """Every field by its flag's name; of optimizer and network what is not the default, and the learning rate."""
    found = {name: value for name, value in spec.model_dump(mode="json").items() if name not in LEFT_OUT}
    for field in VARIANTS:
        found[field] = found.pop(field)["kind"]
    found["learning_rate"] = spec.optimizer.learning_rate
    for field in VARIANTS:
        found |= {name: value for name, value in _unusual(getattr(spec, field)).items() if name not in found}
    return {kebab(name): kebab(listed(value)) for name, value in found.items()}


def _unusual(variant: Variant) -> Mapping[str, object]:
    return variant.model_dump(mode="json", exclude_defaults=True, exclude={"kind"})


def shared(all_settings: Iterable[Settings]) -> Settings:
    """What is the same in all of them."""
    first, *others = all_settings
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def apart(own: Settings, common: Settings) -> Settings:
    """What ``own`` has and not all share."""
    return {name: value for name, value in own.items() if name not in common}


def changes(before: RunSpec | None, after: RunSpec | None) -> tuple[str, ...]:
    """What a fix changes, a line a setting; nothing where one of the two is not known."""
    if before is None or after is None:
        return ()
    old, new = settings(before), settings(after)
    names = dict.fromkeys([*old, *new])
    return tuple(
        f"{name}: {old.get(name, 'default')} → {new.get(name, 'default')}"
        for name in names
        if old.get(name) != new.get(name)
    )
