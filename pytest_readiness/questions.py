"""Every question the suite can put: the bridge from settings and probes to recorded facts.

PYTEST_DONT_REWRITE
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

import msgspec

from pytest_readiness.errors import NotChecked, ProbeError, ProbeErrorKind
from pytest_readiness.facts import clickhouse, kubernetes
from pytest_readiness.settings import Settings
from pytest_readiness.store import Ask, FactStore


@dataclass(frozen=True, slots=True)
class Question:
    """One question; its name is the fixture's, its probe `pytest_readiness.probes.TARGET:FUNCTION`.

    target: the section of readiness.ini that says where to ask. text: what is asked, in words.
    command: what a person types to see the same; {words} are filled in from the settings.
    """

    name: str
    target: str
    text: str
    command: str
    answer: type[msgspec.Struct]
    function: str


@dataclass(frozen=True, slots=True)
class TargetAnswer:
    """What `readiness check` says of one target: where it is, and what it would not tell."""

    target: str
    source: str
    asked: int
    refusals: tuple[ProbeError, ...]


# The first question of a target is the one that proves that the others make sense: it is
# reachable, and it is the system that the ini names.
QUESTIONS = (
    Question(
        name="k8s_identity",
        target="kubernetes",
        text="identity of the cluster",
        command="{kubectl} get namespace kube-system -o jsonpath='{{.metadata.uid}}'",
        answer=kubernetes.Identity,
        function="identity",
    ),
    Question(
        name="k8s_version",
        target="kubernetes",
        text="version of the API server",
        command="{kubectl} version",
        answer=kubernetes.Version,
        function="version",
    ),
    Question(
        name="k8s_health",
        target="kubernetes",
        text="readiness of the API server and the services of the cluster",
        command="{kubectl} cluster-info && {kubectl} get --raw '/readyz?verbose'",
        answer=kubernetes.Health,
        function="health",
    ),
    Question(
        name="k8s_nodes",
        target="kubernetes",
        text="list nodes",
        command="{kubectl} get nodes -o wide",
        answer=kubernetes.Nodes,
        function="nodes",
    ),
    Question(
        name="k8s_storage_classes",
        target="kubernetes",
        text="list storage classes",
        command="{kubectl} get storageclasses",
        answer=kubernetes.StorageClasses,
        function="storage_classes",
    ),
    Question(
        name="k8s_csi_drivers",
        target="kubernetes",
        text="list CSI drivers",
        command="{kubectl} get csidrivers",
        answer=kubernetes.CsiDrivers,
        function="csi_drivers",
    ),
    Question(
        name="k8s_claims",
        target="kubernetes",
        text="list volume claims of {namespace}",
        command="{kubectl} get persistentvolumeclaims -n {namespace}",
        answer=kubernetes.Claims,
        function="claims",
    ),
    Question(
        name="k8s_network_policies",
        target="kubernetes",
        text="list network policies",
        command="{kubectl} get networkpolicies -n {namespace} -o yaml",
        answer=kubernetes.NetworkPolicies,
        function="network_policies",
    ),
    Question(
        name="k8s_pods",
        target="kubernetes",
        text="list pods of {namespace}",
        command="{kubectl} get pods -n {namespace} --show-labels",
        answer=kubernetes.Pods,
        function="pods",
    ),
    Question(
        name="ch_identity",
        target="clickhouse",
        text="identity of the server",
        command='{client} "SELECT version(), hostName(), serverUUID(), currentUser()"',
        answer=clickhouse.Identity,
        function="identity",
    ),
    Question(
        name="ch_replicas",
        target="clickhouse",
        text="replicas of cluster {cluster}, and which of them answer",
        command="{client} \"SELECT * FROM system.clusters WHERE cluster = '{cluster}'\"",
        answer=clickhouse.Replicas,
        function="replicas",
    ),
    Question(
        name="ch_tables",
        target="clickhouse",
        text="tables of database {database}",
        command="{client} \"SELECT name, engine FROM system.tables WHERE database = '{database}'\"",
        answer=clickhouse.Tables,
        function="tables",
    ),
    Question(
        name="ch_replication",
        target="clickhouse",
        text="state of replication on every replica of {cluster}",
        command="{client} \"SELECT * FROM clusterAllReplicas('{cluster}', system.replicas)\"",
        answer=clickhouse.Replication,
        function="replication",
    ),
    Question(
        name="ch_disks",
        target="clickhouse",
        text="disks of every replica of {cluster}",
        command="{client} \"SELECT * FROM clusterAllReplicas('{cluster}', system.disks)\"",
        answer=clickhouse.Disks,
        function="disks",
    ),
    Question(
        name="ch_backups",
        target="clickhouse",
        text="backups known to every replica of {cluster}",
        command="{client} \"SELECT * FROM clusterAllReplicas('{cluster}', system.backups)\"",
        answer=clickhouse.Backups,
        function="backups",
    ),
    Question(
        name="ch_backup_api",
        target="clickhouse",
        text="backups listed by clickhouse-backup",
        command="curl {backup_api}/backup/list",
        answer=clickhouse.BackupApi,
        function="backup_api",
    ),
)


class Asker:
    """Puts questions for one process of a run; a client for each target is made on first use."""

    def __init__(self, settings: Settings, store: FactStore, run_id: str) -> None:
        self._settings = settings
        self._store = store
        self._run_id = run_id
        self._clients: dict[str, Any] = {}

    def answer(self, question: Question) -> msgspec.Struct:
        """Return the answer of a question. Raises ProbeError or NotChecked."""
        section = self.limits(question.target)
        words = _words(question.target, section)
        gate = next(first for first in QUESTIONS if first.target == question.target)
        if gate is not question:
            self._ask_gate(gate, words)
        return self._store.answer(self._ask(question, words))

    def limits(self, target: str) -> Any:
        """Return the section of a target. Raises NotChecked when readiness.ini has none."""
        section = getattr(self._settings, target)
        if section is None:
            raise NotChecked(f"no [{target}] in readiness.ini")
        return section

    def _ask_gate(self, gate: Question, words: Mapping[str, str]) -> None:
        try:
            self._store.answer(self._ask(gate, words))
        except ProbeError as error:
            if error.stops_target:
                raise

    def _ask(self, question: Question, words: Mapping[str, str]) -> Ask:
        return Ask(
            name=question.name,
            target=question.target,
            source=f"{question.target} {words['at']}",
            question=question.text.format_map(words),
            command=question.command.format_map(words),
            answer=question.answer,
            ask=partial(self._put, question),
        )

    def _put(self, question: Question) -> msgspec.Struct:
        module = import_module(f"pytest_readiness.probes.{question.target}")
        if question.target not in self._clients:
            try:
                client = module.connect(self._settings, self._run_id)
            except ProbeError as error:
                # The next question would wait for a connection as long, and as much in vain.
                error.stops_target |= error.kind is ProbeErrorKind.TIMEOUT
                raise
            self._store.learn(client.secrets)
            self._clients[question.target] = client
        answer: msgspec.Struct = getattr(module, question.function)(self._clients[question.target])
        return answer


def ask_targets(settings: Settings) -> list[TargetAnswer]:
    """Put every question of every target that the settings name, keeping nothing."""
    from tempfile import TemporaryDirectory

    from pytest_readiness.run import temporary_store

    with TemporaryDirectory(prefix="readiness-check-") as folder:
        asker = Asker(settings, temporary_store(folder, settings), "check")
        targets = dict.fromkeys(question.target for question in QUESTIONS)
        return [
            _ask_all(asker, target, getattr(settings, target))
            for target in targets
            if getattr(settings, target) is not None
        ]


def _ask_all(asker: Asker, target: str, section: object) -> TargetAnswer:
    asked = [question for question in QUESTIONS if question.target == target]
    refusals: dict[str, ProbeError] = {}
    for question in asked:
        try:
            asker.answer(question)
        except ProbeError as error:
            refusals.setdefault(str(error), error)
    source = f"{target} {_words(target, section)['at']}"
    return TargetAnswer(target, source, len(asked), tuple(refusals.values()))


def _words(target: str, section: Any) -> dict[str, str]:
    if target == "kubernetes":
        kubeconfig = f"--kubeconfig {section.kubeconfig} " if section.kubeconfig else ""
        context = section.context or "in-cluster"
        return {
            "at": context,
            "kubectl": f"kubectl {kubeconfig}--context {context}",
            "namespace": section.namespace,
        }
    return _clickhouse_words(section)


def _clickhouse_words(section: Any) -> dict[str, str]:
    url = urlsplit(section.url)
    return {
        "at": section.url,
        "client": _clickhouse_client(url),
        "cluster": section.cluster,
        "database": dict(parse_qsl(url.query)).get("database") or _database(url),
        "backup_api": section.backup_api or "BACKUP_API",
    }


def _clickhouse_client(url: SplitResult) -> str:
    """Return what runs a query given behind it; curl asks for the password."""
    if url.scheme == "chdb":
        return f"clickhouse local --path '{url.netloc}{url.path}' --query"
    scheme = url.scheme.removeprefix("clickhouse+")
    port = url.port or (8443 if scheme == "https" else 8123)
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    user = url.username or "default"
    return f"curl --user {user} '{scheme}://{host}:{port}/' --data-binary"


def _database(url: SplitResult) -> str:
    return "default" if url.scheme == "chdb" else url.path.strip("/") or "default"
