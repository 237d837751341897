"""docs/clients.md: grpcurl and Node.js call a server with TLS and a token; protoc and buf generate code."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileOptions

from tests.support.examples import runnable, script
from tests.support.markdown import blocks
from tests.support.paths import ROOT

from .conftest import SECONDS, RunExamples

NODE_MODULES = ROOT / "node_modules"
# Debian's name of the generator, which protoc looks for as protoc-gen-grpc-java.
JAVA_GENERATOR = "grpc_java_plugin"
GENERATORS = ("protoc", "protoc-gen-go", "protoc-gen-go-grpc", JAVA_GENERATOR)
GO_FILES = ("analysis.pb.go", "benchmark_service.pb.go", "benchmark_service_grpc.pb.go", "run.pb.go")


def answers(*words: str | Path) -> bool:
    """Return whether a program is there and runs on this machine."""
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def go_options(generated: Path) -> FileOptions:
    """Return the options of the file of the contract that a file of protoc-gen-go has as bytes."""
    (descriptor,) = re.findall(r"_rawDesc = \[\]byte\{(.*?)\n\}", generated.read_text(), re.DOTALL)
    return FileDescriptorProto.FromString(bytes.fromhex("".join(re.findall(r"0x(..),", descriptor)))).options


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
    missing = [name for name in GENERATORS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: run make clients")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "protoc-gen-grpc-java").symlink_to(str(shutil.which(JAVA_GENERATOR)))
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
    go, java = tmp_path / "gen" / "go" / "loopbench" / "v1", tmp_path / "gen" / "java"
    assert sorted(path.name for path in go.iterdir()) == [*GO_FILES]
    # buf comes last on the page, and its options replace those of the contract in the files for Go.
    assert go_options(go / "run.pb.go").go_package == "example.com/yours/gen/go/loopbench/v1;loopbenchv1"
    for package in ("loopbench.v1", "com.example.loopbench.v1"):
        stubs = java / package.replace(".", "/") / "BenchmarkServiceGrpc.java"
        assert f"package {package};" in stubs.read_text()
    # One file for each message.
    assert (java / "loopbench" / "v1" / "Run.java").exists()
