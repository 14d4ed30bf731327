"""A real registry takes an image from skopeo and gives its digest back."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.servers.conftest import Lend
from tests.servers.k8s_client import Admin
from tests.servers.registry import skopeo

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
NOTHING = bytes(1024)  # the end of an empty tar


@pytest.fixture(scope="module")
def said(lend: Lend) -> dict[str, Any]:
    return lend("registry")


@pytest.fixture(scope="module")
def registry(said: dict[str, Any]) -> Admin:
    return Admin(said["url"])


@pytest.fixture(scope="module")
def digest(said: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the digest of an image that is pushed as risk:2.4.1."""
    layout = tmp_path_factory.mktemp("image")
    digest = image(layout)
    name = f"docker://{said['address']}/risk:2.4.1"
    skopeo(layout, "copy", "--dest-tls-verify=false", f"oci:{layout}:2.4.1", name)
    return digest


def image(layout: Path) -> str:
    """Write an OCI image layout of one empty layer, tagged 2.4.1; return its digest."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(kind: str, content: bytes) -> dict[str, Any]:
        found = hashlib.sha256(content).hexdigest()
        (blobs / found).write_bytes(content)
        return {"mediaType": kind, "digest": f"sha256:{found}", "size": len(content)}

    layer = put(LAYER, gzip.compress(NOTHING, mtime=0))
    about = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(NOTHING).hexdigest()}"]},
    }
    config = put("application/vnd.oci.image.config.v1+json", json.dumps(about).encode())
    parts = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
    manifest = put(MANIFEST, json.dumps(parts).encode())
    tagged = manifest | {"annotations": {"org.opencontainers.image.ref.name": "2.4.1"}}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [tagged]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return str(manifest["digest"])


def head(registry: Admin, tag: str, accept: str = MANIFEST) -> Any:
    return registry.raw("HEAD", f"/v2/risk/manifests/{tag}", headers={"Accept": accept})


def test_it_speaks_the_distribution_protocol(registry: Admin) -> None:
    answer = registry.raw("GET", "/v2/")
    assert answer.status == 200
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


def test_an_image_that_is_pushed_has_its_digest(
    registry: Admin, digest: str, said: dict[str, Any], tmp_path: Path
) -> None:
    assert head(registry, "2.4.1").headers["Docker-Content-Digest"] == digest
    assert registry.get("/v2/risk/tags/list") == {"name": "risk", "tags": ["2.4.1"]}
    name = f"docker://{said['address']}/risk:2.4.1"
    seen = json.loads(skopeo(tmp_path, "inspect", "--tls-verify=false", name))
    assert (seen["Digest"], seen["Architecture"]) == (digest, "amd64")


@pytest.mark.usefixtures("digest")
@pytest.mark.parametrize(
    ("tag", "accept"), [("2.4.2", MANIFEST), ("2.4.1", "application/json")], ids=["tag", "accept"]
)
def test_a_missing_tag_and_a_kind_that_was_not_asked_for_look_alike(
    registry: Admin, tag: str, accept: str
) -> None:
    assert head(registry, tag, accept).status == 404
