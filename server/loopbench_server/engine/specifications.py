"""What two specifications differ in over a whole run: data, initial weights, orders, updates and smaller batches."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

from loopbench.spec import BaseNetwork, Cause, Divergence, Effect, Reason, RunSpec, Side
from loopbench.text import counted
from loopbench_diagnose.findings import Findings, evidence, word
from loopbench_diagnose.orders import Order, describe
from loopbench_diagnose.probes import non_finite
from loopbench_server.engine.batch_order import BatchOrder
from loopbench_server.engine.data import Data, Samples
from loopbench_server.engine.networks import build_model, weights_digest

DIGITS_SHOWN = 12
# Rank of causes that differ by no more than another seed does: below all others that touch the training.
BY_CHANCE = 1e-6


@dataclass(frozen=True)
class Whole:
    """A specification with all of its data; ``diverged`` says where a run of it did, as far as that is known."""

    spec: RunSpec
    data: Data
    diverged: Divergence | None = None

    @cached_property
    def images(self) -> str:
        """Digest of the training images."""
        return hashlib.sha256(self.data.train.images.tobytes()).hexdigest()

    @cached_property
    def order(self) -> Order:
        """Of the first two epochs."""
        order = BatchOrder(self.spec.seed, len(self.data.train), self.spec.shuffle_buffer)
        return describe([order.epoch(epoch).astype("i8") for epoch in range(2)])

    @property
    def updates(self) -> int:
        """Of the whole run."""
        return -(-len(self.data.train) // self.spec.batch_size) * self.spec.epochs

    def last_batch(self, samples: Samples) -> int:
        """Samples in the last batch of an epoch."""
        return len(samples) % self.spec.batch_size or self.spec.batch_size


Wholes = tuple[Whole, Whole]


def ask(wholes: Wholes, findings: Findings) -> None:
    """All questions on whole runs."""
    for question in (_divergence, _data, _network, _seed, _order, _updates, _replicas, _smaller_batches):
        question(wholes, findings)


def _divergence(wholes: Wholes, findings: Findings) -> None:
    """Experiments are short: a divergence of later updates shows in whole runs alone."""
    places = {side: whole.diverged for side, whole in enumerate(wholes) if whole.diverged}
    measured = [
        evidence(f"divergence_of_the_run/{word(side)}", f"A whole run of the {word(side)} diverged at {place}.")
        for side, place in places.items()
    ]
    if measured and Reason.NON_FINITE in findings.reasons:
        findings.extend(Reason.NON_FINITE, measured)
    elif measured:
        non_finite.report(findings, {side: f"at {place} of the whole run" for side, place in places.items()}, measured)


def _data(wholes: Wholes, findings: Findings) -> None:
    first, second = wholes
    stated = f"Digests of the training images: {first.images[:DIGITS_SHOWN]}… and {second.images[:DIGITS_SHOWN]}…."
    if first.images == second.images:
        findings.control("training_images", stated)
        return
    counts = float(len(first.data.train)), float(len(second.data.train))
    findings.cause(
        Cause(
            reason=Reason.DATASET,
            title=f"One is trained on {first.spec.dataset}, the other on {second.spec.dataset}",
            evidence=(
                evidence("training_images", stated),
                evidence("samples", "Training samples, first and second.", *counts),
            ),
            consequence="Accuracies on different data say nothing of each other.",
            fix="Train both on the same dataset.",
        ),
        Effect.TRAINING,
        1e9,
    )


def _network(wholes: Wholes, findings: Findings) -> None:
    first, second = (whole.spec.network for whole in wholes)
    stated = evidence("network", f"Networks: {_words(first)}, and {_words(second)}.")
    if first == second:
        findings.control(stated.name, stated.description)
        return
    findings.cause(
        Cause(
            reason=Reason.NETWORK,
            title=f"The first network is {_words(first)}, the second {_words(second)}",
            evidence=(stated,),
            consequence="The networks have different weights. The experiments train the first network on both sides.",
            fix="Train the same network on both sides.",
        ),
        Effect.TRAINING,
        1e8,
    )


def _words(network: BaseNetwork) -> str:
    sizes = network.model_dump(mode="json", exclude={"kind"})
    return f"{network.kind} with " + ", ".join(f"{name} {value}" for name, value in sizes.items())


def _initial(spec: RunSpec, network: BaseNetwork) -> str:
    """Return the digest of the initial weights of ``network`` under the seed of ``spec``."""
    return weights_digest(build_model(spec.model_copy(update={"network": network})).get_weights())


def _seed(wholes: Wholes, findings: Findings) -> None:
    first, second = wholes
    # Of the same network, so that only the seed can differ.
    initial = [_initial(whole.spec, first.spec.network) for whole in wholes]
    stated = f"Digests of the initial weights: {initial[0][:DIGITS_SHOWN]}… and {initial[1][:DIGITS_SHOWN]}…."
    if initial[0] == initial[1]:
        findings.control("initial_weights", stated)
        return
    findings.cause(
        Cause(
            reason=Reason.SEED,
            title=f"Other initial weights and another batch order: seeds {first.spec.seed} and {second.spec.seed}",
            evidence=(evidence("initial_weights", stated),),
            consequence="The accuracies differ by chance, by as much as those of one specification under several "
            "seeds.",
            fix="Compare runs of the same seed, and of several.",
        ),
        Effect.TRAINING,
        BY_CHANCE,
    )


def _order(wholes: Wholes, findings: Findings) -> None:
    first, second = wholes
    orders = first.order, second.order
    digests = " and ".join(f"{order.digest[:DIGITS_SHOWN]}…" for order in orders)
    stated = f"Digests of two epochs' orders: {digests}."
    reach = f"Places that the farthest of {len(first.data.train):,} samples is moved to the front, first and second."
    buffers = first.spec.shuffle_buffer, second.spec.shuffle_buffer
    if orders[0].digest == orders[1].digest or buffers[0] == buffers[1]:
        findings.control("batch_order", stated)
        return
    findings.cause(
        Cause(
            reason=Reason.SHUFFLE,
            title=f"The first order is {orders[0].shuffle}, the second {orders[1].shuffle}",
            evidence=(
                evidence("batch_order", stated),
                evidence("reach", reach, float(orders[0].reach), float(orders[1].reach)),
            ),
            consequence="The batches hold other samples. On data in random order, such as MNIST, that is as good as "
            "chance; "
            "on sorted data a small buffer harms.",
            fix="Give both the same shuffle_buffer; 0 shuffles the whole set.",
        ),
        Effect.TRAINING,
        BY_CHANCE / 2,
    )


def _updates(wholes: Wholes, findings: Findings) -> None:
    updates = [whole.updates for whole in wholes]
    sizes = [min(whole.spec.batch_size, len(whole.data.train)) for whole in wholes]
    stated = evidence("updates_of_the_run", "Updates of the whole run, first and second.", *map(float, updates))
    if updates[0] == updates[1] and sizes[0] == sizes[1]:
        findings.control(stated.name, stated.description, stated.expected, stated.observed)
        return
    made = [
        f"{counted(count, 'update')} in {counted(whole.spec.epochs, 'epoch')} of batches of {size:,}"
        for whole, count, size in zip(wholes, updates, sizes, strict=True)
    ]
    findings.cause(
        Cause(
            reason=Reason.UPDATES,
            title=f"{made[0]}, against {made[1]}",
            evidence=(
                stated,
                evidence("batch_size", "Samples in a batch, first and second.", *map(float, sizes)),
            ),
            consequence=f"The second makes {updates[1] / updates[0]:.3g} times the first's updates.",
            fix="Give both the same batch_size and the same number of epochs.",
        ),
        Effect.TRAINING,
        abs(updates[1] / updates[0] - 1) + abs(sizes[1] / sizes[0] - 1),
    )


def _replicas(wholes: Wholes, findings: Findings) -> None:
    counts = [whole.spec.replicas for whole in wholes]
    stated = evidence("replicas", "Devices that share a batch, first and second.", *map(float, counts))
    if counts[0] == counts[1]:
        findings.control(stated.name, stated.description, stated.expected, stated.observed)
        return
    findings.cause(
        Cause(
            reason=Reason.REPLICAS,
            title=f"Batches are shared by {counts[0]} and by {counts[1]} replicas",
            evidence=(stated,),
            consequence="Sums over a batch are made in another order, so that the weights differ by rounding. "
            "Gradients are "
            "clipped share by share, where they are.",
            fix="Train both on as many devices, where the same bits are wanted.",
        ),
        Effect.ROUNDING,
        0.1,
    )


def _smaller_batches(wholes: Wholes, findings: Findings) -> None:
    """Where a divisor is fixed, what counts is how many samples the last batch of the real sets holds."""
    for cause in findings.causes:
        if cause.reason == Reason.FIXED_DIVISOR:
            _with_real_batches(wholes[0] if cause.side is Side.FIRST else wholes[1], cause, findings)


def _with_real_batches(whole: Whole, cause: Cause, findings: Findings) -> None:
    size, sets = whole.spec.batch_size, {"training": whole.data.train, "validation": whole.data.validation}
    findings.extend(
        cause.reason,
        [
            evidence(
                f"last_batch/{name}",
                f"Samples in the last {name} batch: {len(samples):,} in batches of {size:,}.",
                float(size),
                float(whole.last_batch(samples)),
            )
            for name, samples in sets.items()
        ],
    )
    last = whole.last_batch(whole.data.train)
    effects = {
        True: f"Training is not touched: {size:,} divides the {len(whole.data.train):,} samples.",
        False: f"The last training batch of every epoch holds {last:,} samples and counts for {last / size:.3g} of "
        "what it should.",
    }
    findings.reword(
        cause.reason,
        Effect.REPORT if last == size else Effect.TRAINING,
        title=f"The {(cause.side or Side.FIRST).lower()} loss divides by {size:,}, however many samples a batch holds",
        consequence=f"{effects[last == size]} Reported losses are wrong wherever a last batch is smaller.",
    )
