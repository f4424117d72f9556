"""`python -m tests.security.audit`, a part of `make check`: known holes in what is installed, by pip-audit.

Status 1 where there is one that a newer version mends. Without a network, or without pip-audit, it says that nothing
was checked.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys


def main() -> int:
    """Print each hole, or why nothing was checked."""
    if importlib.util.find_spec("pip_audit") is None:
        sys.stdout.write("pip-audit is not installed: no package was checked for known holes.\n")
        return 0
    words = [sys.executable, "-m", "pip_audit", "--local", "--skip-editable", "--format", "json", "--timeout", "10"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=600)
    except subprocess.TimeoutExpired:
        done = None
    return told("" if done is None else done.stdout)


def told(answer: str) -> int:
    """Print what an answer of pip-audit says, and return the status."""
    try:
        packages = json.loads(answer)["dependencies"]
    except (ValueError, KeyError, TypeError):
        sys.stdout.write("pip-audit could not ask the network: no package was checked for known holes.\n")
        return 0
    if all("skip_reason" in package for package in packages):
        sys.stdout.write("The index knows none of the packages here: no package was checked for known holes.\n")
        return 0
    holes = [(package, hole) for package in packages for hole in package.get("vulns", ())]
    skipped = sum("skip_reason" in package for package in packages)
    for package, hole in holes:
        better = ", ".join(hole.get("fix_versions", ())) or "no version yet"
        sys.stdout.write(f"{package['name']} {package['version']}: {hole['id']}; mended in {better}\n")
    sys.stdout.write(
        f"{len(packages) - skipped:,} packages checked for known holes, {len(holes)} found"
        + (f"; {skipped} are not on the index.\n" if skipped else ".\n")
    )
    return int(any(hole.get("fix_versions") for _, hole in holes))


if __name__ == "__main__":
    sys.exit(main())
