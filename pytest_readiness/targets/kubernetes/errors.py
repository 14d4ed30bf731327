"""Why the API server gave no answer, told apart because each reason has another remedy.

PYTEST_DONT_REWRITE
"""

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from pytest_readiness.errors import ProbeError, ProbeErrorKind
from pytest_readiness.transport.failures import Broken, Failure, failure, one_line

if TYPE_CHECKING:
    from urllib3.exceptions import HTTPError

_ADDRESS = "Check the context's server address, and DNS."
_ADVICE = {
    Broken.ADDRESS: "Correct `server` in the kubeconfig.",
    Broken.PROXY: "Check proxy-url and HTTPS_PROXY.",
    Broken.NAME: _ADDRESS,
    Broken.REFUSED: _ADDRESS,
    Broken.CLOSED: "Check the API server and whatever stands before it: load balancer, proxy, VPN.",
    Broken.CLOSED_TLS: "It may ask for a client certificate that the context's user lacks; or "
    "something between here and the API server cuts TLS: proxy, firewall, load balancer.",
    Broken.UNTRUSTED: "Check certificate-authority-data and tls-server-name of the context's "
    "cluster, and the certificate with `openssl s_client -connect HOST:PORT -showcerts`.",
    Broken.NO_CERTIFICATE: "Give the context's user client-certificate-data and client-key-data.",
    Broken.NO_TLS: "Check that the port speaks https, and the CA and client certificate files.",
}
_USER = re.compile(r'User "([^"\n]{1,200})" cannot')


@dataclass(frozen=True, slots=True)
class Right:
    """What a question needs in RBAC. namespace None: cluster-wide. url: a path, no resource."""

    verb: str
    resource: str = ""
    group: str = ""
    namespace: str | None = None
    url: str | None = None

    def __str__(self) -> str:
        if self.url:
            return f"{self.verb} the path {self.url}"
        where = f"in the namespace {self.namespace}" if self.namespace else "in the whole cluster"
        group = f" of the group {self.group}" if self.group else ""
        return f"{self.verb} {self.resource}{group} {where}"

    @property
    def role(self) -> str:
        """Return the name of a ClusterRole for this right; several of them go side by side."""
        return f"readiness-{self.verb}-{(self.url or self.resource).strip('/').replace('/', '-')}"

    def grant(self) -> str:
        """Return a ClusterRole of exactly this right, ready for `kubectl apply -f -`."""
        rule = (
            [f'- nonResourceURLs: ["{self.url}"]']
            if self.url
            else [f'- apiGroups: ["{self.group}"]', f'  resources: ["{self.resource}"]']
        )
        lines = [
            "apiVersion: rbac.authorization.k8s.io/v1",
            "kind: ClusterRole",
            "metadata:",
            f"  name: {self.role}",
            "rules:",
            *rule,
            f'  verbs: ["{self.verb}"]',
        ]
        return "\n".join(lines)

    def binding(self, user: str | None) -> str:
        """Return the command that gives the ClusterRole to the user, in its namespace alone.

        A line holds one argument, since a terminal that breaks a long line breaks the command;
        the binding is named after the user, since another user may have one of the same role.
        """
        kind = "rolebinding" if self.namespace else "clusterrolebinding"
        arguments = [f"{self.role}-{_slug(user)}"]
        arguments += [f"--namespace={self.namespace}"] if self.namespace else []
        arguments += [f"--clusterrole={self.role}", _subject(user)]
        return " \\\n    ".join([f"kubectl create {kind}", *arguments])


@dataclass(frozen=True, slots=True)
class Asked:
    """The question that an error is about. right: what it needs. gate: it is the first one."""

    target: str
    question: str
    right: Right
    timeout: float
    gate: bool = False

    def error(
        self, kind: ProbeErrorKind, cause: str, advice: str, *, stops: bool | None = None
    ) -> ProbeError:
        """Make the error of this question. A server that hangs at the first is asked no other."""
        if self.gate and kind is ProbeErrorKind.TIMEOUT:
            stops = True
        return ProbeError(
            kind,
            target=self.target,
            question=self.question,
            cause=one_line(cause),
            advice=advice,
            stops_target=stops,
        )

    def timed_out(self, *, connecting: bool = False) -> ProbeError:
        """Make the error of no answer in time; without a connection nothing else is asked."""
        if connecting:
            return self.error(
                ProbeErrorKind.TIMEOUT,
                "no connection in time: packets are dropped on the way",
                "Check address, VPN and firewall between this machine and the API server.",
                stops=True,
            )
        return self.error(
            ProbeErrorKind.TIMEOUT,
            f"no complete answer within {self.timeout:g} s",
            "Try the command by hand. An API server that lost its etcd answers nothing else than "
            "`kubectl get --raw '/readyz?verbose'`; raise `timeout` in [readiness] if it is only "
            "slow.",
        )

    def no_session(self) -> ProbeError:
        """Make the error of a port that takes the connection and then no TLS session."""
        return self.error(
            ProbeErrorKind.TIMEOUT,
            f"the connection opens, and no TLS session begins within {self.timeout / 2:g} s",
            "The API server hangs, or what answers at this address speaks no TLS.",
            stops=True,
        )

    def malformed(self, cause: str) -> ProbeError:
        """Make the error of an answer that came and cannot be read."""
        return self.error(
            ProbeErrorKind.MALFORMED,
            cause,
            "See what answers at this address: a proxy's page, another service, a broken server?",
        )


