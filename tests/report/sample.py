"""Hand-made reports: what every rendering is tested on."""

import hashlib
from typing import Any

import msgspec

from pytest_readiness.catalogue.words import Safety, Severity
from pytest_readiness.results.evidence import EvidenceRecord, Finding, Outcome
from pytest_readiness.results.model import (
    SCHEMA,
    Completeness,
    DeclarationState,
    Declared,
    Digest,
    Item,
    ListedWaiver,
    Report,
    Run,
    SettingsUsed,
    Target,
    Tool,
    Traffic,
    Verdict,
    Waived,
    WaiverState,
)

_UNREACHABLE = "clickhouse https://ch.example.org:8443: unreachable: connection refused"
_GRANT = """Grant the reader what the question needs:
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: readiness-reader
rules:
  - apiGroups: ["networking.k8s.io"]
    resources: ["networkpolicies"]
    verbs: ["list"]"""

TRAFFIC = (
    Traffic(target="clickhouse https://ch.example.org:8443", method="POST", status=200, count=14),
    Traffic(target="kubernetes https://10.0.0.1:6443", method="GET", status=None, count=1),
    Traffic(target="kubernetes https://10.0.0.1:6443", method="GET", status=200, count=31),
)


def item(
    id: str = "k8s-nodes",
    title: str = "Minimum 3 nodes with 4 CPU and 8GB RAM each",
    **changes: Any,
) -> Item:
    """Return a passing item with the changes."""
    base = Item(
        id=id,
        title=title,
        section="infrastructure",
        subsection="kubernetes",
        phase="verification",
        severity=Severity.BLOCKER,
        safety=Safety.S1,
        basis="P",
        outcome=Outcome.PASS,
        reason=None,
        advice=None,
        cause=None,
        waiver=None,
        findings=(),
        evidence=(),
        remediation=None,
        reference=None,
        nodeid=f"readiness/infrastructure/kubernetes::{id}",
        duration=0.012,
    )
    return msgspec.structs.replace(base, **changes)


def proof(question: str = "list nodes", **changes: Any) -> EvidenceRecord:
    """Return evidence of one question with the changes."""
    base = EvidenceRecord(
        source="kubernetes https://10.0.0.1:6443",
        question=question,
        examined=("node/n1", "node/n2", "node/n3"),
        observed={"nodes_that_qualify": 3, "smallest_node": {"cpu": "4", "memory": "8145240Ki"}},
        expected={
            "nodes_that_qualify": ">= 3",
            "smallest_node": {"cpu": ">= 4", "memory": ">= 8 GB"},
        },
        command="kubectl --context prod get nodes -o wide",
        asked_at="2026-11-24T06:30:01.204Z",
        duration=0.0412,
        fact="facts/kubernetes-nodes.json",
    )
    return msgspec.structs.replace(base, **changes)


def passing(id: str = "k8s-nodes") -> Item:
    """Return an item that passes, with what it saw."""
    return item(id, evidence=(proof(),))


WAIVER = Waived(
    item="ch-backup",
    reason="the backup host moves on Thursday",
    approver="sec@example.org",
    risk="one day of data is lost with the disk",
    created="2026-11-24",
    expires="2026-11-30",
    ticket="OPS-812",
    environment="production",
)


DECLARATIONS = (
    Declared(
        item="training-operations",
        statement="All five on-call engineers completed the runbook drill.",
        by="ops@example.org",
        role="operations-lead",
        date="2026-11-20",
        expires="2026-11-27",
        release="any",
        evidence="https://example.org/drills/2026-11-20",
        sha256=None,
        signed=True,
        state=DeclarationState.COUNTS,
        note="expires in 3 days",
    ),
    Declared(
        item="on-call",
        statement="The schedule is filled until March.",
        by="x@example.org",
        role="operations-lead",
        date="2026-11-20",
        expires=None,
        release="2.4.1",
        evidence=None,
        sha256=None,
        signed=False,
        state=DeclarationState.REFUSED,
        note="the policy does not know x@example.org as operations-lead",
    ),
)


def listed(waiver: Waived, state: WaiverState = WaiverState.USED, **changes: Any) -> ListedWaiver:
    """Return a waiver as the report lists it."""
    return ListedWaiver(**msgspec.structs.asdict(waiver), state=state, **changes)


