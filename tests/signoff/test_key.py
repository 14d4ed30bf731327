"""Whether a key may sign, by itself: before a signature there is no ssh-keygen to second it."""

from pathlib import Path

import pytest

from pytest_readiness.signoff.refusals import Cause, Refused
from pytest_readiness.signoff.ssh import key, openssh, revoked, signers
from tests.signoff.asked import AT, NAMESPACE, ROLE, WHO
from tests.signoff.keys import Person, allowed_signers, certificate, person, revoked_text


@pytest.fixture
def ca(tmp_path: Path) -> Person:
    return person(tmp_path, "ca@example.org")


@pytest.fixture
def holder(tmp_path: Path) -> Person:
    return person(tmp_path, "holder@example.org")


def asked(folder: Path, certified: Path, line: str, *gone: Person) -> list[signers.Line]:
    return key.may_sign(
        key.read(openssh.public_blob(certified)),
        principal=WHO,
        namespace=NAMESPACE,
        lines=signers.read(allowed_signers(folder, [line])),
        revoked=revoked.read(revoked_text(folder / "revoked", *gone)),
        at=AT,
    )


@pytest.mark.parametrize("whose", ["ca", "holder"])
def test_fails_and_names_a_certificate_of_which_a_key_is_revoked(
    whose: str, ca: Person, holder: Person, tmp_path: Path
) -> None:
    certified, line = certificate(ca, holder, WHO), ca.line(ROLE, WHO, cert_authority=True)
    other = person(tmp_path, "other@example.org")
    assert [one.number for one in asked(tmp_path, certified, line, other)] == [1]
    with pytest.raises(Refused, match="revoked revokes the key SHA256:") as refused:
        asked(tmp_path, certified, line, {"ca": ca, "holder": holder}[whose])
    assert refused.value.cause is Cause.REVOKED_KEY
