"""Formats that docs/signoff.md names, read from their specifications alone.

JSON of a given shape, PROTOCOL.sshsig, DSSE v1.0.2, the ALLOWED SIGNERS of ssh-keygen(1), and
PROTOCOL.krl with keys and their fingerprints; no certificates. What is not of the format is a
ValueError. Part of tests.signoff.independent: nothing of the package is imported.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

Json = dict[str, Any]
Key = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
BEGIN, END = b"-----BEGIN SSH SIGNATURE-----\n", b"\n-----END SSH SIGNATURE-----"
OPTION = r'(?:cert-authority|(?:namespaces|valid-after|valid-before)="[^"\\]*")'
PUBLIC = r"[ \t]*(?P<kind>[a-z0-9@.-]+)[ \t]+(?P<blob>[A-Za-z0-9+/]+=*)(?:[ \t].*)?"
SIGNER = rf'[ \t]*([^\s"]+)(?:[ \t]+(?P<options>(?i:{OPTION}(?:,{OPTION})*)))?[ \t]{PUBLIC}'
KINDS: Json = {"object": dict, "array": list, "string": str, "boolean": bool, "any": object}
KINDS |= {"integer": int, "number": int | float}
KRL_SIZES = {2: 0, 3: 20, 5: 32}  # sections of keys, of sha1 and sha256 fingerprints
TEXT: Json = {"type": "string"}


def shape(texts: str, **fields: Json) -> Json:
    """An object with these fields; a question mark after a text that may be null."""
    named = {n.rstrip("?"): {"anyOf": [TEXT]} if "?" in n else TEXT for n in texts.split()}
    return {"type": "object", "properties": named | fields, "required": [*named, *fields]}


def many(items: Json) -> Json:
    return {"type": "array", "items": items}


def table(values: Json) -> Json:
    return {"type": "object", "additionalProperties": values}


PAYLOAD = shape("payload")
ENVELOPE = shape("payload payloadType", signatures=many(shape("sig")))


def instant(text: str) -> datetime:
    if not RFC3339.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text)


def check(value: Any, schema: Json, root: Json) -> None:
    """Raise ValueError for another shape; knows what report.schema.json uses of JSON Schema."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:  # always a type or null
        return None if value is None else check(value, schema["anyOf"][0], root)
    kind, named = schema.get("type", "any"), schema.get("properties", {})
    other = schema.get("additionalProperties", {})
    bad = not isinstance(value, KINDS[kind])
    bad = bad or (isinstance(value, bool) and kind in ("integer", "number"))
    bad = bad or value != schema.get("const", value) or value not in schema.get("enum", [value])
    bad = bad or ("pattern" in schema and not re.fullmatch(schema["pattern"], value))
    if isinstance(value, dict) and not bad:
        bad = bool(set(schema.get("required", [])) - value.keys())
        bad = bad or (other is False and bool(value.keys() - named.keys()))
    if bad:
        raise ValueError(value)
    if schema.get("format") == "date-time":
        instant(value)
    pairs = value.items() if isinstance(value, dict) else ()
    for key, each in pairs:
        check(each, named.get(key, other), root)
    for each in value if isinstance(value, list) else ():
        check(each, schema.get("items", {}), root)
    return None


def _once(pairs: list[tuple[str, Any]]) -> Json:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def parse(raw: bytes, schema: Json) -> Json:
    """The JSON object of the schema: UTF-8, no key twice, no NaN; ValueError otherwise."""
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=int)
        check(value, schema, schema)
    except RecursionError as error:
        raise ValueError("too deep") from error
    return dict(value)


def first(data: bytes) -> tuple[bytes, bytes]:
    """A string of the SSH encoding (RFC 4251, section 5) and what follows it."""
    end = 4 + int.from_bytes(data[:4])
    if len(data) < end:
        raise ValueError("bytes are missing")
    return data[4:end], data[end:]


def strings(data: bytes) -> Iterator[bytes]:
    while data:
        head, data = first(data)
        yield head


def blob_of(key: Any) -> bytes:
    text: bytes = key.public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
    return base64.b64decode(text.split()[1])


def key_of(blob: bytes) -> Key:
    """The key of an SSH blob in its one spelling; ValueError for any other kind."""
    kind = first(blob)[0]
    if kind not in (b"ssh-ed25519", b"ecdsa-sha2-nistp256"):
        raise ValueError("kind of key")
    key = form.load_ssh_public_key(kind + b" " + base64.b64encode(blob))
    if not isinstance(key, Key) or blob_of(key) != blob:
        raise ValueError("spelling of key")
    return key


