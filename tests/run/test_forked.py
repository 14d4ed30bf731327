"""A forked run is what `python -m` is, as far as a test can see."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.run.forked import Forked
from tests.run.project import Process

TELLS = """\
import json, os, signal, sys, threading, warnings
print(json.dumps({
    "argv": sys.argv,
    "path": sys.path,
    "main": [__name__, sys.modules["__main__"].__file__],
    "folder": os.getcwd(),
    "environment": dict(os.environ),
    "input": sys.stdin.read(),
    "terminal": [stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)],
    "coding": [(stream.encoding, stream.errors) for stream in (sys.stdin, sys.stdout, sys.stderr)],
    "signals": [str(signal.getsignal(one)) for one in (signal.SIGINT, signal.SIGTERM)],
    "files": sorted(int(name) for name in os.listdir("/dev/fd"))[:-1],
    "threads": threading.active_count(),
    "filters": [str(one) for one in warnings.filters],
    "ours": [name for name in sys.modules if name.split(".")[0] == "tests"],
    "checks": "pytest_readiness.checklist.check" in sys.modules,
}, indent=1, sort_keys=True))
"""
Start = Callable[..., Process]


def forked(folder: Path, *arguments: str, start_new_session: bool = False) -> Forked:
    environment = {**os.environ, "SHOP": "1"}
    return Forked(
        "shop",
        arguments,
        folder=folder,
        environment=environment,
        start_new_session=start_new_session,
    )


def fresh(folder: Path, *arguments: str, start_new_session: bool = False) -> Process:
    return subprocess.Popen(
        [sys.executable, "-m", "shop", *arguments],
        cwd=folder,
        env={**os.environ, "SHOP": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=start_new_session,
    )


@pytest.fixture
def heard() -> Iterator[None]:
    """Let an interruption reach a fresh interpreter, also where ours was started to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


BOTH = pytest.mark.parametrize("start", [forked, fresh])


@pytest.mark.usefixtures("heard")
def test_it_finds_what_a_fresh_interpreter_finds(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(TELLS)
    one, other = (
        start(tmp_path, "-a", "b c").communicate(timeout=60)[0] for start in (forked, fresh)
    )
    assert one == other
    assert '"input": ""' in one


@BOTH
@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("", 0, ""),
        ("import sys; sys.exit(7)", 7, ""),
        ("raise SystemExit", 0, ""),
        ("raise SystemExit('no shop')", 1, "no shop\n"),
        ("import os; os.write(2, b'no '); raise ValueError('shop')", 1, "ValueError: shop\n"),
        ("import os; os.write(1, b'no line'); os._exit(5)", 5, "no line"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, ""),
        ("import atexit; atexit.register(print, 'at last')", 0, "at last\n"),
        ("import subprocess; subprocess.run(['echo', 'below'])", 0, "below\n"),
    ],
)
def test_how_it_ends(start: Start, source: str, code: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(source)
    process = start(tmp_path)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, process.wait()) == (code, code)
    assert out.endswith(said)
    assert bool(out) is bool(said)


WAITS = "import time\nprint('waits', flush=True)\ntime.sleep(60)\n"


@BOTH
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it(start: Start, number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(WAITS)
    process = start(tmp_path)
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == -number


def test_an_interruption_interrupts_it_though_whoever_started_us_ignores_them(
    tmp_path: Path,
) -> None:
    (tmp_path / "shop.py").write_text(
        "import pathlib, time\ntry:\n    pathlib.Path('begun').touch()\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    print('interrupted')\n"
    )
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = forked(tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "interrupted\n"


@BOTH
def test_a_session_of_its_own_is_killed_with_all_below_it(start: Start, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "import subprocess\nsubprocess.run(['sh', '-c', 'echo $$; sleep 60'])\n"
    )
    process = start(tmp_path, start_new_session=True)
    assert os.getpgid(process.pid) == process.pid == os.getsid(process.pid)
    os.killpg(process.pid, signal.SIGKILL)
    # It would last a minute if one below it held the pipe.
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert os.getsid(0) != process.pid


def test_what_only_a_fresh_interpreter_reads_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shop.py").touch()
    with pytest.raises(RuntimeError, match="needs a fresh interpreter"):
        Forked("shop", (), folder=tmp_path, environment={**os.environ, "PYTHONOPTIMIZE": "1"})


def test_it_reads_what_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("print(input(), input())")
    process = Forked("shop", (), folder=tmp_path, environment=os.environ, input="a\nü\n")
    assert process.communicate(timeout=60)[0] == "a ü\n"


def test_two_runs_draw_other_numbers(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import random; print(random.random())")
    assert len({forked(tmp_path).communicate(timeout=60)[0] for _ in range(3)}) == 3
