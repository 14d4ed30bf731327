"""The one client of every HTTP target: it reads, from addresses that readiness.ini names.

It asks with GET and HEAD alone, marked, paced and counted, and follows redirects to addresses of
readiness.ini only; a credential goes to the one address it is of. Proxies and .netrc of the
environment are never read. An answer is there before the question's deadline, uncompressed and of
bounded size, or it is a ProbeError.

PYTEST_DONT_REWRITE
"""

import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode

import msgspec

from pytest_readiness.errors import ProbeError, ProbeErrorKind
from pytest_readiness.transport import redirects
from pytest_readiness.transport.answer import Answer, patiently
from pytest_readiness.transport.caller import Caller
from pytest_readiness.transport.failures import Broken, Failure, failure, kind_of_status, one_line
from pytest_readiness.transport.limit import MAX_BODY, Deadline, TooLarge, joined
from pytest_readiness.transport.traffic import Meter

if TYPE_CHECKING:
    import httpx

Result = TypeVar("Result")
Query = Mapping[str, str | int | Sequence[str]]

_PIECE = 64 * 1024
_ONCE_MORE = (Broken.REFUSED, Broken.CLOSED)  # a read that nobody answered may be sent again
_BY_PROXY = (Broken.REFUSED, Broken.NAME, Broken.CONNECTION)

_ADVICE = {
    ProbeErrorKind.UNREACHABLE: "Check the address in {section}, and that the server runs and may "
    "be reached from here.",
    ProbeErrorKind.TIMEOUT: "Raise `timeout` in [readiness], or see what keeps the server busy.",
    ProbeErrorKind.UNTRUSTED: "Give the authority that signed the server's certificate as ca_file "
    "in {section}, and the host name of the certificate in the address.",
    ProbeErrorKind.UNAUTHORIZED: "Check how {section} logs in: token, user and password, or "
    "client_cert and client_key.",
    ProbeErrorKind.FORBIDDEN: "Let the user of {section} read this.",
    ProbeErrorKind.THROTTLED: "Run again later, or raise the limit of the user of {section}.",
    ProbeErrorKind.ABSENT: "Check the address in {section}, and that this version of the server "
    "has what is asked for.",
    ProbeErrorKind.MALFORMED: "See what answers at this address: a proxy's page, another service, "
    "a broken server?",
    ProbeErrorKind.UNAVAILABLE: "Look at the server's log at the time of this run.",
    ProbeErrorKind.BROKE: "Report this as a defect of the probe.",
}


