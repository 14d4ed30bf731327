"""Certificates of a lab: an authority of its own, one server and one client certificate.

Made anew for every lab and written to a directory the caller removes; nothing outlives it.
Extensions are those that OpenSSL asks for under X509_V_FLAG_X509_STRICT (the default of
`ssl.create_default_context` since Python 3.13, RFC 5280 section 4.2): key identifiers, key usage,
critical basic constraints.

PYTEST_DONT_REWRITE
"""

import datetime
import ipaddress
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

HOSTS = ("127.0.0.1", "localhost", "::1")
# An hour back for clocks that disagree; a lab does not live for a month.
_BEFORE = datetime.timedelta(hours=1)
_AFTER = datetime.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the certificates and keys lie, all PEM; the keys can be read by their owner alone."""

    ca: Path
    server_certificate: Path
    server_key: Path
    client_certificate: Path
    client_key: Path

    def server_context(self, *, ask_client: bool = False) -> ssl.SSLContext:
        """Return the context of a server; with ask_client, a client may show a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server_certificate, self.server_key)
        if ask_client:
            context.load_verify_locations(self.ca)
            context.verify_mode = ssl.CERT_OPTIONAL
        return context


@dataclass(frozen=True, slots=True)
class _Issuer:
    certificate: "x509.Certificate"
    key: "ec.EllipticCurvePrivateKey"


def write_tls(
    directory: Path,
    *,
    user: str = "lab",
    groups: tuple[str, ...] = ("system:masters",),
    hosts: tuple[str, ...] = HOSTS,
) -> TlsFiles:
    """Make an authority and write its certificates and keys (ECDSA P-256) to the directory.

    The server certificate is for hosts (names or addresses), the client certificate says who
    the user is as Kubernetes reads it: common name = user, organisations = groups.
    """
    directory.mkdir(parents=True, exist_ok=True)
    authority = _authority()
    server, server_key = _issue(authority, _name(hosts[0]), hosts)
    client, client_key = _issue(authority, _name(user, groups), ())
    files = TlsFiles(
        ca=directory / "ca.pem",
        server_certificate=directory / "server.pem",
        server_key=directory / "server.key",
        client_certificate=directory / "client.pem",
        client_key=directory / "client.key",
    )
    _write(files.ca, _pem(authority.certificate))
    _write(files.server_certificate, _pem(server))
    _write(files.server_key, _key_pem(server_key))
    _write(files.client_certificate, _pem(client))
    _write(files.client_key, _key_pem(client_key))
    return files


def _name(common_name: str, organisations: tuple[str, ...] = ()) -> "x509.Name":
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organisations]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _authority() -> _Issuer:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("readiness lab CA")
    builder = (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return _Issuer(builder.sign(key, hashes.SHA256()), key)


def _issue(
    issuer: _Issuer, name: "x509.Name", hosts: tuple[str, ...]
) -> tuple["x509.Certificate", "ec.EllipticCurvePrivateKey"]:
    """Return a certificate of the issuer: a server's when it has hosts, else a client's."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key = ec.generate_private_key(ec.SECP256R1())
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    builder = (
        _builder(name, issuer.certificate.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(issuer_id, critical=False)
    )
    if hosts:
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer.key, hashes.SHA256()), key


def _builder(
    subject: "x509.Name", issuer: "x509.Name", key: "ec.EllipticCurvePrivateKey"
) -> "x509.CertificateBuilder":
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + _AFTER)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> "x509.KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: "x509.Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: "ec.EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes) -> None:
    # Created with its mode: a key must not be readable for others even for a moment.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as stream:
        stream.write(content)
