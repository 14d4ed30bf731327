"""OpenSSH certificates: what they say. Whether their CA signed them ssh-keygen alone decides.

PYTEST_DONT_REWRITE
"""

from datetime import UTC, datetime

import msgspec

from pytest_readiness.signoff.ssh import wire

_USER = 1
_LAST = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())  # `forever` is 2**64 - 1


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate. Format: OpenSSH, PROTOCOL.certkeys.

    key, authority: public key blobs of the holder and of the CA.
    valid_before: the first moment at which it is not valid any more. critical: names of the options
    which whoever relies on it must know and keep, `force-command`.
    """

    key: bytes
    authority: bytes
    of_user: bool
    principals: tuple[str, ...]
    valid_after: datetime
    valid_before: datetime
    critical: tuple[str, ...]

    def valid(self, at: datetime) -> bool:
        """Return whether the certificate holds at the moment."""
        return self.valid_after <= at < self.valid_before


def read(blob: bytes) -> Certificate:
    """Return what the certificate says. Raises Malformed."""
    reader = wire.Reader(blob)
    kind = reader.text()
    reader.string()  # nonce
    key = wire.plain_key(reader, kind)
    reader.number(8)  # serial
    role = reader.number(4)
    reader.string()  # id
    principals = wire.Reader(reader.string()).strings()
    after, before = reader.number(8), reader.number(8)
    critical = wire.Reader(reader.string()).strings()[::2]  # each is a name and its data
    for _ in ("extensions", "reserved"):
        reader.string()
    authority = reader.string()
    reader.string()  # the CA's signature
    reader.end()
    for one in (key, authority):
        wire.key_type(one)
    return Certificate(
        key=key,
        authority=authority,
        of_user=role == _USER,
        principals=tuple(wire.text_of(one) for one in principals),
        valid_after=_moment(after),
        valid_before=_moment(before),
        critical=tuple(wire.text_of(one) for one in critical),
    )


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(min(seconds, _LAST), UTC)