class Client:
    """A server, as one run asks it.

    name: of its section. url: its address, with the path that all others are below. token: for
    Bearer, else user and password for Basic. client_cert, client_key: PEM files. proxy: the URL
    of one. Raises ProbeError for a token that no header may hold, or an address nobody named.
    """

    def __init__(
        self,
        name: str,
        url: str,
        caller: Caller,
        *,
        token: str | None = None,
        user: str | None = None,
        password: str | None = None,
        ca_file: Path | None = None,
        client_cert: Path | None = None,
        client_key: Path | None = None,
        proxy: str | None = None,
    ) -> None:
        self.name = name
        self.url = url.rstrip("/")
        self.caller = caller
        self.marks = caller.headers
        self.target = f"{name} {self.url}"
        self.timeout = caller.timeout.total_seconds()
        self.proxy = proxy
        self.secrets = tuple(filter(None, (token, password)))
        self._ca_file = ca_file
        self._certificate = (client_cert, client_key) if client_cert and client_key else None
        self.authorization = self._authorization(token, user, password)
        self.origin = self._origin()

    def ask(
        self, question: str, work: "Callable[[Question], Result]", *, gate: bool = False
    ) -> Result:
        """Do the work of one question, which ends within the time-out (and half a second).

        gate: it is the first one; a server that hangs at it is asked no other. Raises ProbeError.
        """
        deadline = Deadline(self.timeout)

        def worked() -> Result:
            with ExitStack() as connections:
                return work(Question(self, question, deadline, connections))

        try:
            return deadline.keep(worked)
        except TimeoutError as error:
            found = failure(error) or Failure(Broken.TIME, Broken.TIME)
            raise self.error(question, found.kind, found.words, stops=gate or None) from None
        except ProbeError as error:
            error.stops_target |= gate and error.kind is ProbeErrorKind.TIMEOUT
            raise

    def error(
        self, question: str, kind: ProbeErrorKind, cause: str, *, stops: bool | None = None
    ) -> ProbeError:
        """Make the error of a question."""
        return ProbeError(
            kind,
            target=self.target,
            question=question,
            cause=one_line(cause),
            advice=_ADVICE[kind].format(section=f"[{self.name}]"),
            stops_target=stops,
        )

    @cached_property
    def named(self) -> frozenset[str]:
        """The origins that may be asked."""
        import httpx

        found = set()
        for one in self.caller.origins:
            with suppress(httpx.InvalidURL):  # what is no URL is reached by none
                found.add(redirects.origin(httpx.URL(one)))
        return frozenset(found)

    @cached_property
    def trust(self) -> ssl.SSLContext:
        """The context for any server: it trusts ca_file, or what the system does."""
        return self._context()

    @cached_property
    def own_trust(self) -> ssl.SSLContext:
        """The context for this server, to which the client certificate is shown."""
        if self._certificate is None:
            return self.trust
        context = self._context()
        certificate, key = self._certificate
        try:
            # A password, so that a key that is encrypted fails and asks nobody.
            context.load_cert_chain(certificate, key, password="")
        except (OSError, ValueError) as error:
            cause = f"client_cert and client_key cannot be used: {_reason(error)}"
            raise self.error("connect", ProbeErrorKind.UNAUTHORIZED, cause) from None
        return context

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._ca_file)
        except (OSError, ValueError) as error:
            cause = f"ca_file cannot be used: {_reason(error)}"
            raise self.error("connect", ProbeErrorKind.UNTRUSTED, cause) from None

    def _origin(self) -> str:
        import httpx

        try:
            place = redirects.origin(httpx.URL(self.url))
        except httpx.InvalidURL:
            raise self.error("connect", ProbeErrorKind.UNREACHABLE, Broken.ADDRESS) from None
        if place not in self.named:
            cause = f"is to ask {place}, which readiness.ini does not name"
            raise self.error("connect", ProbeErrorKind.UNREACHABLE, cause)
        return place

    def _authorization(
        self, token: str | None, user: str | None, password: str | None
    ) -> Mapping[str, str]:
        if user is not None:
            login = b64encode(f"{user}:{password or ''}".encode()).decode()
            return {"Authorization": f"Basic {login}"}
        if token is None:
            return {}
        if not token.isascii() or not token.isprintable() or " " in token:
            cause = "the token holds signs that no HTTP header may"
            raise self.error("connect", ProbeErrorKind.UNAUTHORIZED, cause)
        return {"Authorization": f"Bearer {token}"}


