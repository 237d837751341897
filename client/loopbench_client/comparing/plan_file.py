"""A plan in a YAML file.

::

    seeds: 5            # a number, or a list of seeds
    margin: 0.005
    alpha: 0.05
    defaults: {dataset: digits, epochs: 5}
    specs:
      tape: {method: gradient-tape}
      fit: {method: fit, optimizer: {sgd: {learning_rate: 0.1}}}
      cnn: {network: {cnn: {filters: [16, 32]}}}

The file is parsed into YAML's nodes and read from them: no object is made of a tag, a number is taken as it is written,
and a key that is given twice is seen.
"""

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from loopbench.spec import VARIANTS, RunSpec, Violation
from loopbench.spelling import suggestion
from loopbench_client.comparing.plan import Draft, NamedSpec, Plan
from loopbench_client.comparing.values import NAMES, PARAMETERS, SEED, Given, Values, snake

SETTINGS = ("seeds", "margin", "alpha")
KEYS = (*SETTINGS, "defaults", "specs")

EXAMPLES = {"optimizer": "{sgd: {learning_rate: 0.1}}", "network": "{cnn: {dropout: 0.5}}"}
# How YAML writes that there is nothing.
NOTHING = frozenset({"", "~", "null"})


def name_of(file: Path) -> str:
    """The name of the plan in a file, and of a sweep that is given none: ``My_Sweep.plan.yaml`` → ``my-sweep``."""
    return file.name.partition(".")[0].lower().replace("_", "-")


def read_draft(path: Path) -> Draft:
    """What the file at ``path`` gives; a file that is no YAML, or cannot be read, is among the faults."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            root = yaml.compose(file, Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
        fault = Violation(field=f"{(path.name or str(path))!r}", description=f"cannot be read: {cause}")
        return Draft(faults=(fault,))
    return replace(_Reader(path.name).draft(root), name=name_of(path))


def format_plan(plan: Plan) -> str:
    """Return the file of a plan of specs. Values that all specs share are defaults."""
    specs = {label: _values_of(spec) for label, spec in plan.specs.items()}
    first, *others = specs.values() or [{}]
    shared = {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}
    settings = {"seeds": [*plan.seeds], "margin": plan.margin, "alpha": plan.alpha}
    content: dict[str, Any] = {name: value for name, value in settings.items() if value is not None}
    content["defaults"] = shared
    content["specs"] = {
        label: {name: value for name, value in values.items() if name not in shared} for label, values in specs.items()
    }
    text: str = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, allow_unicode=True, width=100)
    return text


def _values_of(spec: RunSpec) -> dict[str, Any]:
    """The fields of a spec that are not the defaults, without the seed."""
    unset = RunSpec()
    fields = ((name, value) for name, value in spec if name != SEED and value != getattr(unset, name))
    return {name: _value_of(value) for name, value in fields}


def _value_of(value: Any) -> Any:
    """A value as the file has it: words for a choice, and the kind around the parameters of an optimizer."""
    if isinstance(value, BaseModel):
        parameters = value.model_dump(mode="json", exclude_defaults=True, exclude={"kind"})
        return {str(getattr(value, "kind")): parameters}  # noqa: B009  models of other fields have a kind, too
    return value.lower().replace("_", "-") if isinstance(value, StrEnum) else value


class _Reader:
    """Reads nodes as far as a plan goes; a path in the file is a list of keys."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._faults: list[Violation] = []

    def draft(self, root: yaml.Node | None) -> Draft:
        known = self._known(self._mapping(root, ()))
        settings = {name: self._setting(name, known[name]) for name in SETTINGS if name in known}
        common = self._values(known.get("defaults"), ("defaults",))
        specs = tuple(
            NamedSpec(label, self._place(("specs", label)), self._values(node, ("specs", label)))
            for label, node in self._mapping(known.get("specs"), ("specs",)).items()
        )
        return Draft(settings, common, specs, tuple(self._faults))

    def _place(self, path: Iterable[str]) -> str:
        return f"{self._name!r}, {'.'.join(path)}"

    def _fault(self, path: tuple[str, ...], words: str) -> None:
        self._faults.append(Violation(field=self._place(path or ("the whole",)), description=words))

    def _known(self, mapping: dict[str, yaml.Node]) -> dict[str, yaml.Node]:
        for key in mapping.keys() - set(KEYS):
            self._fault((key,), f"there is no such key; there are {', '.join(KEYS)}{suggestion(key, KEYS)}")
        return mapping

    def _mapping(self, node: yaml.Node | None, path: tuple[str, ...]) -> dict[str, yaml.Node]:
        """The nodes by key; none where there is nothing."""
        found: dict[str, yaml.Node] = {}
        if node is None or (isinstance(node, yaml.ScalarNode) and node.value in NOTHING):
            return found
        if not isinstance(node, yaml.MappingNode):
            self._fault(path, "must be a mapping of names to values")
            return found
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fault(path, f"line {key.start_mark.line + 1}: a key must be text")
            elif key.value in found:
                self._fault((*path, key.value), "is given twice")
            else:
                found[key.value] = value
        return found

    def _text(self, node: yaml.Node, path: tuple[str, ...]) -> str | None:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        self._fault(path, "must be a single value")
        return None

    def _list(self, node: yaml.SequenceNode, path: tuple[str, ...]) -> str | None:
        """Items with commas; a field that takes no list refuses the text."""
        texts = [self._text(item, path) for item in node.value]
        return None if None in texts else ",".join(map(str, texts))

    def _setting(self, name: str, node: yaml.Node) -> Given:
        """A setting; a list of seeds has commas, one behind the last, so that a list of one is none of a number."""
        place = self._place((name,))
        if name == "seeds" and isinstance(node, yaml.SequenceNode):
            texts = [self._text(item, (name,)) or "" for item in node.value]
            return Given(place, "".join(f"{text}," for text in texts) or ",")
        return Given(place, self._text(node, (name,)) or "")

    def _values(self, node: yaml.Node | None, path: tuple[str, ...]) -> dict[str, Given]:
        values = Values(self._faults)
        for name, value in self._mapping(node, path).items():
            if snake(name) in VARIANTS and isinstance(value, yaml.MappingNode):
                self._variant(snake(name), value, (*path, name), values)
            else:
                self._value(value, (*path, name), values)
        return values.given

    def _value(self, node: yaml.Node, path: tuple[str, ...], values: Values, known: frozenset[str] = NAMES) -> None:
        text = self._list(node, path) if isinstance(node, yaml.SequenceNode) else self._text(node, path)
        if text is not None:
            values.add(path[-1], self._place(path), text, known)

    def _variant(self, field: str, node: yaml.Node, path: tuple[str, ...], values: Values) -> None:
        """``{sgd: {learning_rate: 0.1}}`` or ``{cnn: {dropout: 0.5}}``."""
        kinds = self._mapping(node, path)
        if len(kinds) != 1:
            self._fault(path, f"must have one {field}, for example {EXAMPLES[field]}")
            return
        ((kind, parameters),) = kinds.items()
        values.add(field, self._place(path), kind)
        for name, value in self._mapping(parameters, (*path, kind)).items():
            self._value(value, (*path, kind, name), values, PARAMETERS[field])
