"""What the lab's Kubernetes API can be asked for: resources, discovery documents, paths.

Shapes follow the API machinery of Kubernetes 1.36: APIResourceList and APIGroupList (legacy) and
APIGroupDiscoveryList (aggregated, apidiscovery.k8s.io/v2 and v2beta1).

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pytest_readiness.lab.changes import WorldError

Json = dict[str, Any]

# plural, kind, scope (n: in a namespace, c: of the cluster), short names, categories,
# subresources; the line above names group/version.
_BUILT_IN = """
v1
  bindings Binding n - - -
  configmaps ConfigMap n cm - -
  endpoints Endpoints n ep - -
  events Event n ev - -
  limitranges LimitRange n limits - -
  namespaces Namespace c ns - status
  nodes Node c no - status
  persistentvolumeclaims PersistentVolumeClaim n pvc - status
  persistentvolumes PersistentVolume c pv - status
  pods Pod n po all status,log
  replicationcontrollers ReplicationController n rc all status,scale
  resourcequotas ResourceQuota n quota - status
  secrets Secret n - - -
  serviceaccounts ServiceAccount n sa - -
  services Service n svc all status
admissionregistration.k8s.io/v1
  mutatingwebhookconfigurations MutatingWebhookConfiguration c - api-extensions -
  validatingwebhookconfigurations ValidatingWebhookConfiguration c - api-extensions -
apiextensions.k8s.io/v1
  customresourcedefinitions CustomResourceDefinition c crd,crds api-extensions status
apiregistration.k8s.io/v1
  apiservices APIService c - api-extensions status
apps/v1
  controllerrevisions ControllerRevision n - - -
  daemonsets DaemonSet n ds all status
  deployments Deployment n deploy all status,scale
  replicasets ReplicaSet n rs all status,scale
  statefulsets StatefulSet n sts all status,scale
authentication.k8s.io/v1
  selfsubjectreviews SelfSubjectReview c - - -
authorization.k8s.io/v1
  selfsubjectaccessreviews SelfSubjectAccessReview c - - -
  selfsubjectrulesreviews SelfSubjectRulesReview c - - -
autoscaling/v2
  horizontalpodautoscalers HorizontalPodAutoscaler n hpa all status
batch/v1
  cronjobs CronJob n cj all status
  jobs Job n - all status
certificates.k8s.io/v1
  certificatesigningrequests CertificateSigningRequest c csr - status
coordination.k8s.io/v1
  leases Lease n - - -
discovery.k8s.io/v1
  endpointslices EndpointSlice n - - -
events.k8s.io/v1
  events Event n ev - -
networking.k8s.io/v1
  ingressclasses IngressClass c - - -
  ingresses Ingress n ing - status
  networkpolicies NetworkPolicy n netpol - -
node.k8s.io/v1
  runtimeclasses RuntimeClass c - - -
policy/v1
  poddisruptionbudgets PodDisruptionBudget n pdb - status
rbac.authorization.k8s.io/v1
  clusterrolebindings ClusterRoleBinding c - - -
  clusterroles ClusterRole c - - -
  rolebindings RoleBinding n - - -
  roles Role n - - -
scheduling.k8s.io/v1
  priorityclasses PriorityClass c pc - -
storage.k8s.io/v1
  csidrivers CSIDriver c - - -
  csinodes CSINode c - - -
  csistoragecapacities CSIStorageCapacity n - - -
  storageclasses StorageClass c sc - -
  volumeattachments VolumeAttachment c - - status
"""
# Served when the world has objects of it, as metrics-server is an add-on.
_METRICS = """
metrics.k8s.io/v1beta1
  nodes NodeMetrics c - - -
  pods PodMetrics n - - -
"""
HEALTH = ("healthz", "livez", "readyz")
_REVIEWS = ("Binding", "SelfSubjectReview", "SelfSubjectAccessReview", "SelfSubjectRulesReview")
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_ONE_BY_ONE = tuple(verb for verb in _VERBS if verb != "deletecollection")


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object and where it is found."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    singular: str = ""
    custom: bool = False  # of a CustomResourceDefinition, or of an aggregated API

    @property
    def group_version(self) -> str:
        """Return `apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """Return the resource as messages of the API server name it: `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def verbs(self) -> tuple[str, ...]:
        """Return the verbs that discovery lists, those the lab refuses (405) included."""
        if self.kind in _REVIEWS:
            return ("create",)
        # Namespaces cannot be deleted by the dozen.
        return _ONE_BY_ONE if self.kind == "Namespace" else _VERBS


