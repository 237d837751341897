"""The objects that ``loopbench sweep --emit kubernetes`` prints."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from loopbench.sweep import IndexExit
from loopbench.sweep_file import read_sweep
from loopbench_client.cli.exit_codes import ExitCode
from tests.support.paths import ROOT

Cli = Callable[..., Result]
EXAMPLE = "k8s/jobs/sweep.plan.yaml"
PLAN = """
seeds: [4, 2]
defaults: {dataset: digits, epochs: 3}
specs:
  tape: {method: gradient-tape}
  fit: {method: fit}
  step: {method: custom-train-step}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    file = tmp_path / "Three_Ways.plan.yaml"
    file.write_text(PLAN)
    return file


@pytest.fixture
def emit(cli: Cli, plan: Path) -> Callable[..., tuple[Any, Any]]:
    """The ConfigMap and the Job."""

    def emitted(*flags: str) -> tuple[Any, Any]:
        done = cli("sweep", str(plan), "--emit", "kubernetes", *flags)
        assert done.exit_code == ExitCode.SUCCESS, done.stderr
        config_map, job = yaml.safe_load_all(done.stdout)
        return config_map, job

    return emitted


def get_pod(job: Any) -> Any:
    return job["spec"]["template"]["spec"]


def variables(job: Any) -> dict[str, Any]:
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in get_pod(job)["containers"][0]["env"]}


def test_the_config_map_holds_the_sweep(emit: Any, tmp_path: Path) -> None:
    config_map, job = emit()
    assert (config_map["apiVersion"], config_map["kind"], config_map["immutable"]) == ("v1", "ConfigMap", True)
    file = tmp_path / "sweep.json"
    file.write_text(config_map["data"]["sweep.json"])
    sweep = read_sweep(file)
    assert sweep.name == "three-ways"
    indices = [sweep.index(number) for number in range(sweep.size)]
    assert [(one.label, one.spec.seed, one.spec.epochs) for one in indices] == [
        (label, seed, 3) for label in ("tape", "fit", "step") for seed in (4, 2)
    ]
    assert config_map["metadata"]["name"] == job["metadata"]["name"] == sweep.full_name


def test_the_job_has_an_index_for_every_run(emit: Any) -> None:
    _, job = emit()
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 6, 6)
    assert (spec["backoffLimitPerIndex"], spec["maxFailedIndexes"]) == (3, 3)
    assert spec["ttlSecondsAfterFinished"] > 0
    assert get_pod(job)["restartPolicy"] == "Never"
    assert "suspend" not in spec
    assert "namespace" not in job["metadata"]