class Question:
    """The requests of one question, all of them before one deadline."""

    def __init__(
        self, client: Client, question: str, deadline: Deadline, connections: ExitStack
    ) -> None:
        self.client = client
        self.question = question
        self._deadline = deadline
        self._connections = connections
        self._opened: dict[bool, httpx.HTTPTransport] = {}

    def get(
        self, path: str, query: Query | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """GET a path below the client's URL and return the answer, whatever its status.

        A server that is busy (429, 503) is asked again twice. headers: of this request, which may
        hold a credential. Raises ProbeError where no answer comes.
        """
        return self._follow("GET", path, query or {}, headers or {})

    def head(
        self, path: str, query: Query | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """HEAD a path, as `get` does."""
        return self._follow("HEAD", path, query or {}, headers or {})

    def body(
        self, path: str, query: Query | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """GET a path and return the body of its 200. Raises ProbeError for everything else."""
        return self._wanted(self.get(path, query, headers)).body

    def json(
        self,
        path: str,
        type: type[Result],
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Result:
        """GET a path and return its 200 as this type. Raises ProbeError for everything else."""
        answer = self._wanted(self.get(path, query, headers))
        try:
            return msgspec.json.decode(answer.body, type=type)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            said = answer.headers.get("content-type", "application/json")
            calls = "" if "json" in said else f"; it calls itself {said}"
            raise self.malformed(f"{error}{calls}") from None

    def malformed(self, cause: str) -> ProbeError:
        """Make the error of an answer that came and cannot be read."""
        return self._error(ProbeErrorKind.MALFORMED, cause)

    def _error(self, kind: ProbeErrorKind, cause: str) -> ProbeError:
        return self.client.error(self.question, kind, cause)

    def _wanted(self, answer: Answer) -> Answer:
        if answer.status == 200:
            return answer
        after = f"; Retry-After: {answer.retry_after}" if answer.retry_after else ""
        raise self._error(kind_of_status(answer.status), f"HTTP status {answer.status}{after}")

    def _follow(self, method: str, path: str, query: Query, headers: Mapping[str, str]) -> Answer:
        import httpx

        named = self.client.named
        asked = f"{self.client.url}{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")
        try:
            here = httpx.URL(asked)
            for _ in range(redirects.MOST + 1):
                if redirects.origin(here) not in named:  # the path came from an answer, perhaps
                    raise redirects.Astray("leads to an address that readiness.ini does not name")
                once = partial(self._once, method, here, headers)
                answer = patiently(self._deadline, once)
                there = redirects.after(here, answer, named)
                if there is None:
                    return answer
                here = there
        except redirects.Astray as error:
            raise self.malformed(str(error)) from None
        except httpx.InvalidURL:
            raise self.malformed("leads to an address that is no URL") from None
        raise self.malformed(f"redirects more than {redirects.MOST} times")

    def _once(self, method: str, url: "httpx.URL", headers: Mapping[str, str]) -> Answer:
        """Send a request, and once more where the connection was refused or closed."""
        import httpx

        for again in (True, False):
            try:
                return self._sent(method, url, headers)
            except (httpx.HTTPError, TooLarge) as error:
                found = failure(error)
            if found is None:
                break
            if not again or found.what not in _ONCE_MORE:
                raise self._error(*self._told(found))
        # Nothing of its text, which may quote a header.
        raise self._error(ProbeErrorKind.BROKE, "the request cannot be sent")

    def _told(self, found: Failure) -> tuple[ProbeErrorKind, str]:
        words = found.words
        if self.client.proxy is not None and found.what in _BY_PROXY:
            words = f"{Broken.PROXY}: {words}"
        return found.kind, words

    def _sent(self, method: str, url: "httpx.URL", headers: Mapping[str, str]) -> Answer:
        import httpx

        client, left, place = self.client, self._deadline.left, redirects.origin(url)
        home = place == client.origin
        sent = {"Accept-Encoding": "identity", **client.marks}
        if home:
            sent |= {**client.authorization, **headers}
        transport = self._transport(home)
        with Meter(client.caller.folder, f"{client.name} {place}").request(method, left) as note:
            times = {"timeout": httpx.Timeout(left()).as_dict()}
            request = httpx.Request(method, url, headers=sent, extensions=times)
            response = transport.handle_request(request)
            note(response.status_code)
        with closing(response):
            body = b"" if method == "HEAD" else self._read(response)
        return Answer(response.status_code, dict(response.headers), body)

    def _read(self, response: "httpx.Response") -> bytes:
        if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            # Of unknown size, and nobody asked for it.
            raise self.malformed("the answer is compressed, and was not to be")
        return joined(response.iter_raw(_PIECE), MAX_BODY, self._deadline.left)

    def _transport(self, home: bool) -> "httpx.HTTPTransport":
        """Return the connections to the server itself, or those to all others."""
        import httpx

        if home not in self._opened:
            client = self.client
            trust = client.own_trust if home else client.trust
            made = httpx.HTTPTransport(verify=trust, trust_env=False, proxy=self._proxy())
            self._opened[home] = self._connections.enter_context(made)
        return self._opened[home]

    def _proxy(self) -> "httpx.Proxy | None":
        import httpx

        url = self.client.proxy
        if url is None:
            return None
        return httpx.Proxy(url, ssl_context=self.client.trust if url[:6] == "https:" else None)


def _reason(error: Exception) -> str:
    """Name what is wrong with a file, without its name or its content."""
    said = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return str(said or type(error).__name__)
