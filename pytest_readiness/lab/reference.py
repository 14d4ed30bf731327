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
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from pytest_readiness.errors import ReadinessError
from pytest_readiness.results import Outcome
from pytest_readiness.settings_keys import suggestion

_HERE = Path(__file__).parent
WORLD = _HERE / "worlds" / "reference"
FAULTS = _HERE / "faults"
Values = dict[str, dict[str, str]]


class LabFault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One named change of the healthy world.

    turns: the items that it turns, and to what. subject: what the finding names, None for an
    error. kubernetes, clickhouse: the changes, each in the language of that server's module.
    """

    says: str
    turns: dict[str, Outcome]
    subject: str | None
    kubernetes: list[dict[str, Any]] = []
    clickhouse: list[dict[str, Any]] = []


@cache
def faults() -> Mapping[str, LabFault]:
    """Return every fault by name. Raises ReadinessError when two have one name."""
    found: dict[str, LabFault] = {}
    for path in sorted(FAULTS.glob("*.yaml")):
        listed = load_faults(path)
        twice = found.keys() & listed.keys()
        if twice:
            raise ReadinessError(f"faults named twice: {', '.join(sorted(twice))}")
        found |= listed
    return found


def load_faults(path: Path) -> dict[str, LabFault]:
    """Read the faults of one file by name. Raises ReadinessError when it cannot be read."""
    import yaml

    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
        return msgspec.convert(written, dict[str, LabFault])
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

    Raises ReadinessError for an unknown fault, or without the engine of the extra `lab`.
    """

    def __init__(self, names: Sequence[str]) -> None:
        chosen = named(names)
        if find_spec("chdb") is None:
            raise ReadinessError("the lab needs its extra: pip install 'pytest-readiness[lab]'")
        self._running = ExitStack()
        try:
            self._folder = Path(
                self._running.enter_context(tempfile.TemporaryDirectory(prefix="readiness-lab-"))
            )
            self.values: Values = {
                "kubernetes": self._kubernetes([it for fault in chosen for it in fault.kubernetes]),
                "clickhouse": self._clickhouse([it for fault in chosen for it in fault.clickhouse]),
            }
        except BaseException:
            self._running.close()
            raise

    def stop(self) -> None:
        """Stop the servers and remove every file of theirs."""
        self._running.close()

    def _kubernetes(self, changes: list[dict[str, Any]]) -> dict[str, str]:
        from pytest_readiness.lab.k8s_faults import apply_changes
        from pytest_readiness.lab.kubernetes_api import KubernetesApi, load_world

        world = apply_changes(load_world(WORLD / "kubernetes"), changes)
        api = KubernetesApi(
            world.objects,
            version=world.version,
            answers=world.answers,
            denies=world.denies,
            tls_dir=self._folder / "tls",
        )
        self._running.enter_context(api)
        kubeconfig = api.write_kubeconfig(self._folder / "kubeconfig", namespace="st-risk")
        uid = next(
            found["metadata"]["uid"]
            for found in load_world(WORLD / "kubernetes")
            if (found["kind"], found["metadata"]["name"]) == ("Namespace", "kube-system")
        )
        return {
            "kubeconfig": str(kubeconfig),
            "context": "lab",
            "cluster_uid": uid,
            "namespace": "st-risk",
        }

    def _clickhouse(self, changes: list[dict[str, Any]]) -> dict[str, str]:
        from pytest_readiness.lab.clickhouse import ClickHouseLab

        lab = ClickHouseLab(WORLD / "clickhouse", changes)
        self._running.enter_context(lab)
        return {"url": lab.url, "cluster": lab.cluster, "backup_api": lab.backup_api}


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
