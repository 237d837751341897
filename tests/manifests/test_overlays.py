"""Arguments and variables of the containers of every build, read by the programs' parsers; nothing is started."""

import copy
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic_settings import CliApp

from loopbench.spec import Method
from loopbench.sweep import IndexExit
from loopbench.sweep_file import read_sweep
from loopbench_client.cli import app
from loopbench_client.cli.exit_codes import ExitCode
from loopbench_client.comparing import make_plan, read_draft
from loopbench_client.comparing.training import WAITING_PER_SERVER
from loopbench_server.config import Settings, TrainingSettings
from loopbench_server.security.bind_policy import find_missing_protection
from loopbench_server.sweep.settings import SweepSettings
from tests.manifests.builds import EMITTED, OFFERED, Object, Objects, built
from tests.manifests.mounting import NAMES
from tests.manifests.objects import Pod, at, containers, identity, of_kind
from tests.manifests.practices import variable
from tests.manifests.running import only_container
from tests.manifests.wiring import USER_MADE

PREFIX = "LOOPBENCH_"
KINDS: dict[str, type[TrainingSettings]] = {"loopbench-server": Settings, "loopbench-sweep-index": SweepSettings}
STORE_URL = "postgresql+psycopg://loopbench@db/runs"
COMMON = {
    "address": "0.0.0.0:50051",
    "health_address": "0.0.0.0:50052",
    "metrics_address": "0.0.0.0:9464",
    "slots": 2,
    "run_megabytes": 700,
    "drain_seconds": 270.0,
}
ACCESS = {
    "tls_certificate": Path("/etc/loopbench/tls/tls.crt"),
    "tls_key": Path("/etc/loopbench/tls/tls.key"),
    "tokens_file": Path("/etc/loopbench/tokens/tokens"),
}
SERVERS: dict[str, dict[str, Any]] = {
    "overlays/cpu": COMMON | ACCESS | {"store_url": STORE_URL},
    "overlays/gpu": COMMON | ACCESS | {"store_url": STORE_URL, "slots": 1, "run_megabytes": 5_000},
    "overlays/laptop": COMMON | {"insecure": True},
}
SWEEPS = {"jobs/sweep.yaml": 3_000, "sweep in a queue": 3_000, "sweep on GPUs": 5_000}


def parse_settings(container: Object, monkeypatch: pytest.MonkeyPatch) -> TrainingSettings:
    """The settings of the container's program; each variable must be one of them."""
    program, *words = container["args"]
    kind = KINDS[program]
    for entry in container.get("env", []):
        name = entry["name"]
        assert name.startswith(PREFIX), name
        assert name.removeprefix(PREFIX).lower() in kind.model_fields, name
        value = STORE_URL if at(entry, "valueFrom.secretKeyRef") else variable(container, name)
        monkeypatch.setenv(name, str(value))
    return CliApp.run(kind, cli_args=words)


@pytest.fixture(autouse=True)
def _without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes the variables of this machine: settings must come from the manifests."""
    for name in TrainingSettings.model_fields | Settings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)


@pytest.mark.parametrize("build", SERVERS)
def test_server_has_these_settings(build: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = parse_settings(only_container(build, "Deployment")[1], monkeypatch)

    given = settings.model_dump(exclude_unset=True)
    given |= {name: value.get_secret_value() for name, value in given.items() if name == "store_url"}
    assert given == SERVERS[build]
    assert isinstance(settings, Settings)
    tls, tokens = settings.tls_certificate is not None, settings.tokens_file is not None
    assert find_missing_protection(settings.address, tls=tls, tokens=tokens, insecure=settings.insecure) == []


@pytest.mark.parametrize("build", SWEEPS)
def test_sweep_has_these_settings(build: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = parse_settings(only_container(build, "Job")[1], monkeypatch)

    assert isinstance(settings, SweepSettings)
    assert settings.store_url.get_secret_value() == STORE_URL
    assert settings.metrics_address == "0.0.0.0:9464"
    assert settings.run_megabytes == SWEEPS[build]
    assert settings.sweep_file == Path("/etc/loopbench/sweep.json")


def mounted_files(build: str, pod: Pod, container: Object) -> set[str]:
    """Paths of the files of the container's Secrets and ConfigMaps."""
    keys = USER_MADE | {identity(made): {*made["data"]} for made in of_kind(built(build), "ConfigMap")}
    volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
    found = set()
    for mount in container["volumeMounts"]:
        volume = volumes[mount["name"]]
        for source, (kind, name) in NAMES.items():
            if source in volume:
                data = keys[kind, volume[source][name]]
                items = volume[source].get("items") or [{"key": key, "path": key} for key in sorted(data)]
                assert {item["key"] for item in items} <= data
                found |= {f"{mount['mountPath']}/{item['path']}" for item in items}
    return found


