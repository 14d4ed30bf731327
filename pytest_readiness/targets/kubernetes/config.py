"""From a kubeconfig and a context, or a pod's service account, to an ApiClient.

Only `kubernetes.config` and `ApiClient` are used: on kubernetes 37 the typed API costs a second
of import. Nothing that a kubeconfig or an exec plugin holds gets into a message.

PYTEST_DONT_REWRITE
"""

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment

from pytest_readiness.errors import ProbeError, ProbeErrorKind
from pytest_readiness.targets.kubernetes.section import Kubernetes

_DEFAULT = "~/.kube/config"
_EXIT = re.compile(r"exec: process returned (-?\d+)")


def import_client() -> None:
    """Import the client library: up to a second that no time-out of a question shall count."""
    with warnings.catch_warnings():
        # Old releases of the client use what newer Pythons deprecate; not this project's to fix.
        warnings.simplefilter("ignore")
        import kubernetes.client
        import kubernetes.config  # noqa: F401


def load(section: Kubernetes) -> Any:
    """Return a kubernetes.client.ApiClient for the section.

    Raises ProbeError UNREACHABLE when the kubeconfig does not say where the cluster is, and
    UNAUTHORIZED when the exec plugin gives no credential. An exec plugin runs without time limit
    here; the caller sets one.
    """
    from kubernetes.client import ApiClient, Configuration

    configuration: Any = type.__call__(Configuration)
    if section.in_cluster:
        _in_cluster(configuration)
        proxy_url = None
    else:
        proxy_url = _from_kubeconfig(section, configuration)
    _set_proxy(configuration, proxy_url)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # urllib3 tells of PySocks before the import fails
            return ApiClient(configuration=configuration)
    except Exception as error:
        if not str(configuration.proxy or "").startswith("socks"):
            raise _unusable(section, error) from error
        raise _bad_config(
            section,
            f"the SOCKS proxy cannot be used: {type(error).__name__}",
            "Install PySocks beside this package, or set an HTTP proxy (proxy-url, HTTPS_PROXY).",
        ) from error


def where(section: Kubernetes) -> str:
    """Name the target before its address is known."""
    return "kubernetes in-cluster" if section.in_cluster else f"kubernetes {section.context}"


@contextmanager
def quiet() -> Iterator[list[str]]:
    """Catch what the client logs of an exec plugin: the messages hold the plugin's stderr.

    The client logs a plugin's failure and goes on without credentials.
    """
    said: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        if f"{os.sep}kubernetes{os.sep}" not in record.pathname:
            return True
        said.append(record.getMessage())
        return False

    root = logging.getLogger()
    # logging.error() on a root without handlers would install one that writes to stderr.
    handler = logging.NullHandler()
    root.addHandler(handler)
    root.addFilter(keep)
    try:
        yield said
    finally:
        root.removeFilter(keep)
        root.removeHandler(handler)


def _in_cluster(configuration: Any) -> None:
    from kubernetes.config import ConfigException, load_incluster_config

    load: Any = load_incluster_config  # the client is typed in parts only
    try:
        load(client_configuration=configuration)
    except ConfigException as error:
        raise ProbeError(
            ProbeErrorKind.UNREACHABLE,
            target="kubernetes in-cluster",
            question="connect",
            cause=f"this is no pod with a service account: {error}",
            advice="Run it as a pod, or set kubeconfig and context in [kubernetes].",
        ) from None


def _from_kubeconfig(section: Kubernetes, configuration: Any) -> str | None:
    """Fill the configuration and return the cluster's proxy-url."""
    from kubernetes.config import load_kube_config

    load: Any = load_kube_config  # the client is typed in parts only
    location = str(section.kubeconfig or os.environ.get("KUBECONFIG") or _DEFAULT)
    cluster, user = _context(section, location)
    with quiet() as said:
        try:
            load(
                config_file=location,
                context=section.context,
                client_configuration=configuration,
                persist_config=False,  # it would write refreshed tokens into the user's file
            )
        except Exception as error:
            raise _unusable(section, error) from error
    if user.get("exec") and not (configuration.api_key or configuration.cert_file):
        raise _no_credential(section, str(user["exec"].get("command")), said)
    proxy = cluster.get("proxy-url")
    return str(proxy) if proxy else None


