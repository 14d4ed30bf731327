"""A real OpenSearch starts from its own jars and answers what later sections ask of logs."""

from typing import Any

import pytest

from tests.servers.conftest import Lend
from tests.servers.k8s_client import Admin, Answer


@pytest.fixture(scope="module")
def opensearch(lend: Lend) -> Admin:
    return Admin(lend("opensearch")["url"])


def test_the_node_says_what_it_is(opensearch: Admin) -> None:
    version: dict[str, Any] = opensearch.get("/")["version"]
    assert (version["distribution"], version["number"]) == ("opensearch", "2.19.1")


def test_a_document_is_found_by_its_time(opensearch: Admin) -> None:
    line = {"@timestamp": "2026-11-24T09:00:00Z", "level": "error", "message": "no quorum"}
    opensearch.ask("POST", "/logs/_doc?refresh=true", line)
    query = {"query": {"range": {"@timestamp": {"gte": "2026-11-24"}}}}
    found = opensearch.ask("POST", "/logs/_search", query)
    assert [hit["_source"] for hit in found["hits"]["hits"]] == [line]


def test_an_index_that_does_not_exist_is_not_found(opensearch: Admin) -> None:
    with pytest.raises(Answer) as caught:
        opensearch.get("/no-such-index/_search")
    assert caught.value.status == 404
