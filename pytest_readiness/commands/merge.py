"""`readiness merge RUN...`: join the runs of several jobs or teams to one report.

PYTEST_DONT_REWRITE
"""

import hashlib
import secrets
import shlex
import shutil
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from pytest_readiness.clock import now
from pytest_readiness.errors import ReadinessError
from pytest_readiness.merge.join import Given, Main, fact_folders, merge
from pytest_readiness.results import model
from pytest_readiness.settings import from_values, load
from pytest_readiness.signoff import attest
from pytest_readiness.verdict import journal
from pytest_readiness.verdict.judge import Code

# What a run, a merge or a signature leaves; none of it may be taken for this merge's.
_TAKEN = (
    *model.FILES,
    journal.FILE,
    "facts",
    model.SIGNOFFS,
    model.ATTESTATIONS,
    model.ENVELOPES,
)

INI = Path("readiness.ini")


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="run directory, has a report.json"
    )
    parser.add_argument(
        "--readiness-report",
        metavar="DIR",
        type=Path,
        default=Path("readiness-merged"),
        help="run directory to write (%(default)s)",
    )
    parser.add_argument(
        "--readiness-ini",
        metavar="FILE",
        type=Path,
        help="the main ini: its environment, [elsewhere] and max_age decide what counts (./"
        f"{INI} where there is one, else the settings that the first RUN recorded)",
    )


def main(args: Namespace) -> int:
    """Write the merged run, say its verdict and return its exit code. Raises ReadinessError."""
    if args.readiness_ini is None and INI.is_file():
        args.readiness_ini = INI
    runs = [_given(path) for path in args.runs]
    decides = _main(args.readiness_ini, runs[0])
    _refuse_edited(runs, decides)
    moment = now()
    report = merge(
        runs,
        decides,
        id=f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        command=_command(args),
        moment=moment,
    )
    _write(report, runs, args.readiness_report, _key(decides))
    _print(report, args.readiness_report)
    return report.verdict.exit_code


def _given(path: Path) -> Given:
    file = path / model.FILES[0]
    data = model.data_of(file)  # once: report and digest are of the same bytes
    report, sha256 = model.decode(data, file), hashlib.sha256(data).hexdigest()
    return Given(report=report, sha256=sha256, path=str(path))


def _refuse_edited(runs: Sequence[Given], main: Main) -> None:
    """Raise ReadinessError for a report that is not the one that its run attested."""
    for run in runs:
        attest.check(Path(run.path), run.sha256, signed=_signs(run, main))


def _signs(run: Given, main: Main) -> bool:
    """Return whether the run has signed what it attests, as its readiness.ini or the main one says.

    Nobody signs for a replay or a run that was killed, and no report gains by saying it is one.
    """
    report = run.report
    if report.run.replay is not None or Code.KILLED in report.verdict.why:
        return False
    sources = [report.settings.values]
    if main.ini is not None and run.environment == main.environment:
        sources.append(main.ini.values)
    return any("ci_key" in values.get("readiness", {}) for values in sources)


def _main(ini: Path | None, first: Given) -> Main:
    if ini is not None:
        settings = load(ini, resolve=False, stand_ins=True)
    else:
        settings = from_values(
            first.report.settings.values,
            origin=str(Path(first.path) / model.FILES[0]),
            base=Path(first.path),
        )
    return Main(
        environment=settings.readiness.environment,
        max_age=settings.readiness.max_age,
        elsewhere=settings.elsewhere,
        ini=settings if ini is not None else None,
    )


def _command(args: Namespace) -> str:
    words = ["readiness", "merge", *map(str, args.runs)]
    words += ["--readiness-report", str(args.readiness_report)]
    if args.readiness_ini is not None:
        words += ["--readiness-ini", str(args.readiness_ini)]
    return shlex.join(words)


def _key(main: Main) -> Path | None:
    """Return the key of the CI where this machine has it; others merge too."""
    key = main.ini.readiness.ci_key if main.ini is not None else None
    return key if key is not None and key.is_file() else None


def _write(
    report: model.Report, runs: Sequence[Given], directory: Path, ci_key: Path | None
) -> None:
    from pytest_readiness.report.write import write_all

    taken = [name for name in _TAKEN if (directory / name).exists()]
    if taken:
        raise ReadinessError(
            f"{directory} holds {taken[0]} already: name another with --readiness-report"
        )
    try:
        # The report comes last: where there is one, its facts are there.
        for run in runs:
            for source, target in fact_folders(run.report):
                _copy(Path(run.path, source), directory / target)
        write_all(report, directory)
        attest.write(directory, ci_key)
    except OSError as error:
        raise ReadinessError(f"{directory}: cannot write: {error}") from error


def _copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for path in sorted(source.glob("*.json")):
        shutil.copyfile(path, target / path.name)


def _print(report: model.Report, directory: Path) -> None:
    from pytest_readiness.report.terminal import lines

    width = shutil.get_terminal_size().columns
    for line in lines(report, width, str(directory)):
        print("".join(text for text, _ in line))
