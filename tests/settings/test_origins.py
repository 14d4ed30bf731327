"""What a run may ask over HTTP: the places that the URLs of readiness.ini name, and no other."""

from pathlib import Path

import pytest

from pytest_readiness.settings import from_values, sections
from pytest_readiness.written.keys import Kind

READINESS = {"system": "s", "environment": "e", "phase": "verification"}
URLS = {
    (name, known.name): known.key.kind
    for name, section in sections().items()
    for known in section.keys.values()
    if known.key.kind.name == "url"
}


@pytest.mark.parametrize(
    ("clickhouse", "origins"),
    [
        (
            {"url": "clickhouse+https://reader@CH.example.org:8443/risk"},
            {"https://CH.example.org:8443"},
        ),
        ({"url": "clickhouse+http://ch.example.org/risk"}, {"http://ch.example.org"}),
        ({"url": "chdb:///data"}, set()),
        (
            {"url": "chdb:///data", "backup_api": "https://b.example.org:7171/prefix/"},
            {"https://b.example.org:7171"},
        ),
    ],
)
def test_they_are_those_of_every_url(clickhouse: dict[str, str], origins: set[str]) -> None:
    values = {"readiness": READINESS, "clickhouse": {"cluster": "risk", **clickhouse}}
    assert from_values(values, origin="test", base=Path()).origins() == origins


def test_there_are_none_where_no_section_has_a_url() -> None:
    cluster = {"context": "prod", "namespace": "st-risk"}
    values = {"readiness": READINESS, "kubernetes": cluster}
    assert from_values(values, origin="test", base=Path()).origins() == frozenset()


@pytest.mark.parametrize(("place", "kind"), URLS.items(), ids=lambda value: str(value)[:40])
def test_no_key_of_a_url_is_left_out(place: tuple[str, str], kind: Kind) -> None:
    scheme = "clickhouse+https" if place == ("clickhouse", "url") else "https"
    assert kind.origins(f"{scheme}://user@host.example:1/x") == ("https://host.example:1",)
