"""What the installed and unused plugin costs at every pytest start: CPU of pairs with and without.

Prints a Markdown table. A pair is one run in an environment with the package and one in the same
environment without it, in a project of one trivial test; the order within a pair alternates, and
Locust's own pytest plugin is off in both.
"""

import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from importlib.metadata import distribution
from pathlib import Path

PAIRS = 40
BAR = 10.0  # ms
PACKAGE = Path(__file__).parent.parent / "pytest_readiness"


def environment(folder: Path, *, installed: bool) -> dict[str, str]:
    """Return the variables of an environment like this one, with or without the package."""
    folder.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "pytest_readiness" not in entry.name:
            (folder / entry.name).symlink_to(entry)
    if installed:
        (folder / PACKAGE.name).symlink_to(PACKAGE)
        metadata = Path(str(distribution("pytest-readiness").locate_file("."))).glob(
            "pytest_readiness-*.dist-info"
        )
        for entry in metadata:
            (folder / entry.name).symlink_to(entry)
    # Bytecode is written, as at any user's second start.
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST"))}
    return {**plain, "PYTHONPATH": str(folder)}


def cpu_ms(project: Path, variables: dict[str, str]) -> float:
    """Return the user and system time of one pytest run, in milliseconds."""
    # -S: only what PYTHONPATH names is installed.
    command = [sys.executable, "-S", "-m", "pytest", "-q", "-p", "no:locust"]
    process = subprocess.Popen(command, cwd=project, env=variables, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"pytest ended with {process.returncode}"
    return (usage.ru_utime + usage.ru_stime) * 1000


def main() -> int:
    """Measure, print, and fail when the bar is not met."""
    with tempfile.TemporaryDirectory() as name:
        project = Path(name, "project")
        project.mkdir()
        (project / "test_trivial.py").write_text("def test_trivial():\n    assert True\n")
        used = environment(Path(name, "with"), installed=True)
        unused = environment(Path(name, "without"), installed=False)
        cpu_ms(project, used), cpu_ms(project, unused)  # bytecode and caches
        pairs = []
        for number in range(PAIRS):
            runs = [used, unused] if number % 2 else [unused, used]
            taken = {id(run): cpu_ms(project, run) for run in runs}
            pairs.append((taken[id(used)], taken[id(unused)]))
    cost = statistics.median(with_it - without for with_it, without in pairs)
    print(f"| pytest start, median of {PAIRS} pairs | CPU |\n| --- | ---: |")
    print(f"| without the plugin | {statistics.median(off for _, off in pairs):.1f} ms |")
    print(f"| installed and not used | {statistics.median(on for on, _ in pairs):.1f} ms |")
    print(f"| difference within a pair | {cost:.1f} ms |")
    return 0 if cost < BAR else 1


if __name__ == "__main__":
    sys.exit(main())
