"""docs/clients.md: grpcurl and Node.js call a server with TLS and a token; protoc and buf start the generators."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import protoc_plugin
from tests.support.examples import runnable, script
from tests.support.markdown import blocks
from tests.support.paths import ROOT

from .conftest import SECONDS, RunExamples

NODE_MODULES = ROOT / "node_modules"
# Stand-ins for the generators, which no package of Python or Node.js has.
GENERATORS = ("protoc-gen-go", "protoc-gen-go-grpc", "protoc-gen-java", "protoc-gen-grpc-java")
FILES = [f"loopbench/v1/{name}.proto" for name in ("analysis", "benchmark_service", "run")]
# Go packages of the files, from the contract and in buf's managed mode, with the generators that get them.
GO_PACKAGES = {
    "loopbench/v1;loopbenchv1": GENERATORS,
    "example.com/yours/gen/go/loopbench/v1;loopbenchv1": (
        "protoc-gen-go",
        "protoc-gen-go-grpc",
        "protoc-gen-grpc-java",
    ),
}
JAVA_PACKAGES = {"loopbench.v1", "com.example.loopbench.v1"}


def answers(*words: str | Path) -> bool:
    """Return whether a program is there and runs on this machine."""
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.fixture
def other_clients(tmp_path: Path, environment: dict[str, str]) -> None:
    """What a reader has: grpcurl, Node.js with two packages, protoc with generators, buf, and the folder proto."""
    environment["NODE_PATH"] = str(NODE_MODULES)
    packages = (NODE_MODULES / "@grpc" / name for name in ("grpc-js", "proto-loader"))
    grpcurl = shutil.which("grpcurl", path=environment["PATH"])
    if not (
        grpcurl and answers(grpcurl, "-version") and answers("node", "--version") and all(map(Path.exists, packages))
    ):
        pytest.skip("no grpcurl, or no Node.js with @grpc/grpc-js and @grpc/proto-loader: run make clients")
    programs = tmp_path / "programs"
    programs.mkdir()
    commands = {name: [protoc_plugin.__file__, name] for name in GENERATORS} | {"protoc": ["-m", "grpc_tools.protoc"]}
    for name, words in commands.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {" ".join(words)} "$@"\n')
        (programs / name).chmod(0o755)
    (programs / "buf").symlink_to(NODE_MODULES / ".bin" / "buf")
    (tmp_path / "proto").symlink_to(ROOT / "proto")
    environment["PATH"] = f"{programs}:{environment['PATH']}"


@pytest.mark.slow
@pytest.mark.timeout(SECONDS)
@pytest.mark.usefixtures("other_clients")
def test_the_clients_of_other_languages_run(tmp_path: Path, run_examples: RunExamples) -> None:
    certificates, server, *_ = blocks(Path("docs/operating.md"))
    assert "openssl" in certificates.text
    assert "loopbench-token alice" in server.text
    printed = run_examples(script(certificates) + script(server) + runnable(Path("docs/clients.md")))
    lines = printed.splitlines()
    assert {"grpc.reflection.v1.ServerReflection", "loopbench.v1.BenchmarkService"} <= set(lines)
    assert "rpc Train ( .loopbench.v1.TrainRequest ) returns ( .loopbench.v1.Run );" in lines
    assert '  "state": "RUN_STATE_SUCCEEDED",' in lines
    assert [line for line in lines if line.startswith("epoch 2: loss 0.")]
    assert [line for line in lines if line.startswith("RUN_STATE_SUCCEEDED: accuracy 0.")]
    made = [json.loads(path.read_text()) for path in tmp_path.glob("gen/*/loopbench/v1/*.json")]
    assert {(one["go_package"], one["generator"], one["file"]) for one in made} == {
        (package, generator, file)
        for package, generators in GO_PACKAGES.items()
        for generator in generators
        for file in FILES
    }
    assert {one["java_package"] for one in made} == JAVA_PACKAGES
    assert all(one["java_multiple_files"] and one["csharp_namespace"] == "Loopbench.V1" for one in made)