_RUN = Run(
    id="20261124T063000Z-7f3a",
    started="2026-11-24T06:30:00.000Z",
    ended="2026-11-24T06:30:12.481Z",
    command="pytest -m readiness -n 2",
    selection="-m readiness",
    partial=False,
    safety=Safety.S2,
    workers=2,
    lab=("node-notready", "backup-old"),
    redactions=3,
)
_TARGET = Target(
    system="st-risk-platform",
    environment="lab",
    phase="verification",
    release="2.4.1",
    commit="4f1c2e7d0b6a4a0b9a53f4f0a54f2c1f0d1f9a77",
    image="registry.example.org/st-risk-platform@sha256:" + "5d" * 32,
    identity={"kubernetes": "6f0c2b51-4c52-4a7e-9d0e-6f54a2f1b6aa at https://10.0.0.1:6443"},
)
_SETTINGS = {
    "readiness": {"system": "st-risk-platform", "environment": "lab", "timeout": "10s"},
    "kubernetes": {"context": "prod", "namespace": "st-risk", "min_nodes": "3"},
    "clickhouse": {
        "url": "clickhouse+https://reader@ch.example.org:8443/risk",
        "password": "${env:CLICKHOUSE_PASSWORD}",
    },
}
_VERDICT = Verdict(
    name="NOT READY",
    exit_code=1,
    reasons=(
        "1 blocker fails: k8s-nodes",
        "4 could not be asked: k8s-network-policies, ch-replicas, ch-replication, ch-disk",
        "27 not checked, no check yet: prom-scraping, grafana-dashboards and 25 more",
        "1 waived: ch-backup",
    ),
)


def _kubernetes() -> tuple[Item, ...]:
    version = proof(
        "version",
        examined=("server",),
        observed={"version": "v1.30.4-gke.1"},
        expected={"version": ">= 1.24"},
        command="kubectl --context prod version",
        fact="facts/kubernetes-version.json",
        duration=0.0061,
    )
    ready = proof(
        "readyz",
        examined=("apiserver", "service/kube-dns"),
        observed={"readyz": "ok", "core_dns": "2 of 2 ready"},
        expected={"readyz": "ok", "core_dns": ">= 1 ready"},
        command="kubectl --context prod get --raw /readyz",
    )
    title = "Verify cluster connectivity: `kubectl cluster-info`"
    return (
        item("k8s-version", "Kubernetes cluster (1.24+) available", evidence=(version,)),
        item("k8s-connectivity", title, evidence=(ready,)),
        _nodes(),
        *_storage_and_policies(),
    )


def _nodes() -> Item:
    nodes = proof(
        examined=tuple(f"node/n{number}" for number in range(1, 28)),
        observed={
            "nodes_that_qualify": 2,
            "zones": ["eu-1a", "eu-1b", "eu-1c"],
            "ready": 26,
            "below": [{"node": "n3", "cpu": "3920m"}, {"node": "n7", "memory": "7.9 GB"}],
        },
        expected={"nodes_that_qualify": ">= 3", "cpu": ">= 4", "memory": ">= 8 GB"},
    )
    return item(
        outcome=Outcome.FAIL,
        findings=(
            Finding("node/n3", "NotReady since 2026-11-24 05:58 UTC: kubelet stopped posting"),
            Finding("node/n7", "7.9 GB of memory where 8 GB are asked for"),
            Finding("node/n12", "cordoned, takes no pods"),
        ),
        evidence=(nodes,),
        remediation="Add nodes of the size asked for, or uncordon and repair those named.",
        reference="https://kubernetes.io/docs/concepts/architecture/nodes/",
    )


def _storage_and_policies() -> tuple[Item, ...]:
    return (
        item(
            "k8s-storage",
            "Persistent storage provisioner configured",
            evidence=(
                proof(
                    "list storage classes",
                    examined=("storageclass/fast",),
                    observed={"default": ["fast"], "provisioner": "pd.csi.storage.gke.io"},
                    expected={"default": "exactly one", "provisioner": "a CSIDriver"},
                    command="kubectl --context prod get storageclass,csidriver",
                ),
            ),
        ),
        item(
            "k8s-network-policies",
            "Network policies configured",
            outcome=Outcome.ERROR,
            reason="kubernetes https://10.0.0.1:6443: list network policies: forbidden: user "
            "reader may not list networkpolicies in st-risk",
            cause="kubernetes forbidden networkpolicies",
            advice=_GRANT,
        ),
    )


def _clickhouse() -> tuple[Item, ...]:
    def lost(id: str, title: str, question: str) -> Item:
        return item(
            id,
            title,
            subsection="clickhouse",
            outcome=Outcome.ERROR,
            cause=_UNREACHABLE,
            reason=_UNREACHABLE.replace("8443:", f"8443: {question}:"),
            advice="Check that ch.example.org:8443 is up and reachable from here.",
        )

    return (
        lost("ch-replicas", "Minimum 3 replicas for high availability", "list replicas"),
        lost("ch-replication", "Replication configured and tested", "replication state"),
        item(
            "ch-backup",
            "Backup mechanism in place",
            subsection="clickhouse",
            basis="P/D",
            outcome=Outcome.FAIL,
            waiver=WAIVER,
            remediation="Run clickhouse-backup create.",
            findings=(Finding("backup/daily", "newest is 31 h old, 24 h are allowed"),),
            evidence=(
                proof(
                    "list backups",
                    source="clickhouse-backup http://10.0.0.9:7171",
                    examined=("backup/daily",),
                    observed={"newest_age": "31 h"},
                    expected={"newest_age": "< 24 h"},
                    fact=None,
                    command="curl -s http://10.0.0.9:7171/backup/list",
                ),
            ),
        ),
        lost("ch-disk", "Disk space: minimum 100GB free", "list disks"),
    )


