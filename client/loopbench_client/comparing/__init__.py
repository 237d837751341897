"""Comparison of whole specs: trains each under several seeds, resumes, and checks claims."""

from loopbench_client.comparing.claims import ClaimOutcome
from loopbench_client.comparing.compared import Compared, Failure, Watcher, compare_specs
from loopbench_client.comparing.plan import Draft, Plan, make_plan
from loopbench_client.comparing.plan_file import read_draft
from loopbench_client.comparing.presets import PRESETS, Preset

__all__ = [
    "PRESETS",
    "ClaimOutcome",
    "Compared",
    "Draft",
    "Failure",
    "Plan",
    "Preset",
    "Watcher",
    "compare_specs",
    "make_plan",
    "read_draft",
]
