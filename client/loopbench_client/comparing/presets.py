"""Comparisons that have a name."""

from collections.abc import Mapping
from dataclasses import dataclass

from loopbench.spec import RunSpec
from loopbench_client.comparing import article
from loopbench_client.comparing.claims import ClaimOutcome, Row, check_claims
from loopbench_client.comparing.compared import Compared
from loopbench_client.comparing.plan import Draft, NamedSpec
from loopbench_client.comparing.values import Given

# Fields that differ between rows. All other fields are common and can be overridden.
OWN = ("method", "loss", "accuracy_metric")
# What changes neither the weights nor what was counted, beyond XLA's last bits.
NEUTRAL = {"seed", "device", "execution", "steps_per_execution", "loss_aggregation", "tensorboard"}


@dataclass(frozen=True)
class Preset:
    """Published experiments, to be repeated and checked. What the rows share has the defaults of a spec."""

    name: str
    rows: tuple[Row, ...]

    def draft(self) -> Draft:
        """The rows as specs."""
        specs = tuple(NamedSpec(row.label, f"preset {self.name}", self._values(row)) for row in self.rows)
        return Draft(specs=specs, name=self.name)

    def _values(self, row: Row) -> dict[str, Given]:
        optimizer = row.spec.optimizer
        texts = {name: str(getattr(row.spec, name)) for name in OWN}
        texts |= {"optimizer": optimizer.kind, "learning_rate": str(optimizer.learning_rate)}
        return {name: Given(f"preset {self.name}", text) for name, text in texts.items()}

    def departures(self, specs: Mapping[str, RunSpec]) -> tuple[str, ...]:
        """The fields in which ``specs`` are not as published, so that the figures are not comparable."""
        pairs = [
            (row.spec.model_dump(exclude=NEUTRAL), specs[row.label].model_dump(exclude=NEUTRAL)) for row in self.rows
        ]
        return tuple(
            name for name in RunSpec.model_fields if any(his.get(name) != ours.get(name) for his, ours in pairs)
        )

    def check(self, compared: Compared) -> tuple[ClaimOutcome, ...]:
        """Whether what was published holds."""
        return tuple(check_claims(self.rows, compared, comparable=not self.departures(compared.specs)))


PRESETS: dict[str, Preset] = {preset.name: preset for preset in (Preset("article", article.ROWS),)}
