"""sigstore-js, by itself, says the same of an exported envelope as `readiness verify`."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pytest_readiness.signoff import dsse
from tests.servers.programs import missing
from tests.signoff import runs
from tests.signoff.keys import Kind, person

ROOT = Path(__file__).parents[2]
MODULES = ROOT / ".sigstore" / "node_modules"
VERIFY = """
const fs = require("fs");
const { bundleFromJSON } = require("@sigstore/bundle");
const { toSignedEntity, toTrustMaterial, Verifier } = require("@sigstore/verify");
const { bundle, hint, pem } = JSON.parse(fs.readFileSync(0, "utf8"));
const root = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
const trust = toTrustMaterial(root, { [hint]: { rawBytes: pem } });
const options = { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0 };
try {
  new Verifier(trust, options).verify(toSignedEntity(bundleFromJSON(bundle)));
  console.log("accepted");
} catch (error) {
  if (!["VerificationError", "ValidationError"].includes(error.constructor.name)) throw error;
  console.log(`refused: ${error.message}`);
}
"""


def node() -> str:
    """Return node; skip by name, or fail where servers are required, when a part is missing."""
    found = shutil.which("node")
    parts = {"node": found, str(MODULES): (MODULES / "@sigstore" / "verify").exists()}
    lost = [name for name, there in parts.items() if not there]
    if lost:
        missing(f"missing: {', '.join(lost)}")
    return str(found)


def said(bundle: dict[str, Any], pem: bytes) -> str:
    """Return what sigstore-js says of the bundle by the key."""
    hint = bundle["verificationMaterial"]["publicKey"]["hint"]
    done = subprocess.run(
        [node(), "-e", VERIFY],
        input=json.dumps({"bundle": bundle, "hint": hint, "pem": pem.decode()}),
        env={**os.environ, "NODE_PATH": str(MODULES)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_passes_when_sigstore_js_accepts_the_bundle(tmp_path: Path, kind: Kind) -> None:
    node()
    who = person(tmp_path, "security-lead@example.org", kind)
    payload = runs.unsigned_run(tmp_path, runs.ready(), {"security-lead": who}).statement(
        "security-lead"
    )
    line = runs.envelope(payload, who)
    bundle = dsse.bundle(dsse.read_line(line))
    pem = runs.pem(who)
    assert said(bundle, pem) == "accepted"
    assert "signature verification failed" in said(
        bundle, runs.pem(person(tmp_path, "other@example.org", kind))
    )
    tampered = json.loads(json.dumps(bundle))
    tampered["dsseEnvelope"]["payload"] = json.loads(runs.envelope(payload + b" ", who))["payload"]
    assert "signature verification failed" in said(tampered, pem)
    twice = json.loads(json.dumps(bundle))
    twice["dsseEnvelope"]["signatures"] *= 2
    assert said(twice, pem) == "refused: invalid bundle"