def _context(section: Kubernetes, location: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return cluster and user of the context, as plain dicts."""
    config = _read(section, location)
    contexts, clusters, users = (
        {entry.get("name"): entry.get(one) or {} for entry in config.get(many) or ()}
        for many, one in (("contexts", "context"), ("clusters", "cluster"), ("users", "user"))
    )
    if section.context not in contexts:
        known = ", ".join(sorted(str(name) for name in contexts)) or "none"
        raise _bad_config(
            section,
            f"{location} has no context {section.context}",
            f"Set `context` in [kubernetes] to one of the contexts it has: {known}.",
        )
    context = contexts[section.context]
    cluster = clusters.get(context.get("cluster"))
    if not cluster or not cluster.get("server"):
        raise _bad_config(
            section,
            f"{location}: the context {section.context} names no cluster with a server",
            "Correct `cluster` of the context, and `server` of that cluster.",
        )
    return cluster, users.get(context.get("user")) or {}


def _read(section: Kubernetes, location: str) -> dict[str, Any]:
    """Return the kubeconfig, several files merged: the first to name a thing wins."""
    import yaml

    merged: dict[str, Any] = {}
    paths = [Path(part).expanduser() for part in location.split(os.pathsep) if part]
    if not any(path.exists() for path in paths):
        raise _bad_config(
            section,
            f"the kubeconfig {location} does not exist",
            "Set `kubeconfig` in [kubernetes], or write one with your provider's tool.",
        )
    for path in (path for path in paths if path.exists()):
        try:
            part = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError):
            # The parser quotes the line it stumbled on, which may be a token.
            raise _bad_config(
                section, f"{path} is not YAML", "Write the kubeconfig anew."
            ) from None
        except OSError as error:
            raise _bad_config(
                section, f"{path} cannot be read: {error.strerror}", "Give this user the file."
            ) from None
        if not isinstance(part, dict):
            raise _bad_config(section, f"{path} is no kubeconfig", "Write the kubeconfig anew.")
        for many in ("contexts", "clusters", "users"):
            entries = [entry for entry in part.get(many) or () if isinstance(entry, dict)]
            # Reversed, so that a dict made of the list keeps the first of equal names.
            merged[many] = [*reversed(entries), *merged.get(many, ())]
    return merged


def _set_proxy(configuration: Any, proxy_url: str | None) -> None:
    """Set the proxy as kubectl does, since releases of the client differ in what they read.

    proxy-url of the kubeconfig wins and knows no exceptions; HTTPS_PROXY and NO_PROXY of the
    environment never hold for loopback (golang.org/x/net/http/httpproxy).
    """
    from urllib3 import make_headers

    environment = getproxies_environment()
    server = urlsplit(configuration.host)
    from_environment = environment.get(server.scheme) or environment.get("all")
    if _is_loopback(server.hostname or ""):
        from_environment = None
    proxy = proxy_url or from_environment
    configuration.proxy = proxy
    configuration.no_proxy = "" if proxy_url else environment.get("no", "")
    if proxy:
        parts = urlsplit(proxy)
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            configuration.proxy_headers = make_headers(proxy_basic_auth=user)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _no_credential(section: Kubernetes, command: str, said: list[str]) -> ProbeError:
    """Say how the exec plugin failed, without a word of what it wrote."""
    text = "\n".join(said)
    exit_code = _EXIT.search(text)
    if exit_code:
        cause = f"the exec plugin {command} ended with exit code {exit_code[1]}"
    elif "[Errno " in text:
        cause = f"the exec plugin {command} cannot be started: is it installed and executable?"
    else:
        cause = f"the exec plugin {command} gave no credential"
    return ProbeError(
        ProbeErrorKind.UNAUTHORIZED,
        target=where(section),
        question="connect",
        cause=cause,
        advice="Run the plugin by hand (`users[].user.exec` in the kubeconfig) and log in again.",
    )


def _unusable(section: Kubernetes, error: Exception) -> ProbeError:
    return _bad_config(
        section,
        f"the context cannot be used: {type(error).__name__}",
        "Try `kubectl --context NAME cluster-info` and correct what it names: certificates, keys, "
        "token files and proxy of the context.",
    )


def _bad_config(section: Kubernetes, cause: str, advice: str) -> ProbeError:
    return ProbeError(
        ProbeErrorKind.UNREACHABLE,
        target=where(section),
        question="connect",
        cause=cause,
        advice=advice,
    )
