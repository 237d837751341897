"""The plan that repeats a comparison, and the versions that it ran on."""

from loopbench_client.comparing.plan import Plan
from loopbench_client.comparing.plan_file import format_plan
from loopbench_client.report.data import File
from loopbench_client.report.model import Report

# Names in a package index, by those in an environment.
DISTRIBUTIONS = {"loopbench": "keras-loopbench"}


def plan_file(report: Report) -> File:
    """Return the file for ``loopbench compare --file`` with the groups and all of their seeds."""
    seeds = sorted({run.spec.seed for runs in report.runs.values() for run in runs})
    plan = Plan(report.specs, tuple(seeds), margin=report.comparison.margin, alpha=report.comparison.alpha)
    return File("plan.yaml", "application/yaml", format_plan(plan), "the specs and seeds")


def requirements(report: Report) -> tuple[str, ...]:
    """Return the packages of the first run with their versions; the environment lists those that differ."""
    results = (run.result for runs in report.runs.values() for run in runs if run.result is not None)
    first = next(results, None)
    versions = first.environment.versions if first else {}
    return tuple(sorted(f"{DISTRIBUTIONS.get(name, name)}=={version}" for name, version in versions.items()))