def test_the_failure_policy_fails_permanent_errors_and_ignores_disruptions(emit: Any) -> None:
    _, job = emit()
    hopeless, disrupted = job["spec"]["podFailurePolicy"]["rules"]
    assert hopeless["action"] == "FailIndex"
    assert hopeless["onExitCodes"] == {
        "containerName": get_pod(job)["containers"][0]["name"],
        "operator": "In",
        "values": [IndexExit.HOPELESS],
    }
    assert disrupted == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def test_the_pod_is_restricted(emit: Any) -> None:
    pod = get_pod(emit()[1])
    (container,) = pod["containers"]
    assert pod["securityContext"] | {"runAsNonRoot": True, "runAsUser": 65532} == pod["securityContext"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    for kind in ("requests", "limits"):
        assert container["resources"][kind]["cpu"] == "1"
        assert set(container["resources"][kind]) == {"cpu", "memory"}
    assert container["ports"] == [{"name": "metrics", "containerPort": 9464}]


def test_every_mount_has_a_volume_and_writable_ones_a_limit(emit: Any) -> None:
    config_map, job = emit("--data-claim", "loopbench-data")
    pod = get_pod(job)
    mounts = {one["name"]: one for one in pod["containers"][0]["volumeMounts"]}
    volumes = {one["name"]: one for one in pod["volumes"]}
    assert mounts.keys() == volumes.keys()
    writable = {mounts[name]["mountPath"] for name in mounts if not mounts[name].get("readOnly")}
    assert writable == {"/var/lib/loopbench", "/home/loopbench", "/tmp"}  # noqa: S108  the pod's own
    assert all("sizeLimit" in volumes[name]["emptyDir"] for name in mounts if not mounts[name].get("readOnly"))
    by_path = {one["mountPath"]: volumes[name] for name, one in mounts.items()}
    assert by_path["/etc/loopbench"]["configMap"] == {"name": config_map["metadata"]["name"]}
    assert by_path["/data"]["persistentVolumeClaim"] == {"claimName": "loopbench-data", "readOnly": True}
    assert variables(job)["LOOPBENCH_DATA_DIR"] == "/data"
    arguments = pod["containers"][0]["args"]
    assert arguments == ["loopbench-sweep-index", "--sweep-file", "/etc/loopbench/sweep.json"]


def test_the_store_comes_from_a_secret(emit: Any) -> None:
    _, job = emit()
    assert variables(job)["LOOPBENCH_STORE_URL"] == {"secretKeyRef": {"name": "loopbench-store", "key": "url"}}
    assert "LOOPBENCH_DATA_DIR" not in variables(job)
    _, other = emit("--store-secret", "mine.db")
    assert variables(other)["LOOPBENCH_STORE_URL"]["secretKeyRef"]["name"] == "mine.db"


def test_objects_have_the_labels_that_select_them(emit: Any) -> None:
    config_map, job = emit()
    prefix = "app.kubernetes.io/"
    for labels in (
        config_map["metadata"]["labels"],
        job["metadata"]["labels"],
        job["spec"]["template"]["metadata"]["labels"],
    ):
        assert labels[prefix + "name"] == labels[prefix + "part-of"] == "loopbench"
        assert labels[prefix + "component"] == "sweep"
        assert labels[prefix + "instance"] == job["metadata"]["name"]


def test_kueue_lets_a_job_with_a_queue_begin(emit: Any) -> None:
    _, job = emit("--queue", "research")
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "research"
    # With fewer pods than requested, if the quota has no room for all.
    assert job["metadata"]["annotations"] == {"kueue.x-k8s.io/job-min-parallelism": "1"}
    assert job["spec"]["suspend"] is True


def test_gpus_are_limited_and_requested_alike_and_their_nodes_tolerated(emit: Any) -> None:
    pod = get_pod(emit("--gpus", "2")[1])
    resources = pod["containers"][0]["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == resources["requests"]["nvidia.com/gpu"] == "2"
    assert [one["key"] for one in pod["tolerations"]] == ["nvidia.com/gpu"]


def test_a_process_on_a_gpu_has_the_memory_that_it_has_in_a_server(emit: Any) -> None:
    def memory(pod: Any, name: str) -> tuple[str, str]:
        (container,) = (one for one in pod["containers"] if one["name"] == name)
        (megabytes,) = (one["value"] for one in container["env"] if one["name"] == "LOOPBENCH_RUN_MEGABYTES")
        return container["resources"]["limits"]["memory"], megabytes

    gpu = yaml.safe_load((ROOT / "k8s/components/gpu/deployment.yaml").read_text())
    # A server has another slot for runs on the CPU.
    assert memory(get_pod(emit("--gpus", "1")[1]), "sweep-index") == ("12Gi", "5000")
    assert memory(get_pod(gpu), "server") == ("24Gi", "5000")
    assert memory(get_pod(emit()[1]), "sweep-index") == ("4Gi", "3000")


def test_other_options(emit: Any) -> None:
    image = "registry.example:5000/team/loopbench:1.0@sha256:" + "0" * 64
    flags = ("--name", "mine", "--namespace", "lab", "--parallelism", "2", "--image", image)
    config_map, job = emit(*flags)
    assert job["metadata"]["name"].startswith("mine-")
    assert {made["metadata"]["namespace"] for made in (config_map, job)} == {"lab"}
    assert job["spec"]["parallelism"] == 2
    assert get_pod(job)["containers"][0]["image"] == image


def test_the_same_sweep_is_one_job_however_it_is_run_and_another_sweep_another(emit: Any, plan: Path) -> None:
    first = emit()[1]["metadata"]["name"]
    assert emit("--parallelism", "1", "--queue", "q")[1]["metadata"]["name"] == first
    plan.write_text(f"# more words\n{PLAN}")
    assert emit()[1]["metadata"]["name"] == first
    plan.write_text(PLAN.replace("epochs: 3", "epochs: 4"))
    assert emit()[1]["metadata"]["name"] != first
    assert emit("--name", "other")[1]["metadata"]["name"] != first


def test_one_spec_is_enough(emit: Any, plan: Path) -> None:
    plan.write_text("seeds: 1\nspecs: {tape: }")
    _, job = emit()
    assert (job["spec"]["completions"], job["spec"]["maxFailedIndexes"]) == (1, 1)


def test_the_command_that_made_it_stands_above(cli: Cli, plan: Path) -> None:
    done = cli("sweep", str(plan), "--emit", "kubernetes", "--name", "mine")
    assert done.stdout.splitlines()[:2] == [
        "# 6 runs. Made by:",
        f"#   loopbench sweep {plan} --emit kubernetes --name mine",
    ]


def test_a_file_name_of_several_lines_stays_in_the_comment(cli: Cli, plan: Path) -> None:
    renamed = plan.rename(plan.with_name("a\nkind: Pod.yaml"))
    done = cli("sweep", str(renamed), "--emit", "kubernetes", "--name", "mine")
    assert done.exit_code == ExitCode.SUCCESS, done.stderr
    assert [document["kind"] for document in yaml.safe_load_all(done.stdout)] == ["ConfigMap", "Job"]


def test_the_example_is_fresh(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    made = cli("sweep", EXAMPLE, "--emit", "kubernetes").stdout
    kept = Path("k8s/jobs/sweep.yaml").read_text()
    assert kept == made, f"loopbench sweep {EXAMPLE} --emit kubernetes > k8s/jobs/sweep.yaml"
    assert next(one for one in yaml.safe_load_all(kept) if one["kind"] == "Job")["spec"]["completions"] == 8


def test_one_error_names_all_that_is_wrong(cli: Cli, plan: Path) -> None:
    plan.write_text("seeds: 0\nspecs: {tape: {epochs: 0}}")
    wrong = {
        "--name": "No_Name",
        "--namespace": "a.b",
        "--queue": "-",
        "--gpus": "65",
        "--parallelism": "0",
        "--image": "a b",
        "--store-secret": "a..b",
        "--data-claim": "A",
    }
    flags = [word for pair in wrong.items() for word in pair]
    done = cli("sweep", str(plan), "--emit", "kubernetes", "--json", *flags)
    assert done.exit_code == ExitCode.BAD_INPUT
    assert done.stdout == ""
    named = {line.strip().partition(": ")[0] for line in done.stderr.splitlines()[1:]}
    assert named == {*wrong, "--json", f"{plan.name!r}, seeds", f"{plan.name!r}, specs.tape.epochs"}


def test_a_name_that_the_file_cannot_give_has_to_be_given(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "mäh.yaml"
    file.write_text(PLAN)
    done = cli("sweep", str(file), "--emit", "kubernetes")
    assert done.exit_code == ExitCode.BAD_INPUT
    assert "--name: must be" in done.stderr


def test_no_specs_and_too_many_specs_are_errors(cli: Cli, plan: Path) -> None:
    plan.write_text("seeds: 3\nspecs:")
    assert "specs: a sweep needs one at least" in cli("sweep", str(plan), "--emit", "kubernetes").stderr
    labels = ", ".join(f"l{number}: " for number in range(11))
    plan.write_text(f"seeds: 1000\nspecs: {{{labels}}}")
    assert "specs times seeds must be at most 10,000" in cli("sweep", str(plan), "--emit", "kubernetes").stderr


@pytest.mark.parametrize("flags", [(), ("--json",), ("--emit", "kubernetes", "--local"), ("--emit", "slurm")])
def test_exactly_one_target_is_required(cli: Cli, plan: Path, flags: tuple[str, ...]) -> None:
    done = cli("sweep", str(plan), *flags)
    assert done.exit_code == ExitCode.BAD_INPUT
    assert "Usage: loopbench sweep" in done.stderr


def test_flags_of_kubernetes_are_refused_with_local(cli: Cli, plan: Path) -> None:
    done = cli("sweep", str(plan), "--local", "--gpus", "1", "--image", "x", "--queue", "q")
    assert done.exit_code == ExitCode.BAD_INPUT
    assert {line.strip() for line in done.stderr.splitlines()[1:]} == {
        f"{flag}: is for --emit kubernetes" for flag in ("--gpus", "--image", "--queue")
    }


def test_the_sweep_is_readable_in_the_yaml(cli: Cli, plan: Path) -> None:
    lines = cli("sweep", str(plan), "--emit", "kubernetes").stdout.splitlines()
    assert "  sweep.json: |" in lines
    assert '      "name": "three-ways",' in lines
    assert json.loads("\n".join(lines[lines.index("  sweep.json: |") + 1 : lines.index("---", 3)]))["seeds"] == [4, 2]
