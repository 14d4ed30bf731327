"""Where an answer sends the one who asked, and whether readiness.ini lets a run go there.

PYTEST_DONT_REWRITE
"""

from typing import TYPE_CHECKING

from pytest_readiness.transport.answer import Answer

if TYPE_CHECKING:
    import httpx

MOST = 5
_REDIRECTS = (301, 302, 303, 307, 308)  # RFC 9110, 15.4; of a GET each is a GET again


class Astray(Exception):
    """A way that is not gone, and why."""


def origin(url: "httpx.URL") -> str:
    """Return `https://host:port`, in one spelling: small letters, IDNA, no port that is usual."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def after(here: "httpx.URL", answer: Answer, named: frozenset[str]) -> "httpx.URL | None":
    """Return where an answer redirects to, None where it does not.

    here: what was asked. named: origins that may be asked. Raises Astray.
    """
    import httpx

    location = answer.headers.get("location")
    if answer.status not in _REDIRECTS or location is None:
        return None
    try:
        there = here.join(location)
        place = origin(there)
    except (httpx.InvalidURL, ValueError):
        raise Astray("redirects to an address that is no URL") from None
    if place not in named:
        raise Astray(f"redirects to {place}, which readiness.ini does not name")
    if here.scheme == "https" and there.scheme != "https":
        raise Astray(f"redirects from https to {place}")
    return there.copy_with(username=None, password=None)
