"""A small cluster with one of all that the Kubernetes probe reads, and what it must not read."""

from tests.targets.kubernetes.target import KUBE_SYSTEM, Object, thing

BETA = "storageclass.beta.kubernetes.io/is-default-class"
GA = "storageclass.kubernetes.io/is-default-class"
SECRET = "canary-d41d8cd9"
POLICY = thing(
    "networking.k8s.io/v1",
    "NetworkPolicy",
    "web",
    "shop",
    spec={
        "podSelector": {
            "matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}],
        },
        "ingress": [
            {
                "from": [
                    {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
                    {"namespaceSelector": {}, "podSelector": {"matchLabels": {"a": "b"}}},
                ],
                "ports": [{"port": "http"}, {"protocol": "UDP", "port": 1, "endPort": 9}],
            },
            {},
        ],
        "egress": [{}],
    },
)
SERVICE = thing(
    "v1", "Service", "kube-dns", "kube-system", metadata={"labels": {"k8s-app": "kube-dns"}}
)
SLICE = thing(
    "discovery.k8s.io/v1",
    "EndpointSlice",
    "kube-dns-x",
    "kube-system",
    metadata={"labels": {"kubernetes.io/service-name": "kube-dns"}},
    addressType="IPv4",
    endpoints=[
        {"addresses": ["10.0.0.1"], "conditions": {"ready": True}},
        {"addresses": ["10.0.0.2"]},
        {"addresses": ["10.0.0.3"], "conditions": {"ready": False}},
    ],
)
WORLD: list[Object] = [
    KUBE_SYSTEM,
    thing("v1", "Namespace", "shop", metadata={"labels": {"team": "a"}}),
    thing(
        "v1",
        "Node",
        "n1",
        metadata={"labels": {"topology.kubernetes.io/zone": "a"}},
        spec={"unschedulable": True, "taints": [{"key": "k", "effect": "NoSchedule"}]},
        status={
            "capacity": {"cpu": "4", "memory": "8145240Ki", "pods": "110"},
            "conditions": [
                {"type": "Ready", "status": "True"},
                {"type": "KernelDeadlock", "status": "False"},
            ],
        },
    ),
    thing(
        "storage.k8s.io/v1",
        "StorageClass",
        "a",
        provisioner="x",
        metadata={"annotations": {BETA: "true"}},
    ),
    thing(
        "storage.k8s.io/v1",
        "StorageClass",
        "b",
        provisioner="x",
        metadata={
            "annotations": {GA: "false", "kubectl.kubernetes.io/last-applied-configuration": SECRET}
        },
    ),
    thing("storage.k8s.io/v1", "CSIDriver", "x"),
    thing(
        "v1",
        "PersistentVolumeClaim",
        "data",
        "shop",
        spec={"storageClassName": "a"},
        status={"phase": "Pending"},
    ),
    thing("v1", "PersistentVolumeClaim", "data", "elsewhere", status={"phase": "Lost"}),
    POLICY,
    SERVICE,
    SLICE,
    thing(
        "v1",
        "Service",
        "external",
        "kube-system",
        spec={"type": "ExternalName"},
        metadata={"labels": {"kubernetes.io/cluster-service": "true"}},
    ),
    thing("v1", "Service", "kubelet", "kube-system"),
    thing(
        "v1",
        "Service",
        "controller",
        "ingress",
        metadata={"labels": {"app.kubernetes.io/name": "ingress-nginx"}},
    ),
    thing("v1", "Service", "shop", "shop", metadata={"labels": {"k8s-app": "kube-dns"}}),
    *(
        thing(
            "v1",
            "Pod",
            f"web-{letter}",
            "shop",
            metadata={
                "labels": {"app": "web"},
                "annotations": {"secret": SECRET},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "web", "controller": True}],
            },
            spec={"containers": [{"name": "c", "env": [{"name": "P", "value": SECRET}]}]},
            status={"phase": "Running"},
        )
        for letter in "ba"
    ),
    thing("v1", "Pod", "bare", "shop", spec={"hostNetwork": True}, status={"phase": "Succeeded"}),
]


def nodes(count: int) -> list[Object]:
    return [thing("v1", "Node", f"n{number:04}") for number in range(count)]
