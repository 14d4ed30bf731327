"""cosign, by itself, says the same of an exported envelope as `readiness verify`."""

import hashlib
import json
import subprocess
from pathlib import Path

import msgspec
import pytest

from pytest_readiness.signoff import dsse, statement
from tests.servers import programs
from tests.signoff import runs
from tests.signoff.keys import Kind, person

ROOT = {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}


def never() -> bytes:
    raise AssertionError("this key is not encrypted")


def signed(folder: Path, kind: Kind) -> dsse.Envelope:
    """Write a report, a trusted root and the public key; return what a person says of them."""
    who = person(folder, "security-lead@example.org", kind)
    run = runs.unsigned_run(folder, runs.ready(), {"security-lead": who})
    payload = run.statement("security-lead")
    assert statement.decode(payload).subject[0].digest == {
        "sha256": hashlib.sha256((run.run / "report.json").read_bytes()).hexdigest()
    }
    (folder / "tr.json").write_text(json.dumps(ROOT))
    (folder / "role.pub").write_bytes(dsse.public_pem(who.key, never))
    return dsse.read_line(json.dumps(dsse.sign(payload, who.key, never)).encode())


def verify(folder: Path, bundle: object) -> subprocess.CompletedProcess[str]:
    """Ask cosign about run/report.json in the folder."""
    (folder / "x.json").write_text(json.dumps(bundle))
    (cosign,) = programs.need("cosign")
    options = (
        "--key role.pub --insecure-ignore-tlog --trusted-root tr.json --bundle x.json "
        f"--type {statement.PREDICATE}"
    )
    return subprocess.run(
        [str(cosign), "verify-blob-attestation", *options.split(), "run/report.json"],
        cwd=folder,
        env={"HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_passes_when_cosign_accepts_the_bundle(tmp_path: Path, kind: Kind) -> None:
    programs.need("cosign")
    envelope = signed(tmp_path, kind)
    bundle = dsse.bundle(envelope)
    good = verify(tmp_path, bundle)
    assert (good.returncode, "Verified OK" in good.stderr) == (0, True), good.stderr
    unnamed = dsse.bundle(msgspec.structs.replace(envelope, keyid=""))
    assert verify(tmp_path, unnamed).returncode == 0
    with (tmp_path / "run" / "report.json").open("ab") as file:
        file.write(b" ")
    assert verify(tmp_path, bundle).returncode != 0


def test_fails_when_another_key_has_signed(tmp_path: Path) -> None:
    programs.need("cosign")
    bundle = dsse.bundle(signed(tmp_path, "ed25519"))
    other = person(tmp_path, "other@example.org")
    (tmp_path / "role.pub").write_bytes(dsse.public_pem(other.key, never))
    assert verify(tmp_path, bundle).returncode != 0


def test_fails_when_two_have_signed(tmp_path: Path) -> None:
    programs.need("cosign")
    bundle = dsse.bundle(signed(tmp_path, "ed25519"))
    signatures = bundle["dsseEnvelope"]["signatures"]
    assert verify(tmp_path, bundle).returncode == 0
    signatures.append({"sig": "AAAA"})
    assert verify(tmp_path, bundle).returncode != 0
