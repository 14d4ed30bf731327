"""The reference platform in one process: every server of the lab, one world, some faults.

PYTEST_DONT_REWRITE
"""

import json
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from pytest_readiness.errors import ReadinessError
from pytest_readiness.results.evidence import Outcome
from pytest_readiness.targets import Target, targets
from pytest_readiness.text import suggestion

Values = dict[str, dict[str, str]]
Changes = list[dict[str, Any]]


class LabFault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One named change of the healthy world.

    turns: the items that it turns, and to what. subject: what the finding names, None for an
    error. changes: target -> the changes, in the language of that target's lab.
    """

    says: str
    turns: dict[str, Outcome]
    subject: str | None
    changes: dict[str, Changes]


@cache
def faults() -> Mapping[str, LabFault]:
    """Return every fault by name. Raises ReadinessError when two have one name."""
    found: dict[str, LabFault] = {}
    for target in targets().values():
        listed = load_faults(target.faults) if target.faults.exists() else {}
        twice = found.keys() & listed.keys()
        if twice:
            raise ReadinessError(f"faults named twice: {', '.join(sorted(twice))}")
        found |= listed
    return found


def load_faults(path: Path) -> dict[str, LabFault]:
    """Read the faults of one file by name. Raises ReadinessError when it cannot be read.

    What a fault says beside `says`, `turns` and `subject` are its changes: a key a target.
    """
    import yaml

    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
        listed = msgspec.convert(written, dict[str, dict[str, Any]])
        return {
            name: msgspec.convert(
                {
                    **{key: value for key, value in fault.items() if key not in targets()},
                    "changes": {key: value for key, value in fault.items() if key in targets()},
                },
                LabFault,
            )
            for name, fault in listed.items()
        }
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise ReadinessError(f"{path.name}: {error}") from error


def named(names: Iterable[str]) -> list[LabFault]:
    """Return the faults of these names. Raises ReadinessError for one that does not exist."""
    known = faults()
    for name in names:
        if name not in known:
            near = suggestion(name, tuple(known))
            raise ReadinessError(f"the lab has no fault {name}{near}")
    return [known[name] for name in names]


def fault_lines() -> list[str]:
    """Return the faults as lines to read: name, what it is, what it turns."""
    return [
        f"{name}\n    {fault.says}\n    turns "
        + ", ".join(f"{item} to {outcome}" for item, outcome in fault.turns.items())
        for name, fault in faults().items()
    ]


class Platform:
    """The running lab. values: what an ini needs to find it, section -> key -> text.

    Raises ReadinessError for an unknown fault, or where a target cannot be served.
    """

    def __init__(self, names: Sequence[str]) -> None:
        chosen = named(names)
        self._running = ExitStack()
        self.values: Values = {}
        try:
            folder = Path(
                self._running.enter_context(tempfile.TemporaryDirectory(prefix="readiness-lab-"))
            )
            for target in targets().values():
                changes = [one for fault in chosen for one in fault.changes.get(target.name, ())]
                self._serve(target, changes, folder / target.name)
        except BaseException:
            self._running.close()
            raise

    def _serve(self, target: Target, changes: Changes, folder: Path) -> None:
        module = target.serves()
        if module is not None:
            folder.mkdir()
            served = self._running.enter_context(module.serve(changes, folder))
            self.values[target.name] = dict(served)

    def stop(self) -> None:
        """Stop the servers and remove every file of theirs."""
        self._running.close()


def serve(names: Sequence[str], *, as_json: bool) -> int:
    """Run the lab until it is told to stop: by Ctrl-C, SIGTERM or, as a child, end of input.

    as_json: say the values in one line of JSON for a parent; else an ini for a person.
    """
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    platform = Platform(names)
    try:
        _say(platform, names, as_json=as_json)
        if as_json:
            _at_end_of_input(done.set)
        done.wait()
    finally:
        platform.stop()
    return 0


def _say(platform: Platform, names: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(platform.values), flush=True)
        return
    print(f"; the lab, {'with ' + ', '.join(names) if names else 'healthy'}; Ctrl-C stops it")
    print("[readiness]\nsystem = st-risk-platform\nenvironment = lab\nphase = verification")
    for section, keys in platform.values.items():
        print(f"\n[{section}]")
        print("\n".join(f"{key} = {value}" for key, value in keys.items()))
    sys.stdout.flush()


def _at_end_of_input(then: Callable[[], None]) -> None:
    def wait() -> None:
        sys.stdin.read()
        then()

    threading.Thread(target=wait, daemon=True, name="parent").start()
