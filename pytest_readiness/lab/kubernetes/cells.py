"""Cells of the tables of the lab's Kubernetes API: one function a column.

PYTEST_DONT_REWRITE
"""

import datetime
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

Object = Mapping[str, Any]
Getter = Callable[[Object], Any]


class Column(NamedTuple):
    """One column; wide ones are printed by `-o wide` alone."""

    name: str
    get: Getter
    wide: bool = False


def get_in(thing: Any, path: str, default: Any = None) -> Any:
    """Return the value at a dotted path, default where anything on the way is missing."""
    for part in path.split("."):
        thing = thing.get(part) if isinstance(thing, Mapping) else None
    return default if thing is None else thing


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


def at(path: str, default: Any = "<none>") -> Getter:
    """Return the getter of a dotted path."""
    return lambda thing: get_in(thing, path, default)


def count(path: str) -> Getter:
    """Return the getter of the number of entries at a path."""
    return lambda thing: str(len(get_in(thing, path, ())))


def join(values: Iterable[Any]) -> str:
    """Return the values with commas between them."""
    return ",".join(str(value) for value in values) or "<none>"


def of(left: str, right: str) -> Getter:
    """Return the getter of `left/right`."""
    return lambda thing: f"{get_in(thing, left, 0)}/{get_in(thing, right, 0)}"


def since(path: str) -> Getter:
    """Return the getter of the age of a timestamp."""
    return lambda thing: age(get_in(thing, path))


def quota_requests(thing: Object) -> str:
    """Return the cell `request`: `pods: 3/10, ...` of what is no limit."""
    return _quota(thing, limits=False)


def quota_limits(thing: Object) -> str:
    """Return the cell `limit`: the same of limits.cpu and its like."""
    return _quota(thing, limits=True)


def _quota(thing: Object, *, limits: bool) -> str:
    hard = get_in(thing, "status.hard", {})
    used = get_in(thing, "status.used", {})
    return ", ".join(
        f"{name}: {used.get(name, 0)}/{hard[name]}"
        for name in sorted(hard)
        if name.startswith("limits") is limits
    )


def images(thing: Object) -> str:
    """Return the cell `images`."""
    return join(it.get("image") for it in get_in(thing, "spec.template.spec.containers", ()))


def containers(thing: Object) -> str:
    """Return the cell `containers`."""
    return join(it.get("name") for it in get_in(thing, "spec.template.spec.containers", ()))


def selector(path: str) -> Getter:
    """Return the getter of a mapping as `key=value,...`."""
    return lambda thing: join(f"{k}={v}" for k, v in get_in(thing, path, {}).items())


def node_status(thing: Object) -> str:
    """Return the cell `node status`."""
    conditions = {it["type"]: it["status"] for it in get_in(thing, "status.conditions", ())}
    words = {"True": "Ready", "False": "NotReady"}
    status = words.get(conditions.get("Ready", ""), "Unknown")
    return f"{status},SchedulingDisabled" if get_in(thing, "spec.unschedulable") else status


def node_roles(thing: Object) -> str:
    """Return the cell `node roles`."""
    prefix = "node-role.kubernetes.io/"
    labels = get_in(thing, "metadata.labels", {})
    return join(sorted(key[len(prefix) :] for key in labels if key.startswith(prefix)))


def node_address(kind: str) -> Getter:
    """Return the getter of the address of that type."""

    def get(thing: Object) -> str:
        found = (it for it in get_in(thing, "status.addresses", ()) if it["type"] == kind)
        return str(next((it["address"] for it in found), "<none>"))

    return get


def pod_ready(thing: Object) -> str:
    """Return the cell `pod ready`."""
    statuses = get_in(thing, "status.containerStatuses", ())
    ready = sum(1 for it in statuses if it.get("ready"))
    return f"{ready}/{len(get_in(thing, 'spec.containers', ()))}"


def pod_status(thing: Object) -> Any:
    """Return the cell `pod status`."""
    if get_in(thing, "metadata.deletionTimestamp"):
        return "Terminating"
    for it in get_in(thing, "status.containerStatuses", ()):
        for state in ("waiting", "terminated"):
            reason = get_in(it, f"state.{state}.reason")
            if reason:
                return reason
    return get_in(thing, "status.reason") or get_in(thing, "status.phase", "Unknown")


