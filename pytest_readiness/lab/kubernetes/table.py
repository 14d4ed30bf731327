"""Tables (meta.k8s.io/v1) of the lab's Kubernetes API: the columns that `kubectl get` prints.

Columns follow Kubernetes 1.36 pkg/printers/internalversion; a kind without columns of its own is
printed by name and age, a custom one by its additionalPrinterColumns.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterable
from typing import Any

from pytest_readiness.lab.kubernetes import cells as cell
from pytest_readiness.lab.kubernetes.cells import Column, Getter, Object, get_in
from pytest_readiness.lab.kubernetes.discovery import Resource


def definitions(columns: Iterable[Column]) -> list[dict[str, Any]]:
    """Return columnDefinitions; the first column is the name, as kubectl expects."""
    return [
        {
            "name": column.name,
            "type": "string",
            "format": "name" if column.name == "Name" else "",
            "description": "",
            "priority": 1 if column.wide else 0,
        }
        for column in columns
    ]


def cells(columns: Iterable[Column], thing: Object) -> list[Any]:
    """Return the cells of one row."""
    return [column.get(thing) for column in columns]


def columns_of(resource: Resource, definition: Object | None) -> list[Column]:
    """Return the columns of a resource; definition is its CustomResourceDefinition, if any."""
    if resource.kind in _COLUMNS and not resource.custom:
        own = _COLUMNS[resource.kind]
        return own if resource.kind in _WITHOUT_NAME else [_NAME, *own]
    return [_NAME, *_printer_columns(resource, definition), _AGE]


def _printer_columns(resource: Resource, definition: Object | None) -> list[Column]:
    for version in get_in(definition, "spec.versions", ()):
        if version["name"] == resource.version:
            return [
                Column(it["name"], _json_path(it["jsonPath"]), it.get("priority", 0) > 0)
                for it in version.get("additionalPrinterColumns", ())
                if it["name"] != "Age"
            ]
    return []


def _json_path(path: str) -> Getter:
    # Of JSONPath only `.a.b` and `.conditions[?(@.type=="Ready")].status`, which most CRDs use.
    head, found, tail = path.partition('[?(@.type=="')
    if not found:
        return lambda thing: get_in(thing, path.strip("."), "")
    wanted, _, rest = tail.partition('")].')

    def get(thing: Object) -> Any:
        elements = (it for it in get_in(thing, head.strip("."), ()) if it.get("type") == wanted)
        return next((get_in(it, rest, "") for it in elements), "")

    return get


def _job_of(cron_job: Object) -> Object:
    return {"spec": get_in(cron_job, "spec.jobTemplate.spec", {})}


_NAME = Column("Name", cell.at("metadata.name"))
_AGE = Column("Age", cell.since("metadata.creationTimestamp"))
_CREATED = Column("Created At", cell.at("metadata.creationTimestamp"))
_job_selector = cell.selector("spec.selector.matchLabels")
_TEMPLATE = [
    Column("Containers", cell.containers, True),
    Column("Images", cell.images, True),
    Column("Selector", cell.selector("spec.selector.matchLabels"), True),
]
_COLUMNS: dict[str, list[Column]] = {
    "Pod": [
        Column("Ready", cell.pod_ready),
        Column("Status", cell.pod_status),
        Column("Restarts", cell.pod_restarts),
        _AGE,
        Column("IP", cell.at("status.podIP"), True),
        Column("Node", cell.at("spec.nodeName"), True),
        Column("Nominated Node", cell.at("status.nominatedNodeName"), True),
        Column("Readiness Gates", lambda _: "<none>", True),
    ],
    "Node": [
        Column("Status", cell.node_status),
        Column("Roles", cell.node_roles),
        _AGE,
        Column("Version", cell.at("status.nodeInfo.kubeletVersion")),
        Column("Internal-IP", cell.node_address("InternalIP"), True),
        Column("External-IP", cell.node_address("ExternalIP"), True),
        Column("OS-Image", cell.at("status.nodeInfo.osImage"), True),
        Column("Kernel-Version", cell.at("status.nodeInfo.kernelVersion"), True),
        Column("Container-Runtime", cell.at("status.nodeInfo.containerRuntimeVersion"), True),
    ],
    "Deployment": [
        Column("Ready", cell.of("status.readyReplicas", "spec.replicas")),
        Column("Up-to-date", cell.at("status.updatedReplicas", 0)),
        Column("Available", cell.at("status.availableReplicas", 0)),
        _AGE,
        *_TEMPLATE,
    ],
    "ReplicaSet": [
        Column("Desired", cell.at("spec.replicas", 0)),
        Column("Current", cell.at("status.replicas", 0)),
        Column("Ready", cell.at("status.readyReplicas", 0)),
        _AGE,
        *_TEMPLATE,
    ],
    "StatefulSet": [
        Column("Ready", cell.of("status.readyReplicas", "spec.replicas")),
        _AGE,
        *_TEMPLATE[:2],
    ],
    "DaemonSet": [
        Column("Desired", cell.at("status.desiredNumberScheduled", 0)),
        Column("Current", cell.at("status.currentNumberScheduled", 0)),
        Column("Ready", cell.at("status.numberReady", 0)),
        Column("Up-to-date", cell.at("status.updatedNumberScheduled", 0)),
        Column("Available", cell.at("status.numberAvailable", 0)),
        Column("Node Selector", cell.selector("spec.template.spec.nodeSelector")),
        _AGE,
        *_TEMPLATE,
    ],
    "Service": [
        Column("Type", cell.at("spec.type")),
        Column("Cluster-IP", cell.at("spec.clusterIP")),
        Column("External-IP", cell.external_ip),
        Column("Port(s)", cell.service_ports),
        _AGE,
        Column("Selector", cell.selector("spec.selector"), True),
    ],
    "Endpoints": [Column("Endpoints", cell.endpoints), _AGE],
    "EndpointSlice": [
        Column("AddressType", cell.at("addressType")),
        Column("Ports", cell.slice_ports),
        Column("Endpoints", cell.slice_addresses),
        _AGE,
    ],
    "Ingress": [
        Column("Class", cell.at("spec.ingressClassName")),
        Column("Hosts", cell.hosts),
        Column("Address", lambda it: cell.external_ip(it).replace("<none>", "")),
        Column("Ports", lambda it: "80, 443" if get_in(it, "spec.tls") else "80"),
        _AGE,
    ],
    "IngressClass": [
        Column("Controller", cell.at("spec.controller")),
        Column("Parameters", cell.at("spec.parameters.name")),
        _AGE,
    ],
    "ConfigMap": [Column("Data", cell.count("data")), _AGE],
    "ResourceQuota": [
        Column("Request", cell.quota_requests),
        Column("Limit", cell.quota_limits),
        _AGE,
    ],
    "Secret": [Column("Type", cell.at("type", "Opaque")), Column("Data", cell.count("data")), _AGE],
    "Namespace": [Column("Status", cell.at("status.phase")), _AGE],
    "PersistentVolumeClaim": [
        Column("Status", cell.at("status.phase")),
        Column("Volume", cell.at("spec.volumeName", "")),
        Column("Capacity", cell.at("status.capacity.storage", "")),
        Column("Access Modes", cell.modes("status.accessModes")),
        Column("StorageClass", cell.at("spec.storageClassName", "")),
        Column("VolumeAttributesClass", cell.at("spec.volumeAttributesClassName", "<unset>")),
        _AGE,
        Column("VolumeMode", cell.at("spec.volumeMode", "Filesystem"), True),
    ],
    "PersistentVolume": [
        Column("Capacity", cell.at("spec.capacity.storage", "")),
        Column("Access Modes", cell.modes("spec.accessModes")),
        Column("Reclaim Policy", cell.at("spec.persistentVolumeReclaimPolicy")),
        Column("Status", cell.at("status.phase")),
        Column("Claim", cell.claim),
        Column("StorageClass", cell.at("spec.storageClassName", "")),
        Column("VolumeAttributesClass", cell.at("spec.volumeAttributesClassName", "<unset>")),
        Column("Reason", cell.at("status.reason", "")),
        _AGE,
        Column("VolumeMode", cell.at("spec.volumeMode", "Filesystem"), True),
    ],
    "StorageClass": [
        Column("Name", cell.class_name),
        Column("Provisioner", cell.at("provisioner")),
        Column("ReclaimPolicy", cell.at("reclaimPolicy", "Delete")),
        Column("VolumeBindingMode", cell.at("volumeBindingMode", "Immediate")),
        Column("AllowVolumeExpansion", cell.at("allowVolumeExpansion", False)),
        _AGE,
    ],
    "CSIDriver": [
        Column("AttachRequired", cell.at("spec.attachRequired", True)),
        Column("PodInfoOnMount", cell.at("spec.podInfoOnMount", False)),
        Column("StorageCapacity", cell.at("spec.storageCapacity", False)),
        Column("Modes", lambda it: cell.join(get_in(it, "spec.volumeLifecycleModes", ()))),
        _AGE,
    ],
    "CSINode": [Column("Drivers", cell.count("spec.drivers")), _AGE],
    "NetworkPolicy": [Column("Pod-Selector", cell.selector("spec.podSelector.matchLabels")), _AGE],
    "HorizontalPodAutoscaler": [
        Column("Reference", cell.scale_target),
        Column("Targets", cell.hpa_targets),
        Column("MinPods", cell.at("spec.minReplicas", "<unset>")),
        Column("MaxPods", cell.at("spec.maxReplicas")),
        Column("Replicas", cell.at("status.currentReplicas", 0)),
        _AGE,
    ],
    "PodDisruptionBudget": [
        Column("Min Available", cell.at("spec.minAvailable", "N/A")),
        Column("Max Unavailable", cell.at("spec.maxUnavailable", "N/A")),
        Column("Allowed Disruptions", cell.at("status.disruptionsAllowed", 0)),
        _AGE,
    ],
    "CronJob": [
        Column("Schedule", cell.at("spec.schedule")),
        Column("Timezone", cell.at("spec.timeZone")),
        Column("Suspend", lambda it: str(get_in(it, "spec.suspend", False))),
        Column("Active", cell.count("status.active")),
        Column("Last Schedule", cell.since("status.lastScheduleTime")),
        _AGE,
        Column("Containers", lambda it: cell.containers(_job_of(it)), True),
        Column("Images", lambda it: cell.images(_job_of(it)), True),
        Column("Selector", lambda it: _job_selector(_job_of(it)), True),
    ],
    "Job": [
        Column("Status", cell.job_status),
        Column("Completions", cell.of("status.succeeded", "spec.completions")),
        Column("Duration", cell.job_duration),
        _AGE,
    ],
    "Event": [
        Column("Last Seen", cell.event_seen),
        Column("Type", cell.at("type")),
        Column("Reason", cell.at("reason")),
        Column("Object", cell.event_object),
        Column("Message", cell.at("message")),
        Column("Name", cell.at("metadata.name"), True),
    ],
    "Lease": [Column("Holder", cell.at("spec.holderIdentity")), _AGE],
    "Role": [_CREATED],
    "ClusterRole": [_CREATED],
    "RoleBinding": [Column("Role", cell.role), _AGE],
    "ClusterRoleBinding": [Column("Role", cell.role), _AGE],
    "CustomResourceDefinition": [_CREATED],
    "PriorityClass": [
        Column("Value", cell.at("value")),
        Column("Global-Default", cell.at("globalDefault", False)),
        _AGE,
        Column("PreemptionPolicy", cell.at("preemptionPolicy", "PreemptLowerPriority")),
    ],
}
# Kinds whose columns hold their name in a way of their own, or do not begin with it.
_WITHOUT_NAME = ("Event", "StorageClass")
