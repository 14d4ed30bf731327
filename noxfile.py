"""The one list of what is checked; `make test` runs the default sessions in this environment."""

import nox

nox.options.sessions = ["lint", "types", "contracts", "tests"]

WORKERS = ["-n", "2", "--dist", "loadgroup"]
# The zone has minutes and the locale no letters beyond ASCII: neither may matter anywhere.
SOMEWHERE = {"TZ": "Asia/Kathmandu", "LC_ALL": "C"}


@nox.session(python=False)
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python=False)
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    session.run("mypy")


@nox.session(python=False)
def contracts(session: nox.Session) -> None:
    """Check who may import whom."""
    session.run("lint-imports")


@nox.session(python=False)
def tests(session: nox.Session) -> None:
    """Run every test, and tell which files take the most time."""
    session.run("pytest", *WORKERS, *session.posargs, env=SOMEWHERE)


@nox.session(python=False)
def coverage(session: nox.Session) -> None:
    """Measure branch coverage, also of workers and child processes, without the real servers.

    Measuring takes twice the time, and what the servers prove is the protocol, not more lines.
    """
    session.run("coverage", "erase")
    measured = ["coverage", "run", "-m", "pytest", *WORKERS, "--ignore=tests/servers"]
    session.run(*measured, *session.posargs, env=SOMEWHERE)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session(python=False)
def benchmarks(session: nox.Session) -> None:
    """Measure the numbers of the README and write them into it."""
    session.run("python", "benchmarks/readme.py")