def _unjudged() -> tuple[Item, ...]:
    names = {
        ("infrastructure", "monitoring"): "prom-scraping grafana-dashboards alertmanager log-store",
        ("application", "code"): "tests-passing coverage linting bandit",
        ("application", "configuration"): "env-documented secrets-configured database-connection",
        ("performance", "load"): "load-throughput load-latency load-errors load-resources",
        ("security", "owasp"): "sql-injection xss csrf authentication authorization",
        ("operations", "alerting"): "alert-rules escalation on-call incident-response",
        ("documentation", "runbooks"): "doc-procedures doc-troubleshooting doc-contacts",
    }
    return tuple(
        item(
            id,
            id.replace("-", " ").capitalize(),
            section=section,
            subsection=subsection,
            severity=Severity.MAJOR,
            outcome=Outcome.NOTCHECKED,
            reason="no check yet",
            duration=0,
        )
        for (section, subsection), ids in names.items()
        for id in ids.split()
    )


def full(**changes: Any) -> Report:
    """Return a report of the lab with every outcome, in the checklist's order."""
    rest = _unjudged()
    items = (
        *_kubernetes(),
        *_clickhouse(),
        *(one for one in rest if one.section == "infrastructure"),
        *(one for one in rest if one.section == "application"),
        item(
            "migration-staging",
            "Schema changes tested on staging",
            section="application",
            subsection="migrations",
            outcome=Outcome.NOTAPPLICABLE,
            reason="no relational schema",
        ),
        *(one for one in rest if one.section not in {"infrastructure", "application"}),
        item(
            "canary",
            "Canary deployment parameters set",
            section="operations",
            subsection="deployment_procedure",
            severity=Severity.MINOR,
            outcome=Outcome.FAIL,
            findings=(
                Finding("Rollout/st-risk-api — Zürich", "no analysis step, weights 0 → 100"),
            ),
            remediation="Add steps with an analysis template.",
            reference="docs/canary.md",
        ),
    )
    waivers = (
        listed(WAIVER),
        listed(
            msgspec.structs.replace(WAIVER, item="k8s-storage", ticket="OPS-799"),
            WaiverState.NOT_NEEDED,
        ),
        listed(
            msgspec.structs.replace(WAIVER, item="k8s-nodes", expires="2026-11-20"),
            WaiverState.EXPIRED,
            note="expired on 2026-11-20: the fail counts",
        ),
    )
    return report(
        items,
        **{"waivers": waivers, "declarations": DECLARATIONS, "traffic": TRAFFIC, **changes},
    )


def report(items: tuple[Item, ...], **changes: Any) -> Report:
    """Return a report of the items with the changes."""
    base = Report(
        schema=SCHEMA,
        tool=Tool(name="pytest-readiness", version="0.1.0"),
        run=_RUN,
        target=_TARGET,
        checklist=Digest(id="st-risk-platform", sha256=digest("checklist")),
        settings=SettingsUsed(sha256=digest("settings"), values=_SETTINGS),
        items=items,
        waivers=tuple(listed(one.waiver) for one in items if one.waiver),
        declarations=(),
        completeness=Completeness(expected=len(items), reported=len(items), missing=()),
        verdict=_VERDICT,
        relaxed=(),
        facts=(),
    )
    return msgspec.structs.replace(base, **changes)


def production(base: Report) -> Report:
    """Return the report as a run outside the lab would have it."""
    return msgspec.structs.replace(base, run=msgspec.structs.replace(base.run, lab=None))


def empty() -> Report:
    """Return the report of a phase without items, of which nothing is known."""
    base = production(report(()))
    target = msgspec.structs.replace(
        base.target, release=None, commit=None, image=None, identity={}
    )
    return msgspec.structs.replace(
        base,
        target=target,
        settings=SettingsUsed(sha256=digest(""), values={}),
        verdict=Verdict(name="INCOMPLETE", exit_code=6, reasons=("the phase has no items",)),
    )


def partial() -> Report:
    """Return the report of a selection that lost one item on its way."""
    base = full()
    return msgspec.structs.replace(
        base,
        run=msgspec.structs.replace(
            base.run, partial=True, selection="readiness and kubernetes", lab=None
        ),
        completeness=Completeness(expected=38, reported=37, missing=("ch-disk",)),
        verdict=Verdict(name="PARTIAL", exit_code=1, reasons=("a selection: 5 of 38 items",)),
    )


def digest(text: str) -> str:
    """Return the sha256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()
