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

import msgspec

from pytest_readiness.clock import now
from pytest_readiness.errors import ReadinessError
from pytest_readiness.merge.join import Given, Main, fact_folders, merge
from pytest_readiness.results import model
from pytest_readiness.settings import from_values, load
from pytest_readiness.signoff import attest
from pytest_readiness.signoff.statement import Subject
from pytest_readiness.verdict import journal

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


class _Attested(msgspec.Struct, frozen=True):
    subject: tuple[Subject, ...]


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
    moment = now()
    report = merge(
        runs,
        _main(args.readiness_ini, runs[0]),
        id=f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        command=_command(args),
        moment=moment,
    )
    _write(report, runs, args.readiness_report)
    _print(report, args.readiness_report)
    return report.verdict.exit_code


def _given(path: Path) -> Given:
    file = path / model.FILES[0]
    report = model.read(file)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    attested = _attested(path / attest.FOLDER / "test-result.statement.json")
    if attested not in (None, sha256):
        raise ReadinessError(f"{file}: it is not the report that its run attested")
    return Given(report=report, sha256=sha256, path=str(path))


def _attested(path: Path) -> str | None:
    """Return the digest of the report that a run has left, None where it left none."""
    try:
        said = msgspec.json.decode(path.read_bytes(), type=_Attested)
        return next(one.digest["sha256"] for one in said.subject if one.name == model.FILES[0])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError, KeyError, StopIteration) as error:
        raise ReadinessError(f"{path}: cannot be read: {error}") from error


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


def _write(report: model.Report, runs: Sequence[Given], directory: Path) -> None:
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
