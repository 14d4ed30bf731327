"""Cells of the tables of the lab's Kubernetes API: what tables.yaml names, and paths.

A function gets the object and the arguments that stand in tables.yaml, and returns the cell.

PYTEST_DONT_REWRITE
"""

import datetime
import re
from collections.abc import Mapping
from typing import Any

Object = Mapping[str, Any]
# The steps of JSONPath that tables and most CustomResourceDefinitions use.
_STEP = re.compile(r'\.?(?P<name>[^.\[]+)|\[\*\]|\[\?\(@\.(?P<key>\w+)=="(?P<word>[^"]*)"\)\]')
_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def find(thing: Any, path: str) -> list[Any]:
    """Return every value at a path like `.a.b`, `.a[*].b` or `.a[?(@.type=="x")].b`."""
    found = [thing]
    for step in _STEP.finditer(path):
        name, key, word = step["name"], step["key"], step["word"]
        if name:
            inside = (it.get(name) for it in found if isinstance(it, Mapping))
            found = [it for it in inside if it is not None]
        else:
            found = [one for it in found for one in it if not key or one.get(key) == word]
    return found


def get_in(thing: Any, path: str, default: Any = None) -> Any:
    """Return the first value at a path, default where anything on the way is missing."""
    return next(iter(find(thing, path)), default)


def age(since: str | None, now: datetime.datetime | None = None) -> str:
    """Return how long ago a timestamp was, as kubectl words it: `5m30s`, `3h`, `12d`."""
    if not since:
        return "<unknown>"
    then = datetime.datetime.fromisoformat(since)
    seconds = int(((now or datetime.datetime.now(datetime.UTC)) - then).total_seconds())
    if seconds < 120:
        return f"{max(seconds, 0)}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d" if days < 730 else f"{days // 365}y"


def since(thing: Object, path: str = ".metadata.creationTimestamp") -> str:
    """Return the age of a timestamp, of the object itself without a path."""
    return age(get_in(thing, path))


def count(thing: Object, path: str) -> str:
    """Return the number of entries at a path."""
    return str(len(get_in(thing, path, ())))


def of(thing: Object, left: str, right: str) -> str:
    """Return `left/right`."""
    return f"{get_in(thing, left, 0)}/{get_in(thing, right, 0)}"


def join(thing: Object, path: str, nothing: str = "<none>") -> str:
    """Return the values at a path with commas between them."""
    return ",".join(map(str, find(thing, path))) or nothing


def labels(thing: Object, path: str) -> str:
    """Return a mapping as `key=value,...`."""
    return ",".join(f"{key}={it}" for key, it in get_in(thing, path, {}).items()) or "<none>"


def modes(thing: Object, path: str) -> str:
    """Return access modes in short."""
    return ",".join(_MODES.get(mode, mode) for mode in get_in(thing, path, ()))


def quota(thing: Object, which: str) -> str:
    """Return `pods: 3/10, ...`: the limits (limits.cpu and its like), or all the others."""
    hard, used = get_in(thing, ".status.hard", {}), get_in(thing, ".status.used", {})
    return ", ".join(
        f"{name}: {used.get(name, 0)}/{hard[name]}"
        for name in sorted(hard)
        if name.startswith("limits") is (which == "limits")
    )


def node_status(thing: Object) -> str:
    """Return `Ready`, `NotReady` or `Unknown`, and whether the node is cordoned."""
    ready = get_in(thing, '.status.conditions[?(@.type=="Ready")].status')
    status = {"True": "Ready", "False": "NotReady"}.get(ready, "Unknown")
    return f"{status},SchedulingDisabled" if get_in(thing, ".spec.unschedulable") else status


def node_roles(thing: Object) -> str:
    """Return what the labels `node-role.kubernetes.io/ROLE` name."""
    prefix = "node-role.kubernetes.io/"
    keys = sorted(get_in(thing, ".metadata.labels", {}))
    return ",".join(key[len(prefix) :] for key in keys if key.startswith(prefix)) or "<none>"


