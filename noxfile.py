"""The one list of what is checked; `make test` runs the default sessions in this environment."""

import nox

nox.options.sessions = ["lint", "types", "contracts", "tests"]


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
    """Run the tests with branch coverage, workers and child processes included."""
    session.run("coverage", "erase")
    # The zone has minutes and the locale no letters beyond ASCII: neither may matter anywhere.
    somewhere = {"TZ": "Asia/Kathmandu", "LC_ALL": "C"}
    workers = ["-n", "2", "--dist", "loadgroup"]
    session.run("coverage", "run", "-m", "pytest", *workers, *session.posargs, env=somewhere)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session(python=False)
def benchmarks(session: nox.Session) -> None:
    """Measure the numbers of the README and write them into it."""
    session.run("python", "benchmarks/readme.py")
