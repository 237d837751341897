"""Random pairs of a grammar of models and loops: sound ones are clean, and a planted fault is named."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from loopbench_diagnose import Side, diagnose

from .random_faults import FAULTS, FLOATS, Plan
from .random_loops import ACCUMULATED, DRIVERS, OPTIMIZERS, SOUND
from .random_models import networks

pytestmark = pytest.mark.random

# Examples of each test, unless --pairs says how many.
FEW = 1
SMALLEST = 5


@dataclass(frozen=True)
class Pair:
    """A plan with the names of its loops."""

    plan: Plan
    first: str
    second: str


@st.composite
def plans(draw: Any, /, optimizers: Any, largest: int, **options: Any) -> Plan:
    return Plan(
        draw(networks(**options)),
        draw(st.sampled_from(optimizers)),
        draw(st.integers(SMALLEST, largest)),
        draw(st.integers(0, 11)),
    )


def _checked(request: Any, pairs: Any, check: Callable[[Pair], None]) -> None:
    """Checks examples of ``pairs``: the same in every run, or as many as are asked for, at random."""
    count = request.config.getoption("--pairs")
    drawn: list[Pair] = []

    @settings(
        max_examples=(count or FEW) + 1,
        derandomize=count is None,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(pairs)
    def test(pair: Pair) -> None:
        drawn.append(pair)
        # The first example is the simplest one, the same for all faults and loops.
        if len(drawn) > 1:
            check(pair)

    # Another test has other examples.
    test.hypothesis.inner_test._hypothesis_internal_add_digest = request.node.nodeid.encode()
    test()


def _sound(pair: Pair) -> None:
    problem = pair.plan.network.problem()
    loops = SOUND | ACCUMULATED
    first, second = (loops[name](problem, pair.plan.make, pair.plan.size) for name in (pair.first, pair.second))
    found = diagnose(problem.build, problem.data, first, second)
    assert found.causes == (), pair


@pytest.mark.parametrize("second", [*SOUND, *ACCUMULATED])
def test_nothing_is_reported_of_a_sound_pair(second: str, request: pytest.FixtureRequest) -> None:
    # A normalization over a micro-batch is another one; a sum of gradients of an embedding has no repeated rows.
    options: dict[str, Any] = {"mixing": False, "inputs": FLOATS} if second in ACCUMULATED else {}
    pairs = st.builds(Pair, plans(list(OPTIMIZERS), 40, **options), st.sampled_from(list(SOUND)), st.just(second))
    _checked(request, pairs, _sound)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named(name: str, request: pytest.FixtureRequest) -> None:
    fault = FAULTS[name]

    def check(pair: Pair) -> None:
        plan = pair.plan
        problem = plan.network.problem()
        if fault.base:
            first = DRIVERS[pair.second](fault.base(plan), problem, plan.make, plan.size)
        else:
            first = SOUND[pair.first](problem, plan.make, plan.size)
        second = Side(
            DRIVERS[pair.second](fault.write(plan), problem, plan.make, plan.size), build_model=fault.build(plan)
        )
        found = {cause.reason for cause in diagnose(problem.build, problem.data, first, second).causes}
        assert found & fault.needed, (found, pair)
        assert found <= fault.needed | fault.more, (found, pair)

    pairs = st.builds(
        Pair,
        plans(fault.optimizers, fault.largest, **fault.networks),
        st.sampled_from(fault.first),
        st.sampled_from(fault.drivers),
    )
    _checked(request, pairs, check)