@pytest.mark.parametrize("build", [*OFFERED, *EMITTED])
def test_every_file_that_a_program_reads_is_mounted(build: str) -> None:
    for pod, container in containers(built(build)):
        texts = [word.rpartition("=")[2] for word in container["args"]]
        texts += [str(entry.get("value")) for entry in container.get("env", [])]
        read = {text for text in texts if text.startswith("/etc/")}

        assert read == mounted_files(build, pod, container), f"{pod} {container['name']}"


@pytest.mark.parametrize("build", SERVERS)
def test_server_keeps_its_state_on_a_volume(build: str) -> None:
    pod, container = only_container(build, "Deployment")
    volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
    kept = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
    state = kept["/var/lib/loopbench"]

    assert {"/var/lib/loopbench", "/home/loopbench", "/tmp"} <= set(kept)  # noqa: S108  a path of the container
    if build == "overlays/laptop":
        assert state["persistentVolumeClaim"] == {"claimName": "loopbench-state"}
    else:
        assert "emptyDir" in state


def by_identity(objects: Objects) -> dict[tuple[str, str], Object]:
    """Copies of the objects by identity. The order of variables is irrelevant, as none refers to another."""
    found = {identity(made): copy.deepcopy(made) for made in objects}
    (container,) = found["Deployment", "loopbench"]["spec"]["template"]["spec"]["containers"]
    container["env"] = {entry["name"]: entry for entry in container["env"]}
    return found