def bare(path: str) -> str:
    """Return a path without the slash that clients may end it with (`/version/`)."""
    return "/" + path.strip("/")


class ApiPath(NamedTuple):
    """A path taken apart; namespace None is the cluster scope, or every namespace."""

    resource: Resource
    namespace: str | None
    name: str | None
    subresource: str | None


class Resources:
    """The resources of one world: the built-in ones, its custom ones, metrics if it has any."""

    def __init__(self, objects: Iterable[Mapping[str, Any]]) -> None:
        things = list(objects)
        found = _parse_table(_BUILT_IN)
        if any(thing["apiVersion"] == "metrics.k8s.io/v1beta1" for thing in things):
            found += _parse_table(_METRICS, custom=True)
        for thing in things:
            if thing["kind"] == "CustomResourceDefinition":
                found += _custom(thing)
        self.all = tuple(found)
        self._by_path = {(it.group_version, it.plural): it for it in found}
        self._by_kind = {(it.group_version, it.kind): it for it in found}
        self.group_versions = tuple(dict.fromkeys(it.group_version for it in found))

    def of_object(self, thing: Mapping[str, Any]) -> Resource:
        """Return the resource of an object; raises WorldError when nothing serves its kind."""
        try:
            return self._by_kind[thing["apiVersion"], thing["kind"]]
        except KeyError:
            raise WorldError(
                f"the lab serves no {thing['apiVersion']} {thing['kind']}; "
                "is a CustomResourceDefinition missing?"
            ) from None

    def parse(self, path: str) -> ApiPath | None:
        """Take apart `/apis/apps/v1/namespaces/x/deployments/y/scale`; None: nothing is there."""
        parts = path.strip("/").split("/")
        if parts[0] == "api":
            group_version, rest = "/".join(parts[1:2]), parts[2:]
        elif parts[0] == "apis":
            group_version, rest = "/".join(parts[1:3]), parts[3:]
        else:
            return None
        namespace = None
        if len(rest) >= 3 and rest[0] == "namespaces" and (group_version, rest[2]) in self._by_path:
            namespace, rest = rest[1], rest[2:]
        if not 1 <= len(rest) <= 3 or (group_version, rest[0]) not in self._by_path:
            return None
        resource = self._by_path[group_version, rest[0]]
        if namespace is not None and not resource.namespaced:
            return None
        padded: list[str | None] = [*rest[1:], None, None]
        if padded[0] is not None and resource.namespaced and namespace is None:
            return None
        if padded[1] is not None and padded[1] not in resource.subresources:
            return None
        return ApiPath(resource, namespace, padded[0], padded[1])

    def serves_below(self, path: str) -> bool:
        """Tell whether a path lies below a group and version that is served."""
        parts = path.strip("/").split("/")
        depth = {"api": 2, "apis": 3}.get(parts[0], len(parts))
        return len(parts) > depth and "/".join(parts[1:depth]) in self.group_versions

    def document(self, path: str, accept: str) -> Json | None:
        """Return the discovery document at path (without trailing slash), None if it is none."""
        if path in ("/api", "/apis"):
            for version in _aggregated_versions(accept):
                return self._aggregated(path == "/api", version)
            return _api_versions() if path == "/api" else self._groups()
        group_version = path.removeprefix("/apis/" if path.startswith("/apis/") else "/api/")
        if (group_version == "v1") != path.startswith("/api/"):
            return None
        if group_version in self.group_versions:
            return self._resource_list(group_version)
        groups = self._groups()["groups"]
        found = next((it for it in groups if it["name"] == group_version), None)
        return {"kind": "APIGroup", "apiVersion": "v1", **found} if found else None

    def _groups(self) -> Json:
        versions: dict[str, list[Json]] = {}
        for group_version in self.group_versions:
            group, slash, version = group_version.rpartition("/")
            if slash:
                entry = {"groupVersion": group_version, "version": version}
                versions.setdefault(group, []).append(entry)
        groups = [
            {"name": group, "versions": found, "preferredVersion": found[0]}
            for group, found in versions.items()
        ]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def _resource_list(self, group_version: str) -> Json:
        entries = []
        for resource in self.all:
            if resource.group_version == group_version:
                entries.append(_legacy_entry(resource))
                for sub in resource.subresources:
                    entries.append(
                        {
                            "name": f"{resource.plural}/{sub}",
                            "singularName": "",
                            "namespaced": resource.namespaced,
                            "kind": "Scale" if sub == "scale" else resource.kind,
                            "verbs": ["get"] if sub == "log" else ["get", "patch", "update"],
                        }
                    )
        # The core group's list is older than the field apiVersion.
        head = {"apiVersion": "v1"} if "/" in group_version else {}
        return {
            "kind": "APIResourceList",
            **head,
            "groupVersion": group_version,
            "resources": entries,
        }

    def _aggregated(self, core: bool, version: str) -> Json:
        groups: dict[str, dict[str, list[Json]]] = {}
        for resource in self.all:
            if (resource.group == "") == core:
                by_version = groups.setdefault(resource.group, {})
                by_version.setdefault(resource.version, []).append(_aggregated_entry(resource))
        items = [
            {
                "metadata": {"name": group, "creationTimestamp": None} if group else {},
                "versions": [
                    {"version": name, "resources": entries, "freshness": "Current"}
                    for name, entries in by_version.items()
                ],
            }
            for group, by_version in groups.items()
        ]
        api_version = f"apidiscovery.k8s.io/{version}"
        kind = "APIGroupDiscoveryList"
        return {"kind": kind, "apiVersion": api_version, "metadata": {}, "items": items}


