"""SSH's wire format (RFC 4251, section 5): strings, numbers, public keys.

PYTEST_DONT_REWRITE
"""

import base64
import binascii
import hashlib
import re

from pytest_readiness.errors import ReadinessError

ED25519 = "ssh-ed25519"
P256 = "ecdsa-sha2-nistp256"
CERTIFICATE = "-cert-v01@openssh.com"

# How many strings follow the type in a public key; of other types only the type is read.
_FIELDS = {
    ED25519: 1,
    "ssh-rsa": 2,
    P256: 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519@openssh.com": 2,
    "sk-ecdsa-sha2-nistp256@openssh.com": 3,
}
# What the certificate of a key has in front of `-cert-v01@openssh.com`.
_PLAIN = {name.partition("@")[0]: name for name in _FIELDS}


class Malformed(ReadinessError):
    """Bytes that are not in the format they should be in."""


class Reader:
    """Reads the bytes from the front. Every method raises Malformed where too few are left."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        if size > len(self._data) - self._at:
            raise Malformed("it is cut short")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        """Return a big-endian number of `size` bytes."""
        return int.from_bytes(self.take(size), "big")

    def string(self) -> bytes:
        """Return a string: its length in 4 bytes, then its bytes."""
        return self.take(self.number(4))

    def strings(self) -> list[bytes]:
        """Return all strings that are left."""
        found = []
        while self.more:
            found.append(self.string())
        return found

    def text(self) -> str:
        """Return a string as text. Raises Malformed where it is not UTF-8 or has a NUL."""
        return text_of(self.string())

    def positive(self) -> int:
        """Return an mpint, which must be positive and written in the shortest form."""
        data = self.string()
        value = int.from_bytes(data, "big", signed=True)
        if value <= 0 or len(data) != value.bit_length() // 8 + 1:
            raise Malformed("a number in it is not written as SSH writes it")
        return value

    @property
    def more(self) -> bool:
        """Whether bytes are left."""
        return self._at < len(self._data)

    def end(self) -> None:
        """Raise Malformed where bytes are left."""
        if self.more:
            raise Malformed(f"{len(self._data) - self._at} bytes follow its end")


def string(data: bytes) -> bytes:
    """Return the bytes as a string of the wire."""
    return len(data).to_bytes(4, "big") + data


def text_of(data: bytes) -> str:
    """Return the bytes as text. Raises Malformed where they are not UTF-8 or have a NUL."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Malformed("a text in it is not UTF-8") from error
    if "\0" in text:
        raise Malformed("a text in it has a NUL")
    return text


def key_type(blob: bytes) -> str:
    """Return the type of a public key, after a look at its fields. Raises Malformed.

    One key has one form here, so that equal keys are equal bytes: the revoked one is found.
    """
    reader = Reader(blob)
    kind = reader.text()
    if kind not in _FIELDS:
        if not kind or not kind.isprintable():
            raise Malformed("it is not a public key")
        return kind
    if kind == "ssh-rsa":
        for _ in ("exponent", "modulus"):
            reader.positive()
        reader.end()
        return kind
    fields = [reader.string() for _ in range(_FIELDS[kind])]
    reader.end()
    if kind == ED25519 and len(fields[0]) != 32:
        raise Malformed("an ed25519 key has 32 bytes")
    if kind == P256 and not (
        fields[0] == b"nistp256" and len(fields[1]) == 65 and fields[1][0] == 4
    ):
        raise Malformed("a P-256 key is an uncompressed point, 65 bytes")
    return kind


def plain_key(reader: Reader, certificate_type: str) -> bytes:
    """Read the fields of the key in a certificate; return them as a key without certificate."""
    name = _PLAIN.get(certificate_type.removesuffix(CERTIFICATE))
    if name is None:
        raise Malformed(f"{certificate_type} is not a certificate that is known here")
    fields = [reader.string() for _ in range(_FIELDS[name])]
    return string(name.encode()) + b"".join(map(string, fields))


def public_key(text: str) -> tuple[str, bytes]:
    """Return type and blob of `ssh-ed25519 AAAA... comment`. Raises Malformed."""
    if "\r" in text.rstrip("\r\n"):
        raise Malformed("it has line ends of an old kind, CR alone: what follows one would be lost")
    words = [word for word in re.split(r"[ \t\r\n]", text) if word]
    if len(words) < 2:
        raise Malformed("it is not a public key: a type and a key in base64 are needed")
    blob = from_base64(words[1])
    kind = key_type(blob)
    if kind != words[0]:
        raise Malformed(f"its key is {kind}, not {words[0]}")
    return kind, blob


def from_base64(text: str) -> bytes:
    """Return the bytes. Raises Malformed for any but their one form in base64."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("it is not base64") from error
    if base64.b64encode(data).decode() != text:
        raise Malformed("it is not base64 as it is written")
    return data


def fingerprint(blob: bytes) -> str:
    """Return `SHA256:...` of a public key, as ssh-keygen prints it."""
    digest = hashlib.sha256(blob).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def written(blob: bytes) -> str:
    """Return a public key as text, `ssh-ed25519 AAAA...`."""
    return f"{key_type(blob)} {base64.b64encode(blob).decode()}"
