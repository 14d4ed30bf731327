"""Read-only requests to a Kubernetes API server, each question within its time.

The connection pool, credentials and TLS are those of the official client; requests go straight to
its urllib3 pool, since typed lists of 20,000 pods cost 75 times the CPU.

PYTEST_DONT_REWRITE
"""

import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from pytest_readiness.errors import ProbeError, ProbeErrorKind
from pytest_readiness.targets.kubernetes import errors
from pytest_readiness.targets.kubernetes.config import quiet
from pytest_readiness.targets.kubernetes.errors import Asked, Right
from pytest_readiness.targets.kubernetes.section import Kubernetes
from pytest_readiness.transport.caller import Caller
from pytest_readiness.transport.limit import GRACE, MAX_BODY, TooLarge, joined, within

Answer = TypeVar("Answer")

_PIECE = 256 * 1024
_STATUS_RETRIES = 2


class Client:
    """A cluster, as one run asks it. server: its URL. namespace: where the release runs."""

    def __init__(self, api: Any, section: Kubernetes, caller: Caller) -> None:
        self._api = api
        self._configuration = api.configuration
        self.server: str = self._configuration.host.rstrip("/")
        self.namespace = section.namespace
        self.cluster_uid = section.cluster_uid
        self.timeout = caller.timeout.total_seconds()
        self.tls_verified: bool = self.server.startswith("https:") and bool(
            self._configuration.verify_ssl
        )
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": f"pytest-readiness/{_version()}",
            "X-Readiness-Run": caller.run_id,
        }

    def ask(
        self,
        question: str,
        right: Right,
        work: "Callable[[Question], Answer]",
        *,
        gate: bool = False,
    ) -> Answer:
        """Do the work of one question, which ends within the time-out (and half a second).

        The limit holds whatever the server does: it drips bytes, pages without end, or its name
        does not resolve for minutes. gate: the question is the first one to the target.
        Raises ProbeError.
        """
        asked = Asked(f"kubernetes {self.server}", question, right, self.timeout, gate)
        task = Question(self, asked, time.monotonic() + self.timeout)
        try:
            return within(self.timeout + GRACE, lambda: work(task))
        except ProbeError:
            raise
        except TimeoutError:
            task.give_up()
            raise asked.timed_out() from None
        except Exception as error:
            # Without its text, which may quote an answer.
            raise asked.error(
                ProbeErrorKind.BROKE,
                f"{type(error).__name__} in the probe",
                "Report this as a defect of the probe.",
            ) from error

    def headers(self) -> dict[str, str]:
        """Return the headers of a request, with the credential of this moment."""
        with quiet():  # an expired token is renewed here, by the exec plugin
            settings = self._configuration.auth_settings()
        credential = {
            # A token file ends in a newline, as editors and `kubectl create token` write it.
            auth["key"]: auth["value"].strip()
            for auth in settings.values()
            if auth["in"] == "header" and auth["value"]
        }
        return {**self._headers, **credential}

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the credentials of this moment, without `Bearer`: no output may hold them."""
        credential = (value for name, value in self.headers().items() if name not in self._headers)
        return tuple(value.split()[-1] for value in credential)

    def open(self, url: str, headers: Mapping[str, str], seconds: float) -> Any:
        """Send one GET and return urllib3's response, its body unread."""
        from urllib3 import Retry, Timeout

        # Two attempts to connect fit into the time. Statuses are retried by the caller, who knows
        # how much time is left; redirects would carry the credential elsewhere.
        retries = Retry(
            connect=1,
            read=0,
            status=0,
            other=0,
            redirect=0,
            raise_on_redirect=False,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        with _no_tls_warning(self.tls_verified):
            return self._api.rest_client.pool_manager.request(
                "GET",
                url,
                headers=headers,
                timeout=Timeout(connect=seconds / 2, read=seconds),
                retries=retries,
                preload_content=False,
            )


class Question:
    """The requests of one question, all of them before one deadline (monotonic seconds)."""

    def __init__(self, client: Client, asked: Asked, deadline: float) -> None:
        self.client = client
        self.asked = asked
        self._deadline = deadline
        self._given_up = threading.Event()

    def give_up(self) -> None:
        """Let the working thread end at its next step; nobody waits for it any more."""
        self._given_up.set()

    def get(
        self, path: str, query: Mapping[str, str | int] | None = None, *, right: Right | None = None
    ) -> tuple[int, bytes]:
        """GET a path and return status and body. Raises ProbeError where no answer comes.

        Statuses 429 and 503 are asked again twice, after Retry-After, where the time allows it.
        right: what this request needs, where it is not what the question needs.
        """
        asked = self.needing(right)
        url = f"{self.client.server}{path}" + (f"?{urlencode(query)}" if query else "")
        retries = 0
        while True:
            status, body, retry_after = self._once(asked, url)
            if status not in (429, 503):
                return status, body
            pause = _seconds(retry_after, default=0.2 * 2**retries)
            if retries == _STATUS_RETRIES or pause > self._left():
                raise errors.of_status(asked, status, body, retry_after)
            retries += 1
            self._given_up.wait(pause)

    def body(
        self, path: str, query: Mapping[str, str | int] | None = None, *, right: Right | None = None
    ) -> bytes:
        """GET a path and return the body of its 200. Raises ProbeError for everything else."""
        status, body = self.get(path, query, right=right)
        if status != 200:
            raise errors.of_status(self.needing(right), status, body, None)
        return body

    def check_time(self) -> None:
        """Raise ProbeError TIMEOUT past the deadline."""
        self._left()

    def needing(self, right: Right | None) -> Asked:
        """Return what errors are about, where one request needs a right of its own."""
        return self.asked if right is None else replace(self.asked, right=right)

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0 or self._given_up.is_set():
            raise self.asked.timed_out()
        return left

    def _once(self, asked: Asked, url: str) -> tuple[int, bytes, str | None]:
        from urllib3.exceptions import HTTPError

        try:
            response = self.client.open(url, self.client.headers(), self._left())
            with _released(response):
                return response.status, self._read(response), response.headers.get("Retry-After")
        except HTTPError as error:
            raise errors.of_transport(asked, error) from error
        except ValueError:
            # Raised before anything is sent; its text quotes the header, so nothing of it is kept.
            raise asked.error(
                ProbeErrorKind.UNAUTHORIZED,
                "the token of the context's user holds signs that no HTTP header may",
                "Write the token anew: one line of printable ASCII.",
            ) from None

    def _read(self, response: Any) -> bytes:
        try:
            return joined(response.stream(_PIECE, decode_content=True), MAX_BODY, self._left)
        except TooLarge as error:
            raise self.asked.malformed(str(error)) from None


@contextmanager
def _released(response: Any) -> Iterator[None]:
    """Give the connection back when the body was read, and close it otherwise."""
    try:
        yield
    except BaseException:
        response.close()
        raise
    response.release_conn()


def _seconds(retry_after: str | None, *, default: float) -> float:
    """Read Retry-After, seconds or an HTTP date (RFC 9110, 10.2.3)."""
    if retry_after is None:
        return default
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        when = parsedate_to_datetime(retry_after)
    except ValueError:
        return default
    return max(0.0, when.timestamp() - time.time())


@contextmanager
def _no_tls_warning(verified: bool) -> Iterator[None]:
    """Silence urllib3 where the kubeconfig itself says insecure; the answer's fact says so too."""
    if verified:
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pytest-readiness")
    except PackageNotFoundError:
        return "0"
