"""From the section of an HTTP target to the client that asks it.

PYTEST_DONT_REWRITE
"""

from pytest_readiness.targets.http_section import HttpSection
from pytest_readiness.transport.caller import Caller
from pytest_readiness.transport.http import Client


def connect_http(name: str, section: HttpSection, caller: Caller) -> Client:
    """Return the client of the section [name]; nothing is asked yet. Raises ProbeError."""
    return Client(
        name,
        section.url,
        caller,
        token=section.token.reveal() if section.token is not None else None,
        user=section.user,
        password=section.password.reveal() if section.password is not None else None,
        ca_file=section.ca_file,
        client_cert=section.client_cert,
        client_key=section.client_key,
        proxy=section.proxy,
    )