class _Status(msgspec.Struct):
    """The part of a metav1.Status that people read."""

    message: str = ""


def of_status(asked: Asked, status: int, body: bytes, retry_after: str | None) -> ProbeError:
    """Turn an HTTP status other than 200 into the error that says what to do."""
    message = _message(body)
    said = f"HTTP {status}: {message}" if message else f"HTTP {status}"
    match status:
        case 401:
            return _unauthorized(asked, said)
        case 403:
            return _forbidden(asked, said, message)
        case 404:
            return asked.error(
                ProbeErrorKind.ABSENT,
                said,
                "This API server does not serve that API, or the object does not exist: check "
                "`kubectl api-resources` and the namespace.",
            )
        case 429:
            wait = f"; it asks to wait {retry_after} s" if retry_after else ""
            return asked.error(
                ProbeErrorKind.THROTTLED,
                said + wait,
                "Run again later, or give this user a FlowSchema with a higher priority.",
            )
        case _ if status >= 500:
            return asked.error(
                ProbeErrorKind.UNAVAILABLE,
                said,
                "The API server answers that it cannot: see its health with `kubectl get --raw "
                "'/readyz?verbose'` and its logs.",
            )
        case _:
            return asked.malformed(f"{said}, where an API server answers 200")


def of_transport(asked: Asked, error: "HTTPError") -> ProbeError:
    """Turn what urllib3 raises into the error that says what to do."""
    found = failure(error)
    match found:
        case None:
            return asked.error(
                ProbeErrorKind.BROKE, type(error).__name__, "Report this as a defect of the probe."
            )
        case Failure(Broken.CONNECTION):
            return asked.timed_out(connecting=True)
        case Failure(Broken.SESSION):
            return asked.no_session()
        case Failure(Broken.TIME):
            return asked.timed_out()
        case Failure(Broken.NOT_TLS, words):
            cause, kind = f"{Broken.NO_TLS}: {words}", ProbeErrorKind.UNTRUSTED
            return asked.error(kind, cause, _ADVICE[Broken.NO_TLS])
        case Failure(Broken.CLOSED, words):
            # It took the connection: another path may well be answered, unless this is the first.
            return asked.error(found.kind, words, _ADVICE[Broken.CLOSED], stops=asked.gate)
        case Failure(what, words) if what in _ADVICE:
            text = words.lower() if what in (Broken.REFUSED, Broken.PROXY) else words
            return asked.error(found.kind, text, _ADVICE[what])
        case _:
            return asked.malformed(found.words)


def _forbidden(asked: Asked, said: str, message: str) -> ProbeError:
    found = _USER.search(message)
    user = found[1] if found else None
    if user == "system:anonymous":
        # An API server that lets anybody ask answers 403, not 401, to who shows no credential.
        return _unauthorized(asked, said)
    return asked.error(
        ProbeErrorKind.FORBIDDEN,
        f"may not {asked.right}: {said}",
        f"Let it {asked.right}; apply the ClusterRole below, then run\n"
        f"  {asked.right.binding(user)}\n{asked.right.grant()}",
    )


def _unauthorized(asked: Asked, said: str) -> ProbeError:
    return asked.error(
        ProbeErrorKind.UNAUTHORIZED,
        said,
        "The server does not know these credentials: log in again or renew the token or "
        "client certificate of the context's user.",
    )


def _slug(user: str | None) -> str:
    """Return a user's name as part of an object's name: no `/`, no `%`, nothing for a shell."""
    name = (user or "user").removeprefix("system:serviceaccount:")
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "user"


def _subject(user: str | None) -> str:
    if user is None:
        return "--user=USER"
    account = re.fullmatch(r"system:serviceaccount:([^:]+):([^:]+)", user)
    text = f"--serviceaccount={account[1]}:{account[2]}" if account else f"--user={user}"
    return shlex.quote(text)


def _message(body: bytes) -> str:
    try:
        return one_line(msgspec.json.decode(body, type=_Status).message)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""  # some proxy's page: the status alone is what can be said
