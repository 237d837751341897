"""Looks the locked dependencies up in databases of vulnerabilities, by pip-audit; nothing is installed.

Fails where a vulnerability is found. Where no database answers it says so, and succeeds: pip-audit by itself either
ends in a traceback, or finds nothing wrong with packages of which it has learnt nothing.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[1] / "requirements" / "dev.lock"
COMMAND = [sys.executable, "-m", "pip_audit"]
# In the order in which they are asked; one that answers is enough.
SERVICES = ("pypi", "osv")
UNREACHABLE = re.compile(r"Connection|connect|[Tt]imed ?out|Timeout")

Dependency = dict[str, Any]


def _asked(service: str, requirements: Path, *flags: str) -> list[Dependency]:
    """What ``service`` says of each requirement that it knows; nothing where it cannot be reached.

    Raises:
        SystemExit: pip-audit failed for another reason.
    """
    command = [*COMMAND, "--vulnerability-service", service, "--disable-pip", "--format", "json", *flags]
    command += ["--progress-spinner", "off", "--requirement", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # nosec B603  # fixed
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except ValueError:
        lines = done.stderr.splitlines()
        if not UNREACHABLE.search(done.stderr):
            sys.exit(f"audit: pip-audit failed: {lines[-1] if lines else done.returncode}")
        return []
    return [dependency for dependency in dependencies if "skip_reason" not in dependency]


def _answers(service: str, lock: Path) -> bool:
    """Whether ``service`` knows the first of the locked packages: if not, there is no need to ask for all of them."""
    first = next(line for line in lock.read_text().splitlines() if "==" in line)
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder, "probe.txt")
        probe.write_text(first.rstrip("\\ ").strip())
        return bool(_asked(service, probe, "--no-deps"))


def audit(lock: Path) -> str:
    """What came of it, in a line.

    Raises:
        SystemExit: there are vulnerabilities, all of which are named.
    """
    service = next((service for service in SERVICES if _answers(service, lock)), None)
    if service is None:
        return f"audit: no database of vulnerabilities answers here ({', '.join(SERVICES)}); nothing was audited"
    dependencies = _asked(service, lock, "--require-hashes")
    found = [
        f"{dependency['name']} {dependency['version']}: {vulnerability['id']},"
        f" mended in {', '.join(vulnerability['fix_versions']) or 'no version'}"
        for dependency in dependencies
        for vulnerability in dependency["vulns"]
    ]
    if found:
        sys.exit("\n".join([f"audit: {len(found)} known vulnerabilities ({service})", *found]))
    return f"audit: no known vulnerability in {len(dependencies)} packages ({service})"


if __name__ == "__main__":
    print(audit(LOCK))
