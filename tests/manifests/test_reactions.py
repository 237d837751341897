"""How the controllers of the Jobs react to the exit codes of their pods."""

from loopbench_client.cli.exit_codes import ExitCode
from tests.manifests.kubelet import COUNT, reaction
from tests.manifests.objects import at
from tests.manifests.running import lone

# As in docs/kubernetes.md.
REACTIONS = {
    ExitCode.RUN_FAILED: COUNT,
    ExitCode.BAD_INPUT: "FailJob",
    ExitCode.UNAVAILABLE: COUNT,
    ExitCode.NOT_FOUND: "FailJob",
    ExitCode.REFUSED: COUNT,
    ExitCode.UNSUPPORTED: "FailJob",
    ExitCode.DEADLINE: COUNT,
    ExitCode.NOT_MET: "FailJob",
    ExitCode.NO_ACCESS: "FailJob",
    ExitCode.INTERRUPTED: COUNT,
}


def test_compare_job_reacts_to_every_exit_code() -> None:
    job = lone("jobs/compare", "Job")[0].owner["spec"]

    assert {code: reaction(job, code) for code in ExitCode if code} == REACTIONS
    assert reaction(job, 143, disrupted=True) == "Ignore"


def test_sweep_job_fails_the_index_of_bad_input_and_counts_other_failures() -> None:
    job = lone("jobs/sweep.yaml", "Job")[0].owner["spec"]

    assert (reaction(job, 2), reaction(job, 1), reaction(job, 143)) == ("FailIndex", COUNT, COUNT)
    assert reaction(job, 143, disrupted=True) == "Ignore"


def test_nightly_job_is_the_compare_job() -> None:
    nightly = lone("jobs/nightly", "CronJob")[0].owner

    assert at(nightly, "spec.jobTemplate.spec") == lone("jobs/compare", "Job")[0].owner["spec"]