def pod_ready(thing: Object) -> str:
    """Return how many of the containers are ready."""
    ready = sum(bool(it) for it in find(thing, ".status.containerStatuses[*].ready"))
    return f"{ready}/{len(get_in(thing, '.spec.containers', ()))}"


def pod_status(thing: Object) -> Any:
    """Return the phase, or why a container does not run."""
    if get_in(thing, ".metadata.deletionTimestamp"):
        return "Terminating"
    for it in get_in(thing, ".status.containerStatuses", ()):
        reason = get_in(it, ".state.waiting.reason") or get_in(it, ".state.terminated.reason")
        if reason:
            return reason
    return get_in(thing, ".status.reason") or get_in(thing, ".status.phase", "Unknown")


def pod_restarts(thing: Object) -> str:
    """Return the restarts of all containers."""
    return str(sum(find(thing, ".status.containerStatuses[*].restartCount")))


def service_ports(thing: Object) -> str:
    """Return `80/TCP,443:30443/TCP`."""
    shown = []
    for port in get_in(thing, ".spec.ports", ()):
        node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port.get('port')}{node_port}/{port.get('protocol', 'TCP')}")
    return ",".join(shown) or "<none>"


def external(thing: Object, nothing: str) -> str:
    """Return the addresses of the load balancer."""
    found = find(thing, ".status.loadBalancer.ingress[*]")
    return ",".join(str(it.get("ip") or it.get("hostname")) for it in found) or nothing


def ingress_ports(thing: Object) -> str:
    """Return the ports that an Ingress has with TLS, or without."""
    return "80, 443" if get_in(thing, ".spec.tls") else "80"


def endpoints(thing: Object) -> str:
    """Return `address:port` of every address and port."""
    shown = [
        f"{address}:{port}"
        for subset in get_in(thing, ".subsets", ())
        for address in find(subset, ".addresses[*].ip")
        for port in find(subset, ".ports[*].port")
    ]
    return ",".join(shown) or "<none>"


def class_name(thing: Object) -> str:
    """Return the name of a storage class, and whether it is the default."""
    annotation = "storageclass.kubernetes.io/is-default-class"
    default = get_in(thing, ".metadata.annotations", {}).get(annotation) == "true"
    return f"{thing['metadata']['name']} (default)" if default else thing["metadata"]["name"]


def claim(thing: Object) -> str:
    """Return the claim of a volume as `namespace/name`."""
    reference = get_in(thing, ".spec.claimRef")
    return f"{reference.get('namespace')}/{reference.get('name')}" if reference else ""


def hpa_targets(thing: Object) -> str:
    """Return `cpu: 68%/70%, ...`."""
    current = get_in(thing, ".status.currentMetrics", ())
    shown = []
    for number, metric in enumerate(get_in(thing, ".spec.metrics", ())):
        target = get_in(metric, ".resource.target.averageUtilization", "<unknown>")
        now = current[number] if number < len(current) else {}
        value = get_in(now, ".resource.current.averageUtilization", "<unknown>")
        shown.append(f"{get_in(metric, '.resource.name', '?')}: {value}%/{target}%")
    return ", ".join(shown) or "<none>"


def suspended(thing: Object) -> str:
    """Return whether a CronJob is suspended, as a word."""
    return str(get_in(thing, ".spec.suspend", False))


def event_object(thing: Object) -> str:
    """Return `pod/name` of what an event is about."""
    kind, name = (get_in(thing, f".involvedObject.{key}", "") for key in ("kind", "name"))
    return f"{kind.lower()}/{name}"


def event_seen(thing: Object) -> str:
    """Return how long ago an event was last seen."""
    return age(get_in(thing, ".lastTimestamp") or get_in(thing, ".eventTime"))


def job_status(thing: Object) -> str:
    """Return how a job ended, or that it runs."""
    for it in get_in(thing, ".status.conditions", ()):
        if it.get("type") in ("Complete", "Failed") and it.get("status") == "True":
            return str(it["type"])
    return "Running"


def job_duration(thing: Object) -> str:
    """Return how long a job ran, or has been running."""
    end = get_in(thing, ".status.completionTime")
    until = datetime.datetime.fromisoformat(end) if end else None
    return age(get_in(thing, ".status.startTime"), until)
