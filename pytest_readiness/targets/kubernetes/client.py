"""Read-only requests to a Kubernetes API server, each question within its time.

The connection pool, credentials and TLS are those of the official client; requests go straight to
its urllib3 pool, since typed lists of 20,000 pods cost 75 times the CPU.

PYTEST_DONT_REWRITE
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlencode

from pytest_readiness.errors import ProbeError, ProbeErrorKind
from pytest_readiness.targets.kubernetes import errors
from pytest_readiness.targets.kubernetes.config import quiet
from pytest_readiness.targets.kubernetes.errors import Asked, Right
from pytest_readiness.targets.kubernetes.section import Kubernetes
from pytest_readiness.transport import pools
from pytest_readiness.transport.answer import BUSY, patiently
from pytest_readiness.transport.answer import Answer as HttpAnswer
from pytest_readiness.transport.caller import Caller
from pytest_readiness.transport.limit import Deadline, TooLarge
from pytest_readiness.transport.traffic import Meter, OverRate
from pytest_readiness.written.keys import origin

Answer = TypeVar("Answer")


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
            **caller.headers,
        }
        self._meter = Meter(caller.folder, f"kubernetes {origin(self.server)}")

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
        deadline = Deadline(self.timeout)
        task = Question(self, asked, deadline)
        try:
            return deadline.keep(lambda: work(task))
        except ProbeError:
            raise
        except OverRate as error:
            raise asked.error(
                ProbeErrorKind.TIMEOUT, str(error), "Raise `timeout` in [readiness]."
            ) from None
        except TimeoutError:
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

    @contextmanager
    def open(
        self, url: str, headers: Mapping[str, str], left: Callable[[], float]
    ) -> Iterator[Any]:
        """Send one GET and yield urllib3's response, its body unread.

        left: returns the seconds that are left. Raises TimeoutError, urllib3's HTTPError.
        """
        pool = self._api.rest_client.pool_manager
        with ExitStack() as stack:
            with _no_tls_warning(self.tls_verified):
                response = stack.enter_context(
                    pools.answered(pool, "GET", url, self._meter, left, headers=headers)
                )
            yield response


class Question:
    """The requests of one question, all of them before one deadline."""

    def __init__(self, client: Client, asked: Asked, deadline: Deadline) -> None:
        self.client = client
        self.asked = asked
        self._deadline = deadline

    def get(
        self, path: str, query: Mapping[str, str | int] | None = None, *, right: Right | None = None
    ) -> tuple[int, bytes]:
        """GET a path and return status and body. Raises ProbeError where no answer comes.

        Statuses 429 and 503 are asked again twice, after Retry-After, where the time allows it.
        right: what this request needs, where it is not what the question needs.
        """
        asked = self.needing(right)
        url = f"{self.client.server}{path}" + (f"?{urlencode(query)}" if query else "")
        found = patiently(self._deadline, lambda: self._once(asked, url))
        if found.status in BUSY:
            raise errors.of_status(asked, found.status, found.body, found.retry_after)
        return found.status, found.body

    def body(
        self, path: str, query: Mapping[str, str | int] | None = None, *, right: Right | None = None
    ) -> bytes:
        """GET a path and return the body of its 200. Raises ProbeError for everything else."""
        status, body = self.get(path, query, right=right)
        if status != 200:
            raise errors.of_status(self.needing(right), status, body, None)
        return body

    def check_time(self) -> None:
        """Raise TimeoutError past the deadline."""
        self._deadline.left()

    def needing(self, right: Right | None) -> Asked:
        """Return what errors are about, where one request needs a right of its own."""
        return self.asked if right is None else replace(self.asked, right=right)

    def _once(self, asked: Asked, url: str) -> HttpAnswer:
        from urllib3.exceptions import HTTPError

        left = self._deadline.left
        try:
            with self.client.open(url, self.client.headers(), left) as found:
                headers = {name.lower(): value for name, value in found.headers.items()}
                return HttpAnswer(found.status, headers, pools.read(found, left))
        except TooLarge as error:
            raise asked.malformed(str(error)) from None
        except HTTPError as error:
            raise errors.of_transport(asked, error) from error
        except ValueError:
            # Raised before anything is sent; its text quotes the header, so nothing of it is kept.
            raise asked.error(
                ProbeErrorKind.UNAUTHORIZED,
                "the token of the context's user holds signs that no HTTP header may",
                "Write the token anew: one line of printable ASCII.",
            ) from None


@contextmanager
def _no_tls_warning(verified: bool) -> Iterator[None]:
    """Silence urllib3 where the kubeconfig itself says insecure; the answer's fact says so too."""
    if verified:
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