def test_gpu_overlay_differs_from_the_cpu_overlay_in_these_values_alone() -> None:
    expected = copy.deepcopy(built("overlays/cpu"))
    (deployment,) = of_kind(expected, "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    spec["nodeSelector"] = {"nvidia.com/gpu.present": "true"}
    spec["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    (container,) = spec["containers"]
    container["image"] += "-gpu"
    for amounts in container["resources"].values():
        amounts |= {"nvidia.com/gpu": "1", "memory": "24Gi"}
    values = {"LOOPBENCH_SLOTS": "1", "LOOPBENCH_RUN_MEGABYTES": "5000"}
    for entry in container["env"]:
        if entry["name"] in values:
            entry.pop("valueFrom", None)
            entry["value"] = values[entry["name"]]
    (scaler,) = of_kind(expected, "HorizontalPodAutoscaler")
    (running,) = (
        metric["pods"]
        for metric in scaler["spec"]["metrics"]
        if metric["pods"]["metric"]["name"] == "loopbench_runs_running"
    )
    running["target"]["averageValue"] = "1"

    assert by_identity(built("overlays/gpu")) == by_identity(expected)


def test_sweep_file_is_a_sweep_of_eight_runs(tmp_path: Path) -> None:
    job = only_container("jobs/sweep.yaml", "Job")[0].owner["spec"]
    (config_map,) = of_kind(built("jobs/sweep.yaml"), "ConfigMap")
    (tmp_path / "sweep.json").write_text(config_map["data"]["sweep.json"])
    sweep = read_sweep(tmp_path / "sweep.json")

    assert sweep.size == job["completions"] == 8
    methods = [sweep.index(number).spec.method for number in range(0, 8, 2)]
    assert methods == [Method.GRADIENT_TAPE, Method.FIT, Method.CUSTOM_TRAIN_STEP, Method.GRADIENT_TAPE]


def test_compare_job_passes_flags_and_a_plan_that_the_command_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOOPBENCH_SERVER", raising=False)
    program, name, *words = only_container("jobs/compare", "Job")[1]["args"]
    (config_map,) = of_kind(built("jobs/compare"), "ConfigMap")
    (tmp_path / "plan.yaml").write_text(config_map["data"]["plan.yaml"])
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]  # the application is a group
    here = [f"--file={tmp_path / 'plan.yaml'}" if word.startswith("--file=") else word for word in words]
    given = command.make_context(name, here).params

    assert (program, name) == ("loopbench", "compare")
    assert given["require"] == "EQUIVALENT"
    plan = make_plan(read_draft(tmp_path / "plan.yaml"))
    assert list(plan.specs) == ["tape", "fit", "train_step"]
    assert len(plan.seeds) == 3
    assert yaml.safe_load(config_map["data"]["plan.yaml"])["defaults"] == {"dataset": "digits", "epochs": 5}


# Exit codes of a compare that no further pod can change, as in docs/kubernetes.md.
HOPELESS = {ExitCode.BAD_INPUT, ExitCode.NOT_FOUND, ExitCode.UNSUPPORTED, ExitCode.NOT_MET, ExitCode.NO_ACCESS}


def test_jobs_end_at_a_permanent_exit_code_and_ignore_disruptions() -> None:
    disrupted = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    compare, sweep = (only_container(build, "Job")[0].owner["spec"] for build in ("jobs/compare", "jobs/sweep.yaml"))
    codes = {"operator": "In", "values": sorted(HOPELESS)}
    assert compare["podFailurePolicy"]["rules"] == [disrupted, {"action": "FailJob", "onExitCodes": codes}]
    codes = {"containerName": "sweep-index", "operator": "In", "values": [IndexExit.HOPELESS]}
    assert sweep["podFailurePolicy"]["rules"] == [{"action": "FailIndex", "onExitCodes": codes}, disrupted]


def test_nightly_jobs_are_the_compare_job_and_the_same_for_upgrades() -> None:
    nightly, upgrade = sorted(of_kind(built("jobs/nightly"), "CronJob"), key=lambda job: len(at(job, "metadata.name")))
    expected = copy.deepcopy(only_container("jobs/compare", "Job")[0].owner["spec"])
    expected["template"]["spec"]["volumes"][0]["configMap"]["name"] = "loopbench-compare-nightly"
    assert at(nightly, "spec.jobTemplate.spec") == expected

    (container,) = expected["template"]["spec"]["containers"]
    container["args"] += ["--across=environment", "--baseline=previous"]
    assert at(upgrade, "spec.jobTemplate.spec") == expected
    _, name, *words = container["args"]
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]  # the application is a group
    given = command.make_context(name, words).params
    assert (given["across"], given["baseline"], given["require"]) == ("ENVIRONMENT", "previous", "EQUIVALENT")
    # By then, the other one has trained, or has been ended.
    hours = [int(at(job, "spec.schedule").split()[1]) for job in (nightly, upgrade)]
    assert 3_600 * (hours[1] - hours[0]) > expected["activeDeadlineSeconds"]


def test_a_comparison_lets_more_runs_wait_than_the_autoscaler_accepts() -> None:
    (scaler,) = of_kind(built("overlays/cpu"), "HorizontalPodAutoscaler")
    targets = {at(metric, "pods.metric.name"): metric["pods"]["target"] for metric in scaler["spec"]["metrics"]}

    assert int(targets["loopbench_queue_depth"]["averageValue"]) < WAITING_PER_SERVER


def test_every_build_with_a_container_has_expected_settings() -> None:
    known = {*SERVERS, "jobs/compare", "jobs/nightly", "jobs/sweep.yaml"}

    assert {build for build in OFFERED if any(containers(built(build)))} == known


def test_only_labelled_pods_reach_the_port_for_calls() -> None:
    # Two selectors in one entry are both required; as two entries, either would do.
    policies = of_kind(built("overlays/cpu"), "NetworkPolicy")
    rules = [rule for policy in policies for rule in policy["spec"].get("ingress", [])]
    peers = [peer for rule in rules if rule["ports"][0]["port"] == "grpc" for peer in rule["from"]]
    assert len(peers) == 2
    assert [at(peer, "podSelector.matchLabels") for peer in peers] == [{"loopbench-client": "true"}] * 2