def pod_restarts(thing: Object) -> str:
    """Return the cell `pod restarts`."""
    statuses = get_in(thing, "status.containerStatuses", ())
    return str(sum(it.get("restartCount", 0) for it in statuses))


def service_ports(thing: Object) -> str:
    """Return the cell `service ports`."""

    def port(it: Object) -> str:
        node_port = f":{it['nodePort']}" if it.get("nodePort") else ""
        return f"{it.get('port')}{node_port}/{it.get('protocol', 'TCP')}"

    return join(port(it) for it in get_in(thing, "spec.ports", ()))


def external_ip(thing: Object) -> str:
    """Return the cell `external ip`."""
    found = get_in(thing, "status.loadBalancer.ingress", ())
    return join(it.get("ip") or it.get("hostname") for it in found)


def endpoints(thing: Object) -> str:
    """Return the cell `endpoints`."""
    return join(
        f"{address['ip']}:{port.get('port')}"
        for subset in get_in(thing, "subsets", ())
        for address in subset.get("addresses") or ()
        for port in subset.get("ports") or ()
    )


def slice_ports(thing: Object) -> str:
    """Return the cell `slice ports`."""
    return join(port.get("port") for port in get_in(thing, "ports", ()))


def slice_addresses(thing: Object) -> str:
    """Return the cell `slice addresses`."""
    found = get_in(thing, "endpoints", ())
    return join(address for it in found for address in it.get("addresses") or ())


def class_name(thing: Object) -> str:
    """Return the cell `class name`."""
    annotation = "storageclass.kubernetes.io/is-default-class"
    default = get_in(thing, "metadata.annotations", {}).get(annotation) == "true"
    return f"{thing['metadata']['name']} (default)" if default else thing["metadata"]["name"]


def claim(thing: Object) -> str:
    """Return the cell `claim`."""
    reference = get_in(thing, "spec.claimRef")
    return f"{reference.get('namespace')}/{reference.get('name')}" if reference else ""


def modes(path: str) -> Getter:
    """Return the getter of access modes in short."""
    short = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX"}
    short["ReadWriteOncePod"] = "RWOP"
    return lambda thing: ",".join(short.get(mode, mode) for mode in get_in(thing, path, ()))


def hpa_targets(thing: Object) -> str:
    """Return the cell `hpa targets`."""
    current = get_in(thing, "status.currentMetrics", ())
    shown = []
    for number, metric in enumerate(get_in(thing, "spec.metrics", ())):
        target = get_in(metric, "resource.target.averageUtilization", "<unknown>")
        now = current[number] if number < len(current) else {}
        value = get_in(now, "resource.current.averageUtilization", "<unknown>")
        shown.append(f"{get_in(metric, 'resource.name', '?')}: {value}%/{target}%")
    return ", ".join(shown) or "<none>"


def scale_target(thing: Object) -> str:
    """Return the cell `scale target`."""
    return (
        f"{get_in(thing, 'spec.scaleTargetRef.kind')}/{get_in(thing, 'spec.scaleTargetRef.name')}"
    )


def hosts(thing: Object) -> str:
    """Return the cell `hosts`."""
    return join(rule.get("host", "*") for rule in get_in(thing, "spec.rules", ()))


def event_object(thing: Object) -> str:
    """Return the cell `event object`."""
    kind, name = (get_in(thing, f"involvedObject.{key}", "") for key in ("kind", "name"))
    return f"{kind.lower()}/{name}"


def event_seen(thing: Object) -> str:
    """Return the cell `event seen`."""
    return age(get_in(thing, "lastTimestamp") or get_in(thing, "eventTime"))


def role(thing: Object) -> str:
    """Return the cell `role`."""
    return f"{get_in(thing, 'roleRef.kind')}/{get_in(thing, 'roleRef.name')}"


def job_status(thing: Object) -> str:
    """Return the cell `job status`."""
    for it in get_in(thing, "status.conditions", ()):
        if it.get("type") in ("Complete", "Failed") and it.get("status") == "True":
            return str(it["type"])
    return "Running"


def job_duration(thing: Object) -> str:
    """Return how long a job ran, or has been running."""
    end = get_in(thing, "status.completionTime")
    until = datetime.datetime.fromisoformat(end) if end else None
    return age(get_in(thing, "status.startTime"), until)
