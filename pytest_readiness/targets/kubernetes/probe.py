"""The questions put to a Kubernetes cluster, every one a GET.

Each takes the Client of `connect`, returns one frozen fact and raises ProbeError alone.

PYTEST_DONT_REWRITE
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from pytest_readiness.errors import ProbeError, ProbeErrorKind
from pytest_readiness.targets.kubernetes import config, facts
from pytest_readiness.targets.kubernetes import wire as k8s_wire
from pytest_readiness.targets.kubernetes.client import Client, Question
from pytest_readiness.targets.kubernetes.errors import Right
from pytest_readiness.targets.kubernetes.lists import collect, objects
from pytest_readiness.targets.kubernetes.policies import network_policies as network_policies
from pytest_readiness.targets.kubernetes.section import Kubernetes
from pytest_readiness.targets.kubernetes.services import cluster_services, ready
from pytest_readiness.transport.caller import Caller
from pytest_readiness.transport.failures import one_line
from pytest_readiness.transport.limit import within

Wire = TypeVar("Wire", bound=k8s_wire.Wire)
Kept = TypeVar("Kept")
GroupKey = tuple[str | None, bool, str, tuple[tuple[str, str], ...]]

# What a node says of itself that a person would look at; node-problem-detector adds many more.
_CONDITIONS = {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"}
_ZONES = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")


def connect(section: Kubernetes, caller: Caller) -> Client:
    """Return the client of the cluster in [kubernetes]; nothing is asked of the server yet.

    Raises ProbeError: no usable kubeconfig or context, no service account, or an exec plugin that
    is missing, fails or takes longer than the time-out of a question.
    """
    timeout = caller.timeout.total_seconds()
    config.import_client()
    try:
        api = within(timeout, lambda: config.load(section))
    except TimeoutError:
        raise ProbeError(
            ProbeErrorKind.TIMEOUT,
            target=config.where(section),
            question="connect",
            cause=f"the exec plugin gave no credential within {timeout:g} s",
            advice="Run the plugin by hand; it may be waiting for somebody to log in.",
            stops_target=True,
        ) from None
    return Client(api, section, caller)


def identity(client: Client) -> facts.Identity:
    """Ask which cluster this is: the UID of the namespace kube-system, never another's.

    uid is None where kube-system may not be read or does not exist, and nobody said which it must
    be. With cluster_uid in the settings, every doubt is an error that stops the target.
    """

    def work(question: Question) -> facts.Identity:
        try:
            body = question.body("/api/v1/namespaces/kube-system")
        except ProbeError as error:
            hidden = error.kind in (ProbeErrorKind.FORBIDDEN, ProbeErrorKind.ABSENT)
            if hidden and client.cluster_uid is None:
                return _identity(client, None)
            if client.cluster_uid is not None:
                error.stops_target = True
            raise
        uid = _decode(question, body, k8s_wire.Namespace).metadata.uid
        if client.cluster_uid is not None and uid != client.cluster_uid:
            raise question.asked.error(
                ProbeErrorKind.IDENTITY,
                f"kube-system has the UID {uid or 'none'}, the settings say {client.cluster_uid}",
                "Check `context` in [kubernetes]: this is another cluster. Nothing else was asked "
                "of it. If the cluster was rebuilt, set `cluster_uid` anew.",
                stops=True,
            )
        return _identity(client, uid or None)

    return client.ask("identity of the cluster", Right("get", "namespaces"), work, gate=True)


def version(client: Client) -> facts.Version:
    """Ask for the version of the API server."""

    def work(question: Question) -> facts.Version:
        said = _decode(question, question.body("/version"), k8s_wire.VersionInfo)
        return facts.Version(
            server=client.server,
            git_version=said.gitVersion,
            major=said.major,
            minor=said.minor,
            platform=said.platform,
            asked_at=datetime.now(UTC),
        )

    return client.ask("version of the API server", Right("get", url="/version"), work)


def health(client: Client) -> facts.Health:
    """Ask the API server whether it is ready, and which services of the cluster have endpoints.

    An API server that says that it is not ready, and why, has answered: that is a fact. A 5xx
    without its list of checks comes from something before it, and is an error. Without its etcd
    an API server tells of nothing else: the error then says what it says of itself.
    """

    def work(question: Question) -> facts.Health:
        endpoint, failing = ready(question)
        try:
            services, unreadable = cluster_services(question)
        except ProbeError as error:
            if not failing:
                raise
            said = f"{endpoint} fails at {', '.join(failing)}; then {error.cause}"
            raise question.asked.error(error.kind, said, error.advice) from error
        return facts.Health(
            server=client.server,
            endpoint=endpoint,
            ready=not failing,
            failing=failing,
            services=services,
            unreadable=unreadable,
        )

    text = "readiness of the API server and the services of the cluster"
    return client.ask(text, Right("get", url="/readyz"), work)


def nodes(client: Client) -> facts.Nodes:
    """List all nodes."""
    right = Right("list", "nodes")
    found, unreadable = _listed(client, "list nodes", right, "/api/v1/nodes", k8s_wire.NodeW, _node)
    return facts.Nodes(items=found, unreadable=unreadable)


def storage_classes(client: Client) -> facts.StorageClasses:
    """List all StorageClasses."""
    found, unreadable = _listed(
        client,
        "list storage classes",
        Right("list", "storageclasses", "storage.k8s.io"),
        "/apis/storage.k8s.io/v1/storageclasses",
        k8s_wire.StorageClassW,
        _storage_class,
    )
    return facts.StorageClasses(items=found, unreadable=unreadable)


def csi_drivers(client: Client) -> facts.CsiDrivers:
    """List all CSIDrivers."""
    found, unreadable = _listed(
        client,
        "list CSI drivers",
        Right("list", "csidrivers", "storage.k8s.io"),
        "/apis/storage.k8s.io/v1/csidrivers",
        k8s_wire.CsiDriverW,
        lambda wire: wire.metadata.name,
    )
    return facts.CsiDrivers(names=found, unreadable=unreadable)


def claims(client: Client) -> facts.Claims:
    """List the PersistentVolumeClaims of the namespace."""
    found, unreadable = _listed(
        client,
        "list volume claims",
        Right("list", "persistentvolumeclaims", namespace=client.namespace),
        f"/api/v1/namespaces/{client.namespace}/persistentvolumeclaims",
        k8s_wire.ClaimW,
        _claim,
    )
    return facts.Claims(namespace=client.namespace, items=found, unreadable=unreadable)


def namespaces(client: Client) -> facts.Namespaces:
    """List all namespaces and their labels."""
    found, unreadable = _listed(
        client,
        "list namespaces and their labels",
        Right("list", "namespaces"),
        "/api/v1/namespaces",
        k8s_wire.Namespace,
        _namespace,
    )
    return facts.Namespaces(items=found, unreadable=unreadable)


def pods(client: Client) -> facts.Pods:
    """List the pods of the namespace."""

    def work(question: Question) -> facts.Pods:
        groups: dict[GroupKey, list[str]] = {}

        def keep(wire: k8s_wire.PodW) -> None:
            groups.setdefault(_pod_group(wire), []).append(wire.metadata.name)

        unreadable = objects(
            question,
            f"/api/v1/namespaces/{client.namespace}/pods",
            k8s_wire.PodW,
            keep,
            start=groups.clear,
        )
        return facts.Pods(
            namespace=client.namespace,
            groups=tuple(_group(key, names) for key, names in groups.items()),
            unreadable=unreadable,
        )

    return client.ask("list pods", Right("list", "pods", namespace=client.namespace), work)


def _listed(
    client: Client,
    text: str,
    right: Right,
    path: str,
    wire: type[Wire],
    convert: Callable[[Wire], Kept],
) -> tuple[tuple[Kept, ...], tuple[facts.Unreadable, ...]]:
    """Ask for the whole of one list; see `lists.collect`."""
    return client.ask(text, right, lambda question: collect(question, path, wire, convert))


def _identity(client: Client, uid: str | None) -> facts.Identity:
    return facts.Identity(server=client.server, uid=uid, tls_verified=client.tls_verified)


def _decode(question: Question, body: bytes, wire: type[Wire]) -> Wire:
    try:
        return msgspec.json.decode(body, type=wire)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise question.asked.malformed(one_line(error)) from None


def _node(wire: k8s_wire.NodeW) -> facts.Node:
    capacity = wire.status.capacity or k8s_wire.Resources()
    allocatable = wire.status.allocatable or k8s_wire.Resources()
    labels = wire.metadata.labels or {}
    conditions = {
        condition.type: condition.status
        for condition in wire.status.conditions or ()
        if condition.type in _CONDITIONS
    }
    return facts.Node(
        name=wire.metadata.name,
        zone=next((labels[key] for key in _ZONES if labels.get(key)), None),
        cordoned=wire.spec.unschedulable,
        deleting=wire.metadata.deletionTimestamp is not None,
        conditions=conditions,
        taints=tuple(facts.Taint(key=t.key, effect=t.effect) for t in wire.spec.taints or ()),
        cpu_capacity=_text(capacity.cpu),
        cpu_allocatable=_text(allocatable.cpu),
        memory_capacity=_text(capacity.memory),
        memory_allocatable=_text(allocatable.memory),
        pods_capacity=_text(capacity.pods),
        pods_allocatable=_text(allocatable.pods),
    )


def _text(quantity: k8s_wire.Quantity | None) -> str | None:
    return None if quantity is None else str(quantity)


def _storage_class(wire: k8s_wire.StorageClassW) -> facts.StorageClass:
    marks = wire.metadata.annotations or k8s_wire.DefaultClass()
    return facts.StorageClass(
        name=wire.metadata.name,
        provisioner=wire.provisioner,
        default="true" in (marks.ga, marks.beta),
    )


def _claim(wire: k8s_wire.ClaimW) -> facts.Claim:
    return facts.Claim(
        name=wire.metadata.name,
        phase=wire.status.phase,
        deleting=wire.metadata.deletionTimestamp is not None,
        storage_class=wire.spec.storageClassName,
    )


def _namespace(wire: k8s_wire.Namespace) -> facts.Namespace:
    return facts.Namespace(name=wire.metadata.name, labels=wire.metadata.labels or {})


def _pod_group(wire: k8s_wire.PodW) -> GroupKey:
    owners = wire.metadata.ownerReferences or ()
    owner = next((f"{o.kind.lower()}/{o.name}" for o in owners if o.controller), None)
    labels = tuple(sorted((wire.metadata.labels or {}).items()))
    return owner, wire.spec.hostNetwork, wire.status.phase, labels


def _group(key: GroupKey, names: list[str]) -> facts.PodGroup:
    owner, host_network, phase, labels = key
    return facts.PodGroup(
        owner=owner,
        labels=dict(labels),
        host_network=host_network,
        phase=phase,
        names=tuple(sorted(names)),
    )