def _aggregated_versions(accept: str) -> list[str]:
    wanted = []
    for choice in accept.split(","):
        options = dict(part.strip().partition("=")[::2] for part in choice.split(";")[1:])
        if options.get("as") == "APIGroupDiscoveryList" and options.get("v") in ("v2", "v2beta1"):
            wanted.append(options["v"])
    return wanted


def _api_versions() -> Json:
    address = {"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [address],
    }


def _legacy_entry(resource: Resource) -> Json:
    entry: Json = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    return entry


def _aggregated_entry(resource: Resource) -> Json:
    def kind(name: str) -> Json:
        # Of what is built in it says the kind alone.
        group, version = (resource.group, resource.version) if resource.custom else ("", "")
        return {"group": group, "version": version, "kind": name}

    entry: Json = {
        "resource": resource.plural,
        "responseKind": kind(resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
        "subresources": [
            {
                "subresource": sub,
                "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"}
                if sub == "scale"
                else kind(resource.kind),
                "verbs": ["get"] if sub == "log" else ["get", "patch", "update"],
            }
            for sub in resource.subresources
        ],
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    return entry


def _parse_table(table: str, *, custom: bool = False) -> list[Resource]:
    def words(cell: str) -> tuple[str, ...]:
        return () if cell == "-" else tuple(cell.split(","))

    found, group, version = [], "", ""
    for line in table.strip().splitlines():
        if not line.startswith(" "):
            group, _, version = line.rpartition("/")
            continue
        plural, kind, scope, short, categories, subs = line.split()
        found.append(
            Resource(
                group=group,
                version=version,
                plural=plural,
                kind=kind,
                namespaced=scope == "n",
                short_names=words(short),
                categories=words(categories),
                subresources=words(subs),
                singular=kind.lower(),
                custom=custom,
            )
        )
    return found


def _custom(definition: Mapping[str, Any]) -> list[Resource]:
    spec = definition["spec"]
    names = spec["names"]
    return [
        Resource(
            group=spec["group"],
            version=version["name"],
            plural=names["plural"],
            kind=names["kind"],
            namespaced=spec["scope"] == "Namespaced",
            short_names=tuple(names.get("shortNames", ())),
            categories=tuple(names.get("categories", ())),
            subresources=tuple(version.get("subresources", {})),
            singular=names.get("singular", names["kind"].lower()),
            custom=True,
        )
        for version in spec["versions"]
        if version.get("served", True)
    ]