def good(key: Key, signature: bytes, data: bytes) -> bool:
    """Whether the signature (ECDSA: DER) is the key's over the data."""
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        else:
            key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def open_sshsig(text: bytes, message: bytes) -> tuple[bytes, str, bool]:
    """Key, namespace, whether it is over the message; ValueError if it is not PROTOCOL.sshsig."""
    text = text.removesuffix(b"\n")
    body = text.removeprefix(BEGIN).removesuffix(END)
    raw = base64.b64decode(body.replace(b"\n", b""), validate=True)
    blob, namespace, reserved, name, inner = strings(raw[10:])
    if text != BEGIN + body + END or raw[:10] != b"SSHSIG\0\0\0\1" or reserved or not namespace:
        raise ValueError("not an SSHSIG")
    key, (kind, signature) = key_of(blob), strings(inner)
    if kind != first(blob)[0] or name not in (b"sha256", b"sha512"):
        raise ValueError("algorithm")
    if isinstance(key, ec.EllipticCurvePublicKey):
        r, s = (int.from_bytes(each, signed=True) for each in strings(signature))
        signature = encode_dss_signature(r, s)
    parts = (namespace, b"", name, hashlib.new(name.decode(), message).digest())
    data = b"SSHSIG" + b"".join(len(part).to_bytes(4) + part for part in parts)
    return blob, namespace.decode(), good(key, signature, data)


def open_envelope(line: bytes) -> tuple[bytes, bytes | None]:
    """Payload of a DSSE envelope (ValueError without); its signature, None if not one of ours."""
    payload = base64.b64decode(parse(line, PAYLOAD)["payload"], validate=True)
    try:
        whole = parse(line, ENVELOPE)
        (signature,) = whole["signatures"]
        if whole["payloadType"] != "application/vnd.in-toto+json":
            raise ValueError("payloadType")
        return payload, base64.b64decode(signature["sig"], validate=True)
    except ValueError:
        return payload, None


def matches(text: str, patterns: str) -> bool:
    """Whether the pattern-list has the text (ssh_config(5), PATTERNS)."""
    hits = set()
    for pattern in patterns.split(","):
        body = re.escape(pattern.removeprefix("!")).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(body, text, re.DOTALL):
            hits.add(pattern.startswith("!"))
    return hits == {False}


def _lines(raw: bytes, pattern: str) -> Iterator[tuple[bytes, re.Match[str], bytes]]:
    for line in (each.removesuffix(b"\r") for each in raw.split(b"\n")):
        if line.strip() and not line.lstrip().startswith(b"#"):
            found = re.fullmatch(pattern, line.decode())
            blob = base64.b64decode(found["blob"], validate=True) if found else b""
            kind = found["kind"].encode() if found else b""
            if not found or [*strings(blob)][:1] != [kind] or b"-cert-" in kind:
                raise ValueError(line)
            yield line, found, blob


def _stamp(text: str) -> datetime:
    layout = {9: "%Y%m%dZ", 13: "%Y%m%d%H%MZ", 15: "%Y%m%d%H%M%SZ"}.get(len(text), "")
    if not re.fullmatch("[0-9]+Z", text):
        raise ValueError(text)
    return datetime.strptime(text, layout).replace(tzinfo=UTC)


def read_signers(raw: bytes) -> Iterator[Json]:
    """ssh-keygen(1), ALLOWED SIGNERS, without authorities; ValueError for a line with an error."""
    for line, found, blob in _lines(raw, SIGNER):
        listed = re.findall(OPTION, found["options"] or "", re.IGNORECASE)
        given = {o.partition("=")[0].lower(): o.partition("=")[2][1:-1] for o in listed}
        if len(given) != len(listed):
            raise ValueError(line)
        one = {"principals": found[1], "namespaces": given.get("namespaces", "*"), "blob": blob}
        one["after"] = _stamp(given.get("valid-after", "19700101Z"))
        one["before"] = _stamp(given.get("valid-before", "99991231Z"))
        if one["before"] <= one["after"]:
            raise ValueError(line)
        if "cert-authority" not in given:
            yield one | {"digest": hashlib.sha256(line).hexdigest()}


def read_revoked(raw: bytes) -> Iterator[bytes]:
    """Keys and digests of keys: public keys one a line, or PROTOCOL.krl; else ValueError."""
    if not raw.startswith(b"SSHKRL\n\0"):
        yield from (blob for _, _, blob in _lines(raw, PUBLIC))
        return
    if raw[8:12] != b"\0\0\0\1":
        raise ValueError("version")
    rest = first(first(raw[36:])[1])[1]  # after version, number, date, flags; reserved, comment
    while rest:
        section, (body, rest) = rest[0], first(rest[1:])
        if section not in KRL_SIZES:
            raise ValueError("section")
        for entry in strings(body):
            if KRL_SIZES[section] not in (0, len(entry)):
                raise ValueError("fingerprint")
            yield entry


def is_revoked(blob: bytes, revoked: set[bytes]) -> bool:
    """revoked: of read_revoked."""
    sha1 = hashlib.sha1(blob, usedforsecurity=False)  # what a KRL has for a key given as sha1
    return bool({blob, sha1.digest(), hashlib.sha256(blob).digest()} & revoked)


def pem_blob(pem: bytes) -> bytes:
    """SSH blob of a PEM public key, ed25519 or P-256; ValueError for any other."""
    try:
        key = form.load_pem_public_key(pem)
    except UnsupportedAlgorithm as error:
        raise ValueError("kind of key") from error
    if not isinstance(key, Key):
        raise ValueError("kind of key")
    blob = blob_of(key)
    key_of(blob)
    return blob
