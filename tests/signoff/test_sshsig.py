"""Signatures of every kind of key, and the answer of the real ssh-keygen to each."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from pytest_readiness.signoff.refusals import Cause, Refused
from pytest_readiness.signoff.ssh import revoked, signers, sshsig
from tests.signoff.asked import (
    AT,
    DATA,
    KINDS,
    NAMESPACE,
    ROLE,
    WHO,
    Asked,
    Signer,
    accepted_by_ssh_keygen,
    cause_of,
    printed_fingerprint,
    signer_of,
    verified,
)
from tests.signoff.keys import (
    Person,
    allowed_signers,
    certificate,
    person,
    revocation_list,
    revoked_text,
    signature_by_ssh_keygen,
)


@pytest.fixture(scope="module")
def signers_by_kind(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Signer]:
    return {kind: signer_of(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}


@pytest.fixture(params=KINDS)
def signer(request: pytest.FixtureRequest, signers_by_kind: dict[str, Signer]) -> Signer:
    return signers_by_kind[request.param]


@pytest.fixture(params=["ed25519", "ecdsa"])
def readable(request: pytest.FixtureRequest, signers_by_kind: dict[str, Signer]) -> Signer:
    """A signer whose signature is verified without ssh-keygen."""
    return signers_by_kind[request.param]


def cases(signer: Signer, folder: Path) -> dict[str, tuple[Asked, Cause | None]]:
    """Each question with the cause of its refusal, None where it is accepted."""
    good = signer.sign()
    public = signer.holder.key.with_name(f"{signer.holder.key.name}.pub")
    krl = revocation_list(folder / "krl", public)
    sha1 = revocation_list(folder / "sha1", spec=f"sha1: {signer.holder.public}\n")
    sha256 = revocation_list(folder / "sha256", spec=f"sha256: {signer.holder.public}\n")
    listed = revoked_text(folder / "listed", signer.named)
    other = person(folder, "other@example.org")
    unrelated = revoked_text(folder / "unrelated", other)

    def one(*lines: str, **changes: object) -> Asked:
        return Asked(good, list(lines), **changes)  # type: ignore[arg-type]

    line = signer.line
    return {
        "good": (one(line()), None),
        "all namespaces": (one(line(None)), None),
        "wildcard namespace": (one(line(None, namespaces="*@signoff.readiness")), None),
        "another is revoked": (one(line(), revoked=unrelated), None),
        "one byte of the namespace": (one(line(None, namespaces="?ecurity-lead@*")), None),
        "wildcard principal": (one(line(principals="*@example.org")), None),
        "negated": (one(line(principals="!sec@*,*@example.org")), Cause.UNKNOWN_PRINCIPAL),
        "negated last": (one(line(principals="*,!sec@*")), Cause.UNKNOWN_PRINCIPAL),
        "negated other": (one(line(principals="!pm@*,*@example.org")), None),
        "negated namespace": (
            one(line(None, namespaces=f"!{NAMESPACE},*")),
            Cause.WRONG_NAMESPACE,
        ),
        "changed": (one(line(), data=DATA[:-1] + b" "), Cause.TAMPERED_STATEMENT),
        "line ends": (one(line(), data=DATA.replace(b"\n", b"\r\n")), Cause.TAMPERED_STATEMENT),
        "empty": (one(line(), data=b""), Cause.TAMPERED_STATEMENT),
        "for another": (
            Asked(signer.sign(namespace="file"), [line(None)]),
            Cause.WRONG_NAMESPACE,
        ),
        "asked for another": (
            one(line(None), namespace="decision-maker@signoff.readiness"),
            Cause.WRONG_NAMESPACE,
        ),
        "line of another role": (one(line("technical-lead")), Cause.WRONG_NAMESPACE),
        "other person": (one(line(), principal="pm@example.org"), Cause.UNKNOWN_PRINCIPAL),
        "no name": (one(line(principals="*"), principal="a\nb"), Cause.UNKNOWN_PRINCIPAL),
        "other key": (one(other.line(ROLE, WHO)), Cause.UNKNOWN_PRINCIPAL),
        "nobody": (one(), Cause.UNKNOWN_PRINCIPAL),
        "second line": (one("# who", "", other.line(ROLE, WHO), line()), None),
        "second line valid": (one(line(valid_before="20260101Z"), line()), None),
        "second line allows": (one(line("technical-lead"), line(ROLE)), None),
        "expired": (one(line(valid_before="20261124115959Z")), Cause.EXPIRED_KEY),
        "last second": (one(line(valid_before="20261124120000Z")), None),
        "not yet": (one(line(valid_after="202611241201Z")), Cause.EXPIRED_KEY),
        "first second": (one(line(valid_after="202611241200Z")), None),
        "in time": (one(line(valid_after="20261124Z", valid_before="20261125Z")), None),
        "krl": (one(line(), revoked=krl), Cause.REVOKED_KEY),
        "krl sha1": (one(line(), revoked=sha1), Cause.REVOKED_KEY),
        "krl sha256": (one(line(), revoked=sha256), Cause.REVOKED_KEY),
        "list": (one(line(), revoked=listed), Cause.REVOKED_KEY),
    }


def test_passes_when_ssh_keygen_and_verify_say_the_same(signer: Signer, tmp_path: Path) -> None:
    for name, (asked, cause) in cases(signer, tmp_path).items():
        assert cause_of(tmp_path, asked) is cause, name
        # A name of two lines goes to no program, so there is nothing to compare.
        if name != "no name":
            assert accepted_by_ssh_keygen(tmp_path, asked) is (cause is None), name


def test_passes_when_python_alone_says_the_same(
    readable: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_before = cases(readable, tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, (asked, cause) in asked_before.items():
        assert cause_of(tmp_path, asked) is cause, name


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "<-12>12"])
def test_passes_when_the_time_zone_is_another(
    zone: str, signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    armored = signer.sign()
    span = {"valid_after": "20261124120000Z", "valid_before": "20261124120001Z"}
    assert cause_of(tmp_path, Asked(armored, [signer.line(**span)])) is None
    before = {"valid_before": "20261124115959Z"}
    assert cause_of(tmp_path, Asked(armored, [signer.line(**before)])) is Cause.EXPIRED_KEY


def test_passes_when_the_line_is_the_one_that_lets_the_key_sign(
    readable: Signer, tmp_path: Path
) -> None:
    lines = [readable.line("technical-lead"), readable.line(valid_before="20270101Z")]
    line = verified(tmp_path, Asked(readable.sign(), [*lines, readable.line()]))
    assert isinstance(line, signers.Line)
    assert (line.number, line.text) == (2, lines[1].encode())


def test_fails_and_names_the_moment_half_a_second_after_the_end(
    readable: Signer, tmp_path: Path
) -> None:
    late = AT + timedelta(milliseconds=500)
    asked = Asked(readable.sign(), [readable.line(valid_before="20261124120000Z")], at=late)
    assert verified(tmp_path, asked) is Cause.EXPIRED_KEY


@pytest.mark.parametrize("kind", ["rsa", "certificate"])
def test_fails_and_names_ssh_keygen_where_it_is_missing(
    kind: str,
    signers_by_kind: dict[str, Signer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = signers_by_kind[kind]
    armored = one.sign()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused, match="ssh-keygen, which is not on this machine") as refused:
        sshsig.check(DATA, armored, NAMESPACE)
    assert refused.value.cause is Cause.BAD_SIGNATURE


def test_fails_and_names_what_ssh_keygen_alone_refuses(
    readable: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(readable.sign(), [readable.line()])
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "ssh-keygen").write_text(
        "#!/bin/sh\necho 'key type is not trusted' >&2\nexit 255\n"
    )
    (programs / "ssh-keygen").chmod(0o700)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    with pytest.raises(Refused, match=r"ssh-keygen refuses .*key type is not trusted") as refused:
        sshsig.verify(
            DATA,
            asked.armored,
            principal=WHO,
            namespace=NAMESPACE,
            lines=signers.read(allowed_signers(tmp_path, asked.lines)),
            revoked=None,
            at=AT,
        )
    assert refused.value.cause is Cause.BAD_SIGNATURE


class TestCertificates:
    @pytest.fixture
    def ca(self, tmp_path: Path) -> Person:
        return person(tmp_path, "ca@example.org")

    @pytest.fixture
    def holder(self, tmp_path: Path) -> Person:
        return person(tmp_path, "holder@example.org")

    @pytest.mark.parametrize(
        ("validity", "cause"),
        [
            ("20260101Z:20270101Z", None),
            ("20260101Z:20261124120001Z", None),
            ("20260101Z:20261124120000Z", Cause.EXPIRED_KEY),
            ("20261124120000Z:20270101Z", None),
            ("20261124120001Z:20270101Z", Cause.EXPIRED_KEY),
        ],
    )
    def test_fails_and_names_the_time_of_the_certificate(
        self, validity: str, cause: Cause | None, ca: Person, holder: Person, tmp_path: Path
    ) -> None:
        # An older ssh-keygen reads -V in local time only.
        key = in_utc(ca, holder, WHO, validity)
        asked = Asked(
            signature_by_ssh_keygen(key, DATA, NAMESPACE),
            [ca.line(ROLE, "*@example.org", cert_authority=True)],
        )
        assert cause_of(tmp_path, asked) is cause
        assert accepted_by_ssh_keygen(tmp_path, asked) is (cause is None)

    @pytest.mark.parametrize(
        ("principals", "host", "cause"),
        [
            ("pm@example.org,sec@example.org", False, None),
            ("pm@example.org", False, Cause.UNKNOWN_PRINCIPAL),
            ("*@example.org", False, Cause.UNKNOWN_PRINCIPAL),
            ("", False, Cause.UNKNOWN_PRINCIPAL),
            (WHO, True, Cause.BAD_SIGNATURE),
        ],
    )
    def test_fails_and_names_whom_the_certificate_is_for(
        self,
        principals: str,
        host: bool,
        cause: Cause | None,
        ca: Person,
        holder: Person,
        tmp_path: Path,
    ) -> None:
        key = certificate(ca, holder, principals, host=host)
        asked = Asked(
            signature_by_ssh_keygen(key, DATA, NAMESPACE),
            [ca.line(ROLE, "*@example.org", cert_authority=True)],
        )
        assert cause_of(tmp_path, asked) is cause
        assert accepted_by_ssh_keygen(tmp_path, asked) is (cause is None)

    def test_fails_and_names_a_line_that_makes_no_authority(
        self, ca: Person, holder: Person, tmp_path: Path
    ) -> None:
        armored = signature_by_ssh_keygen(certificate(ca, holder, WHO), DATA, NAMESPACE)
        plain = Asked(armored, [ca.line(ROLE, WHO), holder.line(ROLE, WHO)])
        assert verified(tmp_path, plain) is Cause.UNKNOWN_PRINCIPAL
        assert not accepted_by_ssh_keygen(tmp_path, plain)
        # The CA certifies others; it does not sign itself.
        by_ca = Asked(ca.sign(DATA, ROLE), [ca.line(ROLE, WHO, cert_authority=True)])
        assert verified(tmp_path, by_ca) is Cause.UNKNOWN_PRINCIPAL
        assert not accepted_by_ssh_keygen(tmp_path, by_ca)

    @pytest.mark.parametrize("spec", ["serial: 7\n", "id: holder@example.org\n", "serial: 5-9\n"])
    def test_fails_and_names_a_revoked_certificate(
        self, spec: str, ca: Person, holder: Person, tmp_path: Path
    ) -> None:
        key = certificate(ca, holder, WHO, serial=7)
        krl = revocation_list(tmp_path / "krl", spec=spec, ca=ca)
        assert revoked.read(krl).certificates
        asked = Asked(
            signature_by_ssh_keygen(key, DATA, NAMESPACE),
            [ca.line(ROLE, WHO, cert_authority=True)],
            revoked=krl,
        )
        assert verified(tmp_path, asked) is Cause.REVOKED_KEY
        assert not accepted_by_ssh_keygen(tmp_path, asked)

    @pytest.mark.parametrize(
        "critical", ["force-command=true", "source-address=10.0.0.0/8", "critical:x@example.org=y"]
    )
    def test_fails_for_critical_options_which_ssh_keygen_overlooks(
        self, critical: str, ca: Person, holder: Person, tmp_path: Path
    ) -> None:
        key = certificate(ca, holder, WHO, critical=critical)
        asked = Asked(
            signature_by_ssh_keygen(key, DATA, NAMESPACE),
            [ca.line(ROLE, WHO, cert_authority=True)],
        )
        assert cause_of(tmp_path, asked) is Cause.BAD_SIGNATURE
        assert accepted_by_ssh_keygen(tmp_path, asked)

    def test_fails_and_names_a_revoked_holder_where_ssh_keygen_overlooks_it(
        self, ca: Person, holder: Person, tmp_path: Path
    ) -> None:
        armored = signature_by_ssh_keygen(certificate(ca, holder, WHO), DATA, NAMESPACE)
        listed = revoked_text(tmp_path / "listed", holder)
        line = ca.line(ROLE, WHO, cert_authority=True)
        assert verified(tmp_path, Asked(armored, [line], revoked=listed)) is Cause.REVOKED_KEY

    def test_passes_when_the_fingerprint_is_that_of_the_key_in_it(
        self, ca: Person, holder: Person
    ) -> None:
        armored = signature_by_ssh_keygen(certificate(ca, holder, WHO), DATA, NAMESPACE)
        assert sshsig.parse(armored).key.fingerprint == printed_fingerprint(holder)


def in_utc(ca: Person, holder: Person, principals: str, validity: str) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        return certificate(ca, holder, principals, validity.replace("Z", ""))


def test_passes_when_the_signature_carries_the_key(signer: Signer) -> None:
    signature = sshsig.check(DATA, signer.sign(), NAMESPACE)
    assert (signature.namespace, signature.hash) == (NAMESPACE, "sha512")
    assert signature.key.fingerprint == printed_fingerprint(signer.holder)
    assert sshsig.public_blob(signer.key) == signature.key.blob


def test_passes_when_the_hash_is_sha256(readable: Signer, tmp_path: Path) -> None:
    armored = signature_by_ssh_keygen(readable.key, DATA, NAMESPACE, "-O", "hashalg=sha256")
    assert sshsig.check(DATA, armored, NAMESPACE).hash == "sha256"
    assert verified(tmp_path, Asked(armored, [readable.line()])) not in tuple(Cause)
