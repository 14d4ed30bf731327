"""What the section of every HTTP target has: where it is, and how a run logs in.

PYTEST_DONT_REWRITE
"""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pytest_readiness.targets.section import Section
from pytest_readiness.written.keys import FILE, HTTP_URL, PROXY_URL, SECRET, TEXT, Key, Secret, Use

_NEEDS = {
    "user": "password",
    "password": "user",
    "client_cert": "client_key",
    "client_key": "client_cert",
}


class HttpSection(Section, frozen=True, kw_only=True):
    """A section of a target that is asked over HTTP."""

    url: Annotated[
        str,
        Key(
            kind=HTTP_URL,
            use=Use.PLACE,
            help="its address",
            example="https://host.example.org:8443",
        ),
    ]
    token: Annotated[
        Secret | None,
        Key(
            kind=SECRET, use=Use.PLACE, help="sent as Bearer", example="${file:/run/secrets/token}"
        ),
    ] = None
    user: Annotated[
        str | None, Key(kind=TEXT, use=Use.PLACE, help="logs in by Basic", example="reader")
    ] = None
    password: Annotated[
        Secret | None,
        Key(kind=SECRET, use=Use.PLACE, help="of the user", example="${env:PASSWORD}"),
    ] = None
    ca_file: Annotated[
        Path | None,
        Key(kind=FILE, use=Use.PLACE, help="CA to trust instead of the system's", example="ca.pem"),
    ] = None
    client_cert: Annotated[
        Path | None,
        Key(kind=FILE, use=Use.PLACE, help="certificate that it asks for", example="client.pem"),
    ] = None
    client_key: Annotated[
        Path | None,
        Key(
            kind=FILE,
            use=Use.PLACE,
            help="key of client_cert, without passphrase",
            example="client.key",
        ),
    ] = None
    proxy: Annotated[
        str | None,
        Key(
            kind=PROXY_URL,
            use=Use.PLACE,
            help="the way to it; those of the environment are not used",
            example="http://proxy.example.org:3128",
        ),
    ] = None

    def words(self) -> Mapping[str, str]:
        """Return what fills the braces of the questions: `{curl} {url}/path`.

        Secrets are left out: curl asks for the password, and the shell knows $TOKEN.
        """
        options = {
            "--user": self.user,
            "--cacert": self.ca_file,
            "--cert": self.client_cert,
            "--key": self.client_key,
            "--proxy": self.proxy,
        }
        given = [f"{name} {shlex.quote(str(value))}" for name, value in options.items() if value]
        token = ['--header "Authorization: Bearer $TOKEN"'] if self.token else []
        return {"at": self.url, "url": self.url, "curl": " ".join(["curl", *token, *given])}

    @classmethod
    def contradictions(cls, written: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield what is wrong about the ways to log in."""
        if urlsplit(written.get("url") or "").username is not None:
            yield "url", "url names a user: write it as the key user"
        if "token" in written and "user" in written:
            yield "token", "token and user are two ways to log in: keep one"
        for key, other in _NEEDS.items():
            if key in written and other not in written:
                yield key, f"{key} needs the key {other}"
